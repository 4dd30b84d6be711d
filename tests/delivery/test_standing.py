"""What a sender remembers, and how the foreground sees it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from click_telemetry.delivery.launcher import LONGEST_WAIT, NOT_BEFORE, too_early
from click_telemetry.delivery.sender.standing import FILE, Standing, put_off


def wait_of(directory: Path) -> float:
    return os.stat(directory / NOT_BEFORE).st_mtime - time.time()


def test_failure_puts_off_the_next_sender_in_every_process(tmp_path: Path) -> None:
    """An offline machine is not asked at every command."""
    assert not too_early(str(tmp_path))
    Standing(str(tmp_path)).failed("ConnectionError", configuration=False)
    assert too_early(str(tmp_path))


def test_failures_wait_longer_each_time(tmp_path: Path) -> None:
    """Doubled, with some chance in it, up to six hours; kept from process to process."""
    waits = []
    for _ in range(14):
        Standing(str(tmp_path)).failed("ConnectionError", configuration=False)
        waits.append(wait_of(tmp_path))
    assert 10 < waits[0] <= 31
    assert waits[4] > waits[0]
    assert max(waits) <= 6 * 3600 + 1


def test_configuration_waits_longer_than_the_network(tmp_path: Path) -> None:
    """A revoked key is not mended by trying."""
    Standing(str(tmp_path)).failed("http_401", configuration=True)
    assert wait_of(tmp_path) > 1700


def test_server_is_asked_again_no_sooner_than_it_wants(tmp_path: Path) -> None:
    """Retry-After holds across processes."""
    Standing(str(tmp_path)).failed("http_429", configuration=False, retry_after=5000)
    assert 4990 < wait_of(tmp_path) <= 5001


def test_success_ends_the_waiting(tmp_path: Path) -> None:
    """And is remembered with whom it was told of."""
    standing = Standing(str(tmp_path))
    standing.failed("ConnectionError", configuration=False)
    standing.delivered(2, "some-id")
    assert not too_early(str(tmp_path))
    again = Standing(str(tmp_path))
    assert again.identified == "some-id"


def test_wait_that_a_wrong_clock_left_behind_is_ignored(tmp_path: Path) -> None:
    """Ten years ahead (row 24)."""
    put_off(str(tmp_path), 60)
    ahead = time.time() + LONGEST_WAIT + 3600
    os.utime(tmp_path / NOT_BEFORE, (ahead, ahead))
    assert not too_early(str(tmp_path))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"failures":"x"}', b"\xff", b"[" * 9999])
def test_memory_that_cannot_be_read_is_made_anew(content: bytes, tmp_path: Path) -> None:
    """Losing it costs a shorter wait, nothing else."""
    (tmp_path / FILE).write_bytes(content)
    standing = Standing(str(tmp_path))
    assert standing.identified is None
    standing.delivered(1, "id")
    assert Standing(str(tmp_path)).identified == "id"
