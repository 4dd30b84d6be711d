"""A run under `click-telemetry watch`: the receiver's address, and reports of what was decided.

The receiver does not know the application's name, so its two variables carry none. Its state
directory is its own; nothing is written here unless it gave one.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from .._instrument import (
    KEY,
    WATCH_VARIABLE,
    contexts_from_root,
    opt_out_variable,
    scope_of,
)
from .._recorder import OFF, Directories, encode
from .._storage import replace_file

if TYPE_CHECKING:
    from collections.abc import Mapping

ADDRESS_VARIABLE = WATCH_VARIABLE
STATE_VARIABLE = "CLICK_TELEMETRY_WATCH_STATE"

WRITE_KEY = "watch"
"""What a watched run sends instead of the application's key."""

MASKED = "masked"
"""The reason that reports a command of a package that is not the application's."""

DECISIONS = "decisions"
"""The receiver's folder of decisions, a small JSON file for each."""


def address(environ: Mapping[str, str]) -> str | None:
    """The loopback origin that a receiver listens at, or None."""
    given = environ.get(ADDRESS_VARIABLE)
    if given is None:
        return None
    from .destination import origin

    found = origin(given)
    return found[0] if found is not None and found[1] else None


def state_directory(environ: Mapping[str, str]) -> str | None:
    """The receiver's own state directory, or None."""
    given = environ.get(STATE_VARIABLE, "")
    return given if os.path.isabs(given) else None


def directories(found: Directories, app: str, environ: Mapping[str, str]) -> Directories:
    """The directories of a watched run: the person's saved setting, and a separate state."""
    state = state_directory(environ) or os.path.join(found.state, "watched")
    return Directories(
        os.path.dirname(found.setting),
        os.path.join(state, app),
        os.path.dirname(found.site_setting),
    )


def observe(observers: dict[str, Any]) -> None:
    """Report every root that parses, and what is decided about each command.

    Args:
        observers: of the hooks, by method.
    """
    before_parse, after_parse = observers["parse_args"]
    before_invoke, after_invoke = observers["invoke"]

    def parse(command: Any, context: Any, args: Any, kwargs: Any) -> Any:
        if len(contexts_from_root(context)) == 1 and not context.resilient_parsing:
            report(context.command.__dict__[KEY].app, None)
        return before_parse(command, context, args, kwargs)

    def invoke(command: Any, context: Any, args: Any, kwargs: Any) -> Any:
        known = scope_of(contexts_from_root(context)[0]) if contexts_from_root(context) else None
        decided = known is not None and known.decided
        args, scope = before_invoke(command, context, args, kwargs)
        if scope is not None:
            decision = scope.root.decision
            if scope.excluded:
                report(scope.state.app, "excluded")
            elif decision is not None and not decided:
                report(scope.state.app, decision.reason, decision.detail, decision.mode)
            elif scope.opted_out:
                variable = opt_out_variable(os.environ, scope.state.prefix)
                report(scope.state.app, scope.opted_out, variable or "")
        return args, scope

    observers["parse_args"] = parse, after_parse
    observers["invoke"] = invoke, after_invoke


def report(app: str, reason: str | None, detail: str = "", mode: str = OFF) -> None:
    """Report what was decided, so that the receiver can explain why nothing arrived.

    Args:
        app: the application's name.
        reason: why nothing is recorded; empty where something is. None when the root was only
            found, and no command has begun.
        detail: the variable that opted out.
        mode: as in `Decision`.
    """
    state = state_directory(os.environ) if address(os.environ) is not None else None
    if state is None:
        return
    found: dict[str, Any] = {"app": app, "decided": reason is not None}
    if reason is not None:
        found |= {"mode": mode, "reason": reason, "detail": detail}
    folder = os.path.join(state, DECISIONS)
    try:
        try:
            os.mkdir(folder, 0o700)  # never what is above it: the receiver may have removed it
        except FileExistsError:
            pass
        name = f"{os.urandom(8).hex()}.json"
        replace_file(os.path.join(folder, name), encode(found).encode("ascii"))
    except OSError:
        return  # the receiver has ended
