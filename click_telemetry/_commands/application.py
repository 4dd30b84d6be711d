"""The application that a telemetry command belongs to: its declaration, and every switch's value.

`decide` makes the decision; the switches are evaluated one by one with the functions that it
calls, in its order.
"""

from __future__ import annotations

import copy
import json
import os
import stat
import sys
from typing import TYPE_CHECKING, NamedTuple

import click

from .._foreground import identity
from .._foreground.consent import (
    DISABLED,
    ENABLED,
    NONE,
    REASONS,
    UNREADABLE,
    waits_for_notice,
)
from .._foreground.destination import identified as destination_of_user
from .._instrument import (
    FLAG,
    OFF_VARIABLE,
    contexts_from_root,
    opt_out_variable,
    scope_of,
)
from .._recorder import (
    CI_VARIABLES,
    LOG,
    OFF,
    SETTING_LIMIT,
    TEST_VARIABLES,
    WATCH,
    Decision,
    Destination,
    decide,
    directories_of,
    find_destination,
    is_ci,
    is_disabled_for_all,
    is_other_user,
    is_storable,
    is_test_run,
    read_setting,
    was_shown,
)
from .._storage import read_small
from .terminal import escape, shorten_home

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .._recorder import Directories, Settings


class KnownDestination(NamedTuple):
    """A destination of the application as it is configured now.

    Attributes:
        spool: the directory of its queue.
        destination: its host, with a write key or a token.
        identified: whether it takes events of signed-in users only. Its token is empty while the
            user is signed out.
    """

    spool: str
    destination: Destination
    identified: bool

    @property
    def kind(self) -> str:
        """`segment`, `webhook`, `file` and so on; `custom` for a transport of the application's."""
        transport = self.destination.transport
        if transport is None:
            return "segment"
        own = "package" not in transport
        return str(transport["class"].partition(":")[0].rpartition(".")[2]) if own else "custom"

    @property
    def can_be_sent_to(self) -> bool:
        """Whether there is all that a sender needs."""
        return not self.identified or bool(self.destination.token)


class Application(NamedTuple):
    """The application in this process and environment.

    Attributes:
        settings: what it declared.
        environ: the process's environment.
        directories: its own; None without an absolute path for them.
        stdout: the process's standard output.
        flag: whether `--no-telemetry` is on this command line.
        decision: whether a recorded command would be recorded now.
        setting: the saved one: NONE, ENABLED, DISABLED or UNREADABLE.
        group: how the telemetry group was called, such as `acme telemetry`; escaped.
        destinations: where its events are sent.
    """

    settings: Settings
    environ: Mapping[str, str]
    directories: Directories | None
    stdout: object
    flag: bool
    decision: Decision
    setting: str
    group: str
    destinations: list[KnownDestination]

    def own_directories(self) -> Directories:
        """Its directories, for a command that changes what is in them.

        Raises:
            click.ClickException: there are none, or they belong to another user.
        """
        if is_other_user(self.environ):
            raise click.ClickException(
                "Nothing was changed: this process runs as another user, or HOME belongs to "
                "another user. Run it as the user who owns HOME, without sudo."
            )
        if self.directories is None:
            raise click.ClickException(
                "There is no directory for telemetry: set HOME to the absolute path of your home "
                "directory."
            )
        return self.directories

    def path(self, path: str) -> str:
        """A path as it is printed, with `~` for the home directory."""
        return shorten_home(path, self.environ.get("HOME", ""))

    def off_reason(self) -> str:
        """Why nothing is recorded, as a clause; for the mode OFF."""
        if self.decision.detail:
            return f"{self.decision.detail} opts out"
        return REASONS[self.decision.reason]


def find_application(context: click.Context) -> Application:
    """The application above a telemetry command.

    Raises:
        click.UsageError: nothing above the command is instrumented.
    """
    contexts = contexts_from_root(context)
    root = scope_of(contexts[0]).root if contexts else None
    if root is None:
        raise click.UsageError(
            "telemetry_group() must be below an instrumented group: put @instrumented_group above "
            "the application's root."
        )
    flag = any(scope_of(one).opted_out == "flag" for one in contexts)
    group = context.parent.command_path if context.parent is not None else context.command_path
    return examine(root.settings, os.environ, sys.stdout, flag=flag, group=escape(group))


