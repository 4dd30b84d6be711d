"""Names of commands and flags where what was typed is not plainly the declared name."""

from __future__ import annotations

from typing import Any

from .._instrument import KEY, CommandState, scope_of
from .._recorder import DYNAMIC


def segment(parent: Any, context: Any) -> str:
    """The declared name of a sub-command, whatever was typed for it.

    A name is declared if the group had it before it was asked for the command, or lists it. A
    group may register a command under the name that was typed while it is asked: that is not
    declared, unless the group lists it by other means too (as lazy groups do).

    Args:
        parent: the group's context.
        context: the sub-command's.
    """
    group, command, typed = parent.command, context.command, context.info_name
    own = command.name
    registered = scope_of(parent).registered
    now = getattr(group, "commands", None)
    now = now if isinstance(now, dict) else {}
    if registered is None:
        registered = now
    names = [name for name, found in registered.items() if found is command]
    if names:
        # Of several names the command's own is the application's; others may be a user's aliases.
        return str(own if own in names else typed if typed in names else names[0])
    # The last resort, since listing may load plugins.
    listing = getattr(group, "list_commands", None)
    added = {name: now.pop(name) for name in list(now) if name not in registered}
    try:
        declared = list(listing(parent)) if listing is not None else []
    finally:
        now.update(added)
    if typed in declared:
        return str(typed)
    if isinstance(own, str) and own in declared:
        return own
    # A group may register the command in another spelling. It is not declared the next time either.
    made = [name for name, found in added.items() if found is command]
    if made:
        known = group.__dict__.setdefault(KEY, CommandState())
        known.undeclared = (*known.undeclared, *made)
    return DYNAMIC


def negative(parameter: Any) -> str:
    """The name of an on/off option that is off: of its negative form, `no_color`.

    Args:
        parameter: an option whose value is False.
    """
    forms = parameter.secondary_opts
    if not forms and getattr(parameter, "flag_value", None) is False:
        forms = parameter.opts
    if not getattr(parameter, "is_flag", False) or not forms:
        return str(parameter.name)
    return max(forms, key=len).lstrip("-/+").replace("-", "_") or str(parameter.name)
