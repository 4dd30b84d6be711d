"""A spool stays within its bounds, and every event that is dropped for them is counted."""

from __future__ import annotations

import os
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from click_telemetry._sender.queue import FileName
from click_telemetry._sender.retention import (
    DROP,
    KEEP,
    MAX_AGE,
    MAX_AMBIGUITY,
    MAX_BYTES,
    MAX_FILES,
    REDATE,
    Retention,
    clean_other_spools,
    judge_age,
    trim_without_lock,
)
from click_telemetry._sender.state import SenderState

from ..harness.facts import begin, events, head, lines
from ..harness.queue import Queue

if sys.platform != "win32":
    import fcntl

NOW = 1_700_000_000.0
DAY = 24 * 3600.0
YEAR = 365 * DAY
ONE = [begin(), {"next": True}]


def retention(queue: Queue) -> Retention:
    return Retention(str(queue.path), SenderState(str(queue.path)), lambda: None)


def test_oldest_go_when_there_are_too_many(queue: Queue) -> None:
    """1,000 files are kept; what is dropped is counted, and is reported later."""
    put = [queue.put(age=float(n)).name for n in range(MAX_FILES + 130)]
    retention(queue).trim()
    assert queue.names == sorted(put[:MAX_FILES])
    assert (queue.state.dropped, queue.state.unreported) == (260, 260)


def test_oldest_go_when_they_are_too_large(queue: Queue) -> None:
    """4 MiB are kept."""
    facts = events(10, text="x" * 30_000)
    put = [queue.put(facts, age=float(n)).name for n in range(20)]
    retention(queue).trim()
    kept = MAX_BYTES // len(lines([head(), *facts]))
    assert 0 < kept < 20
    assert queue.names == sorted(put[:kept])
    assert queue.state.dropped == (20 - kept) * 10


def test_oldest_go_when_they_are_too_old(queue: Queue) -> None:
    """Seven days, or twenty hours after an attempt that may have arrived."""
    queue.put(age=7.1 * DAY)
    queue.put(age=DAY, marks=f".tried-{int(time.time()) - 21 * 3600}")
    young = queue.put(age=6.9 * DAY).name
    retention(queue).clean()
    assert queue.names == [young]
    assert queue.state.dropped == 4