def examine(
    settings: Settings, environ: Mapping[str, str], stdout: object, *, flag: bool, group: str
) -> Application:
    """An application's decision, and what it depends on.

    Args:
        settings: what the application declared.
        environ: the process's environment.
        stdout: the process's standard output.
        flag: whether `--no-telemetry` is on this command line.
        group: how the telemetry group was called.
    """
    directories = directories_of(settings.app, environ)
    decision = decide(settings, environ, directories, stdout)
    return Application(
        settings,
        environ,
        directories,
        stdout,
        flag,
        Decision(OFF, "flag") if flag else decision,
        read_setting(directories.setting) if directories is not None else NONE,
        group,
        _destinations(settings, environ, directories, decision.destination),
    )


def _destinations(
    settings: Settings,
    environ: Mapping[str, str],
    directories: Directories | None,
    current: Destination | None,
) -> list[KnownDestination]:
    """The destination with a write key, then the one for signed-in users, if there are any."""
    if directories is None or settings.client is not None:
        return []
    found = []
    signed_out = copy.copy(settings)
    signed_out.auth = None
    anonymous = find_destination(signed_out, environ)
    if anonymous is not None:
        found.append((anonymous, False))
    if current is not None and current.token is not None:
        found.append((current, True))
    elif settings.auth is not None and settings.app_known:
        signed_in = destination_of_user(settings, "")
        if signed_in is not None:
            found.append((signed_in, True))
    return [
        KnownDestination(os.path.join(directories.spool, one.digest), one, identified)
        for one, identified in found
    ]


# Switches -----------------------------------------------------------------------------------------

OPTS_OUT = "off"
OPTS_IN = "on"
NO_EFFECT = "none"


class Switch(NamedTuple):
    """A condition that decides whether a run is recorded.

    Attributes:
        key: a reason of `_foreground.consent`, or a variable's name.
        name: for people.
        value: as in the environment, or a description; None if it is not set.
        effect: OPTS_OUT, OPTS_IN, LOG or NO_EFFECT.
    """

    key: str
    name: str
    value: str | None
    effect: str


def switches(application: Application) -> list[Switch]:
    """Every switch, in the order in which `decide` evaluates them; the first OPTS_OUT decides."""
    flag = ("given", OPTS_OUT) if application.flag else (None, NO_EFFECT)
    return [
        Switch("flag", FLAG, *flag),
        *_variables(application.environ, application.settings.prefix),
        _administrator(application.directories),
        _saved_setting(application.setting),
        _user(application.environ),
        *_circumstances(application),
    ]


def decisive(decision: Decision) -> str:
    """The key of the switch that decides; empty if none opts out."""
    return decision.detail or decision.reason if decision.mode == OFF else ""


def _variables(environ: Mapping[str, str], prefix: str) -> Iterator[Switch]:
    own = prefix + "_TELEMETRY"
    for name in ("DO_NOT_TRACK", "NO_ANALYTICS", OFF_VARIABLE, prefix + "_NO_TELEMETRY", own):
        value = environ.get(name)
        if value is None:
            effect = NO_EFFECT
        elif opt_out_variable({name: value}, prefix) is not None:
            effect = OPTS_OUT
        else:
            effect = LOG if name == own and value.strip().lower() == LOG else NO_EFFECT
        yield Switch(name, name, value, effect)


def _administrator(directories: Directories | None) -> Switch:
    if directories is None or not os.path.lexists(directories.site_setting):
        return Switch("administrator", "administrator", "none", NO_EFFECT)
    if is_disabled_for_all(directories.site_setting):
        return Switch("administrator", "administrator", directories.site_setting, OPTS_OUT)
    return Switch("administrator", "administrator", "enabled", NO_EFFECT)


def _saved_setting(setting: str) -> Switch:
    value, effect = {
        NONE: ("none", NO_EFFECT),
        ENABLED: ("enabled", OPTS_IN),
        DISABLED: ("disabled", OPTS_OUT),
        UNREADABLE: ("cannot be read", OPTS_OUT),
    }[setting]
    key = "unreadable_setting" if setting == UNREADABLE else "setting"
    return Switch(key, "saved setting", value, effect)


def _user(environ: Mapping[str, str]) -> Switch:
    if not is_other_user(environ):
        return Switch("other_user", "user", "you", NO_EFFECT)
    if os.getuid() != os.geteuid():
        value = f"uid {os.getuid()}, with the rights of {os.geteuid()}"
    else:
        value = "HOME or XDG_STATE_HOME belongs to another user"
    return Switch("other_user", "user", value, OPTS_OUT)


