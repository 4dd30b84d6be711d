"""How long a delivery may take where a command waits for it, and ending it in the middle."""

from __future__ import annotations

import socket
from time import monotonic


class Patience:
    """A moment, until which somebody waits.

    Args:
        until: by `time.monotonic()`.
    """

    __slots__ = ("_sockets", "_until", "over")

    def __init__(self, until: float) -> None:
        self._until = until
        self._sockets: list[socket.socket] = []
        self.over = False

    def left(self) -> float:
        """Seconds; not more than 0 when nobody waits any more."""
        return 0.0 if self.over else self._until - monotonic()

    def holds(self, connection: socket.socket) -> None:
        """A connection was made, to be shut when the time is over."""
        self._sockets.append(connection)
        if self.over:
            self.end()

    def end(self) -> None:
        """Nobody waits any more: who reads from a connection reads its end. May be called twice.

        From another thread than that of the delivery.
        """
        self.over = True
        for connection in self._sockets:
            try:
                socket.socket.shutdown(connection, socket.SHUT_RDWR)  # TLS's own is not for us
            except OSError:
                continue  # it is closed already
