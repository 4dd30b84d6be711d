"""Nothing is lost, nothing is invented: random kills against a server that fails at random."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ..harness.loss import soak

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform != "linux", reason="finds senders by /proc"),
]


def test_every_event_that_was_recorded_arrives_once_whoever_is_killed(tmp_path: Path) -> None:
    """Commands and senders, at any moment (rows 1, 2, 10); 2,000 kills: tests.benchmarks.loss."""
    found = soak(tmp_path, kills=40, seed=7)
    assert found.problems == {}, str(found)
    assert dict(found.rows)["events recorded (the call returned)"] != 0
