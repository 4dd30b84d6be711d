"""What PostHog gets of messages, compared with what its own client sends."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from click_telemetry._commands.terminal import describe_delivery_error
from click_telemetry._doctor import trial
from click_telemetry._sender.transports.posthog import event_of
from click_telemetry.destinations import PostHog

from ..harness.destinations import deliver, destination_of, job_of
from ..harness.facts import ANONYMOUS, begin, end, identify
from ..harness.queue import Queue, messages_of
from ..harness.server import Reply, Server

posthog = pytest.importorskip("posthog")

pytestmark = pytest.mark.contract


def sent(queue: Queue, server: Server, **job: Any) -> list[dict[str, Any]]:
    """The events that arrive of a queue."""
    server.reply = Reply(body=b'{"status":1}')
    destination = destination_of(PostHog("phc_key"), ACME_TELEMETRY_HOST=server.url)
    assert deliver(queue, job_of(destination, queue, **job)) is True
    return [event for request in server.accepted for event in request.body["batch"]]


def test_anonymous_event_has_our_ids_and_makes_no_profile(queue: Queue, server: Server) -> None:
    """`uuid` is the message ID, `distinct_id` the anonymous one; no address is derived."""
    invoked, completed = messages_of(queue.put())
    events = sent(queue, server, anonymous_id=ANONYMOUS)
    assert [event["event"] for event in events] == ["Command Invoked", "Command Completed"]
    first = events[0]
    assert first["uuid"] == invoked["messageId"]
    assert (first["distinct_id"], first["timestamp"]) == (ANONYMOUS, invoked["timestamp"])
    properties = first["properties"]
    assert invoked["properties"].items() <= properties.items()
    assert (properties["$process_person_profile"], properties["$geoip_disable"]) == (False, True)
    assert (properties["$ip"], properties["$lib"]) == ("0.0.0.0", "click_telemetry")
    assert (properties["$app_name"], properties["$app_version"]) == ("acme", "2.1.0")
    assert events[1]["properties"]["exit_code"] == completed["properties"]["exit_code"]
    assert server.accepted[0].body["api_key"] == "phc_key"


def test_user_is_identified_and_not_merged_with_the_anonymous_id(
    queue: Queue, server: Server
) -> None:
    """`$identify` sets the traits; no earlier event becomes the user's."""
    facts = [identify("user-42", traits={"plan": "pro"}), begin(), end()]
    queue.put(facts)
    events = sent(queue, server, anonymous_id=ANONYMOUS)
    assert [event["event"] for event in events] == [
        *("$identify", "Command Invoked", "Command Completed"),
    ]
    assert {event["distinct_id"] for event in events} == {"user-42"}
    assert events[0]["properties"]["$set"] == {"plan": "pro"}
    for event in events:
        assert "$process_person_profile" not in event["properties"]
        assert "$anon_distinct_id" not in event["properties"]
        assert event["properties"]["anonymous_id"] == ANONYMOUS
        assert event["properties"]["$ip"]  # PostHog replaces an empty one by the request's


def test_event_has_the_shape_that_posthogs_client_sends(queue: Queue, server: Server) -> None:
    """The same request, and the same keys of an event and of its library."""
    queue.put()
    (ours, *_) = sent(queue, server)
    client = posthog.Posthog("phc_key", host=server.url, sync_mode=True, gzip=True)
    client.capture("Command Invoked", distinct_id=ANONYMOUS, properties={"a": 1})
    (first, second) = server.accepted
    assert (first.path, first.body.keys() - {"sentAt"}) == (
        second.path,
        second.body.keys() - {"sentAt", "historical_migration"},
    )
    (theirs,) = second.body["batch"]
    assert ours.keys() <= theirs.keys() | {"uuid"}
    assert {"$lib", "$lib_version", "$geoip_disable"} <= theirs["properties"].keys()
    assert first.headers["User-Agent"] == second.headers["User-Agent"]
    assert type(ours["uuid"]) is type(theirs.get("uuid", ""))


def test_identify_of_the_installation_is_left_out(queue: Queue) -> None:
    """It has no traits and would make a person's profile."""
    (invoked, _) = messages_of(queue.put())
    introduction = {"type": "identify", "anonymousId": ANONYMOUS, "traits": {}}
    assert event_of({**introduction, "context": invoked["context"]}) is None


def test_without_the_extra_the_error_names_it(queue: Queue, server: Server) -> None:
    """`telemetry status` shows what to install; the events are kept."""
    before = "import sys\nsys.modules['posthog'] = None\n"
    destination = destination_of(PostHog("phc_key"), ACME_TELEMETRY_HOST=server.url)
    name = queue.put().name
    assert queue.send(before=before, **job_of(destination, queue)) == 1
    assert (queue.names, queue.state.last_error) == ([name], "extra_posthog")
    assert "pip install 'click-telemetry[posthog]'" in describe_delivery_error("extra_posthog")
    assert server.connections == 0


def test_doctor_names_the_missing_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before a delivery fails, by the same word."""
    monkeypatch.setitem(sys.modules, "posthog", None)
    monkeypatch.delitem(sys.modules, "posthog.request", raising=False)
    trial.main({"host": "https://us.i.posthog.com", "transport": {"class": PostHog.transport}})
    found = json.loads(capsys.readouterr().out)
    assert (found["client"], found["error"]) == (
        "a package of the extra [posthog] is missing",
        "extra_posthog",
    )


def test_a_key_is_not_in_the_clients_log(
    queue: Queue, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """It logs requests at debug level, and an application may print that."""
    caplog.set_level("DEBUG")
    queue.put()
    sent(queue, server)
    assert "phc_key" not in caplog.text
    assert not [record for record in caplog.records if record.name.startswith("posthog")]
