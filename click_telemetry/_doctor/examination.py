"""What is found in an application, in its own process, when its first leaf begins.

Loaded only under `click-telemetry doctor` and `watch`. It writes one JSON file to their private
directory, and changes nothing else: no directory, no marker, no queue. `status` collects the same
values (`_commands.reports`), by the functions that `decide` calls.
"""

from __future__ import annotations

import copy
import gc
import os
import sys
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from .. import __version__
from .._foreground import names
from .._foreground.destination import own_host
from .._foreground.options import event_name
from .._foreground.sinks import ADDRESS_VARIABLE, STATE_VARIABLE, state_directory
from .._instrument import (
    CLICK_FAMILY,
    KEY,
    OFF_VARIABLE,
    SCOPES,
    Attributes,
    CommandState,
    contexts_from_root,
    pass_on,
)
from .._recorder import (
    CI_VARIABLES,
    LOG,
    TEST_VARIABLES,
    command_and_flags,
    directories_of,
    find_destination,
    head_of,
    package_of_callback,
)
from .._storage import (
    NoLocks,
    can_create,
    check_private_directory,
    open_private,
    try_lock,
)
from .channel import EXAMINATIONS, order, put

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .._instrument import Scope
    from .._recorder import Destination, Directories, Settings

MAX_DEPTH = 8  # of groups that are walked; lazy ones are not asked for their commands
MAX_COMMANDS = 2_000
MAX_EVENTS = 200  # names that are kept of a run
MIN_KEY = 8  # characters; a variable may have a shorter value by chance

_examined: list[Scope] = []  # roots
_parsed: list[CommandState] = []  # of the roots whose command line was parsed
_nested: list[CommandState] = []  # of instrumented commands that were found below a root
_by_name: dict[str, None] = {}  # events that were tracked by their names


# When ---------------------------------------------------------------------------------------------


def begin(scope: Scope, context: Any) -> None:
    """A leaf begins: report what is found, once for each root, and stop it if a doctor asks.

    The time that this takes is no part of any command's duration.

    Args:
        scope: of the leaf, entered.
        context: the leaf's.

    Raises:
        SystemExit: the callback is not to run. Contexts are closed, as by `sys.exit()`.
    """
    began = monotonic_ns()
    ordered = order(os.environ)
    try:
        if not any(root is scope.root for root in _examined):
            _examined.append(scope.root)
            put(EXAMINATIONS, examine_leaf(scope, context, production=ordered is not None))
    except Exception as error:
        pass_on(error)  # else a fault of ours, or of an object of the application's
        put(EXAMINATIONS, {"app": scope.state.app, "failed": type(error).__name__})
    if ordered is not None and not ordered.get("run"):
        stop = SystemExit(0)
        scope.leave(stop, None)
        raise stop
    spent = monotonic_ns() - began
    for running in list(SCOPES):
        if running.thread == scope.thread:
            running.started += spent


def parsed(state: CommandState) -> None:
    """The command line of a root is parsed: its hooks are in use."""
    _parsed.append(state)


def at_exit() -> None:
    """The process ends: report to a doctor which roots were declared, and which of them ran."""
    if order(os.environ) is not None:
        put(EXAMINATIONS, {"roots": declared_roots()})


# What ---------------------------------------------------------------------------------------------


def examine_leaf(scope: Scope, context: Any, *, production: bool) -> dict[str, Any]:
    """Everything that is known of a command that is about to run, as JSON values.

    Args:
        scope: of the leaf, entered.
        context: the leaf's.
        production: whether to decide about production too, in the private directory.
    """
    from .._commands.application import examine  # not before the application's own modules
    from .._commands.reports import report_as_json, report_of  # likewise
    from .._foreground.consent import telemetry_words  # likewise

    contexts = contexts_from_root(context)
    settings = _asked_once(scope.root.settings)
    ours = (ADDRESS_VARIABLE, STATE_VARIABLE)
    environ = {name: value for name, value in os.environ.items() if name not in ours}
    variable = settings.prefix + "_TELEMETRY"
    log = environ.get(variable, "").strip().lower() == LOG
    if log:
        del environ[variable]  # it overrides circumstances, which are to be listed with it
    words = telemetry_words(contexts[0].command)
    group = " ".join([contexts[0].command_path, *words]) if words else ""
    flag = scope.opted_out == "flag"
    here = examine(settings, environ, sys.stdout, flag=flag, group=group)
    destination = here.decision.destination
    if destination is None and settings.client is None:
        destination = find_destination(settings, environ)
    directories = directories_of(settings.app, environ)
    spool = None
    if destination is not None and directories is not None:
        spool = os.path.join(directories.spool, destination.digest)
    found: dict[str, Any] = {
        "app": settings.app,
        "prefix": settings.prefix,
        "group": group,
        "command": command_and_flags(scope.root.settings, contexts)[0],
        "excluded": scope.excluded,
        "opted_out": scope.opted_out,
        "home": environ.get("HOME", ""),
        "status": report_as_json(report_of(here)),
        "log": log,
        "spool": spool,
        "host": destination.host if destination is not None else None,
        "transport": _transport(destination),
        "client": settings.client is not None,
        "test_double": settings.test_double,
        "declared": _declared(settings),
        "directories": list(_directories(directories)),
        "storage_problem": _storage_problem(directories, spool),
        "lock_problem": _lock_problem(directories, spool),
    }
    if production:
        elsewhere = _production_environ(settings, environ)
        there = examine(settings, elsewhere, sys.__stdout__, flag=flag, group=group)
        found["production"] = report_as_json(report_of(there))
        found["versions"] = _versions(settings, environ)
        found["commands"] = list(_commands(settings, contexts))
        found["roots"] = declared_roots()
        key = destination.write_key if destination is not None else ""
        same = [name for name, value in elsewhere.items() if value == key]
        found["key_variables"] = same if len(key) >= MIN_KEY else []
    if production or found["transport"] is not None:
        found["sender"] = _sender()
    return found


