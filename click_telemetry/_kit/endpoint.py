"""A host on loopback that the kit's applications send to: it accepts, refuses, or never answers."""

from __future__ import annotations

import gzip
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TIMEOUT = 60.0
"""Seconds after which a command is killed, and a silent endpoint gives up."""

ACCEPTING, REFUSING, HANGING = "accepting", "refusing", "hanging"


class Endpoint:
    """A host on loopback that accepts messages, refuses connections, or never answers.

    Attributes:
        origin: to send to.
        received: each request: its head and its body.
        connections: how many were made.
    """

    def __init__(self, mode: str) -> None:
        self.received: list[bytes] = []
        self.connections = 0
        self._ended = threading.Event()
        if mode == REFUSING:
            self._socket = socket.socket()
            self._socket.bind(("127.0.0.1", 0))  # nothing listens: the port stays unused
            self._server = None
            port = self._socket.getsockname()[1]
        else:
            self._server = _Server(("127.0.0.1", 0), _handler(self, mode))
            port = self._server.server_address[1]
            threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.origin = f"http://127.0.0.1:{port}"

    def close(self) -> None:
        """Stop listening, and let go of those who wait."""
        self._ended.set()
        if self._server is None:
            self._socket.close()
        else:
            self._server.shutdown()
            self._server.server_close()

    def receive(self, handler: BaseHTTPRequestHandler, mode: str) -> None:
        """One request."""
        self.connections += 1
        if mode == HANGING:
            self._ended.wait(TIMEOUT)
            return
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        if handler.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        head = f"{handler.requestline}\n{handler.headers}".encode("utf-8", "replace")
        self.received.append(head + body)
        answer = b'{"success":true}'
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(answer)))
        handler.end_headers()
        handler.wfile.write(answer)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Print nothing: a sender may be killed at any time."""


def _handler(endpoint: Endpoint, mode: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            endpoint.receive(self, mode)

        do_GET = do_POST

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Print nothing."""

    return Handler
