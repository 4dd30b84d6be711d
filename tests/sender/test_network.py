"""Whatever a network or a server does, events are kept and arrive once: real senders, sockets."""

from __future__ import annotations

import gzip
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from ..harness.facts import NEXT, begin, event, events
from ..harness.queue import (
    MAX_MEMORY,
    OFFLINE,
    Queue,
    messages_of,
    peak_of,
    writing_peak,
)
from ..harness.server import Reply, Request, Server

pytestmark = pytest.mark.contract


def ids(messages: list[dict[str, Any]]) -> list[str]:
    return [found["messageId"] for found in messages]


@pytest.fixture
def closed_port() -> str:
    """An origin where no process listens."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    return f"http://127.0.0.1:{port}"


@pytest.fixture
def black_hole() -> Iterator[str]:
    """An origin that neither accepts nor refuses a connection: its backlog is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = []
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
            waiting.append(one)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        for one in waiting:
            one.close()


def kept(queue: Queue, name: str, error: str, *, tried: bool, first_wait: float = 30.0) -> None:
    """A file is kept, for a reason, with or without the mark of an ambiguous attempt."""
    (found,) = queue.names
    assert (".tried-" in found, found.split(".")[0]) == (tried, name.split(".")[0])
    assert (queue.state.failures, queue.state.last_error) == (1, error)
    assert queue.wait is not None
    assert first_wait / 2 - 5 < queue.wait <= first_wait


def test_refused_connection_keeps_everything_without_a_mark(queue: Queue, closed_port: str) -> None:
    """Nothing was sent, so it may be kept for a week."""
    queue.host = closed_port
    name = queue.put().name
    assert queue.send() == 0
    kept(queue, name, "ConnectionError", tried=False)


@pytest.mark.extended
def test_connection_that_is_never_accepted_is_given_up_within_ten_seconds(
    queue: Queue, black_hole: str
) -> None:
    """A firewall that drops."""
    queue.host = black_hole
    name = queue.put().name
    began = time.monotonic()
    assert queue.send() == 0
    assert time.monotonic() - began < 10
    kept(queue, name, "ConnectTimeout", tried=False)


@pytest.mark.sample(0)
@pytest.mark.parametrize("what", ["headers", "body"])
def test_server_that_drips_is_given_up(what: str, queue: Queue, server: Server) -> None:
    """Each byte arrives in time, without end."""
    server.reply = Reply(drip=what)
    name = queue.put().name
    began = time.monotonic()
    assert queue.send(pause=3.0) == 3
    assert time.monotonic() - began < 10
    kept(queue, name, "deadline", tried=True, first_wait=300.0)


@pytest.mark.extended
def test_name_that_is_never_resolved_is_given_up(queue: Queue) -> None:
    """No timeout of the client's covers the resolver; nothing was sent."""
    before = "import socket, time\nsocket.getaddrinfo = lambda *a, **k: time.sleep(120)\n"
    queue.host = "https://events.example"
    name = queue.put().name
    began = time.monotonic()
    assert queue.send(pause=3.0, before=before) == 3
    assert time.monotonic() - began < 10
    kept(queue, name, "deadline", tried=False, first_wait=300.0)


@pytest.mark.extended
@pytest.mark.skipif(not hasattr(signal, "alarm"), reason="the platform has no alarm")
def test_sender_that_is_stuck_in_foreign_code_is_terminated_by_the_kernel(queue: Queue) -> None:
    """A loop in C lets no thread of ours run."""
    before = "import socket\nsocket.getaddrinfo = lambda *a, **k: any(iter(int, 1))\n"
    queue.host = "https://events.example"
    name = queue.put().name
    began = time.monotonic()
    assert queue.send(pause=1.0, before=before) == -signal.SIGALRM
    assert time.monotonic() - began < 15
    assert queue.names == [name]


def test_name_that_does_not_exist_keeps_everything_without_a_mark(queue: Queue) -> None:
    """Offline."""
    queue.host = "https://events.example"
    name = queue.put().name
    assert queue.send(before=OFFLINE) == 0
    kept(queue, name, "ConnectionError", tried=False)