def _asked_once(settings: Settings) -> Settings:
    """A copy whose functions of the application's are called once, however often it is decided."""
    made = copy.copy(settings)
    if made.auth is not None:
        made.auth = _once(made.auth)
    if callable(made.host):
        made.host = _once(made.host)
    return made


def _once(function: Callable[[], object]) -> Callable[[], object]:
    results: list[tuple[object, BaseException | None]] = []

    def ask() -> object:
        if not results:
            try:
                results.append((function(), None))
            except (Exception, SystemExit) as error:  # as `destination.ask` expects them
                results.append((None, error))
        result, failure = results[0]
        if failure is not None:
            raise failure
        return result

    return ask


def _production_environ(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of another machine: no CI, no test, no opt-out, and a home that is empty."""
    home = os.path.join(state_directory(os.environ) or "", "production")
    own = settings.prefix + "_"
    switches = {*CI_VARIABLES, *TEST_VARIABLES, "DO_NOT_TRACK", "NO_ANALYTICS", OFF_VARIABLE}
    kept = {
        name: value
        for name, value in environ.items()
        if name not in switches
        and not name.startswith((own + "TELEMETRY", own + "NO_TELEMETRY", "XDG_"))
    }
    kept |= {"HOME": home, "XDG_CONFIG_DIRS": os.path.join(home, "site")}
    return kept


def _declared(settings: Settings) -> dict[str, Any]:
    """What of the declaration a fix depends on; no key and no token."""
    options = settings.declared
    return {
        "app": settings.app_known,
        "write_key": "write_key" in options,
        "auth": settings.auth is not None,
        "host": "host" in options,
        "origin": own_host(settings) is not None,
        "destination": settings.destination is not None,
        "ci": settings.ci,
        "consent": settings.consent,
        "delivery": settings.delivery,
        "flush_timeout": settings.flush_timeout,
        "sample": settings.sample,
    }


def _transport(destination: Destination | None) -> dict[str, Any] | None:
    """What the sender imports for a destination; none of its options, which may be secrets."""
    if destination is None or destination.transport is None:
        return None
    return {k: v for k, v in destination.transport.items() if k in ("class", "package")}


# Directories --------------------------------------------------------------------------------------


def _directories(directories: Directories | None) -> Iterator[dict[str, Any]]:
    """The paths that are used, with the rights of each that exists."""
    if directories is None:
        return
    for name, path in (
        ("saved setting", directories.setting),
        ("administrator's setting", directories.site_setting),
        ("state", directories.state),
        ("queue", directories.spool),
    ):
        try:
            mode: str | None = f"{os.lstat(path).st_mode & 0o7777:04o}"
        except OSError:
            mode = None
        yield {"name": name, "path": path, "mode": mode}


def _storage_problem(directories: Directories | None, spool: str | None) -> str:
    """Why nothing can be stored, beginning with a path; empty if it can be."""
    if directories is None:
        return "HOME is not an absolute path"
    for path in (directories.state, directories.spool, spool or directories.spool):
        try:
            check_private_directory(path)
        except FileNotFoundError:
            return "" if can_create(path) else f"{path} cannot be created"
        except OSError as error:
            return str(error)
        if not os.access(path, os.W_OK | os.X_OK):
            return f"{path} is read-only"
    return ""


def _lock_problem(directories: Directories | None, spool: str | None) -> str:
    """Why files cannot be locked, beginning with a path; empty if they can be.

    The sender's lock is tried if it exists, else the nearest directory: nothing is created.
    """
    if directories is None or os.name != "posix":
        return ""
    path = os.path.join(spool or directories.spool, "lock")
    if os.path.lexists(path):
        try:
            return _try_lock(open_private(path, os.O_RDWR), path)
        except OSError as error:
            return f"{path}: {error.strerror or error}"
    while not os.path.isdir(path) and path != os.path.dirname(path):
        path = os.path.dirname(path)
    try:
        return _try_lock(os.open(path, os.O_RDONLY), path)
    except OSError:
        return ""  # it cannot be read: that is a problem of its rights


def _try_lock(descriptor: int, path: str) -> str:
    try:
        try_lock(descriptor)
    except NoLocks as error:
        return f"{path}: {error.strerror or error}"
    finally:
        os.close(descriptor)
    return ""


# The application ----------------------------------------------------------------------------------


def _versions(settings: Settings, environ: Mapping[str, str]) -> dict[str, Any]:
    import platform
    from importlib.metadata import PackageNotFoundError, version

    try:
        click: str | None = version("click")
    except PackageNotFoundError:
        click = None
    return {
        "python": platform.python_version(),
        "click": click,
        "click_telemetry": __version__,
        "app": head_of(settings, environ, "")["version"],
    }


def _commands(settings: Settings, contexts: list[Any]) -> Iterator[dict[str, Any]]:
    """The commands that are masked or nested, of those on the command line and those loaded."""
    seen: list[int] = []
    path = settings.app
    found = []
    for number, context in enumerate(contexts):
        path = f"{path} {context.info_name}" if number else path
        found.append((path, context.command))
    found += _below(contexts[0].command, settings.app)
    for path, command in found:
        if id(command) in seen or command is contexts[0].command:
            continue
        seen.append(id(command))
        try:
            state = command.__dict__.get(KEY)
            callback = getattr(command, "callback", None)
        except Exception as error:  # no command, or an attribute of the application's own
            pass_on(error)
            continue
        if type(state) is CommandState and state.options is not None:
            _nested.append(state)
            yield {"command": path, "nested": True}
        package = package_of_callback(callback) if callback is not None else settings.package
        if (
            package != settings.package
            and package.partition(".")[0] not in (*CLICK_FAMILY, "click_telemetry")
            and not names.is_own(names.module_of(callback), settings.package, settings.packages)
        ):
            yield {"command": path, "package": package}


def _below(command: Any, path: str, depth: int = 0) -> list[tuple[str, Any]]:
    """The commands that are loaded, with their paths."""
    try:
        registered = command.__dict__.get("commands")
    except Exception as error:  # likewise
        pass_on(error)
        return []
    if not isinstance(registered, dict) or depth >= MAX_DEPTH:
        return []
    found: list[tuple[str, Any]] = []
    for name, one in list(registered.items())[:MAX_COMMANDS]:
        if getattr(type(one), "is_telemetry_group", False):
            continue
        found += [(f"{path} {name}", one), *_below(one, f"{path} {name}", depth + 1)]
        if len(found) > MAX_COMMANDS:
            break
    return found


def declared_roots() -> list[dict[str, Any]]:
    """The commands that are instrumented, each with its application's name, in this process.

    They are found by their `__dict__`, which is of a class of ours. A shallow copy shares the state
    of its original.
    """
    found: dict[int, dict[str, Any]] = {}
    for thing in gc.get_objects():
        if type(thing) is Attributes:
            state = dict.get(thing, KEY)
            if type(state) is CommandState and state.options is not None:
                name = dict.get(thing, "name")
                found[id(state)] = {
                    "app": state.app,
                    "command": name if isinstance(name, str) else None,
                    "ran": any(one is state for one in _parsed),
                    "nested": any(one is state for one in _nested),
                }
    return list(found.values())


def _sender() -> dict[str, Any]:
    """How a process is started as the sender is."""
    from .._launcher import command_line, environment, package_roots  # at the end of a run alone
    from .._spool import PACKAGE  # likewise

    return {
        "command": command_line(),
        "environment": environment(os.environ),
        "package": PACKAGE,
        "paths": package_roots(),
    }


# Events -------------------------------------------------------------------------------------------


def tracked(name: object) -> None:
    """An event is tracked by its name, and not as an instance of a class."""
    if isinstance(name, str) and len(_by_name) < MAX_EVENTS:
        _by_name[name] = None


class Collector:
    """The client of a run under `doctor --run`: it keeps the names of events, and nothing else.

    Args:
        settings: of the application.
    """

    def __init__(self, settings: Settings) -> None:
        self._app = settings.app
        self._declared = [event_name(event) for event in settings.events or ()]
        self._names: dict[str, None] = {}

    def record(self, message: dict[str, Any]) -> None:
        """Keep the name of an event."""
        name = message.get("event")
        if isinstance(name, str) and len(self._names) < MAX_EVENTS:
            self._names[name] = None

    def close(self) -> None:
        """Report the names, and those that nothing declares."""
        by_name = [name for name in self._names if name in _by_name and name not in self._declared]
        found = {"app": self._app, "names": list(self._names), "undeclared": by_name}
        put(EXAMINATIONS, {"events": found})
