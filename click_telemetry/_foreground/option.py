"""The option --no-telemetry for a copy of Click that has no options of its own: Typer's."""

from __future__ import annotations

import copy
from typing import Any

from .._instrument import FLAG, FLAG_HELP


def like_help(options: list[Any], name: str, *, hidden: bool) -> Any | None:
    """The option as a copy of the help option, which is a flag of the right kind everywhere.

    Args:
        options: the command's.
        name: of the parameter.
        hidden: whether help leaves it out.
    """
    for option in options:
        if getattr(option, "is_eager", False) and "--help" in getattr(option, "opts", ()):
            made = copy.copy(option)
            made.name, made.opts, made.secondary_opts = name, [FLAG], []
            made.is_eager, made.callback, made.envvar = False, None, None
            made.help, made.hidden, made.allow_from_autoenv = FLAG_HELP, hidden, False
            return made
    return None
