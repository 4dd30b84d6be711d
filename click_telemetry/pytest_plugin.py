"""Pytest fixtures for an application's own tests; loaded by pytest, imports nothing until used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .testing import RecordingClient


@pytest.fixture
def recording_client(monkeypatch: pytest.MonkeyPatch) -> RecordingClient:
    """A client that keeps every message, in an environment without opt-outs.

    The opt-out of the person who runs the tests does not apply to what the tests record.
    """
    import os

    from .testing import RecordingClient

    for name in list(os.environ):
        if name in ("DO_NOT_TRACK", "NO_ANALYTICS", "CLICK_TELEMETRY_OFF") or name.endswith(
            ("_NO_TELEMETRY", "_TELEMETRY")
        ):
            monkeypatch.delenv(name)
    return RecordingClient()
