"""The `Client` protocol: what receives the messages instead of the spool, with `client=`."""

from __future__ import annotations

from typing import Any, Protocol


class Client(Protocol):
    """Receives the messages of an application's invocations; pass one with `client=`.

    It is called in the foreground, in the order of `sequence`, one call at a time for each
    invocation. An exception that it raises is swallowed, and the message counted as dropped.
    """

    def record(self, message: dict[str, Any], /) -> None:
        """Take one Segment message, a `track` or an `identify`; it is not changed afterwards."""

    def close(self) -> None:
        """An invocation has ended; called once for each."""
