"""A spool stays within its bounds, and every message that goes for it is counted."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

import pytest

from click_telemetry.delivery.sender.bounds import MOST_BYTES, MOST_FILES, Bounds
from click_telemetry.delivery.sender.standing import Standing

from ..harness.direct import Spool, lines, message, pair


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """An empty spool that nobody delivers."""
    return Spool(tmp_path / "spool", "")


def bounds(spool: Spool) -> Bounds:
    return Bounds(str(spool.path), Standing(str(spool.path)), lambda: None)


def test_oldest_go_when_there_are_too_many(spool: Spool) -> None:
    """1,000 files wait; what goes is counted, and is reported later."""
    put = [spool.put(lines(pair()), age=float(n)).name for n in range(MOST_FILES + 130)]
    bounds(spool).trim()
    assert spool.names == sorted(put[:MOST_FILES])
    assert (spool.standing.dropped, spool.standing.unreported) == (260, 260)


def test_oldest_go_when_they_are_too_large(spool: Spool) -> None:
    """4 MiB wait."""
    said = [message("Exported", text="x" * 30_000) for _ in range(10)]
    put = [spool.put(said, age=float(n)).name for n in range(20)]
    bounds(spool).trim()
    size = len(lines(said))
    kept = MOST_BYTES // size
    assert 0 < kept < 20
    assert spool.names == sorted(put[:kept])
    assert spool.standing.dropped == (20 - kept) * 10


def test_oldest_go_when_they_have_waited_too_long(spool: Spool) -> None:
    """Seven days, or twenty hours after an attempt that may have arrived."""
    spool.put(age=7.1 * 86_400)
    spool.put(age=86_400, marks=f".tried-{int(time.time()) - 21 * 3600}")
    young = spool.put(age=6.9 * 86_400).name
    bounds(spool).tidy()
    assert spool.names == [young]
    assert spool.standing.dropped == 4


def test_file_that_somebody_writes_stays(spool: Spool) -> None:
    """However old, however much else there is."""
    held = spool.put(age=30 * 86_400)
    for n in range(MOST_FILES + 5):
        spool.put(lines([message("X")]), age=float(n))
    descriptor = os.open(held, os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        bounds(spool).tidy()
        bounds(spool).trim()
    finally:
        os.close(descriptor)
    assert held.name in spool.names
    assert len(spool.names) <= MOST_FILES + 1


def test_wrong_clock_purges_nothing_and_keeps_nothing_for_ever(spool: Spool) -> None:
    """Ten years to either side: the waiting is counted from now on (row 24)."""
    past = spool.put(age=10 * 365 * 86_400.0)
    future = spool.put(age=-10 * 365 * 86_400.0)
    dates = {path.read_bytes(): os.stat(path).st_mtime_ns for path in (past, future)}
    bounds(spool).tidy()
    found = [spool.path / name for name in spool.names]
    assert [abs(int(path.name[:20]) / 1e9 - time.time()) < 60 for path in found] == [True, True]
    assert {path.read_bytes(): os.stat(path).st_mtime_ns for path in found} == dates, (
        "the end of a run that nobody told is dated by it, on every try"
    )
    assert spool.standing.dropped == 0


def test_what_was_counted_before_a_kill_is_not_counted_again(spool: Spool) -> None:
    """A sender counts first and unlinks then; the next one only unlinks."""
    done, waits = spool.put(), spool.put()
    Standing(str(spool.path)).settle([done.name, "gone.jsonl"], delivered=2)
    bounds(spool).tidy()
    assert spool.names == [waits.name]
    assert (spool.standing.delivered, spool.standing.dropped) == (2, 0)


@pytest.mark.parametrize("name", ["../outside", "lock", "not-before", "/etc/hostname", ""])
def test_nothing_but_our_files_is_unlinked_whatever_the_memory_says(
    name: str, spool: Spool
) -> None:
    """Another hand may have written it."""
    outside = spool.path.parent / "outside"
    for path in (outside, spool.path / "lock", spool.path / "not-before"):
        path.write_text("")
    Standing(str(spool.path)).settle([name], dropped=2)
    Standing(str(spool.path)).report(name, name + "x")
    bounds(spool).tidy()
    assert outside.exists()
    assert (spool.path / "lock").exists()
    assert (spool.path / "not-before").exists()
    assert os.path.exists("/etc")


def test_count_that_was_handed_over_is_in_the_name_before_anything_is_sent(spool: Spool) -> None:
    """Killed between remembering which file reports it and naming that file."""
    reporter = spool.put()
    after = reporter.name.replace(".jsonl", ".lost-7.jsonl")
    standing = Standing(str(spool.path))
    standing.settle([], dropped=7)
    assert standing.report(reporter.name, after)
    bounds(spool).tidy()
    assert spool.names == [after]
    assert spool.standing.unreported == 0
    bounds(spool).tidy()
    assert spool.names == [after]


def test_count_goes_on_when_its_file_is_dropped(spool: Spool) -> None:
    """What it would have reported is reported by another one."""
    spool.put(age=8 * 86_400, marks=".lost-7")
    bounds(spool).tidy()
    assert spool.names == []
    assert (spool.standing.unreported, spool.standing.dropped) == (9, 2)


def test_what_a_kill_left_of_a_file_to_be_renamed_is_removed(spool: Spool) -> None:
    """A sender's at once, a writer's after an hour; anything else stays."""
    remains = spool.path / "standing.json.0123456789ab"
    writers = spool.path / f"{1:020d}-0123456789abcdef.whole.jsonl.0123456789ab"
    fresh = spool.path / f"{2:020d}-0123456789abcdef.whole.jsonl.0123456789ab"
    foreign = spool.path / "standing.json.backup"
    for path in (remains, writers, fresh, foreign):
        path.write_text("x")
    os.utime(writers, (time.time() - 7200,) * 2)
    bounds(spool).tidy()
    assert sorted(spool.path.iterdir()) == sorted([fresh, foreign])
