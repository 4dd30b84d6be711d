"""A proxy on loopback that carries every request, whatever its host, to one place."""

from __future__ import annotations

import http.client
import select
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Proxy:
    """Listens from `start` to `stop`.

    Args:
        port: on loopback, where it carries everything.
        refuses: answers 407 to everything instead.

    Attributes:
        asked: what was asked of it: method and target.
    """

    def __init__(self, port: int, *, refuses: bool = False) -> None:
        self.asked: list[tuple[str, str]] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_CONNECT(self) -> None:
                if proxy._takes(self, refuses):
                    _tunnel(self, port)

            def do_POST(self) -> None:
                if proxy._takes(self, refuses):
                    _forward(self, port)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Print nothing."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """Its origin."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def start(self) -> None:
        """Listen."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening."""
        self._http.shutdown()
        self._http.server_close()

    def _takes(self, handler: BaseHTTPRequestHandler, refuses: bool) -> bool:
        self.asked.append((handler.command, handler.path))
        if refuses:
            handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
            handler.send_response(407)
            handler.send_header("Proxy-Authenticate", 'Basic realm="office"')
            handler.send_header("Content-Length", "0")
            handler.end_headers()
        return not refuses


def _tunnel(handler: BaseHTTPRequestHandler, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as server:
        handler.send_response(200)
        handler.end_headers()
        ways = {handler.connection: server, server: handler.connection}
        while True:
            for one in select.select(list(ways), [], [], 30)[0] or [None]:
                piece = one.recv(65_536) if one is not None else b""
                if not piece:
                    handler.close_connection = True
                    return
                ways[one].sendall(piece)


def _forward(handler: BaseHTTPRequestHandler, port: int) -> None:
    server = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        path = "/" + handler.path.split("/", 3)[3]
        server.request("POST", path, body, dict(handler.headers.items()))
        answer = server.getresponse()
        content = answer.read()
        handler.send_response(answer.status)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)
    finally:
        server.close()
