"""How many events of the application's own still fit: owns the count, records nothing.

A flow that starts takes two places, so that its end fits as surely as its beginning did; one that
did not fit is not recorded at all, rather than by half. Its user holds a lock around every call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Protocol

    class Open(Protocol):
        """Something that has started and has yet to end."""

        def abandon(self) -> None:
            """The invocation ends: end now, if that has not happened yet."""


STARTS, AMID, ENDS = "starts", "amid", "ends"


class Place:
    """What must be known of an event that was declared, beside its words.

    Attributes:
        lost: how many of its properties were left out before it came here.
        of: what the event is one of several of; None if it stands alone.
        role: STARTS, AMID or ENDS.
    """

    __slots__ = ("lost", "of", "role")

    def __init__(self, of: Open | None = None, role: str = AMID, lost: int = 0) -> None:
        self.lost = lost
        self.of = of
        self.role = role


class Bound:
    """A number of places.

    Args:
        places: how many there are, until `renew`.
    """

    __slots__ = ("_open", "_places", "_used")

    def __init__(self, places: int) -> None:
        self._open: list[Open] = []
        self._places = places
        self._used = 0

    def take(self, place: Place | None) -> bool:
        """Whether one more event fits; if so, it has its place from now on."""
        if place is None or place.of is None:
            return self._take(1)
        if place.role == STARTS:
            if not self._take(2):
                return False
            self._open.append(place.of)
            return True
        if not any(one is place.of for one in self._open):
            return False
        if place.role == ENDS:
            self.forget(place.of)
            return True
        return self._take(1)

    @property
    def full(self) -> bool:
        """Whether no place is left."""
        return self._used >= self._places

    def renew(self) -> None:
        """All places are free again, but for those of what is still open."""
        self._used = len(self._open)

    def latest(self) -> Open | None:
        """What started last of all that is open."""
        return self._open[-1] if self._open else None

    def forget(self, gone: Open) -> None:
        """It is open no longer."""
        self._open = [one for one in self._open if one is not gone]

    def _take(self, count: int) -> bool:
        if self._used + count > self._places:
            return False
        self._used += count
        return True
