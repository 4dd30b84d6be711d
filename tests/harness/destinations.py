"""Each destination over HTTP: how it is declared, and how its documented server reads a request."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, NamedTuple

import pytest

from click_telemetry._recorder import Destination, find_destination
from click_telemetry._sender.delivery import Delivery
from click_telemetry._sender.queue import take_lock
from click_telemetry._sender.watchdog import Timeout
from click_telemetry._spool import NOT_BEFORE
from click_telemetry.destinations import (
    DeclaredDestination,
    OpenTelemetry,
    PostHog,
    Segment,
    Webhook,
)

from .declared import settings_of
from .queue import Queue
from .server import Reply, Request


class Received(NamedTuple):
    """An event as a destination's server reads it."""

    message_id: str
    event: str


class Kind(NamedTuple):
    """A destination over HTTP.

    Attributes:
        name: of the transport's module.
        declared: as an application declares it.
        path: of its requests.
        read: the events of a request, without identifies.
        accepts: what its server responds when it accepts.
        needs: the package that an extra installs.
    """

    name: str
    declared: Callable[[], DeclaredDestination]
    path: str
    read: Callable[[Request], list[Received]]
    accepts: Reply
    needs: str = "requests"


def tracks(messages: list[dict[str, Any]]) -> list[Received]:
    """The tracks of messages, in order."""
    return [Received(m["messageId"], m["event"]) for m in messages if m["type"] == "track"]


def of_posthog(request: Request) -> list[Received]:
    """The events that PostHog would store, but `$identify`."""
    batch = request.body["batch"]
    return [Received(one["uuid"], one["event"]) for one in batch if one["event"] != "$identify"]


def of_otlp(request: Request) -> list[Received]:
    """The log records, as the protocol's own classes decode them."""
    found = []
    for record, _ in log_records(request):
        attributes = {one.key: one.value.string_value for one in record.attributes}
        found.append(Received(attributes["log.record.uid"], record.event_name))
    return found


def log_records(request: Request) -> list[tuple[Any, Any]]:
    """Each log record of a request, with its resource."""
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

    found = ExportLogsServiceRequest.FromString(request.raw)
    return [
        (record, logs.resource)
        for logs in found.resource_logs
        for scope in logs.scope_logs
        for record in scope.log_records
    ]


KINDS = (
    Kind(
        "segment",
        lambda: Segment("key"),
        "/v1/batch",
        lambda request: tracks(request.body["batch"]),
        Reply(),
    ),
    Kind(
        "webhook",
        lambda: Webhook("https://events.example.com/acme?source=cli"),
        "/acme?source=cli",
        lambda request: tracks(request.body["messages"]),
        Reply(204, b""),
    ),
    Kind(
        "posthog",
        lambda: PostHog("phc_key"),
        "/batch/",
        of_posthog,
        Reply(body=b'{"status":1}', headers={"Content-Type": "application/json"}),
        "posthog",
    ),
    Kind(
        "opentelemetry",
        lambda: OpenTelemetry("https://otel.example.com"),
        "/v1/logs",
        of_otlp,
        Reply(body=b"", headers={"Content-Type": "application/x-protobuf"}),
        "opentelemetry",
    ),
)

KIND_PARAMETERS = [
    pytest.param(
        kind,
        id=kind.name,
        marks=pytest.mark.skipif(find_spec(kind.needs) is None, reason=f"needs {kind.needs}"),
    )
    for kind in KINDS
]


def destination_of(declared: DeclaredDestination, **environ: str) -> Destination:
    """Where the events of an application with this destination go."""
    found = find_destination(settings_of(app="acme", destination=declared), environ)
    assert found is not None
    return found


def job_of(destination: Destination, queue: Queue, **more: Any) -> dict[str, Any]:
    """A sender's job for a queue."""
    return {
        "spool": str(queue.path),
        "host": destination.host,
        "write_key": destination.write_key,
        "token": destination.token,
        "transport": destination.transport,
        "setting": None,
        "anonymous_id": None,
        **more,
    }


def deliver(queue: Queue, job: dict[str, Any], left: float = 20.0) -> bool:
    """One pass of a sender in this process, even if it is postponed; whether the queue is empty."""
    (queue.path / NOT_BEFORE).unlink(missing_ok=True)
    lock = take_lock(str(queue.path))
    assert lock is not None
    delivery = Delivery(job, lock, Timeout(time.monotonic() + left))
    try:
        return delivery.run()
    finally:
        delivery.close()
        os.close(lock)
