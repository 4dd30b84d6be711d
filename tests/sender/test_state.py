"""What a sender saves, and how the foreground sees it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from click_telemetry._sender.state import (
    CONFIGURATION_WAIT,
    FILE,
    LIMIT,
    SenderState,
    is_postponed,
    set_not_before,
)
from click_telemetry._spool import MAX_WAIT, NOT_BEFORE


def wait_of(directory: Path) -> float:
    return os.stat(directory / NOT_BEFORE).st_mtime - time.time()


def test_failure_postpones_the_next_sender_in_every_process(tmp_path: Path) -> None:
    """An offline machine makes no attempt at every command."""
    assert not is_postponed(str(tmp_path))
    SenderState(str(tmp_path)).record_failure("ConnectionError")
    assert is_postponed(str(tmp_path))


def test_failures_wait_longer_each_time(tmp_path: Path) -> None:
    """Doubled, with a random part, up to six hours; kept from process to process."""
    waits = []
    for _ in range(14):
        SenderState(str(tmp_path)).record_failure("ConnectionError")
        waits.append(wait_of(tmp_path))
    assert 10 < waits[0] <= 31
    assert waits[4] > waits[0]
    assert max(waits) <= 6 * 3600 + 1


def test_waits_differ_from_machine_to_machine(tmp_path: Path) -> None:
    """A thousand that failed together do not retry together."""
    waits = set()
    for number in range(20):
        directory = tmp_path / str(number)
        directory.mkdir()
        SenderState(str(directory)).record_failure("http_503")
        waits.add(round(wait_of(directory), 2))
    assert len(waits) > 10
    assert all(14 < wait <= 30 for wait in waits)


def test_configuration_waits_longer_than_the_network(tmp_path: Path) -> None:
    """A revoked key must be replaced by a person."""
    SenderState(str(tmp_path)).record_failure("http_401", first=CONFIGURATION_WAIT)
    assert wait_of(tmp_path) > 1700


def test_retry_after_is_obeyed_by_every_process(tmp_path: Path) -> None:
    """A server decides when the next request is made."""
    SenderState(str(tmp_path)).record_failure("http_429", retry_after=5000)
    assert 4990 < wait_of(tmp_path) <= 5001


def test_success_ends_the_waiting(tmp_path: Path) -> None:
    """And the anonymous ID that was identified is saved."""
    state = SenderState(str(tmp_path))
    state.record_failure("ConnectionError")
    state.commit(["a"], delivered=2, identified="some-id")
    assert not is_postponed(str(tmp_path))
    again = SenderState(str(tmp_path))
    assert (again.identified, again.failures, again.settled) == ("some-id", 0, ["a"])


def test_dropping_does_not_end_the_waiting(tmp_path: Path) -> None:
    """A spool that is trimmed offline is as offline as before."""
    state = SenderState(str(tmp_path))
    state.record_failure("ConnectionError")
    state.commit(["a"], dropped=2)
    assert is_postponed(str(tmp_path))
    again = SenderState(str(tmp_path))
    assert (again.failures, again.dropped, again.unreported) == (1, 2, 2)


def test_status_can_be_read_by_its_attributes(tmp_path: Path) -> None:
    """What `telemetry status` prints, each with its type."""
    empty = SenderState(str(tmp_path))
    assert (empty.delivered, empty.delivered_at, empty.failed_at, empty.last_error) == (
        0,
        None,
        None,
        None,
    )
    began = time.time()
    empty.commit([], delivered=3, rejected=2, error="http_400", dropped=5, identified="id")
    empty.record_failure("http_503")
    state = SenderState(str(tmp_path))
    assert (state.delivered, state.rejected, state.dropped) == (3, 2, 5)
    assert (state.failures, state.last_error, state.identified) == (1, "http_503", "id")
    assert state.delivered_at is not None
    assert state.failed_at is not None
    assert began <= state.delivered_at <= state.failed_at
    stored = json.loads((tmp_path / FILE).read_text())
    assert {"delivered", "delivered_at", "rejected", "dropped", "failures", "failed_at"} <= set(
        stored
    )


def test_not_before_time_of_a_wrong_clock_is_ignored(tmp_path: Path) -> None:
    """Ten years ahead."""
    set_not_before(str(tmp_path), 60)
    ahead = time.time() + MAX_WAIT + 3600
    os.utime(tmp_path / NOT_BEFORE, (ahead, ahead))
    assert not is_postponed(str(tmp_path))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"failures":"x"}', b"\xff", b"[" * 9999])
def test_state_that_cannot_be_read_is_replaced(content: bytes, tmp_path: Path) -> None:
    """Losing it makes the next wait shorter, nothing else."""
    (tmp_path / FILE).write_bytes(content)
    state = SenderState(str(tmp_path))
    assert state.identified is None
    state.commit([], delivered=1, identified="id")
    assert SenderState(str(tmp_path)).identified == "id"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)
KEYS = (
    *("delivered", "delivered_at", "rejected", "dropped", "failures", "failed_at", "last_error"),
    *("identified", "unreported", "reporting", "settled", "foreign"),
)


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(KEYS), JSON))
def test_any_state_is_read_within_its_types_and_bounds(
    tmp_path_factory: pytest.TempPathFactory, found: dict[str, object]
) -> None:
    """Whatever another program wrote into it; and it does not grow."""
    directory = tmp_path_factory.mktemp("state")
    (directory / FILE).write_text(json.dumps(found))
    state = SenderState(str(directory))
    for count in (state.delivered, state.rejected, state.dropped, state.failures):
        assert 0 <= count <= 10**12
    for word in (state.last_error, state.identified):
        assert word is None or len(word) <= 80
    for moment in (state.delivered_at, state.failed_at):
        assert moment is None or moment >= 0
    assert all(isinstance(name, str) for name in state.settled)
    state.commit(["x" * 60] * 100, delivered=1)
    state.record_failure("e" * 1000)
    stored = (directory / FILE).read_bytes()
    assert len(stored) < LIMIT
    assert "foreign" not in json.loads(stored)


def test_constant_wait_does_not_grow(tmp_path: Path) -> None:
    """After an hour the run has another token."""
    for _ in range(3):
        SenderState(str(tmp_path)).record_failure(
            "http_401", first=CONFIGURATION_WAIT, constant=True
        )
        assert 3590 < wait_of(tmp_path) <= 3600


def test_state_that_cannot_be_saved_hands_no_report_over(tmp_path: Path) -> None:
    """Else the count would be reported twice."""
    state = SenderState(str(tmp_path / "gone"))
    state.commit([], dropped=3)
    assert state.hand_over_report("before", "after") is False
    assert (state.unreported, state.reporting) == (3, None)
