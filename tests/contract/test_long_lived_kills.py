"""Random kills of long-lived programs: each run ends once, and every event is accounted for."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ..harness.long_lived import long_lived

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform != "linux", reason="finds senders in /proc"),
]


@pytest.mark.extended
def test_long_lived_programs_that_are_killed_leave_a_complete_account(tmp_path: Path) -> None:
    """REPLs, servers and senders are killed; for a minute: tests.benchmarks.long_lived."""
    found = long_lived(tmp_path, seconds=6, seed=7)
    assert found.problems == {}, str(found)
    rows = dict(found.rows)
    assert rows["messages with a user"] != 0
    assert rows["of them unfinished"] != 0
