"""The same promises for each destination over HTTP: its transport, a queue, a server on loopback.

One pass of the sender runs in this process; `test_network.py` runs Segment's as a process.
"""

from __future__ import annotations

import gzip
import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..harness.destinations import (
    KIND_PARAMETERS,
    Kind,
    Received,
    deliver,
    destination_of,
    job_of,
    tracks,
)
from ..harness.facts import ANONYMOUS, event, events
from ..harness.queue import Queue, messages_of
from ..harness.server import Reply, Request, Server

pytestmark = [pytest.mark.contract, pytest.mark.parametrize("kind", KIND_PARAMETERS)]

Deliver = Callable[..., bool]


def sampled(name: str, first: object, *others: object) -> pytest.MarkDecorator:
    """A parameter whose first value is tried by default; `test_response.py` has all of them."""
    extended = [pytest.param(other, marks=pytest.mark.extended) for other in others]
    return pytest.mark.parametrize(name, [first, *extended])


@pytest.fixture
def send(kind: Kind, queue: Queue, server: Server) -> Deliver:
    """Delivers the queue to the server, by the transport."""
    server.reply = kind.accepts
    destination = destination_of(kind.declared(), ACME_TELEMETRY_HOST=server.url)
    return lambda **job: deliver(queue, job_of(destination, queue, **job))


def received(kind: Kind, requests: list[Request]) -> list[Received]:
    """The events of some requests, in order."""
    return [found for request in requests for found in kind.read(request)]


def assert_kept(queue: Queue, error: str, *, tried: bool, wait: float = 30.0) -> None:
    """The only file is kept, with the reason, and the next sender waits."""
    (name,) = queue.names
    assert (".tried-" in name, queue.state.last_error) == (tried, error)
    assert queue.wait is not None
    assert wait / 2 - 5 < queue.wait <= wait


def test_events_arrive_with_their_ids_and_are_deleted(
    kind: Kind, send: Deliver, queue: Queue, server: Server
) -> None:
    """Several commands in one request, in order, at the documented path."""
    expected = [found for _ in range(3) for found in tracks(messages_of(queue.put()))]
    assert send(anonymous_id=ANONYMOUS) is True
    (request,) = server.requests
    assert (request.path, received(kind, [request])) == (kind.path, expected)
    assert queue.names == []
    assert queue.state.identified == ANONYMOUS


@sampled(
    "page",
    Reply(body=b"<!DOCTYPE html><title>Welcome", headers={"Content-Type": "text/plain"}),
    Reply(body=b"Welcome", headers={"Content-Type": "text/html; charset=utf-8"}),
    Reply(body=gzip.compress(b"<html>"), headers={"Content-Encoding": "gzip"}),
)
def test_page_of_a_captive_portal_is_no_acceptance(
    page: Reply, kind: Kind, send: Deliver, queue: Queue, server: Server
) -> None:
    """A hotel's login page, with status 200 (row 45)."""
    server.reply = page
    queue.put()
    assert send() is False
    assert_kept(queue, "html", tried=False)


@sampled("status", 302, 301, 303, 307, 308)
def test_redirect_is_followed_by_no_transport(
    status: int, kind: Kind, send: Deliver, queue: Queue, server: Server
) -> None:
    """Neither events nor keys go where a server points (row 46)."""
    server.reply = Reply(status, headers={"Location": server.url + kind.path})
    queue.put()
    assert send() is False
    assert len(server.requests) == 1
    assert_kept(queue, f"http_{status}", tried=False, wait=3600.0)


@sampled("status", 400, 413, 422)
def test_rejected_event_is_dropped_alone(
    status: int, kind: Kind, send: Deliver, queue: Queue, server: Server
) -> None:
    """Its neighbours arrive, each once (rows 47, 50)."""

    def reply(request: Request) -> Reply:
        poison = any(found.event == "Poison" for found in kind.read(request))
        return Reply(status, b'{"code":3}') if poison else kind.accepts

    server.reply = reply
    path = queue.put([*events(6)[:3], event("Poison", n=4), *events(6)[4:]])
    good = [found for found in tracks(messages_of(path)) if found.event != "Poison"]
    assert send() is True
    assert received(kind, server.accepted) == good
    assert (queue.names, queue.state.delivered, queue.state.rejected) == ([], 5, 1)
    assert queue.state.last_error == f"http_{status}"


@sampled("status", 403, 401, 404)
def test_wrong_configuration_waits_for_a_person(
    status: int, kind: Kind, send: Deliver, queue: Queue, server: Server
) -> None:
    """An hour at first."""
    server.reply = Reply(status)
    queue.put()
    assert send() is False
    assert len(server.requests) == 1
    assert_kept(queue, f"http_{status}", tried=False, wait=3600.0)


