"""Whatever a network or a server does, events are kept and come once: real senders and sockets."""

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

from ..harness.direct import OFFLINE, Spool, message, pair
from ..harness.server import Reply, Request, Server

pytestmark = pytest.mark.contract


def ids(messages: list[dict[str, Any]]) -> list[str]:
    return [found["messageId"] for found in messages]


@pytest.fixture
def nobody() -> str:
    """An origin where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    return f"http://127.0.0.1:{port}"


@pytest.fixture
def black_hole() -> Iterator[str]:
    """An origin that takes no connection and refuses none: its backlog is full."""
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


def kept(spool: Spool, name: str, error: str, *, tried: bool, first_wait: float = 30.0) -> None:
    """A file waits, for a reason, and with or without a clock that runs."""
    (found,) = spool.names
    assert (".tried-" in found, found.split(".")[0]) == (tried, name.split(".")[0])
    assert (spool.standing.failures, spool.standing.last_error) == (1, error)
    assert spool.wait is not None
    assert first_wait / 2 - 5 < spool.wait <= first_wait


def test_refused_connection_keeps_everything_and_starts_no_clock(spool: Spool, nobody: str) -> None:
    """Nobody listens: nothing left, so it may wait for a week (rows 39, 56)."""
    spool.host = nobody
    name = spool.put().name
    assert spool.send() == 0
    kept(spool, name, "ConnectionError", tried=False)


def test_connection_that_is_never_accepted_is_given_up_within_ten_seconds(
    spool: Spool, black_hole: str
) -> None:
    """A firewall that drops (row 40)."""
    spool.host = black_hole
    name = spool.put().name
    began = time.monotonic()
    assert spool.send() == 0
    assert time.monotonic() - began < 10
    kept(spool, name, "ConnectTimeout", tried=False)


@pytest.mark.parametrize("what", ["headers", "body"])
def test_server_that_drips_is_left_at_the_deadline(what: str, spool: Spool, server: Server) -> None:
    """Each byte comes in time, and there is no end of them (row 41)."""
    server.reply = Reply(drip=what)
    name = spool.put().name
    began = time.monotonic()
    assert spool.send(deadline=3.0) == 3
    assert time.monotonic() - began < 10
    kept(spool, name, "deadline", tried=True, first_wait=300.0)


def test_name_that_is_never_resolved_is_left_at_the_deadline(spool: Spool) -> None:
    """No timeout of the client's covers the resolver; nothing left (row 42)."""
    before = "import socket, time\nsocket.getaddrinfo = lambda *a, **k: time.sleep(120)\n"
    spool.host = "https://events.example"
    name = spool.put().name
    began = time.monotonic()
    assert spool.send(deadline=3.0, before=before) == 3
    assert time.monotonic() - began < 10
    kept(spool, name, "deadline", tried=False, first_wait=300.0)


@pytest.mark.skipif(not hasattr(signal, "alarm"), reason="the platform has no alarm")
def test_sender_that_is_stuck_in_foreign_code_is_ended_by_the_kernel(spool: Spool) -> None:
    """A loop in C lets no thread of ours run (row 42)."""
    before = "import socket\nsocket.getaddrinfo = lambda *a, **k: any(iter(int, 1))\n"
    spool.host = "https://events.example"
    name = spool.put().name
    began = time.monotonic()
    assert spool.send(deadline=1.0, before=before) == -signal.SIGALRM
    assert time.monotonic() - began < 15
    assert spool.names == [name]


def test_name_that_does_not_exist_keeps_everything_and_starts_no_clock(spool: Spool) -> None:
    """Offline (row 42)."""
    spool.host = "https://events.example"
    name = spool.put().name
    assert spool.send(before=OFFLINE) == 0
    kept(spool, name, "ConnectionError", tried=False)


