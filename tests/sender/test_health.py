"""Health with the data: one event a day and installation about its delivery (row F9)."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from click_telemetry import __version__
from click_telemetry._reader import TELEMETRY_HEALTH
from click_telemetry._sender.delivery import next_report
from click_telemetry._sender.state import FILE, MAX_REPORT, SenderState
from click_telemetry.destinations import Segment

from ..harness.destinations import deliver, destination_of, job_of
from ..harness.facts import ANONYMOUS, begin, end, event, head, lines
from ..harness.queue import Queue
from ..harness.server import Reply, Request, Server

pytestmark = pytest.mark.contract

DAY = 86_400.0


def send(queue: Queue, server: Server, **job: Any) -> bool:
    """One pass of a sender."""
    destination = destination_of(Segment("key"), ACME_TELEMETRY_HOST=server.url)
    return deliver(queue, job_of(destination, queue, **{"anonymous_id": ANONYMOUS, **job}))


def put(queue: Queue, age: float = 0.0, **more: Any) -> None:
    """A command whose events are of so many seconds ago."""
    at = int((time.time() - age) * 1e9)
    facts = [head(**more), begin(at=at), end(at=at)]
    queue.put(lines(facts), age=age)


def of_a_day_ago(queue: Queue, **counts: float) -> None:
    """The first delivery was a day ago, and this was counted since."""
    stored = json.loads((queue.path / FILE).read_text())
    stored["health"] |= {"at": time.time() - DAY - 1, **counts}
    (queue.path / FILE).write_text(json.dumps(stored))


def reports(requests: list[Request]) -> list[dict[str, Any]]:
    return [m for r in requests for m in r.batch if m.get("event") == TELEMETRY_HEALTH]


@pytest.fixture
def old(queue: Queue, server: Server) -> Queue:
    """A queue that has delivered before, a day ago."""
    put(queue)
    assert send(queue, server) is True
    assert reports(server.requests) == []
    of_a_day_ago(queue)
    return queue


def test_report_states_how_delivery_works(old: Queue, server: Server) -> None:
    """Delay, counts, the age of the queue and the library's version; once a day."""
    counted = {"delivered": 8.0, "delay": 40.0, "max_delay": 20.0, "failures": 2.0}
    of_a_day_ago(old, **counted, dropped=3.0, rejected=1.0)
    put(old, age=5.0)
    assert send(old, server) is True
    (report,) = reports(server.requests)
    properties = report["properties"]
    age = properties.pop("queue_age_ms")
    assert 5_000 <= age < 60_000
    assert properties == {
        "library_version": __version__,
        "period_hours": 24,
        "delivered_count": 8,
        "rejected_count": 1,
        "dropped_count": 3,
        "failure_count": 2,
        "delay_ms": 5_000,
        "max_delay_ms": 20_000,
    }
    assert (report["anonymousId"], report["type"]) == (ANONYMOUS, "track")
    assert report["context"]["app"] == {"name": "acme", "version": "2.1.0"}
    put(old)
    assert send(old, server) is True
    assert len(reports(server.requests)) == 1, "the next one is due in a day"


def test_what_is_reported_is_what_was_counted(queue: Queue, server: Server) -> None:
    """Delays from event to delivery, a failure and a rejected event of real attempts."""
    put(queue)
    assert send(queue, server) is True
    server.reply = Reply(503)
    put(queue, age=30.0)
    assert send(queue, server) is False
    server.reply = lambda request: Reply(
        400 if any(m.get("event") == "Poison" for m in request.batch) else 200
    )
    queue.put([begin(at=time.time_ns()), event("Poison", at=time.time_ns()), {"next": True}])
    assert send(queue, server) is True
    counts = queue.state.health
    assert (counts["failures"], counts["rejected"], counts["delivered"]) == (1, 1, 5)
    assert 30 <= counts["max_delay"] < 90
    assert 60 <= counts["delay"] < 300


def test_every_attempt_sends_the_same_report(old: Queue, server: Server) -> None:
    """To the byte, although the counts have changed meanwhile."""
    server.reply = Reply(reset=True)
    put(old)
    assert send(old, server) is False
    assert send(old, server) is False
    server.reply = Reply()
    assert send(old, server) is True
    found = {json.dumps(report) for report in reports(server.requests)}
    assert len(found) == 1
    assert old.state.report is None


def test_rejected_report_is_not_repeated(old: Queue, server: Server) -> None:
    """A schema that refuses it costs one event a day, and no other one."""
    server.reply = lambda request: Reply(
        400 if any(m.get("event") == TELEMETRY_HEALTH for m in request.batch) else 200
    )
    put(old)
    assert send(old, server) is True
    assert (old.names, old.state.rejected) == ([], 1)
    put(old)
    before = len(server.requests)
    assert send(old, server) is True
    assert reports(server.requests[before:]) == []


@pytest.mark.parametrize("why", ["no stored ID", "a day has not passed", "disabled"])
def test_no_report_is_sent_that_is_not_due(why: str, old: Queue, server: Server) -> None:
    """A watched run has no stored ID; a person who has opted out sends nothing at all."""
    job: dict[str, Any] = {}
    if why == "no stored ID":
        job["anonymous_id"] = None
    elif why == "disabled":
        setting = old.path.parent / "telemetry.json"
        setting.write_text('{"enabled": false}')
        job["setting"] = str(setting)
    else:
        of_a_day_ago(old, at=time.time() - DAY + 60)
    put(old)
    send(old, server, **job)
    assert reports(server.requests) == []


def test_report_of_a_sample_has_its_rate(old: Queue, server: Server) -> None:
    """As every event of the application."""
    put(old, sample=0.25)
    assert send(old, server) is True
    (report,) = reports(server.requests)
    assert report["properties"]["sample_rate"] == 0.25


def test_report_that_waited_too_long_is_composed_anew(old: Queue) -> None:
    """After 20 hours the destination may not recognise its ID; the new one has another."""
    first = {"context": {"app": {"name": "acme"}, "os": {"name": "linux"}}}
    now = time.time()
    saved = next_report(old.state, str(old.path), ANONYMOUS, first, now)
    assert saved is not None
    state = SenderState(str(old.path))
    assert state.save_report(saved)
    again = next_report(SenderState(str(old.path)), str(old.path), ANONYMOUS, first, now + 3600)
    assert again == saved
    later = next_report(SenderState(str(old.path)), str(old.path), ANONYMOUS, first, now + DAY)
    assert later is not None
    assert later["messageId"] != saved["messageId"]


@pytest.mark.parametrize(
    "report", [None, 1, [], {}, {"messageId": 1}, {"messageId": "x" * (MAX_REPORT + 1)}]
)
def test_report_of_another_program_is_ignored(report: object, old: Queue, server: Server) -> None:
    """Nothing is sent that this sender has not composed."""
    stored = json.loads((old.path / FILE).read_text())
    (old.path / FILE).write_text(json.dumps({**stored, "report": report}))
    put(old)
    assert send(old, server) is True
    (sent,) = reports(server.requests)
    assert sent["properties"]["library_version"] == __version__


def test_clock_that_was_wrong_counts_anew(old: Queue, server: Server) -> None:
    """A last report of next year does not postpone the next one for a year."""
    of_a_day_ago(old, at=time.time() + 365 * DAY)
    put(old)
    assert send(old, server) is True
    assert abs(old.state.health["at"] - time.time()) < 60
