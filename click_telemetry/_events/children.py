"""What a run passes on to the processes that it starts: its session, or its opt-out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .._instrument import OFF_VARIABLE
from . import current

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._instrument import Scope

SESSION_VARIABLE = "CLICK_TELEMETRY_SESSION_ID"


def child_env(env: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment for a child process that is part of this run.

        subprocess.run(["acme-worker"], env=child_env())

    In a recorded run it is `env` with `CLICK_TELEMETRY_SESSION_ID`, so that the child's events, if
    it is instrumented too, have the same `session_id`. In a run that a person has opted out of (by
    the flag, a variable or the saved setting), and in a test run that is off, it is `env` with
    `CLICK_TELEMETRY_OFF=1`: the child records nothing either, whatever application it is.
    Otherwise, and before the command has begun, it is `env` without a change. `os.environ` is never
    changed.

    Args:
        env: what the child gets anyway; `os.environ` by default.

    Returns:
        A new mapping.
    """
    made = dict(os.environ if env is None else env)
    scope = current.current_scope()
    if scope is None:
        return made
    if scope.opted_out or _is_test_run(scope.root):
        made[OFF_VARIABLE] = "1"
    elif not scope.excluded:
        session = current.session_id(scope)
        if session is not None:
            made[SESSION_VARIABLE] = session
    return made


def _is_test_run(root: Scope) -> bool:
    """Whether a run is off because a test suite runs it."""
    decision = root.decision
    return decision is not None and decision.reason == "test_run"
