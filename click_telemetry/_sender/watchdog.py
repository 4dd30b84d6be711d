"""Time limits of a delivery: a watchdog for our own process, a timeout for in-process delivery.

A timeout of requests' is per read, and resolving a name has none: a server that drips, or a name
server that does not answer, would hold a process for as long as it likes.
"""

from __future__ import annotations

import os
import signal
import threading
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket

MAX_PAUSE = 60.0
"""Seconds without progress after which the watchdog terminates a sender."""
MAX_LIFE = 600.0
"""Seconds after which a sender begins no further request, even if it makes progress."""
GRACE = 5.0


class Watchdog:
    """Terminates this process when it makes no progress for some seconds, whatever it is doing.

    Args:
        pause: seconds, from now or from the last progress.

    Attributes:
        on_expiry: called first, in a thread; it should be quick.
    """

    def __init__(self, pause: float = MAX_PAUSE) -> None:
        self.on_expiry: Callable[[], object] = _nothing
        self._pause = pause
        self._started = monotonic()
        self._due = 0.0
        self.progress()
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def is_over(self) -> bool:
        """Whether the process has run long enough to leave the rest to another one."""
        return monotonic() - self._started > MAX_LIFE

    def left(self) -> float:
        """Seconds until it terminates this process if there is no progress."""
        return self._due - monotonic()

    def on_connect(self, connection: socket) -> None:
        """A connection was made; it ends with this process."""

    def progress(self) -> None:
        """There was progress: count anew."""
        self._due = monotonic() + self._pause
        if hasattr(signal, "alarm"):
            # If foreign code lets no thread run, the kernel terminates this process.
            signal.alarm(int(self._pause + GRACE) + 1)

    def _watch(self) -> None:
        never = threading.Event()  # a wait that the main thread cannot prolong
        while (left := self._due - monotonic()) > 0:
            never.wait(left)
        try:
            self.on_expiry()
        finally:
            os._exit(3)


class Timeout:
    """Timeout for in-process delivery. On expiry, open sockets are shut down; the process goes on.

    No failure is saved on expiry: the server may be healthy and the command impatient.

    Args:
        until: by `time.monotonic()`.

    Attributes:
        on_expiry: never called here.
    """

    __slots__ = ("_expired", "_sockets", "_until", "on_expiry")

    def __init__(self, until: float) -> None:
        self.on_expiry: Callable[[], object] = _nothing
        self._until = until
        self._sockets: list[socket] = []
        self._expired = False

    @property
    def is_over(self) -> bool:
        """Whether it has expired; then no further request is made."""
        return self.left() <= 0

    def left(self) -> float:
        """Seconds; not more than 0 after it has expired."""
        return 0.0 if self._expired else self._until - monotonic()

    def progress(self) -> None:
        """There was progress, which does not prolong a timeout."""

    def on_connect(self, connection: socket) -> None:
        """A connection was made; it is shut down on expiry."""
        self._sockets.append(connection)
        if self._expired:
            self.expire()

    def expire(self) -> None:
        """Shut every connection down: a thread that reads from one reads its end.

        Called from another thread than that of the delivery. A second call is harmless.
        """
        import socket

        self._expired = True
        for connection in self._sockets:
            try:
                socket.socket.shutdown(connection, socket.SHUT_RDWR)  # not TLS's own, which waits
            except OSError:
                continue  # it is closed already


def _nothing() -> None:
    """Expiry has no consequence outside a delivery."""
