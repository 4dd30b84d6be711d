"""Who is signed in, for the rest of this invocation: `identify`. Stores and guesses nothing."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, Any

from . import message
from .loud import complain
from .values import plain_properties

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .run import Run

MAX_USER_ID = 128
"""Characters."""
_LARGEST = 2**63


def identify(user_id: str | int | None, traits: Mapping[str, Any] | None = None) -> None:
    """Say who has signed in: an `identify` message now, and `userId` on every later message.

    For the rest of this invocation alone: nothing of it is stored, so an application says it in
    each run, where it has found out who is signed in (in a group's callback, say, where it is
    remembered until the command begins). `identify(None)`, or `current().reset()`, is the sign-out:
    later messages name nobody. Nobody is also what a look-up that found no user gives.

    What was said before stays anonymous: no message is changed, no `alias` is sent. But the
    messages of a user carry the anonymous ID too, as Segment's spec has it, so whoever holds the
    data can tell which anonymous events came from the same installation. Say so in your notice.

    Args:
        user_id: your database's ID of the user, at most 128 printable characters. It is sent as it
            is, and never scrubbed: no e-mail address, no name.
        traits: facts about the user, such as the plan; treated like the properties of `track`.

    Raises:
        DeclarationError: in a test alone, for an ID that is no ID. At a prompt nobody is
            identified, the user before included, and the loss is counted.
    """
    from .current import act

    at = time()
    found = _usable(user_id)
    problem = found is None and user_id is not None
    plain, lost = plain_properties(traits) if traits is not None else ({}, 0)

    def do(run: Run) -> None:
        invocation = run.invocation
        invocation.user_id = found
        invocation.lose(lost + problem)
        if found is None:
            return
        if invocation.has_room():
            invocation.say(
                lambda anonymous_id, context: message.identify_message(
                    plain, anonymous_id=anonymous_id, context=context, at=at
                )
            )
        else:
            invocation.lose(1)

    speaking = act(do)
    if problem:
        complain(
            "identify() takes the ID of a user in your own database, a text of at most "
            f"{MAX_USER_ID} printable characters or a number, and no e-mail address: pass "
            "identify(user.id), and what else you want to know as traits",
            speaking,
        )


def signed_out(run: Run) -> None:
    """Nobody is signed in any more."""
    run.invocation.user_id = None


def _usable(user_id: object) -> str | None:
    """A user's ID as it may leave, or None."""
    if isinstance(user_id, int) and not isinstance(user_id, bool):
        number = int.__int__(user_id)
        return str(number) if -_LARGEST <= number < _LARGEST else None
    if not isinstance(user_id, str):
        return None
    text = str.__str__(user_id).strip()
    if not 0 < len(text) <= MAX_USER_ID or not text.isprintable() or "@" in text[1:]:
        return None
    return text
