"""For an application's own tests: a client that keeps what was recorded, as plain lists."""

from __future__ import annotations

from typing import Any


class RecordingClient:
    """Keeps every message. Pass it as `client=`, and compare `events` with a literal.

    Attributes:
        messages: the Segment messages in order, exactly as they would be sent.
        test_double: True; see `click_telemetry.Client`.
    """

    test_double = True

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    def record(self, message: dict[str, Any], /) -> None:
        """Keep a message."""
        self.messages.append(message)

    def close(self) -> None:
        """An invocation has ended; its messages are kept."""

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events in order, each as `{"event": name, "properties": {...}}`."""
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
        """Delete the messages that were kept until now."""
        self.messages.clear()
