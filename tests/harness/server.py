"""A scripted server on loopback: answers as a test says, and keeps what arrived."""

from __future__ import annotations

import gzip
import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Request:
    """One request that arrived whole."""

    def __init__(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> None:
        self.path = path
        self.headers = headers
        self.body = body

    @property
    def batch(self) -> list[dict[str, Any]]:
        """Its messages."""
        batch: list[dict[str, Any]] = self.body["batch"]
        return batch


class Reply:
    """What to answer: a status with a body, or a way to fail."""

    def __init__(
        self,
        status: int = 200,
        body: bytes = b'{"success":true}',
        headers: dict[str, str] | None = None,
        *,
        delay: float = 0.0,
        reset: bool = False,
        silent: bool = False,
    ) -> None:
        self.status = status
        self.body = body
        self.headers = headers or {}
        self.delay = delay
        self.reset = reset
        self.silent = silent


class Server:
    """Listens from `start` to `stop`. `reply` may be replaced at any time.

    Attributes:
        reply: what to answer, a `Reply` or a function of the request.
        accepted: the requests that were answered with 2xx, in order.
        requests: all requests that arrived whole.
    """

    def __init__(self) -> None:
        self.reply: Reply | Callable[[Request], Reply] = Reply()
        self.requests: list[Request] = []
        self.accepted: list[Request] = []
        self.stopping = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                server._handle(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """Its origin."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

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
        raw = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        if handler.headers.get("Content-Encoding") == "gzip":
            raw = gzip.decompress(raw)
        # What is no JSON is another protocol's, which benchmarks speak.
        body = json.loads(raw) if raw[:1] == b"{" else {}
        request = Request(handler.path, dict(handler.headers.items()), body)
        self.requests.append(request)
        reply = self.reply(request) if callable(self.reply) else self.reply
        if reply.delay:
            self.stopping.wait(reply.delay)
        if reply.silent:
            self.stopping.wait(120)
            return
        if reply.reset:
            linger = struct.pack("ii", 1, 0)
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            handler.connection.close()
            return
        if 200 <= reply.status < 300:
            self.accepted.append(request)
        try:
            handler.send_response(reply.status)
            for name, value in reply.headers.items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(reply.body)))
            handler.end_headers()
            handler.wfile.write(reply.body)
        except OSError:
            return  # the sender was killed meanwhile, as some tests do
