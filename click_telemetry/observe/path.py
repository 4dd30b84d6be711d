"""Which command, which flags: names that the developer declared, never what the user typed.

The path is told from the contexts and the registry. Nothing is looked up anew: a group's
`get_command` may print, load plugins or make another object at each call.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from .state import on_command_line

DYNAMIC = "<dynamic>"
"""A command that exists only because the user typed its name."""


def command_path(app: str, contexts: list[Any]) -> str:
    """The application's name and a segment for each context below the root.

    Args:
        app: the configured name; what the root was started as can be a path.
        contexts: from the root's context down to the leaf's.
    """
    segments = [app]
    for parent, context in pairwise(contexts):
        if context.command is not parent.command:  # click-repl enters the root anew for each line
            segments.append(_segment(parent, context))
    return " ".join(segments)


def flag_names(contexts: list[Any], hidden: str) -> list[str]:
    """Sorted names of the options that were given on the command line, of all contexts.

    Args:
        contexts: from the root's context down to the leaf's.
        hidden: the name of our own option.
    """
    found: set[str] = set()
    for context in contexts:
        for parameter in _parameters(context):
            if getattr(parameter, "param_type_name", "") != "option":
                continue
            name = parameter.name
            if isinstance(name, str) and name != hidden and on_command_line(context, name):
                found.add(name)
    return sorted(found)


def _parameters(context: Any) -> list[Any]:
    """What the command was parsed with (a class may add to it), and what it has by now."""
    parsed = getattr(context.__dict__.get("_click_telemetry"), "parameters", None) or []
    return [*parsed, *getattr(context.command, "params", ())]


def _segment(parent: Any, context: Any) -> str:
    typed = context.info_name
    command = context.command
    registered = getattr(parent.command, "commands", None)
    if isinstance(registered, dict):
        if registered.get(typed) is command:
            return str(typed)
        for name, known in registered.items():
            if known is command:
                return str(name)
    own = command.name
    if isinstance(own, str) and own and own != typed:
        return own
    # The last resort, since listing may load plugins: is the name one that the group declares?
    listing = getattr(parent.command, "list_commands", None)
    if typed is not None and listing is not None and typed in listing(parent):
        return str(typed)
    return DYNAMIC
