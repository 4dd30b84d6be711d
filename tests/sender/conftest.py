"""Fixtures: an empty queue whose messages are sent to the test's server."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..harness.queue import Queue
from ..harness.server import Server


@pytest.fixture
def queue(tmp_path: Path, server: Server) -> Queue:
    """An empty queue in a directory of the spool's depth."""
    return Queue(tmp_path / "state" / "spool" / "0123456789abcdef", server.url)