@pytest.mark.extended
def test_page_of_a_captive_portal_is_not_an_acceptance(queue: Queue, server: Server) -> None:
    """A hotel's login page, with status 200."""
    pages = [
        Reply(body=b"<!DOCTYPE html><title>Welcome", headers={"Content-Type": "text/plain"}),
        Reply(body=b"Welcome", headers={"Content-Type": "text/html; charset=utf-8"}),
        Reply(body=gzip.compress(b"<html>"), headers={"Content-Encoding": "gzip"}),
        Reply(body=b"\xef\xbb\xbf\r\n<HTML>"),
    ]
    name = queue.put().name
    for page in pages:
        server.reply = page
        assert queue.send() == 0
        assert queue.names == [name]
        assert queue.state.last_error == "html"
    assert len(server.requests) == len(pages)


@pytest.mark.sample(1)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(status: int, queue: Queue, server: Server) -> None:
    """Neither the events nor the key go where a server points."""
    other = Server()
    other.start()
    try:
        server.reply = Reply(status, headers={"Location": other.url + "/v1/batch"})
        name = queue.put().name
        assert queue.send() == 0
        assert other.connections == 0
        kept(queue, name, f"http_{status}", tried=False, first_wait=3600.0)
    finally:
        other.stop()


@pytest.mark.sample(1)
@pytest.mark.parametrize("status", [400, 413, 422])
def test_message_that_a_server_rejects_is_dropped_alone(
    status: int, queue: Queue, server: Server
) -> None:
    """Its neighbours arrive, each once; it alone is dropped, and counted."""

    def reply(request: Request) -> Reply:
        bad = any(found["event"] == "Poison" for found in request.batch)
        return Reply(status, b'{"code":"x","message":"y"}') if bad else Reply()

    server.reply = reply
    good = messages_of(queue.put(events(6)))
    path = queue.put([*events(10)[:4], event("Poison", n=5), *events(10)[5:]])
    good += [found for found in messages_of(path) if found["event"] != "Poison"]
    assert queue.send() == 0
    assert queue.names == []
    accepted = [found for request in server.accepted for found in request.batch]
    assert accepted == good
    state = queue.state
    assert (state.delivered, state.rejected, state.dropped) == (15, 1, 0)
    assert (state.last_error, state.failures) == (f"http_{status}", 0)


def test_request_that_is_too_large_is_halved_until_it_fits(queue: Queue, server: Server) -> None:
    """413 is about the whole; what cannot be made smaller is dropped."""
    server.reply = lambda request: Reply(413) if len(json.dumps(request.body)) > 3000 else Reply()
    large = event("Large", n=21, p={"text": "x" * 4000})
    path = queue.put([*events(20)[:-1], large, NEXT])
    small = messages_of(path)[:-1]
    assert queue.send() == 0
    assert queue.names == []
    assert ids([m for r in server.accepted for m in r.batch]) == ids(small)
    assert (queue.state.delivered, queue.state.rejected) == (20, 1)


@pytest.mark.sample(1)
@pytest.mark.parametrize("status", [401, 403, 404])
def test_wrong_configuration_waits_longer(status: int, queue: Queue, server: Server) -> None:
    """A person must change it; the response was definite, so there is no mark."""
    server.reply = Reply(status)
    name = queue.put().name
    assert queue.send() == 0
    assert len(server.requests) == 1
    kept(queue, name, f"http_{status}", tried=False, first_wait=3600.0)


@pytest.mark.sample(2)
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 599])
def test_failing_server_is_retried_later(status: int, queue: Queue, server: Server) -> None:
    """One request a run, half a minute at first, and no mark."""
    server.reply = Reply(status, b"[" * 20_000)  # which the client would take for JSON
    name = queue.put().name
    assert queue.send() == 0
    assert len(server.requests) == 1
    kept(queue, name, f"http_{status}", tried=False)


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("4000", 3990, 4000),
        ("DATE", 3980, 4001),
        ("-5", 14, 30),
        ("soon", 14, 30),
        ("9" * 400, 86_390, 86_400),
    ],
)
def test_retry_after_is_obeyed(
    header: str, least: float, most: float, queue: Queue, server: Server
) -> None:
    """A number, a date, nothing usable, and never more than a day."""
    value = formatdate(time.time() + 4000, usegmt=True) if header == "DATE" else header
    server.reply = Reply(429, headers={"Retry-After": value})
    queue.put()
    assert queue.send() == 0
    assert queue.wait is not None
    assert least <= queue.wait <= most


