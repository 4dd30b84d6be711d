"""`InstrumentedGroup`: a `click.Group` that instruments itself, for `cls=`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ._foreground import declaration
from ._instrument import instrument

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


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
            raise declaration.DeclarationError(
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
    declaration.check_function(target)
    return _decorated(target, options)


def _decorated(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    ours = {name: value for name, value in options.items() if name in declaration.OPTIONS}
    clicks = {name: value for name, value in options.items() if name not in declaration.OPTIONS}
    clicks.setdefault("cls", InstrumentedGroup)
    try:
        group = click.group(**clicks)(function)
    except TypeError as error:
        unexpected = [name for name in clicks if f"'{name}'" in str(error)]
        if not unexpected:
            raise
        raise declaration.DeclarationError(declaration.unknown_option(unexpected[0])) from error
    return instrument(group, **ours)
