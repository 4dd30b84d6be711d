"""Messages divided into requests, and a pass with a transport of the test's own."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from click_telemetry._sender.delivery import (
    MAX_BYTES,
    MAX_MESSAGES,
    Delivery,
    batches,
    identify,
)
from click_telemetry._sender.queue import Entry, length, take_lock
from click_telemetry._sender.transports import (
    ACCEPTED,
    MISCONFIGURED,
    RETRY,
    SPLIT,
    DeliveryResult,
    Withdrawn,
)
from click_telemetry._sender.watchdog import Timeout

from ..harness.facts import ANONYMOUS, begin, event
from ..harness.queue import Queue, messages_of


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(min_value=0, max_value=32_000), max_size=300))
def test_requests_are_bounded_and_lose_nothing(sizes: list[int]) -> None:
    """At most 100 messages and 400 kB each, in order, none empty."""
    messages: list[dict[str, Any]] = [{"n": n, "x": "x" * s} for n, s in enumerate(sizes)]
    cut = list(batches([Entry(message, length(message)) for message in messages]))
    assert [message for batch in cut for message in batch] == messages
    assert all(0 < len(batch) <= MAX_MESSAGES for batch in cut)
    assert all(len(json.dumps(batch)) <= MAX_BYTES for batch in cut)


class Recording:
    """A transport that reports as a test wants, in place of the network."""

    def __init__(self, answer: Callable[[list[dict[str, Any]]], DeliveryResult]) -> None:
        self._answer = answer
        self.batches: list[list[dict[str, Any]]] = []
        self.closed = False

    def post(self, batch: list[dict[str, Any]], on_send: Callable[[], object]) -> DeliveryResult:
        on_send()
        self.batches.append(batch)
        return self._answer(batch)

    def close(self) -> None:
        self.closed = True


def run(
    queue: Queue,
    answer: Callable[[list[dict[str, Any]]], DeliveryResult],
    left: float = 60.0,
    **job: Any,
) -> tuple[bool, Recording]:
    """One pass over a queue."""
    transport = Recording(answer)
    given = {"spool": str(queue.path), "host": "", "write_key": "", "setting": None}
    lock = take_lock(str(queue.path))
    assert lock is not None
    timeout = Timeout(time.monotonic() + left)
    delivery = Delivery({**given, "anonymous_id": None, **job}, lock, timeout, lambda *_: transport)
    try:
        return delivery.run(), transport
    finally:
        delivery.close()
        os.close(lock)


def accept(batch: list[dict[str, Any]]) -> DeliveryResult:
    return DeliveryResult(ACCEPTED, 200)


def test_transport_gets_the_messages_of_several_files_at_once(queue: Queue) -> None:
    """Any transport: consent, the queue and retries are the sender's."""
    expected = [message for _ in range(3) for message in messages_of(queue.put())]
    done, transport = run(queue, accept)
    assert (done, transport.batches, queue.names) == (True, [expected], [])
    assert not transport.closed or transport.batches


@pytest.mark.parametrize(
    ("result", "marked", "wait"),
    [
        (DeliveryResult(RETRY, 503, error="http_503"), False, 30),
        (DeliveryResult(RETRY, error="ReadTimeout", ambiguous=True), True, 30),
        (DeliveryResult(MISCONFIGURED, 401, error="http_401"), False, 3600),
        (DeliveryResult(RETRY, 429, 5000.0, "http_429"), False, 5000),
    ],
)
def test_failure_keeps_the_files_and_postpones_the_next_sender(
    result: DeliveryResult, marked: bool, wait: float, queue: Queue
) -> None:
    """A mark remains only if the messages may have arrived."""
    queue.put()
    done, _ = run(queue, lambda batch: result)
    assert done is False
    (name,) = queue.names
    assert (".tried-" in name) is marked
    assert queue.wait is not None
    assert wait / 2 - 1 < queue.wait <= wait
    assert queue.state.last_error == result.error


def test_expired_timeout_makes_no_request_and_saves_no_failure(queue: Queue) -> None:
    """The command was impatient; the server may be healthy."""
    queue.put()
    done, transport = run(queue, accept, left=-1.0)
    assert (done, transport.batches, queue.wait) == (False, [], None)
    assert len(queue.names) == 1


def test_report_in_a_rejected_message_is_reported_by_another_one(queue: Queue) -> None:
    """A count is not lost with the message that had it."""
    queue.put([event("Poison", n=1), begin(n=2), {"next": True}], marks=".dropped-7")

    def reject_poison(batch: list[dict[str, Any]]) -> DeliveryResult:
        poison = any(m.get("event") == "Poison" for m in batch)
        return DeliveryResult(SPLIT, 400, error="http_400") if poison else accept(batch)

    assert run(queue, reject_poison)[0] is True
    assert (queue.state.rejected, queue.state.delivered, queue.state.unreported) == (1, 1, 7)
    queue.put()
    _, transport = run(queue, accept)
    assert transport.batches[0][0]["properties"]["dropped"] == 7


def test_withdrawn_files_are_not_sent(queue: Queue) -> None:
    """A transport that cannot mark them sends none of their bytes."""

    class Removing(Recording):
        def post(
            self, batch: list[dict[str, Any]], on_send: Callable[[], object]
        ) -> DeliveryResult:
            for name in queue.names:
                (queue.path / name).unlink()
            with pytest.raises(Withdrawn):
                on_send()
            raise Withdrawn

    queue.put()
    removing = Removing(accept)
    lock = take_lock(str(queue.path))
    assert lock is not None
    job = {"spool": str(queue.path), "host": "", "write_key": "", "setting": None}
    timeout = Timeout(time.monotonic() + 60)
    delivery = Delivery({**job, "anonymous_id": None}, lock, timeout, lambda *_: removing)
    assert delivery.run() is True
    assert removing.batches == []
    os.close(lock)


def test_identify_is_the_same_message_however_often_it_is_made(queue: Queue) -> None:
    """An ID that the destination has is not sent again."""
    first = messages_of(queue.put())[0]
    made = identify(ANONYMOUS, None, first)
    assert made is not None
    assert made == identify(ANONYMOUS, "another", first)
    assert made["traits"] == {}
    assert "timestamp" not in made
    assert identify(ANONYMOUS, ANONYMOUS, first) is None
    assert identify(None, None, first) is None
