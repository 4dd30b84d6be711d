"""The token that `auth` gives: asking for it, and whether it could stand in a header."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeGuard

LONGEST = 16 * 1024
"""Characters; servers refuse larger headers, and a pipe must hold it with all that goes along."""


def ask(auth: Callable[[], object]) -> str | None:
    """What `auth` gives, or None: it failed, it tried to end the process, or it gives no token.

    Ctrl-C is the person's, and passes.
    """
    try:
        found = auth()
    except (Exception, SystemExit):
        return None
    return found if is_token(found) else None


def is_token(found: object) -> TypeGuard[str]:
    """Whether this is visible ASCII, and nothing that would end a header or begin another one.

    (RFC 6750, section 2.1. Nothing is cut off: a token with a newline is no token.)
    """
    return (
        type(found) is str
        and 0 < len(found) <= LONGEST
        and found.isascii()
        and found.isprintable()
        and " " not in found
    )
