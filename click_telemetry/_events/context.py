"""`set_context`: properties of every later event of an invocation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._reader import RESERVED_PROPERTIES
from . import current, strict
from .state import Value, state_of
from .values import plain_properties

if TYPE_CHECKING:
    from .._recorder import Invocation
    from .text import Json

USER_PROPERTIES = frozenset(("user_id", "anonymous_id", "userId", "anonymousId"))
"""Names that would name a user on every event without `identify`."""


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
    refused = [name for name in properties if _is_reserved(name)]
    given = {k: v for k, v in properties.items() if v is not None and k not in refused}
    removed = [k for k, v in properties.items() if v is None and k not in refused]
    plain, dropped = plain_properties(given)
    # A value that cannot be recorded removes the old one, which would be wrong by now.
    removed += [name for name in given if plain.get(name) is None]
    recorder = current.recorder()
    recorder.record(_Update(plain, removed, dropped + len(refused)))
    for name in refused:
        strict.report(_refusal(name), recorder)


class _Update(Value):
    """One call of `set_context`, as a value."""

    __slots__ = ("_dropped", "_given", "_removed")

    def __init__(self, given: dict[str, Json], removed: list[str], dropped: int) -> None:
        self._given = given
        self._removed = removed
        self._dropped = dropped

    def record(self, invocation: Invocation, run: int) -> list[dict[str, Any]]:
        """Apply it; it gives no fact."""
        dropped = state_of(invocation).context().update(self._given, self._removed)
        if dropped + self._dropped:
            invocation.count_dropped(dropped + self._dropped)
        return []


def _is_reserved(name: str) -> bool:
    return name in RESERVED_PROPERTIES or name in USER_PROPERTIES


def _refusal(name: str) -> str:
    if name in USER_PROPERTIES:
        return f"set_context({name}=…) would name a user on every event: write identify(…) instead"
    return (
        f"set_context({name}=…): events have {name!r} already: rename it, for example to "
        f"{'app_' + name!r}"
    )
