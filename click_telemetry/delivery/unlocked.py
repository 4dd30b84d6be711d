"""Spooling where the file system has no working locks: memory, and one rename at the end.

Loaded only there. What has not been published dies with the process, and how it ended then is
never told: without a lock nobody can tell a dead writer from a living one.
"""

from __future__ import annotations

import os
from time import time

from ..storage import open_private, replace_file, set_time
from . import NOT_BEFORE

TURN = 60.0
"""Seconds that whoever starts a sender keeps the others from it; a delivery ends that before."""


class UnlockedFile:
    """A file that appears whole, when it is released.

    Args:
        path: where it will lie.

    Attributes:
        size: bytes that were written to it.
    """

    __slots__ = ("_lines", "_path", "size")

    def __init__(self, path: str) -> None:
        self._lines: list[bytes] = []
        self._path = path
        self.size = 0

    def written_at(self) -> None:
        """No time: it has not been written, and is never taken for a dead writer's."""

    def write(self, lines: bytes) -> None:
        """Keep whole lines."""
        self._lines.append(lines)
        self.size += len(lines)

    def release(self) -> None:
        """Write it and name it; nobody has seen it until then.

        Raises:
            OSError: it could not be written. What it says is kept, to be tried again.
        """
        if self._lines:
            replace_file(self._path, b"".join(self._lines))

    def discard(self) -> None:
        """Forget it."""
        self._lines.clear()
        self.size = 0


def take_turn(spool: str) -> None:
    """Keep others from starting a sender for a while, since no lock can.

    Two that come at the same moment start two, and the server sees each message ID twice.

    Raises:
        OSError: the mark cannot be made.
    """
    path = os.path.join(spool, NOT_BEFORE)
    descriptor = open_private(path, os.O_RDWR | os.O_CREAT)
    try:
        until = time() + TURN
        set_time(descriptor, path, until)
    finally:
        os.close(descriptor)