def test_page_of_a_captive_portal_is_no_acceptance(spool: Spool, server: Server) -> None:
    """A hotel's welcome, with status 200 (row 45)."""
    pages = [
        Reply(body=b"<!DOCTYPE html><title>Welcome", headers={"Content-Type": "text/plain"}),
        Reply(body=b"Welcome", headers={"Content-Type": "text/html; charset=utf-8"}),
        Reply(body=gzip.compress(b"<html>"), headers={"Content-Encoding": "gzip"}),
        Reply(body=b"\xef\xbb\xbf\r\n<HTML>"),
    ]
    name = spool.put().name
    for page in pages:
        server.reply = page
        assert spool.send() == 0
        assert spool.names == [name]
        assert spool.standing.last_error == "html"
    assert len(server.requests) == len(pages)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(status: int, spool: Spool, server: Server) -> None:
    """Neither the events nor the key go where a server points (row 46)."""
    other = Server()
    other.start()
    try:
        server.reply = Reply(status, headers={"Location": other.url + "/v1/batch"})
        name = spool.put().name
        assert spool.send() == 0
        assert other.connections == 0
        kept(spool, name, f"http_{status}", tried=False, first_wait=3600.0)
    finally:
        other.stop()


@pytest.mark.parametrize("status", [400, 413, 422])
def test_message_that_a_server_will_never_take_is_cut_out(
    status: int, spool: Spool, server: Server
) -> None:
    """Its neighbours arrive, each once; it alone is dropped, and counted (row 47)."""
    poison = message("Poison")

    def reply(request: Request) -> Reply:
        bad = poison["messageId"] in ids(request.batch)
        return Reply(status, b'{"code":"x","message":"y"}') if bad else Reply()

    server.reply = reply
    good = [found for _ in range(8) for found in pair()]
    spool.put(good[:6])
    spool.put([*good[6:9], poison, *good[9:]])
    assert spool.send() == 0
    assert spool.names == []
    accepted = [found for request in server.accepted for found in request.batch]
    assert accepted == good
    standing = spool.standing
    assert (standing.delivered, standing.refused, standing.dropped) == (16, 1, 0)
    assert (standing.last_error, standing.failures) == (f"http_{status}", 0)


def test_request_that_is_too_large_is_halved_until_it_fits(spool: Spool, server: Server) -> None:
    """413 means the whole; what cannot be made smaller is dropped (row 50)."""
    server.reply = lambda request: Reply(413) if len(json.dumps(request.body)) > 3000 else Reply()
    small = [message("Small") for _ in range(20)]
    spool.put([*small, message("Large", text="x" * 4000)])
    assert spool.send() == 0
    assert spool.names == []
    assert ids([m for r in server.accepted for m in r.batch]) == ids(small)
    assert (spool.standing.delivered, spool.standing.refused) == (20, 1)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_configuration_is_waited_for_longer(status: int, spool: Spool, server: Server) -> None:
    """Only people can mend it; the answer was definite, so no clock runs (row 48)."""
    server.reply = Reply(status)
    name = spool.put().name
    assert spool.send() == 0
    assert len(server.requests) == 1
    kept(spool, name, f"http_{status}", tried=False, first_wait=3600.0)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 599])
def test_servers_own_trouble_is_waited_for(status: int, spool: Spool, server: Server) -> None:
    """One request a run, half a minute at first, and no clock (row 52)."""
    server.reply = Reply(status, b"[" * 20_000)  # which the client would take for JSON
    name = spool.put().name
    assert spool.send() == 0
    assert len(server.requests) == 1
    kept(spool, name, f"http_{status}", tried=False)


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
def test_server_says_when_to_come_again(
    header: str, least: float, most: float, spool: Spool, server: Server
) -> None:
    """A number, a date, nothing usable, and never more than a day (row 51)."""
    value = formatdate(time.time() + 4000, usegmt=True) if header == "DATE" else header
    server.reply = Reply(429, headers={"Retry-After": value})
    spool.put()
    assert spool.send() == 0
    assert spool.wait is not None
    assert least <= spool.wait <= most


