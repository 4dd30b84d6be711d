"""Where an invocation's events go: the `Client` protocol, for clients of an application's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ..events.text import Json


class Client(Protocol):
    """The seam between what is said and how it gets out.

    Give one of your own with `client=`. It is called in the foreground, in the order of
    `sequence`, one call at a time for an invocation; what it raises is swallowed and counted.
    """

    def record(self, message: dict[str, Json], /) -> None:
        """Take one Segment message (`track` or `identify`). It is yours; nothing changes it."""

    def close(self) -> None:
        """An invocation has ended. May be called once for each invocation that used the client."""
