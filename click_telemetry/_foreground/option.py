"""The option --no-telemetry where it cannot be Click's ordinary one of the ordinary name."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from .._instrument import FLAG

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._instrument import CommandState

NAME = "click_telemetry_off"
"""Where the application has a parameter `no_telemetry`."""
HELP = "Record nothing about this run."


def special(root: CommandState, make: Callable[..., Any] | None, options: list[Any]) -> Any | None:
    """The option under another name, or for a copy of Click without options of its own (Typer's).

    Args:
        root: the root's state.
        make: the class of options, if there is one.
        options: the command's. The help option is a flag of the right kind everywhere: without a
            class of options, ours is a copy of it.
    """
    hidden = root.flag == "hidden"
    if make is not None:
        return make(
            [FLAG, NAME],
            is_flag=True,
            expose_value=False,
            allow_from_autoenv=False,
            hidden=hidden,
            help=HELP,
        )
    for option in options:
        if getattr(option, "is_eager", False) and "--help" in getattr(option, "opts", ()):
            made = copy.copy(option)
            made.name, made.opts, made.secondary_opts = NAME, [FLAG], []
            made.is_eager, made.callback, made.envvar = False, None, None
            made.help, made.hidden, made.allow_from_autoenv = HELP, hidden, False
            return made
    return None
