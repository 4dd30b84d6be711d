"""The receiver responds as Segment's HTTP API does, also to invalid requests."""

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
    """Status and JSON of the response; a body that is not bytes is sent as JSON."""
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
    """The response to bytes that need not be HTTP."""
    with socket.create_connection(address(receiver), timeout=10) as connection:
        connection.sendall(content)
        connection.shutdown(socket.SHUT_WR)
        response = b""
        while piece := connection.recv(4096):
            response += piece
        return response


def test_a_gzipped_batch_is_kept_unchanged(receiver: Receiver) -> None:
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


def test_a_repeated_message_is_kept_once(receiver: Receiver) -> None:
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
def test_an_invalid_message_is_rejected(
    receiver: Receiver, body: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    """It gets a 400, is neither kept nor printed, and the next batch is accepted."""
    status, response = send(receiver, body)
    assert (status, response["success"]) == (400, False)
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
def test_a_body_with_a_wrong_encoding_is_rejected(
    receiver: Receiver, body: bytes, encoding: str
) -> None:
    """A broken or unknown encoding gets a 400."""
    status, response = send(receiver, body, Content_Encoding=encoding)
    assert (status, response["success"]) == (400, False)


def test_a_body_over_the_limit_is_rejected_with_a_response(receiver: Receiver) -> None:
    """A client that sends too much gets the reason, and not a reset connection."""
    padding = "x" * 4 * 1024 * 1024  # more than both ends of a connection buffer
    status, response = send(receiver, {"batch": [track("One", padding=padding)]})
    assert (status, response["success"]) == (400, False)
    assert str(MAX_BODY) in response["message"]
    assert receiver.messages == []


def test_a_gzip_bomb_is_rejected(receiver: Receiver) -> None:
    """A small body is not decompressed beyond the limit."""
    bomb = gzip.compress(b" " * 50_000_000, 1)
    assert len(bomb) < MAX_BODY
    tracemalloc.start()
    try:
        status, response = send(receiver, bomb, Content_Encoding="gzip")
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
    assert (status, response["success"]) == (400, False)


def test_an_unknown_path_is_not_found(receiver: Receiver) -> None:
    """The response is a 404 that lists the paths of Segment's API."""
    status, response = send(receiver, {"batch": []}, "/v2/batch")
    assert (status, response["success"]) == (404, False)
    assert "/v1/batch" in response["message"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_only_post_requests_are_accepted(receiver: Receiver, method: str) -> None:
    """A browser gets JSON, and not a page."""
    status, response = send(receiver, b"", method=method)
    assert (status, response["success"]) == (501, False)


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
def test_an_invalid_request_has_no_effect(
    receiver: Receiver, content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    """A port scanner or a client that disconnects causes no traceback and no message."""
    assert b'"success": true' not in raw(receiver, content)
    assert receiver.messages == []
    assert send(receiver, {"batch": [track("One")]})[0] == 200
    assert capfd.readouterr() == ("", "")


def test_a_reset_connection_has_no_effect(
    receiver: Receiver, capfd: pytest.CaptureFixture[str]
) -> None:
    """If a sender is killed while it posts, the receiver still listens and prints nothing."""
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


def test_the_port_is_closed_afterwards() -> None:
    """After the run the port is closed."""
    with Receiver() as receiver:
        assert send(receiver, {"batch": []}) == (200, {"success": True})
    with pytest.raises(ConnectionRefusedError):
        send(receiver, {"batch": []})


def test_two_receivers_are_independent() -> None:
    """Two simultaneous watched runs receive their own events each."""
    with Receiver() as one, Receiver() as other:
        send(one, {"batch": [track("One")]})
        assert [message["event"] for message in one.messages] == ["One"]
        assert other.messages == []