@sampled("status", 503, 408, 500, 502, 504, 599)
def test_failing_server_gets_one_request_and_a_pause(
    status: int, kind: Kind, send: Deliver, queue: Queue, server: Server
) -> None:
    """No client's own retries, which would hold the sender for a minute (row 52)."""
    server.reply = Reply(status, b"[" * 20_000)
    queue.put()
    assert send() is False
    assert len(server.requests) == 1
    assert_kept(queue, f"http_{status}", tried=False)


def test_retry_after_applies_to_every_process(
    kind: Kind, send: Deliver, queue: Queue, server: Server
) -> None:
    """The server decides when the next request is made (row 51)."""
    server.reply = Reply(429, headers={"Retry-After": "4000"})
    queue.put()
    assert send() is False
    assert len(server.requests) == 1
    assert queue.wait is not None
    assert 3990 <= queue.wait <= 4000


def test_every_try_sends_the_same_ids(
    kind: Kind, send: Deliver, queue: Queue, server: Server
) -> None:
    """A reset after the request: it may have arrived, so the file is marked (row 53)."""
    server.reply = Reply(reset=True)
    expected = tracks(messages_of(queue.put()))
    assert send() is False
    assert_kept(queue, queue.state.last_error or "", tried=True)
    server.reply = Reply(503)
    assert send() is False
    server.reply = kind.accepts
    assert send() is True
    assert len(server.requests) >= 3
    assert {tuple(kind.read(request)) for request in server.requests} == {tuple(expected)}


def test_ambiguous_attempt_is_not_repeated_after_twenty_hours(
    kind: Kind, send: Deliver, queue: Queue, server: Server
) -> None:
    """The destination may not recognise the ID any more (row 56)."""
    now = int(time.time())
    queue.put(age=86_400, marks=f".tried-{now - 21 * 3600}")
    young = tracks(messages_of(queue.put(age=86_400, marks=f".tried-{now - 19 * 3600}")))
    assert send() is True
    assert received(kind, server.requests) == young
    assert queue.state.dropped == 2


@sampled(
    "reply",
    Reply(body=b" " * 8000, cut=True),
    Reply(raw=b"HTTP/1.1 200 OK\r\nContent-"),
    Reply(raw=b""),
)
def test_incomplete_response_is_no_acceptance(
    reply: Reply, kind: Kind, send: Deliver, queue: Queue, server: Server
) -> None:
    """2xx counts with complete headers and a complete body."""
    server.reply = reply
    queue.put()
    assert send() is False
    assert_kept(queue, queue.state.last_error or "", tried=True)


def test_response_without_end_is_not_read_to_its_end(
    kind: Kind, send: Deliver, queue: Queue, server: Server
) -> None:
    """64 KB of it are enough (row 54)."""
    server.reply = Reply(body=b" " * 65_536, endless=True)
    queue.put()
    assert send() is True


def test_refused_connection_leaves_no_mark(kind: Kind, queue: Queue, server: Server) -> None:
    """Nothing was sent, so it may be kept for a week."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    closed = destination_of(kind.declared(), ACME_TELEMETRY_HOST=f"http://127.0.0.1:{port}")
    queue.put()
    assert deliver(queue, job_of(closed, queue)) is False
    assert_kept(queue, "ConnectionError", tried=False)


@pytest.mark.sample(1)
def test_silent_server_is_given_up_when_the_time_is_over(
    kind: Kind, queue: Queue, server: Server
) -> None:
    """What was sent may have arrived; that a command did not wait longer is no failure."""
    server.reply = Reply(silent=True)
    destination = destination_of(kind.declared(), ACME_TELEMETRY_HOST=server.url)
    queue.put()
    assert deliver(queue, job_of(destination, queue), left=0.3) is False
    (name,) = queue.names
    assert ".tried-" in name
    assert len(server.requests) == 1


def test_credentials_of_netrc_are_not_sent(
    kind: Kind, send: Deliver, queue: Queue, server: Server, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A `default` entry of mine reaches no destination (row 55)."""
    netrc = tmp_path / ".netrc"
    netrc.write_text("default login jane password hunter2\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    queue.put()
    assert send() is True
    (request,) = server.requests
    assert "hunter2" not in json.dumps(request.headers)
    assert request.headers.get("Authorization") in (None, "Basic a2V5Og==")


@pytest.mark.sample(1)
def test_sender_process_delivers_with_what_its_job_contains(
    kind: Kind, queue: Queue, server: Server
) -> None:
    """The real process, isolated: the job is all that it knows."""
    server.reply = kind.accepts
    destination = destination_of(kind.declared(), ACME_TELEMETRY_HOST=server.url)
    expected = tracks(messages_of(queue.put()))
    more: dict[str, Any] = job_of(destination, queue)
    assert queue.send(**more) == 0
    assert received(kind, server.accepted) == expected
    assert queue.names == []
