"""One hard deadline for the whole process: over connecting, resolving names, dripping servers.

A timeout of requests' is per read, and resolving has none. A thread runs even while C code waits.
"""

from __future__ import annotations

import os
import signal
import threading
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

DEADLINE = 60.0
"""Seconds without any progress until a sender is ended."""
LONGEST_LIFE = 600.0
"""Seconds after which it begins no further request, however well they go."""
GRACE = 5.0


class Deadline:
    """Ends this process when it has come no further for some seconds, whatever it is doing.

    Args:
        seconds: from now, or from the last progress.

    Attributes:
        too_late: called first, in a thread; it should be quick.
    """

    def __init__(self, seconds: float = DEADLINE) -> None:
        self.too_late: Callable[[], object] = int
        self._seconds = seconds
        self._born = monotonic()
        self._due = 0.0
        self.progress()
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def is_near(self) -> bool:
        """Whether the process has lived long enough to leave the rest to another one."""
        return monotonic() - self._born > LONGEST_LIFE

    def left(self) -> float:
        """Seconds until it ends this process, if nothing comes further."""
        return self._due - monotonic()

    def holds(self, connection: object) -> None:
        """A connection was made; it ends with this process."""

    def progress(self) -> None:
        """Something has been done: count anew."""
        self._due = monotonic() + self._seconds
        if hasattr(signal, "alarm"):
            # Should the thread never get its turn, the kernel ends us.
            signal.alarm(int(self._seconds + GRACE) + 1)

    def _watch(self) -> None:
        pause = threading.Event()  # nobody sets it: a wait that the main thread cannot prolong
        while (left := self._due - monotonic()) > 0:
            pause.wait(left)
        try:
            self.too_late()
        finally:
            os._exit(3)
