"""Responses that are incomplete, connections that are closed, credentials: real sockets."""

from __future__ import annotations

import socket
import struct
import sys
import time
from pathlib import Path

import pytest

from ..harness.facts import ANONYMOUS
from ..harness.queue import Queue
from ..harness.raw import RawServer
from ..harness.server import Reply, Server

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform != "linux", reason="file locks and signals of Linux"),
]


def put_for_two_requests(queue: Queue) -> None:
    for _ in range(60):
        queue.put()


ACCEPTANCE = b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Type: application/json\r\n\r\n"


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    "response",
    [
        *(ACCEPTANCE[:cut] for cut in (5, 13, 15, 17, 25, 40, 59, 60, 61)),
        b'{"success":true}',
        b"HTTP/0.9 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nServ",
        b"",
    ],
)
def test_response_that_is_incomplete_is_not_an_acceptance(response: bytes, queue: Queue) -> None:
    """Broken off within its headers or its body, or HTTP/0.9: the messages are sent again."""
    acceptance = [False]

    def answer(connection: socket.socket, number: int) -> bool:
        connection.sendall(ACCEPTANCE if acceptance[0] else response)
        return False

    server = RawServer(answer)
    queue.host = server.url
    name = queue.put().name
    assert queue.send() == 0
    (kept,) = queue.names
    assert (kept[:53], ".tried-" in kept) == (name[:53], True)
    assert (queue.state.failures, queue.state.delivered) == (1, 0)
    assert len(server.requests) == 1
    acceptance[0] = True
    assert queue.send() == 0
    assert (queue.names, queue.state.delivered) == ([], 2)
    server.stop()


def test_connection_that_is_closed_between_two_requests_delays_nothing(queue: Queue) -> None:
    """A server's keep-alive ends at the moment of the second request: it is sent again at once."""

    def answer(connection: socket.socket, number: int) -> bool:
        if number == 1:
            body = b'{"success":true}'
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
            )
            return True
        linger = struct.pack("ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        return False  # the second request on this connection is read and then reset

    server = RawServer(answer)
    queue.host = server.url
    put_for_two_requests(queue)
    began = time.monotonic()
    assert queue.send() == 0
    assert time.monotonic() - began < 5
    assert (queue.names, queue.wait) == ([], None)
    assert (queue.state.delivered, queue.state.failures) == (120, 0)
    assert (server.connections, len(server.requests)) == (2, 3)
    server.stop()


def test_new_connection_that_is_closed_is_a_failure(queue: Queue) -> None:
    """One attempt a run: only an idle connection is replaced at once."""
    server = RawServer(lambda connection, number: False)
    queue.host = server.url
    queue.put()
    assert queue.send() == 0
    assert (len(queue.names), server.connections) == (1, 1)
    assert queue.state.last_error == "ConnectionError"
    server.stop()


def test_connection_that_cannot_be_made_is_tried_once(queue: Queue, tmp_path: Path) -> None:
    """A refused connection is not an idle one that was closed."""
    attempts = tmp_path / "attempts"
    before = (
        "import socket\n"
        "class Refusing(socket.socket):\n"
        "    def connect(self, address):\n"
        f"        with open({str(attempts)!r}, 'a') as file: file.write('x')\n"
        "        raise ConnectionRefusedError(111, 'refused')\n"
        "socket.socket = Refusing\n"
    )
    queue.host = "http://127.0.0.1:9"
    queue.put()
    assert queue.send(before=before) == 0
    assert attempts.read_text() == "x"


@pytest.mark.sample(0)
@pytest.mark.parametrize("status", [401, 403, 404])
def test_rejected_token_waits_for_a_constant_hour(
    status: int, queue: Queue, server: Server
) -> None:
    """Then the token that the run has is used; nothing of the old one is stored."""
    server.reply = Reply(status)
    name = queue.put().name
    for _ in range(3):
        assert queue.send(token="old-t0ken", write_key="") == 0
        assert queue.wait is not None
        assert 3590 < queue.wait <= 3600
        assert queue.names == [name]
    assert not any(b"old-t0ken" in path.read_bytes() for path in queue.path.iterdir())
    server.reply = Reply()
    assert queue.send(token="new-t0ken", write_key="") == 0
    assert server.requests[-1].headers["Authorization"] == "Bearer new-t0ken"
    assert queue.names == []


def test_anonymous_id_is_identified_once(queue: Queue, server: Server) -> None:
    """Before its first messages, by one sender of many."""
    for _ in range(2):
        queue.put()
        assert queue.send(anonymous_id=ANONYMOUS) == 0
    kinds = [[m["type"] for m in request.batch] for request in server.requests]
    assert kinds == [["identify", "track", "track"], ["track", "track"]]
    introduction = server.messages[0]
    assert introduction["anonymousId"] == ANONYMOUS
    assert introduction["context"]["app"] == {"name": "acme"}
