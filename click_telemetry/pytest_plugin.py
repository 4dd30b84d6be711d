"""Pytest fixtures for an application's own tests. pytest loads this: imports wait for the use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .testing import RecordingClient


@pytest.fixture
def recording_client(monkeypatch: pytest.MonkeyPatch) -> RecordingClient:
    """A client that keeps every message, in an environment without any variable of telemetry.

    The person who runs the tests may have opted out; the tests must not depend on that.
    """
    import os  # when the fixture is used, as the next one

    from .testing import RecordingClient  # when the fixture is used

    for name in list(os.environ):
        if name in ("DO_NOT_TRACK", "NO_ANALYTICS", "CLICK_TELEMETRY_OFF") or name.endswith(
            ("_NO_TELEMETRY", "_TELEMETRY")
        ):
            monkeypatch.delenv(name)
    return RecordingClient()
