"""A scripted server on loopback: answers as a test scripts it, and keeps what arrived."""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Request:
    """One request that arrived whole.

    Attributes:
        raw: its body, decompressed.
        body: the same, if it is a JSON object.
    """

    def __init__(self, path: str, headers: dict[str, str], raw: bytes) -> None:
        self.path = path
        self.headers = headers
        self.raw = raw
        # What is no JSON is another protocol's.
        self.body: dict[str, Any] = json.loads(raw) if raw[:1] == b"{" else {}

    @property
    def batch(self) -> list[dict[str, Any]]:
        """Its messages."""
        batch: list[dict[str, Any]] = self.body["batch"]
        return batch


class Reply:
    """What to answer: a status with a body, or a way to fail.

    Args:
        status: of HTTP.
        body: of the answer.
        headers: of the answer, in addition to Content-Length.
        delay: seconds before it.
        reset: the connection instead of answering.
        silent: never answer.
        drip: one byte of the `headers`, or of the `body`, in a fifth of a second, for ever.
        endless: a body that never ends, as fast as it is read.
        cut: the connection in the middle of the body.
        raw: bytes to send instead of an answer, before the connection is closed.
    """

    def __init__(
        self,
        status: int = 200,
        body: bytes = b'{"success":true}',
        headers: dict[str, str] | None = None,
        *,
        delay: float = 0.0,
        reset: bool = False,
        silent: bool = False,
        drip: str = "",
        endless: bool = False,
        cut: bool = False,
        raw: bytes | None = None,
    ) -> None:
        self.status = status
        self.body = body
        self.headers = headers or {}
        self.delay = delay
        self.reset = reset
        self.silent = silent
        self.drip = drip
        self.endless = endless
        self.cut = cut
        self.raw = raw


class Server:
    """Listens from `start` to `stop`. `reply` may be replaced at any time.

    Args:
        tls: what to speak TLS with.

    Attributes:
        reply: what to answer, a `Reply` or a function of the request.
        early: what to do with the next connection, if anything, once its headers have come and a
            few bytes of the body.
        accepted: the requests that were answered with 2xx, in order.
        requests: all requests that arrived whole.
        connections: how many were made, whatever came over them.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.reply: Reply | Callable[[Request], Reply] = Reply()
        self.early: Reply | None = None
        self.connections = 0
        self.requests: list[Request] = []
        self.accepted: list[Request] = []
        self.stopping = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                server._handle(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Print nothing."""

            def setup(self) -> None:
                server.connections += 1
                super().setup()

        self._scheme = "http" if tls is None else "https"
        self._http = _Quiet(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        if tls is not None:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """Its origin."""
        return f"{self._scheme}://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._http.server_address[1])

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The accepted messages, in order, each message ID once."""
        once = {m["messageId"]: m for request in self.accepted for m in request.batch}
        return list(once.values())

    @property
    def events(self) -> list[tuple[str, str]]:
        """Event and command of the accepted tracks."""
        return [
            (m["event"], m["properties"]["command"]) for m in self.messages if m["type"] == "track"
        ]

    def wait_for(self, tracks: int, timeout: float = 20.0) -> list[dict[str, Any]]:
        """The accepted tracks, as soon as there are so many; fails when they do not come."""
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            found = [m for m in self.messages if m["type"] == "track"]
            if len(found) >= tracks:
                return found
            time.sleep(0.02)
        raise AssertionError(f"{tracks} events expected, arrived: {self.events}")

    def start(self) -> None:
        """Listen."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening, and let go of whoever waits for an answer."""
        self.stopping.set()
        self._http.shutdown()
        self._http.server_close()

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        early, self.early = self.early, None
        if early is not None:
            handler.rfile.read1(16)
            self._answer(handler, early)
            return
        length = int(handler.headers.get("Content-Length", 0))
        raw = handler.rfile.read(length)
        if len(raw) < length:
            return  # it was withdrawn, or whoever sent it was killed
        if handler.headers.get("Content-Encoding") == "gzip":
            raw = gzip.decompress(raw)
        request = Request(handler.path, dict(handler.headers.items()), raw)
        self.requests.append(request)
        reply = self.reply(request) if callable(self.reply) else self.reply
        if reply.delay:
            self.stopping.wait(reply.delay)
        failing = reply.reset or reply.silent or reply.drip or reply.raw is not None
        if 200 <= reply.status < 300 and not failing:
            self.accepted.append(request)
        self._answer(handler, reply)

    def _answer(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        if reply.silent:
            self.stopping.wait(120)
            return
        if reply.reset:
            _reset(handler.connection)
            return
        try:
            if reply.raw is not None:
                handler.close_connection = True
                handler.wfile.write(reply.raw)
                return
            if reply.drip == "headers":
                self._drip(handler, b"HTTP/1.1 200 OK\r\nX-Slow: ")
            handler.send_response(reply.status)
            for name, value in reply.headers.items():
                handler.send_header(name, value)
            if not reply.endless:
                length = len(reply.body) * (1000 if reply.drip else 1)
                handler.send_header("Content-Length", str(length))
            handler.end_headers()
            if reply.drip == "body":
                self._drip(handler, reply.body[:1])
            while reply.endless:
                handler.wfile.write(reply.body)
            if reply.cut:
                handler.wfile.write(reply.body[: len(reply.body) // 2])
                _reset(handler.connection)
                return
            handler.wfile.write(reply.body)
        except OSError:
            return  # the sender was killed meanwhile, as some tests do, or has read enough

    def _drip(self, handler: BaseHTTPRequestHandler, start: bytes) -> None:
        handler.wfile.write(start)
        while not self.stopping.wait(0.2):
            handler.wfile.write(b"x")
        raise ConnectionAbortedError


class _Quiet(ThreadingHTTPServer):
    """A server whose clients may do as they like, a refused TLS handshake included."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Print nothing."""


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
