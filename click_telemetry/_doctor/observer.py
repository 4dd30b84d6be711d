"""Observes an application under `click-telemetry watch` and `doctor`, around the ordinary hooks.

It reports what is decided and what is found. It changes nothing about a command, but ends it before
its work if a doctor asks for that.
"""

from __future__ import annotations

import os
from typing import Any

from .._events import scope as scope_module
from .._foreground.sinks import report
from .._instrument import KEY, contexts_from_root, opt_out_variable, scope_of
from . import examination
from .channel import order


def observe(observers: dict[str, Any]) -> None:
    """Report every root that parses, what is decided about each command, and what is found there.

    Under a doctor, the first leaf's callback does not run unless the doctor asks for it.

    Args:
        observers: of the hooks, by method.
    """
    scope_module.observer = examination
    ordered = order(os.environ)
    if ordered is not None:
        examination.report_at_exit()
    before_parse, after_parse = observers["parse_args"]
    before_invoke, after_invoke = observers["invoke"]

    def parse(command: Any, context: Any, args: Any, kwargs: Any) -> Any:
        if len(contexts_from_root(context)) == 1 and not context.resilient_parsing:
            state = context.command.__dict__[KEY]
            examination.note_root(state)
            report(state.app, None)
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
            if scope.is_leaf:
                examination.begin(scope, context, ordered)
        return args, scope

    observers["parse_args"] = parse, after_parse
    observers["invoke"] = invoke, after_invoke
