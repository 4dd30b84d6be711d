"""Observes an application under `click-telemetry watch` and `doctor`, around the ordinary hooks.

It reports what is decided, found and dropped. It changes nothing about a command, but ends it
before its work if a doctor asks for that.

It is imported with `_instrument`, amid whatever the application imports first: it imports nothing
else of ours before a command line is parsed.
"""

from __future__ import annotations

import atexit
import os
from functools import cache
from typing import Any

from .._instrument import KEY, contexts_from_root, opt_out_variable, scope_of

MAX_PROBLEMS = 50
"""Different ones that a process reports."""


def observe(observers: dict[str, Any]) -> None:
    """Report every root that parses, what is decided about each command, and what is found there.

    Under a doctor, the first leaf's callback does not run unless the doctor asks for it.

    Args:
        observers: of the hooks, by method.
    """
    before_parse, after_parse = observers["parse_args"]
    before_invoke, after_invoke = observers["invoke"]

    def parse(command: Any, context: Any, args: Any, kwargs: Any) -> Any:
        if len(contexts_from_root(context)) == 1 and not context.resilient_parsing:
            state = context.command.__dict__[KEY]
            _tools().parsed(state)
            _report(state.app, None)
        return before_parse(command, context, args, kwargs)

    def invoke(command: Any, context: Any, args: Any, kwargs: Any) -> Any:
        known = scope_of(contexts_from_root(context)[0]) if contexts_from_root(context) else None
        decided = known is not None and known.decided
        args, scope = before_invoke(command, context, args, kwargs)
        if scope is not None:
            decision = scope.root.decision
            if scope.excluded:
                _report(scope.state.app, "excluded")
            elif decision is not None and not decided:
                _report(scope.state.app, decision.reason, decision.detail, decision.mode)
            elif scope.opted_out:
                variable = opt_out_variable(os.environ, scope.state.prefix)
                _report(scope.state.app, scope.opted_out, variable or "")
            if scope.is_leaf:
                _tools().begin(scope, context)
        return args, scope

    observers["parse_args"] = parse, after_parse
    observers["invoke"] = invoke, after_invoke
    atexit.register(lambda: _tools().at_exit())


def _report(*arguments: Any) -> None:
    from .._foreground import sinks  # not before a command line is parsed

    sinks.report(*arguments)


@cache
def _tools() -> Any:
    """The module of examinations, which from now on also learns what is tracked and dropped."""
    from .._events import scope  # not before a command line is parsed
    from . import examination  # likewise

    scope.observer = examination
    scope.audit = Problems()
    return examination


class Problems:
    """Reports why something is dropped, and what would raise in a test, as sentences.

    It is asked as `_kit.events.Audit` is, which words them, and raises nothing.
    """

    def __init__(self) -> None:
        self._found: list[str] = []

    def note(self, reason: str, what: object = None) -> None:
        """Report a reason; see `Audit.note`."""
        self._audit.note(reason, what)

    def note_properties(self, given: Any) -> None:
        """Report which properties are dropped."""
        self._audit.note_properties(given)

    def note_problem(self, problem: str) -> None:
        """Report a sentence, once."""
        from .channel import PROBLEMS, put  # where something is wrong

        if problem not in self._found and len(self._found) < MAX_PROBLEMS:
            self._found.append(problem)
            put(PROBLEMS, {"problem": problem})

    def check(self) -> None:
        """Nothing is raised."""

    @property
    def _audit(self) -> Any:
        from .._kit.events import Audit  # likewise

        report = self.note_problem

        class Reporting(Audit):
            def note_problem(self, problem: str) -> None:
                report(problem)

        return Reporting()
