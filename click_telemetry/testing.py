"""For an application's own tests: a client that keeps what was recorded, as plain lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .events.text import Json


class RecordingClient:
    """Keeps every message; give it with `client=` and compare `events` to a literal.

    Attributes:
        messages: the Segment messages, in order, as they would be sent.
    """

    def __init__(self) -> None:
        self.messages: list[dict[str, Json]] = []

    def record(self, message: dict[str, Json], /) -> None:
        """Keep a message."""
        self.messages.append(message)

    def close(self) -> None:
        """An invocation has ended; what it recorded stays."""

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
        """Forget everything so far."""
        self.messages.clear()