def test_reset_in_the_middle_of_the_request_keeps_everything(spool: Spool, server: Server) -> None:
    """It comes once when the server is well again (row 53)."""
    server.early = Reply(reset=True)
    # Too random for gzip, too large for a socket's buffer.
    said = [message("Exported", n=n, text=os.urandom(9000).hex()) for n in range(20)]
    spool.put(said)
    assert spool.send() == 0
    assert len(spool.names) == 1
    assert server.requests == []
    assert spool.send() == 0
    assert server.messages == said
    assert len(server.accepted) == 1


def test_reset_after_the_request_sends_the_same_again(spool: Spool, server: Server) -> None:
    """Nobody knows whether it arrived: once more, byte for byte, and a clock runs (row 53)."""
    server.reply = Reply(reset=True)
    name = spool.put([message("Command Invoked")]).name
    assert spool.send() == 0
    kept(spool, name, "ConnectionError", tried=True)
    (first,) = spool.names
    assert spool.send() == 0
    assert spool.names == [first], "the clock runs since the first of them"
    server.reply = Reply()
    assert spool.send() == 0
    batches = [json.dumps(request.batch) for request in server.requests]
    assert len(batches) == 3
    assert len(set(batches)) == 1
    assert spool.names == []


def test_acceptance_that_breaks_off_is_asked_for_again(spool: Spool, server: Server) -> None:
    """Half a page cannot be told from half an answer."""
    server.reply = Reply(body=b'{"success":true}' * 500, cut=True)
    name = spool.put().name
    assert spool.send() == 0
    kept(spool, name, spool.standing.last_error or "", tried=True)


def test_refusal_that_breaks_off_is_a_refusal(spool: Spool, server: Server) -> None:
    """Its status is all that matters of it."""
    server.reply = Reply(503, body=b"x" * 5000, cut=True)
    name = spool.put().name
    assert spool.send() == 0
    kept(spool, name, "http_503", tried=False)


def test_answer_without_end_is_not_read_to_its_end(spool: Spool, server: Server) -> None:
    """64 KB of it are enough (row 54)."""
    server.reply = Reply(body=b" " * 65_536, endless=True)
    spool.put()
    began = time.monotonic()
    assert spool.send() == 0
    assert time.monotonic() - began < 10
    assert spool.names == []


@pytest.mark.skipif(sys.platform != "linux", reason="reads its memory in /proc")
def test_answer_that_unpacks_without_end_is_not_unpacked(spool: Spool, server: Server) -> None:
    """A gigabyte in a megabyte, with an error, which the client would read whole (row 54)."""
    bomb = gzip.compress(b"\0" * (1 << 28), 9)
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    server.reply = Reply(500, body=bomb * 4, headers=headers)
    name = spool.put().name
    began = time.monotonic()
    peak = spool.path.parent / "peak"
    before = (
        "import atexit\n"
        "def note():\n"
        f"    with open('/proc/self/status') as status, open({str(peak)!r}, 'w') as peak:\n"
        "        peak.write(status.read())\n"
        "atexit.register(note)\n"
    )
    assert spool.send(before=before) == 0
    assert time.monotonic() - began < 10
    kept(spool, name, "http_500", tried=False)
    (most,) = [line for line in peak.read_text().splitlines() if line.startswith("VmHWM")]
    assert int(most.split()[1]) < 100_000, most


def test_memory_has_a_limit(spool: Spool, server: Server) -> None:
    """Whatever else a server thinks of: the sender dies before the machine suffers (row 54)."""
    before = (
        "import gzip\n"
        "class Greedy(gzip.GzipFile):\n"
        "    def __init__(self, *a, **k):\n"
        "        self.hoard = bytearray(1 << 30)\n"
        "gzip.GzipFile = Greedy\n"
    )
    name = spool.put().name
    assert spool.send(before=before) == 0
    kept(spool, name, "MemoryError", tried=False)


