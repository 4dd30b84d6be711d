"""Consent in full: the saved setting, a sentence for each reason of `decide`, and the notice.

The setting is one small file that a person may keep with their dotfiles. A file that cannot be
understood is an opt-out: whoever wrote it meant something.

The notice is claimed, shown once on a terminal, and then marked as shown; only the mark permits
recording. The claim is a file lock, so that one whose process died is free again at once.
"""

from __future__ import annotations

import os
import sys
import textwrap
import time
from typing import TYPE_CHECKING, Any

from .._instrument import FLAG, SCOPES, pass_on
from .._recorder import (
    OFF,
    OFFERED,
    SETTING_LIMIT,
    SHOWN,
    Decision,
    directories_of,
    is_ci,
    is_disabled_for_all,
    read_setting,
)
from .._storage import (
    NoLocks,
    TooLarge,
    make_private_directory,
    open_private,
    read_small,
    replace_file,
    try_lock,
    write_all,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .._instrument import Scope
    from .._recorder import Destination, Directories, Settings

NONE = "none"
ENABLED = "enabled"
DISABLED = "disabled"
UNREADABLE = "unreadable"


def parse(content: bytes) -> str:
    """What a file contains: `enabled`, `disabled` or `unreadable`."""
    enabled = _object(content).get("enabled")
    if not isinstance(enabled, bool):
        return UNREADABLE
    return ENABLED if enabled else DISABLED


def disables(path: str) -> bool:
    """Whether an administrator's file disables telemetry; one that cannot be understood does.

    It cannot enable anything, so its owner does not matter.
    """
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            return parse(file.read(SETTING_LIMIT)) != ENABLED
    except OSError as error:
        pass_on(error)
        return True


def _open_at_once(path: str, flags: int) -> int:
    # A FIFO without a writer would block.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def saved_opt_out(root: Scope) -> Decision | None:
    """The opt-out that is saved for a root's application, which may not have been decided yet."""
    directories = directories_of(root.settings.app, os.environ)
    if directories is None:
        return None
    if is_disabled_for_all(directories.site_setting):
        return Decision(OFF, "administrator")
    setting = read_setting(directories.setting)
    reasons = {"disabled": "setting", "unreadable": "unreadable_setting"}
    return Decision(OFF, reasons[setting]) if setting in reasons else None


def of_undecided(root: Scope) -> Decision | None:
    """The saved opt-out of an application whose command runs this root, before its own leaf begins.

    A group's callback and an excluded command run without a decision about them.
    """
    roots = [getattr(one, "root", root) for one in SCOPES]  # one that is being entered has none
    others = [other for other in roots if other is not root]
    own = [other for other in others if other.thread == root.thread]
    for other in own or others:
        found = saved_opt_out(other) if not other.decided else None
        if found is not None:
            return found
    return None


def write(path: str, *, enabled: bool) -> None:
    """Save a setting; whatever else the file holds is kept.

    Raises:
        OSError: it could not be saved, or what is there is no file of this user.
    """
    kept: dict[str, object] = {}
    target = os.path.realpath(path)
    try:
        kept = _object(read_small(target, limit=SETTING_LIMIT))
    except (FileNotFoundError, TooLarge):
        pass  # there is none, or none worth keeping
    # Any other error is raised: replacing would destroy what the file is linked to (/dev/null).
    kept["enabled"] = enabled
    directory = os.path.dirname(path)
    if not os.path.isdir(directory):
        make_private_directory(directory)
    import json  # 1.7 ms, which a notice and an ordinary setting do not cost

    replace_file(target, json.dumps(kept).encode("ascii") + b"\n")


def _object(content: bytes) -> dict[str, object]:
    """The JSON object that a file holds; an empty one where it holds none."""
    import json  # likewise

    try:
        stored = json.loads(content.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        return {}
    return stored if isinstance(stored, dict) else {}


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found


REASONS = {
    "flag": "--no-telemetry was given",
    "variable": "an environment variable opts out",
    "administrator": "the administrator of this machine has disabled telemetry",
    "setting": "telemetry is disabled by a saved setting",
    "unreadable_setting": "the saved setting cannot be read, so telemetry stays off",
    "other_user": "the process runs as another user, or HOME belongs to another user",
    "excluded": "the application excludes this command",
    "test_run": "a test suite runs the command",
    "ci": "a CI service runs the command",
    "no_destination": "the application has no write key, or no name of its own",
    "not_storable": "the state directory cannot be used",
    "not_opted_in": "telemetry is opt-in for this application, and is not enabled",
    "notice_not_shown": "the notice has not been shown yet",
    "not_sampled": "the application samples, and this installation is outside the sample",
}

_CLAIMED = b"claimed\n"  # as long as what replaces it: on a full disk that still fits

STALE_AFTER = 60
"""Seconds; only where the file system has no locks, which show whether a process is alive."""

WIDTH = 79


MAX_DEPTH = 4
"""Levels at which the telemetry group is looked for."""


def waits_for_notice(settings: Settings, environ: Mapping[str, str]) -> bool:
    """Whether a run records nothing until the notice was shown.

    A job of CI without a terminal has no person to inform. With `ci="label"` the application
    informs its users of that itself.

    Args:
        settings: what the application declared.
        environ: the process's environment, or the known part of it.
    """
    return settings.ci == "off" or _at_terminal() or not is_ci(environ)


def show_for(
    settings: Settings, directories: Directories, decision: Decision, context: Any
) -> None:
    """Show the notice of an application, or how to enable telemetry if that is opt-in.

    Args:
        settings: what the application declared; its own text takes precedence.
        directories: its directories.
        decision: that nothing is recorded before; its destination receives the data afterwards.
        context: the root's.
    """
    words = lambda: notice_text(settings, directories, decision.destination, context)  # noqa: E731
    show(directories.notice, words, OFFERED if settings.consent == "opt-in" else SHOWN)


def notice_text(
    settings: Settings, directories: Directories, destination: Destination | None, context: Any
) -> str:
    """What is shown, ending in a newline.

    Args:
        settings: what the application declared.
        directories: its directories.
        destination: who receives the data; None for a client of the application's own.
        context: the root's.
    """
    own = settings.notice
    if isinstance(own, str):
        return own if own.endswith("\n") else own + "\n"
    host = destination.host if destination is not None else None
    group = telemetry_words(context.command)
    return text(
        settings.app,
        settings.prefix,
        opt_in=settings.consent == "opt-in",
        host=_in_home("file://", host) if host is not None else None,
        adds=settings.events != () or bool(settings.properties),
        signed_in=settings.auth is not None,
        flag=FLAG if settings.no_telemetry_option else None,
        group=" ".join([context.command_path, *group]) if group else None,
        setting=_in_home("", directories.setting),
        url=settings.notice_url,
    )


def _in_home(scheme: str, address: str) -> str:
    """The address of a file, with `~` for the home directory; any other address as it is."""
    before = scheme + os.environ.get("HOME", "").rstrip("/") + "/"
    return f"{scheme}~/{address[len(before) :]}" if address.startswith(before) else address


def telemetry_words(command: Any, depth: int = 0) -> list[str]:
    """The words that call the telemetry group; empty where there is none.

    Only groups that are loaded already are examined: a lazy one may load plugins, or print.
    """
    registered = getattr(command, "__dict__", {}).get("commands")
    if not isinstance(registered, dict) or depth >= MAX_DEPTH:
        return []
    for name, below in registered.items():
        if getattr(type(below), "is_telemetry_group", False):
            return [str(name)]
    for name, below in registered.items():
        words = telemetry_words(below, depth + 1)
        if words:
            return [str(name), *words]
    return []


def text(
    app: str,
    prefix: str,
    *,
    opt_in: bool = False,
    host: str | None = None,
    adds: bool = True,
    signed_in: bool = False,
    flag: str | None = None,
    group: str | None = None,
    setting: str = "",
    url: str | None = None,
) -> str:
    """The notice: the data, who receives it, what to do, where to read more.

    It is true of every application: what this library records is known here. What the application
    adds is not, since it may load that later, unless it declares that there is nothing (`events`).

    Args:
        app: the application's name.
        prefix: its name as variables write it.
        opt_in: whether nothing is recorded until the person enables it.
        host: what receives the data, as `Destination.host`; None for a client of its own.
        adds: whether the application may record more than this library does by itself.
        signed_in: whether it is sent with the account of a person who is signed in.
        flag: what opts out of a run, or None where the application has no such flag.
        group: how people call its telemetry commands, or None where it has none.
        setting: the file of the saved setting, as people write it.
        url: where to read more, or None where the application gives no address.
    """
    begins = f"If you enable it, {app} records" if opt_in else f"{app} records"
    scheme, separator, receiver = (host or "").partition("://")
    goes = f"is sent to {receiver}" if separator else f"goes where {app} itself sends it"
    if scheme == "file":
        goes = f"is kept in {receiver} on this machine"
    more = f" {app} may add more, such as your choice from a fixed list." if adds else ""
    what = (
        f"{begins} how it is used, to improve it: each command with the names of its options, "
        "time, duration, exit code and kind of error; system, versions, whether a person or a "
        f"script runs it, how sending works, and a random ID.{more} All of it {goes}"
    ) + (", with your account if you are signed in." if signed_in else ".")
    if opt_in:
        saves = f'save {{"enabled": true}} in {setting}'
        lines = [("To enable:", f"{group} enable" if group else saves)]
        end = "Nothing is recorded unless you enable it."
    else:
        if group:
            no = f"{group} disable" + (f" (for one run: {flag})" if flag else "")
        else:
            no = (f"{flag}, " if flag else "") + f"{prefix}_NO_TELEMETRY=1 or DO_NOT_TRACK=1"
        # `show` shows the queue, which a client does not have.
        shows = f"{group} show" if group and host else ""
        see = shows or f"{prefix}_TELEMETRY=log prints it, and sends nothing"
        lines = [("To opt out:", no), ("To see it:", see)]
        end = "Nothing was recorded this time."
    if url:
        lines.append(("Read more:", url))
    return (
        "\n".join([_fill(what), *[_fill(words, f"  {label:<12}") for label, words in lines], end])
        + "\n\n"
    )


def _fill(words: str, before: str = "") -> str:
    """Lines of at most `WIDTH` columns; no name, address or path is broken."""
    return textwrap.fill(
        before + words,
        WIDTH,
        subsequent_indent=" " * len(before),
        break_long_words=False,
        break_on_hyphens=False,
    )


def show(path: str, words: str | Callable[[], str], mark: bytes = SHOWN) -> bool:
    """Show the notice on stderr, if it is a terminal and no other process is showing it.

    Args:
        path: the marker; its directory is made if it is missing.
        words: what to show, ending in a newline; a function is asked only when it is shown.
        mark: what the marker contains afterwards. Only `SHOWN` permits recording.

    Returns:
        Whether it was shown, and marked so, by this call.

    Raises:
        OSError: the marker cannot be stored. Then nothing was shown.
    """
    if not _at_terminal():
        return False
    make_private_directory(os.path.dirname(path))
    fresh = True
    try:
        descriptor = open_private(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    except FileExistsError as error:
        pass_on(error)
        fresh = False
        descriptor = open_private(path, os.O_RDWR)
    try:
        if not _claim(descriptor, mark, fresh=fresh):
            return False
        sys.stderr.write(words if isinstance(words, str) else words())
        sys.stderr.flush()
        os.lseek(descriptor, 0, os.SEEK_SET)  # Windows has no pwrite
        write_all(descriptor, mark)
        return True
    finally:
        os.close(descriptor)


def _at_terminal() -> bool:
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError) as error:  # there is no stderr, or it is closed
        pass_on(error)
        return False


def _claim(descriptor: int, mark: bytes, *, fresh: bool) -> bool:
    try:
        if not try_lock(descriptor):
            return False
    except NoLocks as error:
        pass_on(error)
        age = time.time() - os.fstat(descriptor).st_mtime
        if not fresh and 0 <= age < STALE_AFTER:
            return False
    if os.read(descriptor, 64) == mark:
        return False
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    write_all(descriptor, _CLAIMED)
    return True
