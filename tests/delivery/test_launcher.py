"""The hand-over: whose turn it is to start a sender, and what for."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from click_telemetry.delivery import LOCK, NOT_BEFORE
from click_telemetry.delivery.child import written as line_of
from click_telemetry.delivery.launcher import (
    PAGE,
    TALLY,
    TRIM_AFTER,
    Letter,
    turn,
)
from click_telemetry.storage import open_private, try_lock

pytest.importorskip("fcntl")


@pytest.fixture
def letter(tmp_path: Path) -> Letter:
    """What a sender of an empty spool is told."""
    return Letter(str(tmp_path), "https://example.com", "key", None, None)


def put_off(letter: Letter) -> None:
    """A failure has put off delivery for an hour."""
    path = Path(letter.spool, NOT_BEFORE)
    path.touch()
    os.utime(path, (time.time() + 3600,) * 2)


def has_turn(letter: Letter, written: int = 0) -> bool:
    lock = turn(letter, written)
    if lock is None:
        return False
    os.close(lock)
    return True


def test_free_lock_is_a_turn_and_a_busy_one_is_none(letter: Letter) -> None:
    """Whoever holds it will look at the spool again, so all is done."""
    assert has_turn(letter)
    lock = open_private(os.path.join(letter.spool, LOCK), os.O_RDWR)
    assert try_lock(lock)
    assert not has_turn(letter)
    os.close(lock)
    assert has_turn(letter)


def test_sender_is_told_to_deliver(letter: Letter) -> None:
    """As long as nothing has put it off."""
    assert has_turn(letter)
    assert json.loads(line_of(letter))["deliver"] is True


def test_nobody_is_started_while_delivery_is_put_off(letter: Letter) -> None:
    """An offline machine is not asked at every command, and starts nothing either."""
    put_off(letter)
    assert not any(has_turn(letter) for _ in range(TRIM_AFTER - 1))


@pytest.mark.parametrize("written", [1, PAGE - 1, 30 * PAGE, 600 * 1024])
def test_sender_is_started_to_keep_the_bounds_while_delivery_is_put_off(
    written: int, letter: Letter
) -> None:
    """By files or by bytes, at each tenth of what may wait; it is told not to deliver."""
    put_off(letter)
    pages = written // PAGE + 1
    turns = [has_turn(letter, written) for _ in range(3 * TRIM_AFTER)]
    each = -(-TRIM_AFTER // pages)
    assert [number + 1 for number, had in enumerate(turns) if had] == list(
        range(each, 3 * TRIM_AFTER + 1, each)
    )
    assert json.loads(line_of(letter))["deliver"] is False


def test_what_was_put_by_is_a_count_and_no_more(letter: Letter) -> None:
    """The tally stays small, whatever waits."""
    put_off(letter)
    for _ in range(3 * TRIM_AFTER):
        has_turn(letter)
    assert Path(letter.spool, TALLY).stat().st_size < TRIM_AFTER


def test_delivery_is_due_again_when_the_time_has_come(letter: Letter) -> None:
    """And a put-off further ahead than any of ours is a clock that was wrong (row 24)."""
    for until in (time.time() - 1, time.time() + 10 * 365 * 86400, 0):
        put_off(letter)
        os.utime(Path(letter.spool, NOT_BEFORE), (until, until))
        assert has_turn(letter)
        assert letter.deliver