def test_credentials_of_netrc_never_leave(spool: Spool, server: Server, tmp_path: Path) -> None:
    """A `default` entry is for every host, says its manual (row 55)."""
    netrc = tmp_path / ".netrc"
    netrc.write_text("default login jane password hunter2\n")
    netrc.chmod(0o600)
    before = f"import os\nos.environ.update(HOME={str(tmp_path)!r}, NETRC={str(netrc)!r})\n"
    spool.put()
    assert spool.send(before=before) == 0
    (request,) = server.requests
    assert request.headers["Authorization"] == "Basic a2V5Og=="
    assert request.body["writeKey"] == "key"


def test_token_goes_as_a_bearer_and_nothing_else_does(
    spool: Spool, server: Server, tmp_path: Path
) -> None:
    """Neither replaced by a netrc's, nor beside the write key's credentials (rows 48, 55)."""
    netrc = tmp_path / ".netrc"
    netrc.write_text("default login jane password hunter2\n")
    before = f"import os\nos.environ.update(HOME={str(tmp_path)!r}, NETRC={str(netrc)!r})\n"
    spool.put()
    assert spool.send(before=before, token="t0ken", write_key="") == 0
    (request,) = server.requests
    assert request.headers["Authorization"] == "Bearer t0ken"


def test_event_whose_attempt_has_been_open_too_long_is_dropped_and_counted(
    spool: Spool, server: Server
) -> None:
    """Segment would not know it again after a day (row 56)."""
    now = int(time.time())
    spool.put(age=86_400, marks=f".tried-{now - 21 * 3600}")
    young = spool.put(age=86_400, marks=f".tried-{now - 19 * 3600}")
    fresh = pair()
    spool.put(fresh)
    said = young.read_bytes()
    assert spool.send() == 0
    assert spool.names == []
    (request,) = server.accepted
    assert [json.dumps(m, separators=(",", ":")).encode() for m in request.batch[:2]] == (
        said.splitlines()
    ), "what may have arrived is sent as it was"
    assert request.batch[2]["properties"].pop("dropped") == 2
    assert request.batch[2:] == fresh
    assert spool.standing.dropped == 2


def test_month_offline_keeps_a_week(spool: Spool, server: Server) -> None:
    """Older ones are dropped and counted, once (row 56)."""
    day = 86_400.0
    for age in (30, 20, 8, 7.01):
        spool.put(age=age * day)
    for age in (6.9, 3, 0):
        spool.put(age=age * day)
    assert spool.send() == 0
    assert spool.names == []
    reported = [m["properties"]["dropped"] for m in server.messages if "dropped" in m["properties"]]
    assert (len(server.messages), reported) == (6, [8])
    spool.put()
    assert spool.send() == 0
    reported = [m["properties"]["dropped"] for m in server.messages if "dropped" in m["properties"]]
    assert (len(server.messages), reported) == (8, [8])
    assert (spool.standing.dropped, spool.standing.delivered) == (8, 8)


def test_requests_are_as_large_as_segment_takes(spool: Spool, server: Server) -> None:
    """At most 100 messages and 400 kB; a message over 32 KB is dropped and counted."""
    for _ in range(130):
        spool.put()
    spool.put([message("Exported", n=n, text="x" * 30_000) for n in range(16)])
    spool.put([message("Exported", text="x" * 33_000)])
    spool.put()
    assert spool.send() == 0
    assert spool.names == []
    sizes = [len(request.batch) for request in server.accepted]
    assert sum(sizes) == 130 * 2 + 16 + 2
    assert max(sizes) <= 100
    assert len(sizes) <= 6
    assert all(len(json.dumps(request.batch)) <= 400_000 for request in server.accepted)
    assert spool.standing.dropped == 1
    reported = [m["properties"]["dropped"] for m in server.messages if "dropped" in m["properties"]]
    assert reported == [1]


def test_loopback_server_is_reached_without_a_proxy(spool: Spool, server: Server) -> None:
    """It would find its own machine, not this one."""
    spool.put()
    proxies = {"HTTP_PROXY": "http://127.0.0.1:9", "all_proxy": "http://127.0.0.1:9"}
    assert spool.send(env=proxies) == 0
    assert len(server.messages) == 2
