"""One hard deadline for the whole process: over connecting, resolving names, dripping servers.

A timeout of requests' is per read, and resolving has none. A thread runs even while C code waits.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

DEADLINE = 60.0
"""Seconds from the start to the end of a sender."""
GRACE = 5.0


def set_deadline(too_late: Callable[[], None], seconds: float = DEADLINE) -> None:
    """End this process after some seconds, whatever it is doing.

    Args:
        too_late: called first, in a thread; it should be quick.
        seconds: from now.
    """

    def end() -> None:
        try:
            too_late()
        finally:
            os._exit(3)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    if hasattr(signal, "alarm"):
        # Should the thread never get its turn, the kernel ends us. An inherited block never would.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
        signal.alarm(int(seconds + GRACE))
