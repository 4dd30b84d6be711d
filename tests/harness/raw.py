"""A server on loopback that sends bytes as a test wants them, HTTP or not."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable


class RawServer:
    """Reads requests with a Content-Length, and lets a function answer on the socket.

    Args:
        answer: called with the connection and the number of the request on it, from 1; returns
            whether the connection stays open.

    Attributes:
        requests: the bodies that arrived in full.
        connections: how many were accepted.
    """

    def __init__(self, answer: Callable[[socket.socket, int], bool]) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.requests: list[bytes] = []
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """Its origin."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def stop(self) -> None:
        """Stop listening."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        number = 0
        with connection:
            while self._read(connection):
                number += 1
                if not self._answer(connection, number):
                    return

    def _read(self, connection: socket.socket) -> bool:
        """Read one request; False at the end of the connection."""
        content = b""
        try:
            while b"\r\n\r\n" not in content:
                piece = connection.recv(65_536)
                if not piece:
                    return False
                content += piece
            head, _, body = content.partition(b"\r\n\r\n")
            if b"transfer-encoding: chunked" in head.lower():
                while not body.endswith(b"0\r\n\r\n"):
                    body += connection.recv(65_536)
            else:
                length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
                while len(body) < length:
                    body += connection.recv(65_536)
        except OSError:
            return False
        self.requests.append(body)
        return True
