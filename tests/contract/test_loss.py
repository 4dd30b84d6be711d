"""Random kills while a server fails at random: every recorded event arrives, and no other one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ..harness.loss import soak

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform != "linux", reason="finds senders in /proc"),
]


@pytest.mark.extended
def test_every_event_that_was_recorded_arrives_once_after_any_kill(tmp_path: Path) -> None:
    """Commands and senders are killed at any moment; for 2,000 kills: tests.benchmarks.loss."""
    found = soak(tmp_path, kills=40, seed=7)
    assert found.problems == {}, str(found)
    assert dict(found.rows)["events recorded (the call returned)"] != 0


@pytest.mark.extended
def test_every_event_arrives_though_responses_break_off(tmp_path: Path) -> None:
    """The server may end a response within its headers, with or without the events kept.

    How many requests a small soak makes depends on the machine: it is repeated until one broke off.
    """
    fates = ("accepted, broken off", "broken off, not accepted")
    for seed in range(20):
        found = soak(tmp_path / str(seed), kills=20, seed=seed, breaks_off=True)
        assert found.problems == {}, str(found)
        counts = dict(found.rows)
        assert counts["events recorded (the call returned)"] != 0
        if any(f"requests: {fate}" in counts for fate in fates):
            return
    raise AssertionError("no response broke off")