def test_reset_in_the_middle_of_the_request_keeps_everything(queue: Queue, server: Server) -> None:
    """It arrives once when the server has recovered."""
    server.early = Reply(reset=True)
    # Too random for gzip, too large for a socket's buffer.
    texts = [event("X", n=n, p={"text": os.urandom(9000).hex()}) for n in range(2, 22)]
    expected = messages_of(queue.put([begin(), *texts, NEXT]))
    assert queue.send() == 0
    assert len(queue.names) == 1
    assert server.requests == []
    assert queue.send() == 0
    assert server.messages == expected
    assert len(server.accepted) == 1


def test_reset_after_the_request_sends_the_same_again(queue: Queue, server: Server) -> None:
    """It may have arrived: the same bytes are sent again, and the file is marked."""
    server.reply = Reply(reset=True)
    name = queue.put([begin()]).name
    assert queue.send() == 0
    kept(queue, name, "ConnectionError", tried=True)
    (first,) = queue.names
    assert queue.send() == 0
    assert queue.names == [first], "the mark is that of the first attempt"
    server.reply = Reply()
    assert queue.send() == 0
    batches = [json.dumps(request.batch) for request in server.requests]
    assert len(batches) == 3
    assert len(set(batches)) == 1
    assert queue.names == []


def test_acceptance_with_an_incomplete_body_is_not_one(queue: Queue, server: Server) -> None:
    """Half of an HTML page looks like half of a response."""
    server.reply = Reply(body=b'{"success":true}' * 500, cut=True)
    name = queue.put().name
    assert queue.send() == 0
    kept(queue, name, queue.state.last_error or "", tried=True)


def test_failure_with_an_incomplete_body_is_a_failure(queue: Queue, server: Server) -> None:
    """Only its status is needed."""
    server.reply = Reply(503, body=b"x" * 5000, cut=True)
    name = queue.put().name
    assert queue.send() == 0
    kept(queue, name, "http_503", tried=False)


def test_response_without_end_is_not_read_to_its_end(queue: Queue, server: Server) -> None:
    """64 KB of it are enough."""
    server.reply = Reply(body=b" " * 65_536, endless=True)
    queue.put()
    began = time.monotonic()
    assert queue.send() == 0
    assert time.monotonic() - began < 10
    assert queue.names == []


@pytest.mark.extended
@pytest.mark.skipif(sys.platform != "linux", reason="reads its memory in /proc")
def test_compressed_response_is_not_inflated(queue: Queue, server: Server) -> None:
    """A gigabyte in a megabyte, with an error, which the client would read in full."""
    bomb = gzip.compress(b"\0" * (1 << 28), 9)
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    server.reply = Reply(500, body=bomb * 4, headers=headers)
    name = queue.put().name
    began = time.monotonic()
    peak = queue.path.parent / "peak"
    assert queue.send(before=writing_peak(peak)) == 0
    assert time.monotonic() - began < 10
    kept(queue, name, "http_500", tried=False)
    assert peak_of(peak) < MAX_MEMORY


def test_memory_is_limited(queue: Queue, server: Server) -> None:
    """Whatever a server sends: the sender fails before the machine is affected."""
    before = (
        "import gzip\n"
        "class Greedy(gzip.GzipFile):\n"
        "    def __init__(self, *a, **k):\n"
        "        self.hoard = bytearray(1 << 30)\n"
        "gzip.GzipFile = Greedy\n"
    )
    name = queue.put().name
    assert queue.send(before=before) == 0
    kept(queue, name, "MemoryError", tried=False)


