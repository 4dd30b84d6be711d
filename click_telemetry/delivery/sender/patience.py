"""The deadline of a delivery that a command waits for, which can end in the middle of anything.

It ends no process, and no failure is remembered when it is over: nobody can tell whose it was.
"""

from __future__ import annotations

import socket
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Patience:
    """In the place of a `Deadline`, where the process is not ours to end.

    Args:
        until: by `time.monotonic()`.

    Attributes:
        too_late: never called here.
    """

    __slots__ = ("_over", "_sockets", "_until", "too_late")

    def __init__(self, until: float) -> None:
        self.too_late: Callable[[], object] = int
        self._until = until
        self._sockets: list[socket.socket] = []
        self._over = False

    @property
    def is_near(self) -> bool:
        """Whether it is over: then no further request is made."""
        return self.left() <= 0

    def left(self) -> float:
        """Seconds; not more than 0 when nobody waits any more."""
        return 0.0 if self._over else self._until - monotonic()

    def progress(self) -> None:
        """Something has been done; nobody waits any longer for that."""

    def holds(self, connection: socket.socket) -> None:
        """A connection was made, to be shut when it is over."""
        self._sockets.append(connection)
        if self._over:
            self.end()

    def end(self) -> None:
        """Nobody waits any more: who reads from a connection reads its end. May be called twice.

        From another thread than that of the delivery.
        """
        self._over = True
        for connection in self._sockets:
            try:
                socket.socket.shutdown(connection, socket.SHUT_RDWR)  # TLS's own is not for us
            except OSError:
                continue  # it is closed already