def test_file_that_has_a_writer_is_kept(queue: Queue) -> None:
    """However old it is, however many others there are."""
    held = queue.put(age=30 * DAY)
    for n in range(MAX_FILES + 5):
        queue.put(ONE, age=float(n))
    descriptor = os.open(held, os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        retention(queue).clean()
        retention(queue).trim()
    finally:
        os.close(descriptor)
    assert held.name in queue.names
    assert len(queue.names) <= MAX_FILES + 1


def test_wrong_clock_purges_nothing_and_keeps_nothing_for_ever(queue: Queue) -> None:
    """Ten years to either side: the age is counted from now on."""
    past = queue.put(age=10 * YEAR)
    future = queue.put(age=-10 * YEAR)
    before = {path.name[20:]: path.read_bytes() for path in (past, future)}
    retention(queue).clean()
    found = [queue.path / name for name in queue.names]
    assert [abs(int(path.name[:20]) / 1e9 - time.time()) < 60 for path in found] == [True, True]
    assert {path.name[20:]: path.read_bytes() for path in found} == before, (
        "digits and part are kept: message IDs derive from them"
    )
    assert queue.state.dropped == 0


def test_what_was_counted_before_a_kill_is_not_counted_again(queue: Queue) -> None:
    """A sender counts first and unlinks then; the next one only unlinks."""
    done, waits = queue.put(), queue.put()
    SenderState(str(queue.path)).commit([done.name, "gone.facts"], delivered=2)
    retention(queue).clean()
    assert queue.names == [waits.name]
    assert (queue.state.delivered, queue.state.dropped) == (2, 0)


@pytest.mark.parametrize("name", ["../outside", "lock", "not-before", "/etc/hostname", ""])
def test_no_other_file_is_unlinked_whatever_the_state_contains(name: str, queue: Queue) -> None:
    """Another program may have written it."""
    outside = queue.path.parent / "outside"
    for path in (outside, queue.path / "lock", queue.path / "not-before"):
        path.write_text("")
    SenderState(str(queue.path)).commit([name], dropped=2)
    SenderState(str(queue.path)).hand_over_report(name, name + "x")
    retention(queue).clean()
    assert outside.exists()
    assert (queue.path / "lock").exists()
    assert (queue.path / "not-before").exists()
    assert os.path.exists("/etc")


def test_report_that_was_handed_over_is_in_the_name_before_anything_is_sent(queue: Queue) -> None:
    """Killed between saving which file reports it and renaming that file."""
    reporter = queue.put()
    after = reporter.name.replace(".facts", ".dropped-7.facts")
    state = SenderState(str(queue.path))
    state.commit([], dropped=7)
    assert state.hand_over_report(reporter.name, after)
    retention(queue).clean()
    assert queue.names == [after]
    assert queue.state.unreported == 0
    retention(queue).clean()
    assert queue.names == [after]


def test_report_goes_on_when_its_file_is_dropped(queue: Queue) -> None:
    """What it would have reported is reported by another one."""
    queue.put(age=8 * DAY, marks=".dropped-7")
    queue.put([begin(dropped=3), {"next": True}], age=8 * DAY)
    retention(queue).clean()
    assert queue.names == []
    assert (queue.state.unreported, queue.state.dropped) == (13, 3)


def test_temporary_file_of_a_killed_sender_is_removed(queue: Queue) -> None:
    """And no other one."""
    remains = queue.path / "state.json.0123456789ab"
    foreign = queue.path / "state.json.backup"
    for path in (remains, foreign):
        path.write_text("x")
    retention(queue).clean()
    assert sorted(queue.path.iterdir()) == [foreign]


def test_bounds_are_kept_without_the_senders_lock(queue: Queue) -> None:
    """A directory has its name; the spool's own lock is used."""
    (queue.path / "lock").mkdir()
    for n in range(MAX_FILES + 5):
        queue.put(ONE, age=float(n))
    queue.put(age=8 * DAY)
    descriptor = os.open(queue.path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    trim_without_lock(str(queue.path), lambda: None)
    assert len(queue.names) == MAX_FILES + 6, "another process is doing it"
    os.close(descriptor)
    trim_without_lock(str(queue.path), lambda: None)
    assert len(queue.names) == MAX_FILES
    assert (queue.state.dropped, queue.state.last_error) == (7, "lock")
    trim_without_lock(str(queue.path / "gone"), lambda: None)


def test_other_spools_are_cleaned_only_when_a_file_is_overdue(queue: Queue) -> None:
    """And only those, and only under their own lock."""
    others = [Queue(queue.path.parent / f"{n:016x}", "") for n in range(3)]
    for other in others:
        (other.path / "lock").touch(0o600)
        other.put(age=8 * DAY)
    busy = os.open(others[1].path / "lock", os.O_RDWR)
    fcntl.flock(busy, fcntl.LOCK_EX)
    others[2].path.chmod(0o777)
    queue.put(age=8 * DAY)
    clean_other_spools(str(queue.path), lambda: None)
    os.close(busy)
    assert [len(other.names) for other in others] == [0, 1, 1]
    assert len(queue.names) == 1


# Age -----------------------------------------------------------------------------------------


def name_of(age: float = 0.0, tried: float | None = None) -> FileName:
    return FileName(
        int((NOW - age) * 1e9), "0" * 32, 1, tried=None if tried is None else int(NOW - tried)
    )


@pytest.mark.parametrize(
    ("name", "written", "expected"),
    [
        (name_of(), 0.0, KEEP),
        (name_of(MAX_AGE - 60), MAX_AGE - 60, KEEP),
        (name_of(MAX_AGE + 60), MAX_AGE + 60, DROP),
        (name_of(30 * DAY), 30 * DAY, DROP),
        # A program that ran for weeks wrote its last event just now.
        (name_of(30 * DAY), 1.0, KEEP),
        # An attempt that may have arrived.
        (name_of(DAY, tried=MAX_AMBIGUITY - 60), DAY, KEEP),
        (name_of(DAY, tried=MAX_AMBIGUITY + 60), DAY, DROP),
        (name_of(0.0, tried=6 * DAY), 0.0, DROP),
        # A clock that was, or is, ten years off: it neither purges early nor keeps for ever.
        (name_of(10 * YEAR), 10 * YEAR, REDATE),
        (name_of(-10 * YEAR), -10 * YEAR, REDATE),
        (name_of(-2 * DAY), -2 * DAY, REDATE),
        (name_of(60), 10 * YEAR, KEEP),
        (name_of(8 * DAY), 10 * YEAR, DROP),
        (name_of(8 * DAY), -10 * YEAR, DROP),
        (name_of(10 * YEAR), 60.0, KEEP),
        (name_of(60, tried=-10 * YEAR), 60.0, REDATE),
        (name_of(60, tried=10 * YEAR), 60.0, REDATE),
        # A clock that is set a little.
        (name_of(-60), -60.0, KEEP),
    ],
)
def test_file_is_kept_for_a_week_by_a_credible_clock(
    name: FileName, written: float, expected: str
) -> None:
    """Seven days, twenty hours after an ambiguous attempt."""
    assert judge_age(name, NOW - written, NOW) == expected


def test_redated_file_ages_from_then_on() -> None:
    """With its digits and part as they were: every attempt sends the same."""
    wrong = NOW - 10 * YEAR
    name = FileName(int(wrong * 1e9), "0" * 32, 3, dropped=3, tried=int(wrong))
    again = name.created_at(NOW)
    assert (again.digits, again.part, again.dropped, again.tried) == ("0" * 32, 3, 3, int(NOW))
    assert judge_age(again, wrong, NOW) == KEEP
    assert judge_age(again, wrong, NOW + MAX_AMBIGUITY + 60) == DROP
    never_tried = FileName(int(wrong * 1e9), "0" * 32, 1).created_at(NOW)
    assert never_tried.tried is None
    assert judge_age(never_tried, wrong, NOW + MAX_AGE - 60) == KEEP
    assert judge_age(never_tried, wrong, NOW + MAX_AGE + 60) == DROP


@given(
    st.builds(
        FileName,
        st.integers(0, 10**20 - 1),
        st.just("0" * 32),
        st.just(1),
        st.just(0),
        st.none() | st.integers(0, 10**12 - 1),
    ),
    st.floats(-1e12, 1e12),
    st.floats(0, 1e12),
)
def test_any_clock_gives_a_verdict(name: FileName, written: float, now: float) -> None:
    """An age that is not credible is counted anew."""
    assert judge_age(name, written, now) in (KEEP, DROP, REDATE)
