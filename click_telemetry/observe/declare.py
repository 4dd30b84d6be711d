"""What an application writes: `instrumented_group`, `instrument`, `exclude`.

A mistake raises here, at import, and says what to write instead. Nothing here runs a command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

from ..privacy.settings import OPTIONS, DeclarationError, Settings
from .flag import make_option
from .hooks import install
from .state import mark

if TYPE_CHECKING:
    from collections.abc import Callable

    import click

    from .group import InstrumentedGroup

    Command = TypeVar("Command")
    Group = TypeVar("Group", bound=click.Group)

    class Decorator(Protocol):
        """What `instrumented_group(…)` gives back."""

        # A group can be called too; the first that fits is meant.
        @overload
        def __call__(self, target: Group, /) -> Group: ...  # type: ignore[overload-overlap]
        @overload
        def __call__(self, target: Callable[..., Any], /) -> InstrumentedGroup: ...


def instrument(command: Command, **options: Any) -> Command:
    """Instrument a group with all that is below it, or a one-command application, in place.

    Args:
        command: a Click group or command of any class.
        **options: as in the README's table of options.

    Returns:
        The same object.

    Raises:
        DeclarationError: a `TypeError` and a `ValueError`; its message names the fix.
    """
    problem = _not_a_command(command)
    if problem:
        raise DeclarationError(f"instrument() takes a Click command or group, not {problem}")
    made = mark(command)
    if made.settings is not None:
        # Instrumented twice, by class and by decorator, say: what was said stands unless said anew.
        options = {**made.settings.declared, **options}
    callback = getattr(command, "callback", None)
    package = (getattr(callback, "__module__", None) or "__main__").partition(".")[0]
    name = getattr(command, "name", None)
    settings = Settings(package, name if isinstance(name, str) else "", options)
    made.settings = settings
    flag = settings.no_telemetry_option
    made.option = make_option(command, hidden=flag == "hidden") if flag else None
    install(command)
    return command


@overload
def instrumented_group(target: Group, /) -> Group: ...  # type: ignore[overload-overlap]
@overload
def instrumented_group(target: Callable[..., Any], /) -> InstrumentedGroup: ...
@overload
def instrumented_group(
    target: None = None, /, *, cls: type[Group], **options: Any
) -> Callable[[Callable[..., Any]], Group]: ...
@overload
def instrumented_group(target: None = None, /, **options: Any) -> Decorator: ...
def instrumented_group(target: Any = None, /, **options: Any) -> Any:
    """Instrument a whole command tree: on a group of any class, or on a function to make one.

    Bare or with options. On a function, what is no option of ours goes on to Click, `cls` too.

    Args:
        target: what is decorated.
        **options: as in the README's table of options.

    Raises:
        DeclarationError: a `TypeError` and a `ValueError`; its message names the fix.
    """
    if target is not None:
        return _instrumented(target, options)

    def decorate(target: Any) -> Any:
        return _instrumented(target, options)

    return decorate


def exclude(command: Command) -> Command:
    """Leave a command, and all that is below it, out: no events, and `track` in it is silent.

    It stands above the decorator that makes the command:

        @exclude
        @cli.command()
        def receiver(): ...

    Raises:
        DeclarationError: it was put on something that is no command yet.
    """
    problem = _not_a_command(command)
    if problem:
        raise DeclarationError(
            f"exclude takes a Click command or group, not {problem}: put @exclude above the "
            "decorator that makes the command (@exclude, then @cli.command())"
        )
    mark(command).excluded = True
    return command


def _instrumented(target: Any, options: dict[str, Any]) -> Any:
    problem = _not_a_command(target)
    if not problem:
        if not hasattr(target, "resolve_command"):
            raise DeclarationError(
                f"instrumented_group is for groups, and {target.name!r} is a single command: "
                "write instrument(command, app=…) instead"
            )
        return instrument(target, **options)
    if isinstance(target, type) or not callable(target):
        raise DeclarationError(
            f"instrumented_group takes a function or a Click group, not {problem}: options are "
            'keywords, as in @instrumented_group(app="acme")'
        )
    return _make_group(target, options)


def _make_group(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    import click

    from .group import InstrumentedGroup

    ours = {name: value for name, value in options.items() if name in OPTIONS}
    clicks = {name: value for name, value in options.items() if name not in OPTIONS}
    clicks.setdefault("cls", InstrumentedGroup)
    try:
        group = click.group(**clicks)(function)
    except TypeError as error:
        unexpected = [name for name in clicks if f"'{name}'" in str(error)]
        if not unexpected:
            raise
        from ..privacy.declaration import unknown_option

        raise DeclarationError(unknown_option(unexpected[0])) from error
    return instrument(group, **ours)


def _not_a_command(thing: Any) -> str:
    """What a thing is instead of a command, in words; empty for a command."""
    if isinstance(thing, type):
        return f"the class {thing.__name__}: pass an instance"
    if all(hasattr(thing, name) for name in ("invoke", "make_context", "params", "__dict__")):
        return ""
    if type(thing).__module__.startswith("typer."):
        return "a Typer application: give it a group, Typer(cls=…), that instruments itself"
    if callable(thing) and hasattr(thing, "__name__"):
        return f"the function {thing.__name__}: decorate it with @click.command() first"
    return f"{type(thing).__name__}"
