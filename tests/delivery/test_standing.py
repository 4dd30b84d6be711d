"""What a sender remembers, and how the foreground sees it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from click_telemetry.delivery import LONGEST_WAIT, NOT_BEFORE
from click_telemetry.delivery.launcher import too_early
from click_telemetry.delivery.sender.standing import (
    CONFIGURATION_WAIT,
    FILE,
    LIMIT,
    Standing,
    put_off,
)


def wait_of(directory: Path) -> float:
    return os.stat(directory / NOT_BEFORE).st_mtime - time.time()


def test_failure_puts_off_the_next_sender_in_every_process(tmp_path: Path) -> None:
    """An offline machine is not asked at every command."""
    assert not too_early(str(tmp_path))
    Standing(str(tmp_path)).failed("ConnectionError")
    assert too_early(str(tmp_path))


def test_failures_wait_longer_each_time(tmp_path: Path) -> None:
    """Doubled, with some chance in it, up to six hours; kept from process to process."""
    waits = []
    for _ in range(14):
        Standing(str(tmp_path)).failed("ConnectionError")
        waits.append(wait_of(tmp_path))
    assert 10 < waits[0] <= 31
    assert waits[4] > waits[0]
    assert max(waits) <= 6 * 3600 + 1


def test_waits_differ_from_machine_to_machine(tmp_path: Path) -> None:
    """A thousand that were cut off together do not come back together (row 52)."""
    waits = set()
    for number in range(20):
        directory = tmp_path / str(number)
        directory.mkdir()
        Standing(str(directory)).failed("http_503")
        waits.add(round(wait_of(directory), 2))
    assert len(waits) > 10
    assert all(14 < wait <= 30 for wait in waits)


def test_configuration_waits_longer_than_the_network(tmp_path: Path) -> None:
    """A revoked key is not mended by trying."""
    Standing(str(tmp_path)).failed("http_401", first=CONFIGURATION_WAIT)
    assert wait_of(tmp_path) > 1700


def test_server_is_asked_again_no_sooner_than_it_wants(tmp_path: Path) -> None:
    """Retry-After holds across processes."""
    Standing(str(tmp_path)).failed("http_429", retry_after=5000)
    assert 4990 < wait_of(tmp_path) <= 5001


def test_success_ends_the_waiting(tmp_path: Path) -> None:
    """And is remembered with whom it was told of."""
    standing = Standing(str(tmp_path))
    standing.failed("ConnectionError")
    standing.settle(["a"], delivered=2, identified="some-id")
    assert not too_early(str(tmp_path))
    again = Standing(str(tmp_path))
    assert (again.identified, again.failures, again.settled) == ("some-id", 0, ["a"])


def test_dropping_ends_no_waiting(tmp_path: Path) -> None:
    """A spool that is trimmed offline is as offline as before."""
    standing = Standing(str(tmp_path))
    standing.failed("ConnectionError")
    standing.settle(["a"], dropped=2)
    assert too_early(str(tmp_path))
    again = Standing(str(tmp_path))
    assert (again.failures, again.dropped, again.unreported) == (1, 2, 2)


def test_status_can_be_read_by_its_names(tmp_path: Path) -> None:
    """What `telemetry status` tells people, each with its type."""
    empty = Standing(str(tmp_path))
    assert (empty.delivered, empty.delivered_at, empty.failed_at, empty.last_error) == (
        0,
        None,
        None,
        None,
    )
    began = time.time()
    empty.settle([], delivered=3, refused=2, error="http_400", dropped=5, identified="id")
    empty.failed("http_503")
    standing = Standing(str(tmp_path))
    assert (standing.delivered, standing.refused, standing.dropped) == (3, 2, 5)
    assert (standing.failures, standing.last_error, standing.identified) == (1, "http_503", "id")
    assert standing.delivered_at is not None
    assert standing.failed_at is not None
    assert began <= standing.delivered_at <= standing.failed_at
    stored = json.loads((tmp_path / FILE).read_text())
    assert {"delivered", "delivered_at", "refused", "dropped", "failures", "failed_at"} <= set(
        stored
    )


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
    standing.settle([], delivered=1, identified="id")
    assert Standing(str(tmp_path)).identified == "id"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)
KEYS = (
    *("delivered", "delivered_at", "refused", "dropped", "failures", "failed_at", "last_error"),
    *("identified", "unreported", "reporting", "settled", "foreign"),
)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(KEYS), JSON))
def test_any_memory_is_read_within_its_types_and_bounds(
    tmp_path_factory: pytest.TempPathFactory, found: dict[str, object]
) -> None:
    """Whatever another hand wrote into it; and it does not grow by being kept."""
    directory = tmp_path_factory.mktemp("standing")
    (directory / FILE).write_text(json.dumps(found))
    standing = Standing(str(directory))
    for count in (standing.delivered, standing.refused, standing.dropped, standing.failures):
        assert 0 <= count <= 10**12
    for word in (standing.last_error, standing.identified):
        assert word is None or len(word) <= 80
    for moment in (standing.delivered_at, standing.failed_at):
        assert moment is None or moment >= 0
    assert all(isinstance(name, str) for name in standing.settled)
    standing.settle(["x" * 60] * 100, delivered=1)
    standing.failed("e" * 1000)
    stored = (directory / FILE).read_bytes()
    assert len(stored) < LIMIT
    assert "foreign" not in json.loads(stored)
