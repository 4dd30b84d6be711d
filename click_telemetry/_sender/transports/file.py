"""The transport of `destinations.File`: appends messages to a file, and renames it when it is full.

Senders of several applications may write to one file: each locks it first. A batch is accepted when
all of it is on the disk. What a sender that was killed left behind, the start of a line, is removed
by the next one.
"""

from __future__ import annotations

import errno
import json
import os
from time import sleep
from typing import TYPE_CHECKING, Any

from ..._storage import NoLocks, make_private_directory, open_private, try_lock, write_all
from . import ACCEPTED, MISCONFIGURED, RETRY, DeliveryResult

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from . import TimeLimit

PREFIX = "file://"
"""Of `host`, before the path."""
LOCK_TIMEOUT = 5.0
"""Seconds; another sender holds the lock for the time of one write."""
POLL_EVERY = 0.02
MAX_LINE = 64 * 1024
"""Bytes; a message has 32 KB at most."""

_TEMPORARY = frozenset(
    (
        *(errno.ENOSPC, errno.EIO, errno.EINTR, errno.EAGAIN, errno.ENOMEM, errno.EMFILE),
        *(errno.ENFILE, getattr(errno, "EDQUOT", errno.ENOSPC)),  # Windows has no quota's
    )
)
"""After any other error a person must change something."""


class FileTransport:
    """Appends batches to one file.

    Args:
        options: `host`, which is the path after `file://`; `max_bytes` and `keep`.
        timeout: bounds how long a write may take.
    """

    def __init__(self, options: Mapping[str, Any], timeout: TimeLimit) -> None:
        self._path: str = options["host"].removeprefix(PREFIX)
        self._max_bytes: int = options["max_bytes"]
        self._keep: int = options["keep"]
        self._timeout = timeout

    def post(self, batch: list[dict[str, Any]], on_send: Callable[[], object]) -> DeliveryResult:
        """As `Transport.post`.

        Raises:
            Withdrawn: `on_send` did, and nothing was written.
        """
        lines = lines_of(batch)
        try:
            descriptor = self._open(len(lines))
        except NoLocks:
            return DeliveryResult(MISCONFIGURED, error="file_locks")
        except TimeoutError:
            return DeliveryResult(RETRY, error="file_busy")
        except OSError as error:
            return _failed(error)
        try:
            on_send()
            return self._append(descriptor, lines)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Nothing is open between two batches."""

    def _open(self, more: int) -> int:
        """The file, open, locked, and with room for so many bytes.

        Raises:
            OSError: it cannot be opened, is no file of this user, or stays locked.
        """
        directory = os.path.dirname(self._path)
        if not os.path.isdir(directory):
            make_private_directory(directory)
        waited = 0.0
        while True:
            descriptor = open_private(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
            try:
                if try_lock(descriptor) and self._is_current(descriptor):
                    size = os.fstat(descriptor).st_size
                    if not size or size + more <= self._max_bytes or not self._rotate():
                        return descriptor
                elif waited >= min(LOCK_TIMEOUT, self._timeout.left()):
                    raise TimeoutError
                else:
                    sleep(POLL_EVERY)
                    waited += POLL_EVERY
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def _is_current(self, descriptor: int) -> bool:
        """Whether no other sender has renamed the file since it was opened."""
        try:
            named = os.lstat(self._path)
        except FileNotFoundError:
            return False
        found = os.fstat(descriptor)
        return (found.st_dev, found.st_ino) == (named.st_dev, named.st_ino)

    def _rotate(self) -> bool:
        """Rename the file, and those that were renamed before; False if it cannot be renamed."""
        names = [self._path, *(f"{self._path}.{number}" for number in range(1, self._keep + 1))]
        try:
            if not self._keep:
                os.unlink(self._path)
            for number in range(self._keep, 0, -1):
                if os.path.lexists(names[number - 1]):
                    os.replace(names[number - 1], names[number])
        except OSError:
            return False  # it grows beyond its bound rather than lose messages
        return True

    def _append(self, descriptor: int, lines: bytes) -> DeliveryResult:
        size = -1
        try:
            size = _whole_lines(descriptor)
            write_all(descriptor, lines)
            os.fsync(descriptor)
        except OSError as error:
            return _failed(error, ambiguous=size >= 0 and not _cut(descriptor, size))
        return DeliveryResult(ACCEPTED)


def lines_of(batch: list[dict[str, Any]]) -> bytes:
    """Messages as lines: compact JSON in ASCII."""
    lines = [json.dumps(message, separators=(",", ":"), allow_nan=False) for message in batch]
    return "".join(f"{line}\n" for line in lines).encode("ascii")


def _whole_lines(descriptor: int) -> int:
    """Remove the start of a line that was never finished, and return the file's size.

    Raises:
        OSError: it cannot be read or changed.
    """
    size = os.fstat(descriptor).st_size
    start = max(size - MAX_LINE, 0)
    os.lseek(descriptor, start, os.SEEK_SET)
    end = b""
    while len(end) < size - start:
        piece = os.read(descriptor, size - start - len(end))
        if not piece:
            break
        end += piece
    whole = start + end.rfind(b"\n") + 1
    if whole < size and (whole > start or not start):
        os.ftruncate(descriptor, whole)
        return whole
    return size


def _cut(descriptor: int, size: int) -> bool:
    """Remove what was written after a size; False if that fails too."""
    try:
        os.ftruncate(descriptor, size)
    except OSError:
        return False
    return True


def _failed(error: OSError, *, ambiguous: bool = False) -> DeliveryResult:
    verdict = RETRY if error.errno in _TEMPORARY else MISCONFIGURED
    word = errno.errorcode.get(error.errno or 0, "unusable")
    return DeliveryResult(verdict, error=f"file_{word}", ambiguous=ambiguous)
