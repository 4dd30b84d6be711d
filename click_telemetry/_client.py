"""The public protocol of a client of an application's own."""

from __future__ import annotations

from typing import Any, Protocol


class Client(Protocol):
    """Receives the messages of an application instead of the spool; pass it as `client=`.

    Its methods are called in the foreground, in the order of `sequence`, one call at a time for an
    invocation. An exception that they raise is caught, and the event counted as dropped.

    A client of the application's own tests, such as `RecordingClient`, also has `test_double`, an
    attribute that is True: then a mistake in what is recorded raises. It is read once, at the
    declaration, and False where the client does not have it.
    """

    def record(self, message: dict[str, Any], /) -> None:
        """Receive one Segment message (`track` or `identify`). The client owns it."""

    def close(self) -> None:
        """An invocation has ended; called at most once for each one that used the client."""