def _circumstances(application: Application) -> Iterator[Switch]:
    settings, environ = application.settings, application.environ
    directories, enabled = application.directories, application.setting == ENABLED
    tests = [name for name in TEST_VARIABLES if name in environ]
    services = [name for name in CI_VARIABLES if is_ci({name: environ.get(name, "")})]
    labelled = " (recorded, with a label)" if services and settings.ci != "off" else ""
    no_key = "none: no write key" if settings.app_known else "none: the application has no name"
    hosts = dict.fromkeys(one.destination.host for one in application.destinations)
    destination = application.decision.destination
    if destination is None and settings.client is None:
        destination = find_destination(settings, environ)
    own_client = settings.client is not None
    opt_in = settings.consent == "opt-in"
    shown = directories is not None and was_shown(directories.notice)
    informed = enabled or shown or settings.notice is False or opt_in
    if enabled:
        notice = "not required: enabled"
    elif settings.notice is False:
        notice = "left to the application"
    elif opt_in:
        notice = "not required: opt-in"
    else:
        notice = "shown" if shown else "not required: CI without a terminal"
    overridden = application.decision.mode in (LOG, WATCH) or settings.test_double
    rate = settings.sample
    stored = identity.read(directories.anonymous_id) if directories is not None and rate else None
    for key, name, applies, value, otherwise in (
        (
            "test_run",
            "test run",
            is_test_run(environ, application.stdout),
            ", ".join(tests) or "in this process",
            "none",
        ),
        (
            "ci",
            "CI",
            settings.ci == "off" and is_ci(environ),
            ", ".join(services),
            (", ".join(services) or "none") + labelled,
        ),
        (
            "no_destination",
            "destination",
            destination is None and not own_client,
            no_key,
            "the application's own client"
            if own_client
            else ", ".join(hosts) or (destination.host if destination is not None else ""),
        ),
        (
            "not_storable",
            "state directory",
            directories is None or not is_storable(directories),
            "cannot be used",
            "can be used",
        ),
        (
            "not_opted_in",
            "opt-in",
            opt_in and not enabled,
            "required, not enabled",
            "required, enabled" if opt_in else "not required",
        ),
        (
            "notice_not_shown",
            "notice",
            not informed and waits_for_notice(settings, environ),
            "not shown yet",
            notice,
        ),
        (
            "not_sampled",
            "sample",
            not identity.is_in_sample(stored, rate),
            f"{rate:.4g} of all, and not this one" if rate else "",
            f"{rate:.4g} of all, and this one" if rate else "every installation",
        ),
    ):
        if key == "not_sampled" and rate is None:
            continue
        if applies:
            yield Switch(key, name, value, NO_EFFECT if overridden else OPTS_OUT)
        else:
            yield Switch(key, name, otherwise, NO_EFFECT)


# Why the saved setting cannot be read -------------------------------------------------------------


def setting_problem(path: str) -> str:
    """Why a saved setting cannot be read, as the end of a sentence that begins with "it".

    Args:
        path: of its file.

    Returns:
        Empty if it can be read, or does not exist.
    """
    try:
        found = os.stat(path)
        if stat.S_ISDIR(found.st_mode):
            return "is a directory"
        if not stat.S_ISREG(found.st_mode):
            return "is not a regular file"
        if hasattr(os, "geteuid") and found.st_uid != os.geteuid():
            return f"belongs to another user (uid {found.st_uid})"
        if found.st_size > SETTING_LIMIT:
            return f"is larger than {SETTING_LIMIT // 1024} KB"
        content = read_small(path, limit=SETTING_LIMIT, follow=True)
    except NotADirectoryError:
        return "is below a file that is not a directory"
    except FileNotFoundError:
        return "" if read_setting(path) == NONE else "is behind a link to nothing"
    except OSError as error:
        return f"cannot be opened ({error.strerror or type(error).__name__})"
    return _content_problem(content)


def _content_problem(content: bytes) -> str:
    if not content.strip():
        return "is empty"
    repeated: list[str] = []

    def collect(pairs: list[tuple[str, object]]) -> dict[str, object]:
        names = [name for name, _ in pairs]
        repeated.extend(name for name in dict.fromkeys(names) if names.count(name) > 1)
        return dict(pairs)

    try:
        saved = json.loads(content.decode("utf-8"), object_pairs_hook=collect)
    except UnicodeDecodeError:
        return "is not UTF-8 text"
    except json.JSONDecodeError as error:
        return f"is not JSON (line {error.lineno}, column {error.colno})"
    except (ValueError, RecursionError):
        return "is not readable JSON"
    if not isinstance(saved, dict):
        return "is not a JSON object"
    if repeated:
        return f"contains the key {ascii(repeated[0])[:40]} twice"
    if "enabled" not in saved:
        return 'has no key "enabled"'
    if not isinstance(saved["enabled"], bool):
        return 'has a value for "enabled" that is neither true nor false'
    return ""
