"""What later events and processes of a run have in common: context, the user, the session.

It stores and guesses nothing: what is set holds for one invocation.
"""

from __future__ import annotations

import os
from time import time_ns
from typing import TYPE_CHECKING, Any

from .._instrument import OFF_VARIABLE
from .._reader import RESERVED_PROPERTIES
from .._recorder import SESSION_VARIABLE
from .scope import current_recorder, current_scope, session_id
from .state import SignIn, Value, state_of
from .text import MAX_INTEGER, note_dropped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._instrument import Scope
    from .._recorder import Invocation
    from .text import Json

MAX_USER_ID = 128
"""Characters."""

USER_PROPERTIES = frozenset(("user_id", "anonymous_id", "userId", "anonymousId"))
"""Names that would name a user on every event without `identify`."""


# Properties of every event ------------------------------------------------------------------------


def set_context(**properties: Any) -> None:
    """Set properties of every later event of this invocation, and of this one alone.

        set_context(agent="claude", cloud="hetzner")
        set_context(cloud=None)  # no longer known

    It replaces what `properties=` or an earlier call gave under the same name; an event's own
    property of that name takes precedence. Before the command has begun (in a group's callback) it
    is kept until then. It holds for the invocation's threads and tasks, and for no other
    invocation. At most 4,000 bytes as sent, together with `properties=`; what does not fit is left
    out and counted.

    Args:
        **properties: values that are not JSON are converted or left out, as those of `track`. None
            removes.

    Raises:
        DeclarationError: only in a test, for a name that every event has already (`sequence`,
            `command` …), that `Command Completed` has (`outcome`), or that names a user. Elsewhere
            such a property is left out and counted.
    """
    reserved = [name for name in properties if _is_reserved(name)]
    given = {k: v for k, v in properties.items() if v is not None and k not in reserved}
    removed = [k for k, v in properties.items() if v is None and k not in reserved]
    recorder = current_recorder()
    converted, dropped = recorder.convert(given)
    # A value that cannot be recorded removes the old one, which would be wrong by now.
    removed += [name for name in given if converted.get(name) is None]
    recorder.record(_ContextUpdate(converted, removed, dropped + len(reserved)))
    for name in reserved:
        recorder.report(_reserved_problem(name))


class _ContextUpdate(Value):
    """One call of `set_context`, as a value."""

    __slots__ = ("_dropped", "_given", "_removed")

    def __init__(self, given: dict[str, Json], removed: list[str], dropped: int) -> None:
        self._given = given
        self._removed = removed
        self._dropped = dropped

    def record(self, invocation: Invocation, run: int) -> list[dict[str, Any]]:
        """Apply it; it gives no fact."""
        dropped = state_of(invocation).context().update(self._given, self._removed)
        if dropped:
            note_dropped("common", list(self._given))
        if dropped + self._dropped:
            invocation.count_dropped(dropped + self._dropped)
        return []


def _is_reserved(name: str) -> bool:
    return name in RESERVED_PROPERTIES or name in USER_PROPERTIES


def _reserved_problem(name: str) -> str:
    if name in USER_PROPERTIES:
        return f"set_context({name}=…) would name a user on every event: write identify(…) instead"
    return (
        f"set_context({name}=…): events have {name!r} already: rename it, for example to "
        f"{'app_' + name!r}"
    )


# The user -----------------------------------------------------------------------------------------


def identify(user_id: str | int | None, traits: Mapping[str, Any] | None = None) -> None:
    """Record who has signed in: an `identify` message now, and `userId` on every later message.

    For the rest of this invocation alone: nothing is stored, so an application calls it in each
    run, where it has found out who is signed in. In a group's callback it takes effect when the
    command begins. `identify(None)`, or `current().reset()`, is the sign-out: later messages have
    no `userId`.

    What was recorded before remains anonymous: no message is changed, no `alias` is sent. But the
    messages of a user contain the anonymous ID too, as Segment's specification has it, so who has
    the data can show which anonymous events came from the same installation. State so in your
    notice.

    Args:
        user_id: your database's ID of the user, at most 128 printable characters. It is sent as it
            is, and never scrubbed: no e-mail address, no name.
        traits: facts about the user, such as the plan; treated like the properties of `track`.

    Raises:
        DeclarationError: only in a test, for an ID that cannot be used. Elsewhere no user is
            identified, the one before is signed out, and the event is counted as dropped.
    """
    at = time_ns()
    found = _usable(user_id)
    problem = found is None and user_id is not None
    recorder = current_recorder()
    converted, dropped = recorder.convert(traits) if traits is not None else ({}, 0)
    recorder.record(SignIn(found, converted, dropped=dropped + problem, at=at))
    if problem:
        recorder.report(
            "identify() takes the ID of a user in your own database, a text of at most "
            f"{MAX_USER_ID} printable characters or a number, and no e-mail address: pass "
            "identify(user.id), and what else you want to know as traits"
        )


def _usable(user_id: object) -> str | None:
    """A user's ID as it may leave the machine, or None."""
    if isinstance(user_id, int) and not isinstance(user_id, bool):
        number = int.__int__(user_id)
        return str(number) if -MAX_INTEGER <= number < MAX_INTEGER else None
    if not isinstance(user_id, str):
        return None
    text = str.__str__(user_id).strip()
    if not 0 < len(text) <= MAX_USER_ID or not text.isprintable() or "@" in text[1:]:
        return None
    return text


# Child processes ----------------------------------------------------------------------------------


def child_env(env: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment for a child process that is part of this run.

        subprocess.run(["acme-worker"], env=child_env())

    In a recorded run it is `env` with `CLICK_TELEMETRY_SESSION_ID`, so that the child's events, if
    it is instrumented too, have the same `session_id`. In a run that a person has opted out of (by
    the flag, a variable or the saved setting), and in a test run that is off, it is `env` with
    `CLICK_TELEMETRY_OFF=1`: the child records nothing either, also if it is another application.
    Otherwise, and before a recorded command has begun, it is `env` without a change. `os.environ`
    is never changed.

    Args:
        env: what the child gets anyway; `os.environ` by default.

    Returns:
        A new mapping.
    """
    made = dict(os.environ if env is None else env)
    scope = current_scope()
    if scope is None:
        return made
    if scope.opted_out or _is_test_run(scope.root) or _is_undecided_and_off(scope.root):
        made[OFF_VARIABLE] = "1"
    elif not scope.excluded:
        session = session_id(scope)
        if session is not None:
            made[SESSION_VARIABLE] = session
    return made


def _is_undecided_and_off(root: Scope) -> bool:
    """Whether an opt-out is saved, where nothing was decided: an excluded command, or a group."""
    if root.decided:
        return False
    from .._foreground import consent  # before a command has begun

    return consent.saved_opt_out(root) is not None


def _is_test_run(root: Scope) -> bool:
    """Whether a run is off because a test suite runs it."""
    decision = root.decision
    return decision is not None and decision.reason == "test_run"
