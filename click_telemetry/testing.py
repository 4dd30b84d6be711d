"""For an application's own tests: a client that keeps the messages in lists."""

from __future__ import annotations

from typing import Any


class RecordingClient:
    """Keeps every message; pass it with `client=` and compare `events` with a literal.

    Attributes:
        messages: the Segment messages, in order, as they would be sent.
    """

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    def record(self, message: dict[str, Any], /) -> None:
        """Keep a message."""
        self.messages.append(message)

    def close(self) -> None:
        """An invocation has ended; its messages stay."""

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events in order: `{"event": name, "properties": {...}}` each."""
        return [
            {"event": message["event"], "properties": message["properties"]}
            for message in self.messages
            if message["type"] == "track"
        ]

    @property
    def identifies(self) -> list[dict[str, Any]]:
        """The `identify` messages in order."""
        return [message for message in self.messages if message["type"] == "identify"]

    def clear(self) -> None:
        """Remove every message."""
        self.messages.clear()