def test_credentials_of_netrc_are_never_sent(queue: Queue, server: Server, tmp_path: Path) -> None:
    """A `default` entry is for every host, by its manual."""
    netrc = tmp_path / ".netrc"
    netrc.write_text("default login jane password hunter2\n")
    netrc.chmod(0o600)
    before = f"import os\nos.environ.update(HOME={str(tmp_path)!r}, NETRC={str(netrc)!r})\n"
    queue.put()
    assert queue.send(before=before) == 0
    (request,) = server.requests
    assert request.headers["Authorization"] == "Basic a2V5Og=="
    assert request.body["writeKey"] == "key"


def test_token_is_sent_as_a_bearer_and_nothing_else_is(
    queue: Queue, server: Server, tmp_path: Path
) -> None:
    """Neither replaced by a netrc's, nor sent with the write key's credentials."""
    netrc = tmp_path / ".netrc"
    netrc.write_text("default login jane password hunter2\n")
    before = f"import os\nos.environ.update(HOME={str(tmp_path)!r}, NETRC={str(netrc)!r})\n"
    queue.put()
    assert queue.send(before=before, token="t0ken", write_key="") == 0
    (request,) = server.requests
    assert request.headers["Authorization"] == "Bearer t0ken"


def test_event_whose_attempt_is_ambiguous_for_too_long_is_dropped_and_counted(
    queue: Queue, server: Server
) -> None:
    """Segment would not recognise its ID after a day."""
    now = int(time.time())
    queue.put(age=86_400, marks=f".tried-{now - 21 * 3600}")
    young = messages_of(queue.put(age=86_400, marks=f".tried-{now - 19 * 3600}"))
    fresh = messages_of(queue.put())
    assert queue.send() == 0
    assert queue.names == []
    (request,) = server.accepted
    assert request.batch[:2] == young, "what may have arrived is sent as it was"
    assert request.batch[2]["properties"].pop("dropped") == 2
    assert request.batch[2:] == fresh
    assert queue.state.dropped == 2


def test_month_offline_keeps_a_week(queue: Queue, server: Server) -> None:
    """Older ones are dropped and counted, once."""
    day = 86_400.0
    for age in (30, 20, 8, 7.01):
        queue.put(age=age * day)
    for age in (6.9, 3, 0):
        queue.put(age=age * day)
    assert queue.send() == 0
    assert queue.names == []
    reported = [m["properties"]["dropped"] for m in server.messages if "dropped" in m["properties"]]
    assert (len(server.messages), reported) == (6, [8])
    queue.put()
    assert queue.send() == 0
    reported = [m["properties"]["dropped"] for m in server.messages if "dropped" in m["properties"]]
    assert (len(server.messages), reported) == (8, [8])
    assert (queue.state.dropped, queue.state.delivered) == (8, 8)


@pytest.mark.extended
def test_requests_are_as_large_as_segment_accepts(queue: Queue, server: Server) -> None:
    """At most 100 messages and 400 kB; a message over 32 KB is dropped and counted."""
    for _ in range(130):
        queue.put()
    queue.put(events(16, text="x" * 30_000))
    queue.put([begin(), event("Exported", p={"text": "x" * 32_500}), NEXT])
    queue.put()
    assert queue.send() == 0
    assert queue.names == []
    sizes = [len(request.batch) for request in server.accepted]
    assert sum(sizes) == 130 * 2 + 16 + 1 + 2
    assert max(sizes) <= 100
    assert len(sizes) <= 6
    assert all(len(json.dumps(request.batch)) <= 400_000 for request in server.accepted)
    assert queue.state.dropped == 1
    queue.put()
    assert queue.send() == 0
    reported = [m["properties"]["dropped"] for m in server.messages if "dropped" in m["properties"]]
    assert reported == [1]


def test_loopback_server_is_reached_without_a_proxy(queue: Queue, server: Server) -> None:
    """It would find its own machine, not this one."""
    queue.put()
    proxies = {"HTTP_PROXY": "http://127.0.0.1:9", "all_proxy": "http://127.0.0.1:9"}
    assert queue.send(env=proxies) == 0
    assert len(server.messages) == 2
