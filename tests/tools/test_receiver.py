"""The receiver: as Segment's HTTP API to a client, and unmoved by everybody else."""

from __future__ import annotations

import gzip
import http.client
import itertools
import json
import socket
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from click_telemetry._tools.receiver import MAX_BODY, PATHS, Receiver

from ..harness.messages import track


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def address(receiver: Receiver) -> tuple[str, int]:
    host, _, port = receiver.origin.removeprefix("http://").partition(":")
    return host, int(port)


def send(
    receiver: Receiver,
    body: object,
    path: str = "/v1/batch",
    method: str = "POST",
    **headers: str,
) -> tuple[int, Any]:
    """Status and JSON of the answer; a body that is no bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection = http.client.HTTPConnection(*address(receiver), timeout=10)
    try:
        connection.request(
            method, path, content, {k.replace("_", "-"): v for k, v in headers.items()}
        )
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def raw(receiver: Receiver, content: bytes) -> bytes:
    """What comes back for bytes that need not be HTTP."""
    with socket.create_connection(address(receiver), timeout=10) as connection:
        connection.sendall(content)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(4096):
            answer += piece
        return answer


def test_a_gzipped_batch_is_kept_as_it_came(receiver: Receiver) -> None:
    """What segment-analytics-python posts is accepted and kept, in its order."""
    messages = [track("One"), track("Two", sequence=2)]
    body = gzip.compress(json.dumps({"batch": messages, "writeKey": "watch"}).encode())
    assert send(receiver, body, Content_Encoding="gzip") == (200, {"success": True})
    assert receiver.messages == messages


@pytest.mark.parametrize("path", [path for path in PATHS if path != "/v1/batch"])
def test_each_call_of_the_api_has_its_path(receiver: Receiver, path: str) -> None:
    """A single message is kept with the type of its path."""
    kind = path.removeprefix("/v1/")
    body = {"userId": "ada", "event": "One"} if kind == "track" else {"userId": "ada"}
    assert send(receiver, body, path + "?debug=1") == (200, {"success": True})
    assert receiver.messages == [{"type": kind, **body}]


def test_a_message_that_comes_again_is_kept_once(receiver: Receiver) -> None:
    """A repetition has the same message ID, and counts once, as with Segment."""
    message = track("One")
    for _ in range(2):
        assert send(receiver, {"batch": [message]})[0] == 200
    assert receiver.messages == [message]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'"batch"',
        b"{}",
        b'{"batch": {}}',
        b'{"batch": [1]}',
        b'{"batch": [{}]}',
        b'{"batch": [{"type": "track"}]}',
        b'{"batch": [{"type": "track", "event": ""}]}',
        b'{"batch": [{"type": "track", "event": 7}]}',
        b'{"batch": [{"type": "delete", "userId": "ada"}]}',
        b'{"batch": [{"type": ["track"], "event": "One"}]}',
        b'{"batch": [{"type": "track", "event": "One", "properties": []}]}',
        b'{"batch": [{"type": "identify", "traits": "x"}]}',
        b'{"batch": [{"type": "track", "event": "One", "context": 1}]}',
        b'{"batch": [{"type": "track", "event": "One", "properties": {"x": NaN}}]}',
        b'{"batch": [{"type": "track", "event": "One", "properties": {"x": 1e999}}]}',
        b'{"batch": [{"type": "track", "event": "One", "properties": {"x": '
        + b"9" * 5000
        + b"}}]}",
        b"[" * 100_000 + b"]" * 100_000,
    ],
    ids=itertools.count(),
)
def test_what_is_no_message_is_refused(
    receiver: Receiver, body: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    """Junk is answered 400, kept nowhere and printed nowhere; the next batch is welcome."""
    status, answer = send(receiver, body)
    assert (status, answer["success"]) == (400, False)
    assert receiver.messages == []
    assert send(receiver, {"batch": [track("One")]})[0] == 200
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"no gzip", "gzip"),
        (gzip.compress(b'{"batch": []}')[:-9], "gzip"),
        (gzip.compress(b'{"batch": []}') + b"more", "gzip"),
        (b'{"batch": []}', "br"),
        (gzip.compress(b'{"batch": []}'), ""),
    ],
    ids=("no gzip", "cut short", "goes on", "unknown", "not declared"),
)
def test_a_body_that_is_not_what_it_says_is_refused(
    receiver: Receiver, body: bytes, encoding: str
) -> None:
    """A broken or unknown encoding is junk like any other."""
    status, answer = send(receiver, body, Content_Encoding=encoding)
    assert (status, answer["success"]) == (400, False)


def test_a_body_over_the_limit_is_refused_with_an_answer(receiver: Receiver) -> None:
    """A client that sends too much reads why, rather than see its connection reset."""
    padding = "x" * 4 * 1024 * 1024  # more than both ends of a connection buffer
    status, answer = send(receiver, {"batch": [track("One", padding=padding)]})
    assert (status, answer["success"]) == (400, False)
    assert str(MAX_BODY) in answer["message"]
    assert receiver.messages == []


def test_a_small_body_that_unpacks_to_a_giant_is_refused(receiver: Receiver) -> None:
    """A gzip bomb is not unpacked beyond the limit."""
    bomb = gzip.compress(b" " * 50_000_000, 1)
    assert len(bomb) < MAX_BODY
    tracemalloc.start()
    try:
        status, answer = send(receiver, bomb, Content_Encoding="gzip")
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
    assert (status, answer["success"]) == (400, False)


def test_there_is_nothing_at_another_path(receiver: Receiver) -> None:
    """A path that Segment's API does not have is answered 404, and named the ones that it has."""
    status, answer = send(receiver, {"batch": []}, "/v2/batch")
    assert (status, answer["success"]) == (404, False)
    assert "/v1/batch" in answer["message"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_only_posts_are_answered_well(receiver: Receiver, method: str) -> None:
    """A browser gets JSON, and no page."""
    status, answer = send(receiver, b"", method=method)
    assert (status, answer["success"]) == (501, False)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"POST\r\n\r\n",
        b"POST /v1/batch HTTP/9.9\r\n\r\n",
        b"POST /v1/batch HTTP/1.1\r\n\r\n",
        b"POST /v1/batch HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/batch HTTP/1.1\r\nContent-Length: 1e3\r\n\r\n",
        b"POST /v1/batch HTTP/1.1\r\nContent-Length: 100\r\n\r\n{}",
        b"POST /v1/batch HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n{}",
        b"POST /v1/batch HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"POST /v1/batch HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"POST /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n",
    ],
    ids=itertools.count(),
)
def test_what_is_no_request_disturbs_nobody(
    receiver: Receiver, content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    """A port scanner, or a client that breaks off, leaves no traceback and no message."""
    assert b'"success": true' not in raw(receiver, content)
    assert receiver.messages == []
    assert send(receiver, {"batch": [track("One")]})[0] == 200
    assert capfd.readouterr() == ("", "")


def test_a_client_that_resets_its_connection_disturbs_nobody(
    receiver: Receiver, capfd: pytest.CaptureFixture[str]
) -> None:
    """A sender that is killed while it posts leaves the receiver listening and silent."""
    for _ in range(5):
        connection = socket.create_connection(address(receiver))
        connection.sendall(b"POST /v1/batch HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()
    assert send(receiver, {"batch": [track("One")]})[0] == 200
    assert len(receiver.messages) == 1
    assert capfd.readouterr() == ("", "")


def test_it_listens_on_loopback_alone(receiver: Receiver) -> None:
    """No other machine can reach a watched run."""
    assert receiver.origin.startswith("http://127.0.0.1:")
    host, port = address(receiver)
    with socket.create_connection((host, port)) as connection:
        assert connection.getpeername()[0] == "127.0.0.1"
    with pytest.raises((ConnectionRefusedError, TimeoutError)):
        socket.create_connection(("127.0.0.2", port), 1)


def test_it_is_gone_when_it_is_left() -> None:
    """After the run the port is closed."""
    with Receiver() as receiver:
        assert send(receiver, {"batch": []}) == (200, {"success": True})
    with pytest.raises(ConnectionRefusedError):
        send(receiver, {"batch": []})


def test_two_receivers_do_not_meet() -> None:
    """Two watched runs at a time each see their own events."""
    with Receiver() as one, Receiver() as other:
        send(one, {"batch": [track("One")]})
        assert [message["event"] for message in one.messages] == ["One"]
        assert other.messages == []
