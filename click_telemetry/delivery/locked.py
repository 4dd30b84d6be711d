"""One file of the spool while it is written: open, and locked by its writer alone.

Never follows a name, never writes to a descriptor that is not its own any more.
"""

from __future__ import annotations

import os

from ..storage import open_private, try_lock, unlock, write_all

_EBADF = 9


class LockedFile:
    """One file of ours, open and locked.

    Args:
        path: where it lies.
        descriptor: open for appending, locked.
        found: what `fstat` said of it.

    Attributes:
        size: bytes that were written to it.
        unlinked: whether it had lost its name when `is_ours` looked last.
    """

    __slots__ = ("_descriptor", "_identity", "_path", "_torn", "size", "unlinked")

    def __init__(self, path: str, descriptor: int, found: os.stat_result) -> None:
        self._path = path
        self._descriptor = descriptor
        self._identity = (found.st_dev, found.st_ino)
        self._torn = False
        self.size = 0
        self.unlinked = False

    def is_ours(self) -> bool:
        """Whether the descriptor still names our file: the command may have closed it.

        Its number may be another file's by now, so it is forgotten rather than closed.

        Raises:
            OSError: that cannot be told.
        """
        try:
            found = os.fstat(self._descriptor)
        except OSError as error:
            if error.errno == _EBADF:
                return False
            raise
        self.unlinked = not found.st_nlink
        return (found.st_dev, found.st_ino) == self._identity

    def found_again(self) -> LockedFile | None:
        """The same file, opened and locked anew; None when a sender has taken it meanwhile."""
        try:
            descriptor = open_private(self._path, os.O_WRONLY | os.O_APPEND)
        except OSError:
            return None
        try:
            if try_lock(descriptor):
                self._descriptor = descriptor
                if self.is_ours() and not self.unlinked:
                    return self
        except OSError:
            pass
        os.close(descriptor)
        return None

    def written_at(self) -> float:
        """The time of the last write, in seconds since the epoch, as a sender will see it."""
        return os.fstat(self._descriptor).st_mtime

    def write(self, lines: bytes) -> None:
        """Append whole lines, in one write if the disk lets us.

        Raises:
            OSError: not all of it was written; a line that was cut short is closed by the next
                write, so that it is lost alone.
        """
        if self._torn:
            lines = b"\n" + lines
        written = 0
        try:
            written = os.write(self._descriptor, lines)
            if written < len(lines):
                self._torn = True
                write_all(self._descriptor, lines[written:])
                written = len(lines)
            self._torn = False
        except OSError:
            self._torn = self._torn or self.size > 0
            raise
        finally:
            self.size += written

    def release(self) -> None:
        """Unlock, then close: a forked child that inherited the descriptor would keep the lock."""
        try:
            if not self.is_ours():
                return
            if not self.size:
                os.unlink(self._path)  # no write came through; nobody need look at it
        except OSError:
            pass
        try:
            unlock(self._descriptor)
        except OSError:
            pass  # closing gives it back as well, unless a child holds it too
        try:
            os.close(self._descriptor)
        except OSError:
            pass

    def discard(self) -> None:
        """Take the file away again, unseen."""
        try:
            os.unlink(self._path)
        except OSError:
            pass
        self.release()


def locked_file(path: str) -> LockedFile | None:
    """Make a file and lock it; None when a sender took it before we had the lock.

    Raises:
        NoLocks: the file system has no working locks.
        OSError: it cannot be made. Nothing is left of it in either case.
    """
    try:
        descriptor = open_private(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND)
        try:
            if try_lock(descriptor):
                found = os.fstat(descriptor)
                if found.st_nlink:
                    return LockedFile(path, descriptor, found)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    except BaseException:
        try:
            os.unlink(path)
        except OSError:
            pass
        raise
    return None
