"""Where an invocation's events go: the `Client` protocol, and the clients that need no file."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol

from ..events.values import encode

if TYPE_CHECKING:
    from ..events.values import Json


class Client(Protocol):
    """The seam between what is said and how it gets out.

    Give one of your own with `client=`. It is called in the foreground, in the order of
    `sequence`, one call at a time for an invocation; what it raises is swallowed and counted.
    """

    def record(self, message: dict[str, Json], /) -> None:
        """Take one Segment message (`track` or `identify`). It is yours; nothing changes it."""

    def close(self) -> None:
        """An invocation has ended. May be called once for each invocation that used the client."""


class NullClient:
    """Takes everything and does nothing: what stands in when no other client can be made."""

    __slots__ = ()

    def record(self, message: dict[str, Json], /) -> None:
        """Forget the message."""

    def close(self) -> None:
        """Nothing was kept."""


class LogClient:
    """Prints each message on stderr, exactly as it would be sent, and sends nothing.

    The JSON is ASCII: no value can move a cursor or turn the reading direction.
    """

    __slots__ = ()

    def record(self, message: dict[str, Json], /) -> None:
        """Print one line."""
        sys.stderr.write(encode(message) + "\n")
        sys.stderr.flush()

    def close(self) -> None:
        """Every line was flushed when it was printed."""
