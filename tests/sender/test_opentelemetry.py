"""What a collector gets of messages, decoded by the protocol's own classes."""

from __future__ import annotations

from typing import Any

import pytest

from click_telemetry._commands.terminal import describe_delivery_error
from click_telemetry._sender.transports.opentelemetry import (
    attributes_of,
    rejected_in,
    resource_of,
    time_of,
)
from click_telemetry.destinations import OpenTelemetry

from ..harness.destinations import deliver, destination_of, job_of, log_records
from ..harness.facts import ANONYMOUS, begin, end, event, identify
from ..harness.queue import Queue, messages_of
from ..harness.server import Reply, Server

pytest.importorskip("opentelemetry.exporter.otlp.proto.http")

pytestmark = pytest.mark.contract

ENDPOINT = "https://otel.example.com"


def sent(
    queue: Queue, server: Server, declared: OpenTelemetry | None = None, **job: Any
) -> list[tuple[Any, Any]]:
    """The log records that arrive of a queue, each with its resource."""
    declared = declared or OpenTelemetry(ENDPOINT)
    destination = destination_of(declared, ACME_TELEMETRY_HOST=server.url)
    assert deliver(queue, job_of(destination, queue, **job)) is True
    return [found for request in server.accepted for found in log_records(request)]


def values(attributes: Any) -> dict[str, Any]:
    """Attributes by name, their values as JSON has them."""
    return {one.key: _value(one.value) for one in attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    found = getattr(value, kind)
    if kind == "array_value":
        return [_value(item) for item in found.values]
    return values(found.values) if kind == "kvlist_value" else found


def test_record_follows_the_conventions_for_programs(queue: Queue, server: Server) -> None:
    """Exit code, class of the error, service, system and IDs have their conventional names."""
    facts = [begin(), end(exit=3, error="KeyError")]
    (_, completed) = messages_of(queue.put(facts))
    (_, (record, resource)) = sent(queue, server, anonymous_id=ANONYMOUS)
    assert (record.event_name, record.severity_text) == ("Command Completed", "INFO")
    assert record.time_unix_nano == time_of(completed["timestamp"])
    attributes = values(record.attributes)
    properties = completed["properties"]
    assert attributes == {
        "process.exit.code": 3,
        "error.type": "KeyError",
        "session.id": properties["session_id"],
        "log.record.uid": completed["messageId"],
        "app.installation.id": ANONYMOUS,
        **{
            name: properties[name]
            for name in properties
            if name not in ("exit_code", "error_class", "session_id")
            and name not in ("arch", "os", "python_version", "version")
        },
    }
    described = values(resource.attributes)
    version = described.pop("telemetry.distro.version")
    assert version == completed["context"]["library"]["version"]
    assert described == {
        "service.name": "acme",
        "service.version": "2.1.0",
        "os.type": "linux",
        "host.arch": "amd64",
        "process.runtime.version": properties["python_version"],
        "telemetry.distro.name": "click_telemetry",
    }


def test_failure_without_an_exception_has_a_type_too(queue: Queue, server: Server) -> None:
    """The conventions require one with every exit code but 0, and none with 0."""
    queue.put([begin(), end(exit=3)])
    (_, (failed, _)) = sent(queue, server)
    assert values(failed.attributes)["error.type"] == "_OTHER"
    assert "error.type" not in attributes_of(messages_of(queue.put())[1])


def test_user_and_traits_are_attributes(queue: Queue, server: Server) -> None:
    """The installation's own `identify`, which has no traits, is left out."""
    queue.put([identify("user-42", traits={"plan": "pro"}), begin(), end()])
    records = [record for record, _ in sent(queue, server, anonymous_id=ANONYMOUS)]
    assert [record.event_name for record in records] == [
        *("identify", "Command Invoked", "Command Completed"),
    ]
    assert {values(record.attributes)["user.id"] for record in records} == {"user-42"}
    assert values(records[0].attributes)["traits.plan"] == "pro"


def test_any_json_value_is_encoded(queue: Queue, server: Server) -> None:
    """Deep, large and empty ones; a null is left out."""
    own = {
        "deep": {"a": [1, {"b": [True, 1.5, "x"]}], "none": None},
        "large": 2**70,
        "negative": -(2**63),
        "empty": [],
        "none": None,
        "mixed": [1, "a", None],
    }
    queue.put([begin(), event("Exported", p=own), end(n=3)])
    records = [record for record, _ in sent(queue, server)]
    found = values(records[1].attributes)
    assert found["deep"] == {"a": [1, {"b": [True, 1.5, "x"]}]}
    assert (found["large"], found["negative"]) == (str(2**70), -(2**63))
    assert (found["empty"], found["mixed"], "none" in found) == ([], [1, "a"], False)


def test_path_and_headers_are_those_of_the_code(
    queue: Queue, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No variable of another collector has an effect: neither its headers nor its certificate."""
    for name, value in {
        "OTEL_EXPORTER_OTLP_HEADERS": "x-other=secret",
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://127.0.0.1:9/other",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
        "OTEL_RESOURCE_ATTRIBUTES": "host.name=mine",
        "OTEL_SERVICE_NAME": "other",
    }.items():
        monkeypatch.setenv(name, value)
    queue.put()
    declared = OpenTelemetry(ENDPOINT + "/otlp/v1/logs", {"X-Api-Key": "key"})
    (_, (_, resource)) = sent(queue, server, declared)
    (request,) = server.requests
    assert (request.path, request.headers["X-Api-Key"]) == ("/otlp/v1/logs", "key")
    assert request.headers["Content-Type"] == "application/x-protobuf"
    assert request.headers["Content-Encoding"] == "gzip"
    assert not {"x-other", "X-Other"} & request.headers.keys()
    assert values(resource.attributes)["service.name"] == "acme"
    assert "host.name" not in values(resource.attributes)


def test_partial_success_is_counted_and_not_repeated(queue: Queue, server: Server) -> None:
    """The specification forbids to send the rejected records again."""
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

    response = ExportLogsServiceResponse()
    response.partial_success.rejected_log_records = 1
    response.partial_success.error_message = "an attribute is too long " * 20
    server.reply = Reply(body=response.SerializeToString())
    queue.put()
    assert len(sent(queue, server)) == 2
    assert (queue.names, len(server.requests)) == ([], 1)
    assert (queue.state.delivered, queue.state.rejected) == (1, 1)
    assert queue.state.last_error == "partial"


def test_no_more_is_rejected_than_was_sent(queue: Queue, server: Server) -> None:
    """Whatever a server claims, the counts stay counts."""
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

    response = ExportLogsServiceResponse()
    response.partial_success.rejected_log_records = 2**60
    server.reply = Reply(body=response.SerializeToString())
    queue.put()
    sent(queue, server)
    assert (queue.state.delivered, queue.state.rejected) == (0, 2)


@pytest.mark.parametrize("body", [b"", b"OK", b'{"partialSuccess":{}}', b"\xff" * 50])
def test_body_that_is_no_message_counts_as_none(body: bytes) -> None:
    """The status is 2xx."""
    assert rejected_in(body) == 0


def test_event_that_cannot_be_encoded_is_dropped_alone(queue: Queue, server: Server) -> None:
    """A lone surrogate is no text of the protocol: replaced in a value, and not in a name."""
    facts = [event("Bad \ud800"), event("Exported", n=3, p={"text": "a\ud800"}), end(n=4)]
    queue.put([begin(), *facts])
    records = [record for record, _ in sent(queue, server)]
    names = ["Command Invoked", "Exported", "Command Completed"]
    assert [record.event_name for record in records] == names
    assert values(records[1].attributes)["text"] == "a?"
    assert (queue.names, queue.state.rejected, queue.state.last_error) == ([], 1, "encoding")


def test_without_the_extra_the_error_names_it(queue: Queue, server: Server) -> None:
    """`telemetry status` shows what to install; the events are kept."""
    before = "import sys\nsys.modules['opentelemetry'] = None\n"
    destination = destination_of(OpenTelemetry(ENDPOINT), ACME_TELEMETRY_HOST=server.url)
    name = queue.put().name
    assert queue.send(before=before, **job_of(destination, queue)) == 1
    assert (queue.names, queue.state.last_error) == ([name], "extra_otlp")
    assert "pip install 'click-telemetry[otlp]'" in describe_delivery_error("extra_otlp")


def test_names_of_the_conventions_replace_ours() -> None:
    """Each property is there once."""
    message = {
        "messageId": "m",
        "anonymousId": "a",
        "properties": {"exit_code": 0, "os": "linux", "command": "acme go"},
    }
    assert attributes_of(message) == {
        "process.exit.code": 0,
        "command": "acme go",
        "log.record.uid": "m",
        "app.installation.id": "a",
    }


@pytest.mark.parametrize(
    ("arch", "conventional"),
    [("aarch64", "arm64"), ("armv7l", "arm32"), ("i686", "x86"), ("riscv64", "riscv64")],
)
def test_processor_has_the_name_of_the_conventions(
    queue: Queue, arch: str, conventional: str
) -> None:
    """One that they do not list keeps its own."""
    (message, _) = messages_of(queue.put())
    properties = {**message["properties"], "arch": arch}
    assert resource_of({**message, "properties": properties})["host.arch"] == conventional
