"""The reading side of the spool: which files wait, claiming one, acknowledging or releasing it.

A claim is the file's lock; acknowledging is `unlink`, before the lock is given up. What lies in
the directory and is not a file of ours is left alone.
"""

from __future__ import annotations

import heapq
import os
import stat
from time import time
from typing import TYPE_CHECKING, Any

from ...storage import NoLocks, open_private, try_lock
from ..spool import FILE_LIMIT
from .content import MESSAGE_LIMIT, ROOM_FOR_LOST, length, messages
from .name import FileName, parse

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_NAMES = 1_000
"""Names that are held in memory at a time, however many lie in the directory."""
SETTLED_AGE = 60.0
"""Seconds; on a file system without locks an older file that was written whole is nobody's."""


class Claim:
    """A file that nobody writes any more, held by us.

    Attributes:
        name: its name in the spool.
        messages: what it says, with the end of every run that nobody lived to report.
        size: of its messages as they are sent, in bytes.
        too_large: how many more it says that no server would take.
    """

    __slots__ = ("_descriptor", "_directory", "messages", "name", "size", "too_large")

    def __init__(
        self, directory: str, name: FileName, descriptor: int, said: list[dict[str, Any]]
    ) -> None:
        self._directory = directory
        self._descriptor = descriptor
        self.name = name
        lengths = [length(message) for message in said]
        self.messages = [
            message
            for message, bytes_of_it in zip(said, lengths, strict=True)
            if bytes_of_it <= MESSAGE_LIMIT
        ]
        self.too_large = len(said) - len(self.messages)
        self.size = sum(n for n in lengths if n <= MESSAGE_LIMIT) + ROOM_FOR_LOST
        if name.lost:
            self._report(name.lost)

    @property
    def reports(self) -> bool:
        """Whether an event in it can say how many were dropped, and was never tried without."""
        return self.name.tried is None and not self.name.lost and self._reporter() is not None

    def report(self, name: FileName) -> None:
        """Let its first event say how many messages were dropped, on this try and every other.

        Raises:
            OSError: its name could not be changed; nothing is said then.
        """
        self.rename(name)
        self._report(name.lost)

    def rename(self, name: FileName) -> None:
        """Give it another name, which is how a sender remembers something of it.

        Raises:
            FileNotFoundError: somebody has removed it.
            OSError: the directory cannot be written to.
        """
        if str(name) != str(self.name):
            os.rename(self._path(self.name), self._path(name))
            self.name = name
        elif os.fstat(self._descriptor).st_nlink == 0:
            raise FileNotFoundError(self._path(name))

    def acknowledge(self) -> None:
        """Everything in it was accepted, or is past delivering.

        Raises:
            OSError: it could not be unlinked.
        """
        try:
            os.unlink(self._path(self.name))
        except FileNotFoundError:
            pass  # somebody else has removed it, which is all that was wanted
        finally:
            os.close(self._descriptor)

    def release(self) -> None:
        """Leave it for another time."""
        os.close(self._descriptor)

    def _path(self, name: FileName) -> str:
        return os.path.join(self._directory, str(name))

    def _reporter(self) -> dict[str, Any] | None:
        for message in self.messages:
            if message["type"] == "track" and length(message) <= MESSAGE_LIMIT - ROOM_FOR_LOST:
                return message
        return None

    def _report(self, lost: int) -> None:
        reporter = self._reporter()
        if reporter is not None:
            before = reporter["properties"].get("dropped")
            known = before if type(before) is int and before > 0 else 0
            reporter["properties"] = {**reporter["properties"], "dropped": known + lost}


def names(directory: str) -> Iterator[str]:
    """The names of the spool's files, in no order; nothing where there is no spool."""
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if parse(entry.name) is not None:
                    yield entry.name
    except OSError:
        return


def waiting(directory: str, after: str = "") -> list[str]:
    """The names of the spool's files, oldest first, some at a time.

    Args:
        directory: the spool.
        after: the last name of those that were given before.
    """
    return heapq.nsmallest(MOST_NAMES, (name for name in names(directory) if name > after))


def claim(directory: str, name: str) -> Claim | None:
    """Take a file, or None where it is somebody's, gone, or none of ours.

    A file that could be ours and says nothing (torn, empty, zeroed) is removed; one that could
    not (a symlink, a FIFO, a device, a hard link, another user's) is left alone.
    """
    parsed = parse(name)
    path = os.path.join(directory, name)
    try:
        # Looked at before it is opened: opening some devices does something.
        if parsed is None or not stat.S_ISREG(os.lstat(path).st_mode):
            return None
        descriptor = open_private(path, os.O_RDWR)
    except OSError:
        return None
    try:
        if os.fstat(descriptor).st_nlink > 1 or not _lock(descriptor, parsed):
            os.close(descriptor)
            return None
        found = os.fstat(descriptor)
        if found.st_nlink == 0:
            os.close(descriptor)  # another sender acknowledged it before we had the lock
            return None
        content = b"" if found.st_size > FILE_LIMIT else _read(descriptor, found.st_size)
    except OSError:
        os.close(descriptor)
        return None
    taken = Claim(directory, parsed, descriptor, messages(content, found.st_mtime))
    if not taken.messages and not taken.too_large:
        try:
            taken.acknowledge()
        except OSError:
            return None
        return None
    return taken


def _read(descriptor: int, size: int) -> bytes:
    """A file's bytes, however many reads they take."""
    content = b""
    while len(content) < size:
        piece = os.read(descriptor, size - len(content))
        if not piece:
            break
        content += piece
    return content


def _lock(descriptor: int, name: FileName) -> bool:
    try:
        return try_lock(descriptor)
    except NoLocks:
        return name.whole and abs(time() - os.fstat(descriptor).st_mtime) >= SETTLED_AGE
