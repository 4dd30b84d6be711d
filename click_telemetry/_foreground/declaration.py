"""Validates what an application declares; each message names the fix. `InstrumentedGroup` too.

Loaded only for values that `_instrument` does not recognise as plainly valid.
"""

from __future__ import annotations

import inspect
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

from .._instrument import KEY, CommandState, instrument, is_command
from .._recorder import Settings, package_of_callback
from .options import (
    OPTIONS,
    DeclarationError,
    check,
    checked_app,
    expanded,
    unknown_option,
    usable,
    variable_prefix,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .. import _Options


def declare(command: Any, options: Mapping[str, Any]) -> None:
    """Check what was declared for a command, and keep it on the command.

    Instrumented twice, by class and by decorator: what is not declared anew stays.

    Raises:
        DeclarationError: for a thing that is no command, an unknown option, a value that cannot
            be used, or one that contradicts another declaration.
    """
    if command is None:
        raise DeclarationError(
            "instrument() takes a Click command or group, or a Typer application: write "
            "instrument(cli, app=…), or @instrumented_group(app=…) above @click.group()"
        )
    if not is_command(command):
        from . import typer

        if not typer.is_application(command):
            typer.check_unregistered(command)
            raise not_a_command(
                "instrument() takes a Click command or group, or a Typer application", command
            )
        typer.declare(command, options)
        return
    if inspect.iscoroutinefunction(type(command).invoke):
        raise asynchronous(command)
    known = command.__dict__.get(KEY)
    known = known if type(known) is CommandState else None
    declared = combined(known, options, f"the command {getattr(command, 'name', None)!r}")
    callback = getattr(command, "callback", None)
    package = package_of_callback(callback) or "__main__"
    if callback is None:
        package = package_without_callback(known, options)
    state = declared_state(known, declared, package, getattr(command, "name", None))
    _check_below(command, state, declared)
    command.__dict__[KEY] = state


def combined(
    known: CommandState | None, options: Mapping[str, Any], what: str
) -> Mapping[str, Any]:
    """The options of an earlier declaration, and those that are declared now.

    Args:
        known: what the root kept of the earlier one.
        options: those that are declared now.
        what: the root, as a message names it.

    Raises:
        DeclarationError: they contradict each other.
    """
    earlier = known.options or {} if known is not None else {}
    # With a client, a test of the application declares it anew for itself.
    option = contradiction(earlier, options) if "client" not in options else None
    if option is not None:
        values = f" ({earlier[option]!r} and {options[option]!r})" if option != "write_key" else ""
        raise DeclarationError(
            f"{option} is declared twice for {what}, with two values{values}: declare it once"
        )
    return {**earlier, **options}


def package_without_callback(known: CommandState | None, options: Mapping[str, Any]) -> str:
    """The package of the code that declares a root which has no callback.

    Args:
        known: what the root kept of an earlier declaration.
        options: those that are declared now. With a client, a test of the application declares it
            anew, and the package stays.
    """
    from .names import package_of_caller  # for a root without a callback alone

    return (known is not None and "client" in options and known.package) or package_of_caller()


def declared_state(
    known: CommandState | None, declared: Mapping[str, Any], package: str, name: object = None
) -> CommandState:
    """What a root keeps of its declaration.

    Args:
        known: what it kept of an earlier one.
        declared: the options of both.
        package: the application's.
        name: the root's own, which names the application where nothing else does.

    Raises:
        DeclarationError: for an unknown option, or a value that cannot be used.
    """
    app = declared.get("app")
    state = CommandState()
    if app is not None:
        state.app = checked_app(app)
    elif package != "__main__":
        state.app = usable(package.rpartition(".")[2])
    else:
        state.app = usable(name if isinstance(name, str) else "")
    effective = expanded(declared)
    checked = {name: check(name, value) for name, value in effective.items() if name != "app"}
    if "events" in checked:
        checked["events"], checked["command_events"] = checked["events"]
    state.excluded = known is not None and known.excluded
    state.flag = checked.get("no_telemetry_option", True)
    state.options = declared
    state.package = package
    state.prefix = variable_prefix(state.app)
    state.settings = Settings(state, checked)
    state.settings.declared = effective
    state.settings.head = head_of(state.settings)
    # Most clients do not have the attribute. This is the only place that reads it.
    state.settings.test_double = getattr(checked.get("client"), "test_double", False) is True
    state.settings.app_known = app is not None or package != "__main__"
    return state


def contradiction(first: Mapping[str, Any], second: Mapping[str, Any]) -> str | None:
    """The first option that two declarations give different texts, numbers or truth values.

    Functions and collections may be made anew by the same line of code, and so are not compared.
    """
    for option, value in second.items():
        other = first.get(option)
        plain = isinstance(value, (str, bool, int, float)) and isinstance(other, type(value))
        if plain and value != other:
            return option
    return None


def _check_below(root: Any, state: CommandState, declared: Mapping[str, Any]) -> None:
    """Raise for a sub-command that declares the same application otherwise.

    A sub-command of another name is an application of its own, which can be run alone too. One that
    is added later, or is loaded when it is used, is not known yet.
    """
    groups, seen = [root], {id(root)}
    while groups:
        found = getattr(groups.pop(), "commands", None)
        for name, command in found.items() if isinstance(found, dict) else ():
            if id(command) in seen or not is_command(command):
                continue
            seen.add(id(command))
            groups.append(command)
            below = command.__dict__.get(KEY)
            if type(below) is not CommandState or below.options is None or below.app != state.app:
                continue
            option = contradiction(declared, below.options)
            if option is not None:
                raise DeclarationError(
                    f"the sub-command {name!r} declares {option} for the application "
                    f"{state.app!r} otherwise than its root, whose options apply to "
                    f"everything below it: remove the declaration of {name!r}"
                )


def head_of(settings: Settings) -> dict[str, Any]:
    """What the head of a file has of what is declared: of a sample, and of fewer events."""
    head: dict[str, Any] = {} if settings.sample is None else {"sample": settings.sample}
    return head if settings.command_events == "all" else {**head, "events": "completed"}


def exclude(command: Any) -> Any:
    """Leave out a command and everything below it: no events, and `track` in it does nothing.

    It stands above or below the decorator that makes the command, of Click or of Typer:

        @exclude
        @cli.command()
        def receiver(): ...

    Args:
        command: a command, a group, a Typer application, or the function that becomes a command.

    Returns:
        The same object.

    Raises:
        DeclarationError: it is none of them.
    """
    if not is_command(command) and not inspect.isfunction(command):
        from . import typer

        if typer.is_application(command):
            typer.exclude(command)
            return command
        raise not_a_command(
            "exclude takes a Click command or group, or the function that becomes one",
            command,
            "put @exclude above the function of the command",
        )
    if type(command.__dict__.get(KEY)) is not CommandState:
        command.__dict__[KEY] = CommandState()
    command.__dict__[KEY].excluded = True
    return command


def not_a_command(problem: str, thing: Any, fix: str = "") -> DeclarationError:
    """The error for a thing that is no command.

    Args:
        problem: what takes a command.
        thing: what was given.
        fix: what to write instead, if it is the same for everything.
    """
    if isinstance(thing, type):
        found, own_fix = f"the class {thing.__name__}", "pass an instance"
    elif callable(thing) and hasattr(thing, "__name__"):
        found = f"the function {thing.__name__}"
        own_fix = (
            "decorate it with @click.command() first, or make a Typer application of it: "
            f"app = typer.Typer(); app.command()({thing.__name__}); instrument(app, app=…)"
        )
    else:
        found, own_fix = type(thing).__name__, ""
    fixed = fix or own_fix
    return DeclarationError(f"{problem}, not {found}" + (f": {fixed}" if fixed else ""))


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
    if isinstance(target, type) or not callable(target):
        raise not_a_command(
            "instrumented_group takes a function or a Click group",
            target,
            'options are keywords, as in @instrumented_group(app="acme")',
        )


@cache
def group_class() -> Any:
    """The class `InstrumentedGroup`, made at its first use.

    Click is imported here alone: Typer runs without it from 0.26 on, and importing it would cost a
    Typer application several times what all else costs.
    """
    import click  # not for a Typer application

    class InstrumentedGroup(click.Group):
        """A group whose whole tree is instrumented.

        Args:
            *args: as `click.Group`.
            telemetry: the options of `instrument`, such as `{"app": "acme"}`.
            **kwargs: as `click.Group`.

        Raises:
            DeclarationError: a `TypeError` and a `ValueError`; its message names the fix.
        """

        __module__, __qualname__ = "click_telemetry", "InstrumentedGroup"

        def __init__(self, *args: Any, telemetry: _Options | None = None, **kwargs: Any) -> None:
            for name in OPTIONS:
                if name in kwargs:
                    raise DeclarationError(
                        f"{name} is an option of telemetry: write "
                        f"cls=InstrumentedGroup, telemetry={{{name!r}: …}}"
                    )
            super().__init__(*args, **kwargs)
            options: Any = {} if telemetry is None else telemetry
            if not hasattr(options, "keys") or not all(isinstance(key, str) for key in options):
                raise DeclarationError(
                    'telemetry takes the options of instrument() by name, as in telemetry={"app": '
                    f'"acme"}}, not {options!r}'
                )
            instrument(self, **options)

    return InstrumentedGroup


def __getattr__(name: str) -> Any:
    if name != "InstrumentedGroup":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return group_class()


def make_group(target: Any, options: dict[str, Any]) -> Any:
    """What `instrumented_group` makes of a target that is no group: a function becomes one.

    A Typer application stays one, and is instrumented.

    Args:
        target: what is decorated.
        options: ours, and those that are passed to Click.

    Raises:
        DeclarationError: it is no function, or a coroutine function, or an option is unknown to
            both.
    """
    if hasattr(type(target), "add_typer") and callable(target):
        return instrument(target, **options)  # a Typer application
    check_function(target)
    if "typer" in sys.modules and inspect.isfunction(target):
        from . import typer

        typer.check_unregistered(target)
    return _decorated(target, options)


def _decorated(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    ours = {name: value for name, value in options.items() if name in OPTIONS}
    clicks = {name: value for name, value in options.items() if name not in OPTIONS}
    if "cls" not in clicks and inspect.iscoroutinefunction(function):
        raise DeclarationError(
            f"{function.__name__} is a coroutine function, which Click does not await: write a "
            "function that calls asyncio.run(). Commands of asyncclick are not supported"
        )
    import click  # not for a Typer application

    clicks.setdefault("cls", group_class())
    try:
        group = click.group(**clicks)(function)
    except TypeError as error:
        unexpected = [name for name in clicks if f"'{name}'" in str(error)]
        if not unexpected:
            raise
        raise DeclarationError(unknown_option(unexpected[0])) from error
    return instrument(group, **ours)
