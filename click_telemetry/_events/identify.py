"""Who is signed in, for the rest of this invocation: `identify`. Stores and guesses nothing."""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING, Any

from . import current, strict
from .state import SignIn
from .values import plain_properties

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_USER_ID = 128
"""Characters."""
_MAX_INTEGER = 2**63


def identify(user_id: str | int | None, traits: Mapping[str, Any] | None = None) -> None:
    """Record who has signed in: an `identify` message now, and `userId` on every later message.

    For the rest of this invocation alone: nothing is stored, so an application calls it in each
    run, where it has found out who is signed in. In a group's callback it takes effect when the
    command begins. `identify(None)`, or `current().reset()`, is the sign-out: later messages have
    no `userId`.

    What was recorded before remains anonymous: no message is changed, no `alias` is sent. But the
    messages of a user contain the anonymous ID too, as Segment's specification has it, so who has
    the data can tell which anonymous events came from the same installation. State so in your
    notice.

    Args:
        user_id: your database's ID of the user, at most 128 printable characters. It is sent as it
            is, and never scrubbed: no e-mail address, no name.
        traits: facts about the user, such as the plan; treated like the properties of `track`.

    Raises:
        DeclarationError: only in a test, for an ID that cannot be used. Elsewhere no user is
            identified, the one before is signed out, and the loss is counted.
    """
    at = time_ns()
    found = _usable(user_id)
    problem = found is None and user_id is not None
    plain, dropped = plain_properties(traits) if traits is not None else ({}, 0)
    recorder = current.recorder()
    recorder.record(SignIn(found, plain, dropped=dropped + problem, at=at))
    if problem:
        strict.report(
            "identify() takes the ID of a user in your own database, a text of at most "
            f"{MAX_USER_ID} printable characters or a number, and no e-mail address: pass "
            "identify(user.id), and what else you want to know as traits",
            recorder,
        )


def _usable(user_id: object) -> str | None:
    """A user's ID as it may leave the machine, or None."""
    if isinstance(user_id, int) and not isinstance(user_id, bool):
        number = int.__int__(user_id)
        return str(number) if -_MAX_INTEGER <= number < _MAX_INTEGER else None
    if not isinstance(user_id, str):
        return None
    text = str.__str__(user_id).strip()
    if not 0 < len(text) <= MAX_USER_ID or not text.isprintable() or "@" in text[1:]:
        return None
    return text
