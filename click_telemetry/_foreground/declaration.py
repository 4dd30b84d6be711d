"""Validates what an application declares; each message names the fix. `InstrumentedGroup` too.

Loaded only for values that `_instrument` does not recognise as plainly valid.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Literal

import click

from .._instrument import KEY, CommandState, instrument, is_command
from .._recorder import MAX_VERSION, Settings, package_of_callback

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

OPTIONS = (
    *("app", "version", "write_key", "host", "client", "consent", "notice", "ci", "properties"),
    *("auth", "packages", "delivery", "flush_timeout", "no_telemetry_option"),
)
MAX_APP = 64
"""Characters."""
MAX_TIMEOUT = 3
"""Seconds."""


class DeclarationError(TypeError, ValueError):
    """A declaration that cannot be used; its message names the fix.

    Raised at import or in a test, never while a command runs. It is a `TypeError` and a
    `ValueError`, so that a caller need not know which of the two a mistake counts as.
    """


_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))]
)


def declare(command: Any, options: Mapping[str, Any]) -> None:
    """Check what was declared for a command, and keep it on the command.

    Instrumented twice, by class and by decorator: what is not declared anew stays.

    Raises:
        DeclarationError: for a thing that is no command, an unknown option, or a value that cannot
            be used.
    """
    if not is_command(command):
        raise not_a_command("instrument() takes a Click command or group", command)
    if inspect.iscoroutinefunction(type(command).invoke):
        raise asynchronous(command)
    known = command.__dict__.get(KEY)
    known = known if type(known) is CommandState else None
    declared = {**(known.options or {} if known is not None else {}), **options}
    callback = getattr(command, "callback", None)
    package = package_of_callback(callback) or "__main__"
    if callback is None:
        from .names import package_of_caller  # for a group without a callback alone

        package = package_of_caller()
    app = declared.get("app")
    name = getattr(command, "name", None)
    state = CommandState()
    if app is not None:
        state.app = checked_app(app)
    elif package != "__main__":
        state.app = usable(package.rpartition(".")[2])
    else:
        state.app = usable(name if isinstance(name, str) else "")
    checked = {name: check(name, value) for name, value in declared.items() if name != "app"}
    state.excluded = known is not None and known.excluded
    state.flag = checked.get("no_telemetry_option", True)
    state.options = declared
    state.package = package
    state.prefix = variable_prefix(state.app)
    state.settings = Settings(state, checked)
    # Most clients do not have the attribute. This is the only place that reads it.
    state.settings.test_double = getattr(checked.get("client"), "test_double", False) is True
    state.settings.app_known = app is not None or package != "__main__"
    command.__dict__[KEY] = state


def exclude(command: Any) -> Any:
    """Leave out a command and everything below it: no events, and `track` in it does nothing.

    It stands above or below the decorator that makes the command, of Click or of Typer:

        @exclude
        @cli.command()
        def receiver(): ...

    Args:
        command: a command, a group, or the function that becomes one.

    Returns:
        The same object.

    Raises:
        DeclarationError: it is neither.
    """
    if not is_command(command) and not inspect.isfunction(command):
        raise not_a_command(
            "exclude takes a Click command or group, or the function that becomes one",
            command,
            "put @exclude above the function of the command",
        )
    if type(command.__dict__.get(KEY)) is not CommandState:
        command.__dict__[KEY] = CommandState()
    command.__dict__[KEY].excluded = True
    return command


def check(name: str, value: Any) -> Any:
    """The value of an option other than `app`, as `Settings` keeps it; None for the default.

    Raises:
        DeclarationError: it cannot be used, or there is no such option.
    """
    if name not in _CHECKS:
        raise DeclarationError(unknown_option(name))
    return _CHECKS[name](value)


def not_a_command(problem: str, thing: Any, fix: str = "") -> DeclarationError:
    """The error for a thing that is no command.

    Args:
        problem: what takes a command.
        thing: what was given.
        fix: what to write instead, if it is the same for everything.
    """
    if isinstance(thing, type):
        found, own_fix = f"the class {thing.__name__}", "pass an instance"
    elif _is_typer(thing):
        found = "a Typer application"
        own_fix = (
            "write typer.Typer(cls=Instrumented), where Instrumented is a typer.core.TyperGroup "
            "whose __init__ ends with instrument(self, app=…), and add an @app.callback()"
        )
    elif callable(thing) and hasattr(thing, "__name__"):
        found = f"the function {thing.__name__}"
        own_fix = "decorate it with @click.command() first"
    else:
        found, own_fix = type(thing).__name__, ""
    fixed = fix or own_fix
    return DeclarationError(f"{problem}, not {found}" + (f": {fixed}" if fixed else ""))


def _is_typer(thing: Any) -> bool:
    """Whether a thing is a Typer application, which makes its Click group anew at each call."""
    return type(thing).__module__.startswith("typer.")


def asynchronous(command: Any) -> DeclarationError:
    """The error for a command whose `invoke` is a coroutine function (asyncclick)."""
    return DeclarationError(
        f"{type(command).__module__} is not supported: its commands are coroutines, which end "
        "after `invoke` has returned. Use Click, with asyncio.run() in the command"
    )


def check_function(target: Any) -> None:
    """Raise unless a target of `instrumented_group` is a function.

    Raises:
        DeclarationError: it is a single command, a class, or something else.
    """
    if hasattr(target, "make_context") and not isinstance(target, type):
        raise DeclarationError(
            f"instrumented_group is for groups, and {target.name!r} is a single command: "
            "write instrument(command, app=…) instead"
        )
    if isinstance(target, type) or not callable(target) or _is_typer(target):
        raise not_a_command(
            "instrumented_group takes a function or a Click group",
            target,
            ""
            if _is_typer(target)
            else 'options are keywords, as in @instrumented_group(app="acme")',
        )


def unknown_option(name: object) -> str:
    """The sentence for an option that is none, with the one that was probably meant."""
    import difflib

    close = difflib.get_close_matches(str(name), OPTIONS, n=1)
    meant = f": did you mean {close[0]!r}?" if close else ""
    return f"unknown telemetry option {name!r}{meant}; the options are {', '.join(OPTIONS)}"


def variable_prefix(app: str) -> str:
    """`acme-cli` to `ACME_CLI`: capitals, every run of other characters as one underscore."""
    letters: list[str] = []
    for letter in app:
        if letter.isascii() and letter.isalnum():
            letters.append(letter.upper())
        elif letters and letters[-1] != "_":
            letters.append("_")
    return "".join(letters)


def checked_app(app: object) -> str:
    """The application's name, as it was declared.

    Raises:
        DeclarationError: it cannot name directories and variables.
    """
    if not isinstance(app, str):
        raise DeclarationError(f'app must be a string such as app="acme", not {type(app).__name__}')
    problem = _name_problem(app)
    if problem:
        raise DeclarationError(
            f"app {app!r} {problem}: it names directories and variables. Use letters, digits, "
            f'".", "_" and "-", beginning with a letter or digit, such as app={usable(app)!r}'
        )
    return app


def _name_problem(app: str) -> str:
    if not app:
        return "is empty"
    if len(app) > MAX_APP:
        return f"is longer than {MAX_APP} characters"
    if (
        app[0] not in _LETTERS
        or app[-1] == "."
        or not all(c in _LETTERS or c in "._-" for c in app)
    ):
        return "cannot name a directory on every system"
    if app.partition(".")[0].lower() in _DEVICES:
        return "is reserved on Windows"
    return ""


def usable(name: str) -> str:
    """The nearest valid application name: a name that we derive ourselves must never raise."""
    kept = "".join(c if c in _LETTERS or c in "._-" else "-" for c in name)[:MAX_APP].strip("._-")
    return kept if kept and not _name_problem(kept) else "app"


def _text_or_none(option: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise DeclarationError(
            f"{option} must be a string or None, not {type(value).__name__}: write "
            f'{option}="…", or leave it out'
        )
    if any(not c.isprintable() for c in value):
        raise DeclarationError(f"{option} has an unprintable character: remove it, or strip() it")
    return value


def _version(version: object) -> str | None:
    found = _text_or_none("version", version)
    if found is not None and len(found) > MAX_VERSION:
        raise DeclarationError(
            f"version is longer than {MAX_VERSION} characters: write the number alone, such as "
            'version="2.1.0"'
        )
    return found


def _write_key(write_key: object) -> str | None:
    found = _text_or_none("write_key", write_key)
    return found.strip() or None if found is not None else None


def _host(host: object) -> str | Callable[[], str] | None:
    if host is None:
        return None
    if callable(host):
        return host
    from .destination import origin

    found = origin(host)
    if found is None or not (found[0].startswith("https://") or found[1]):
        raise DeclarationError(
            f'host {host!r} is not an https origin: write host="https://events.example.com", '
            "without a path, or a function that returns such a string"
        )
    return found[0]


def _client(client: object) -> Any:
    if client is None:
        return None
    missing = [name for name in ("record", "close") if not callable(getattr(client, name, None))]
    if missing or isinstance(client, type):
        what = (
            "a class; pass an instance" if isinstance(client, type) else f"without {missing[0]}()"
        )
        raise DeclarationError(
            f"client is {what}: it must have record(message) and close(), as "
            "click_telemetry.testing.RecordingClient() has"
        )
    return client


def _one_of(option: str, value: object, allowed: tuple[str, ...]) -> Any:
    if isinstance(value, str) and value in allowed:
        return value
    raise DeclarationError(
        f"{option} must be one of {', '.join(map(repr, allowed))}, not {value!r}"
    )


def _notice(notice: object) -> bool | str:
    if isinstance(notice, bool) or (isinstance(notice, str) and notice.strip()):
        return notice
    raise DeclarationError(
        f"notice must be True, False or a text, not {notice!r}: write notice=False for an "
        "application that informs its users itself"
    )


def _properties(properties: Any) -> Mapping[str, Any] | None:
    if properties is None:
        return None
    try:
        checked = dict(properties.items())
    except Exception as error:
        raise DeclarationError(
            'properties must be a mapping such as properties={"team": "factory"}, not '
            f"{type(properties).__name__}"
        ) from error
    from .._reader import RESERVED_PROPERTIES  # no run without own properties needs the reader

    for key in checked:
        if not isinstance(key, str) or not key:
            raise DeclarationError(
                f"properties has the key {key!r}: every key must be a non-empty string"
            )
        if key in RESERVED_PROPERTIES:
            raise DeclarationError(
                f"properties has the key {key!r}, which events carry already: rename it, "
                f"for example to {'app_' + key!r}"
            )
    return checked


def _function_or_none(option: str, value: object, gives: str) -> Any:
    if value is None or callable(value):
        return value
    raise DeclarationError(
        f"{option} must be a function that returns {gives}, not {type(value).__name__}: write "
        f"{option}=lambda: …"
    )


def _packages(names: object) -> Sequence[str]:
    if isinstance(names, (list, tuple, set, frozenset)) and all(
        isinstance(name, str) and name for name in names
    ):
        return tuple(names)
    raise DeclarationError(
        f'packages must be a list of package names such as ["acme_plugins"], not {names!r}'
    )


def _seconds(value: object) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= MAX_TIMEOUT:
        return float(value)
    raise DeclarationError(
        f"flush_timeout must be seconds, more than 0 and at most {MAX_TIMEOUT}, not {value!r}"
    )


def _flag_choice(value: object) -> bool | Literal["hidden"]:
    if isinstance(value, bool):
        return value
    if value == "hidden":
        return "hidden"
    raise DeclarationError(f'no_telemetry_option must be True, "hidden" or False, not {value!r}')


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "version": _version,
    "write_key": _write_key,
    "host": _host,
    "client": _client,
    "consent": lambda value: _one_of("consent", value, ("opt-out", "opt-in")),
    "notice": _notice,
    "ci": lambda value: _one_of("ci", value, ("off", "label")),
    "properties": _properties,
    "auth": lambda value: _function_or_none("auth", value, "a token or None"),
    "packages": _packages,
    "delivery": lambda value: _one_of("delivery", value, ("detached", "inline")),
    "flush_timeout": _seconds,
    "no_telemetry_option": _flag_choice,
}


class InstrumentedGroup(click.Group):
    """A group whose whole tree is instrumented.

    Args:
        *args: as `click.Group`.
        telemetry: the options of `instrument`, such as `{"app": "acme"}`.
        **kwargs: as `click.Group`.

    Raises:
        DeclarationError: a `TypeError` and a `ValueError`; its message names the fix.
    """

    def __init__(
        self, *args: Any, telemetry: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        options = {} if telemetry is None else telemetry
        if not hasattr(options, "keys") or not all(isinstance(key, str) for key in options):
            raise DeclarationError(
                'telemetry takes the options of instrument() by name, as in telemetry={"app": '
                f'"acme"}}, not {options!r}'
            )
        instrument(self, **options)


def make_group(target: Any, options: dict[str, Any]) -> Any:
    """What `instrumented_group` makes of a target that is no group: a function becomes one.

    Args:
        target: what is decorated.
        options: ours, and those that are passed to Click.

    Raises:
        DeclarationError: it is no function, or an option is unknown to both.
    """
    check_function(target)
    return _decorated(target, options)


def _decorated(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    ours = {name: value for name, value in options.items() if name in OPTIONS}
    clicks = {name: value for name, value in options.items() if name not in OPTIONS}
    clicks.setdefault("cls", InstrumentedGroup)
    try:
        group = click.group(**clicks)(function)
    except TypeError as error:
        unexpected = [name for name in clicks if f"'{name}'" in str(error)]
        if not unexpected:
            raise
        raise DeclarationError(unknown_option(unexpected[0])) from error
    return instrument(group, **ours)
