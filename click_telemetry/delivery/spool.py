"""The writing side of the spool: an invocation's file, held under a lock by its writer.

The directory is the queue; see `sender.waiting` for its reading side. The lock tells the living
from the dead: a file whose lock is free has no writer any more.

A line is a message. A line that begins with `#` is a note for the sender: the file is `continued`
by another one, or these runs were `open` when it began.
"""

from __future__ import annotations

import os
from time import monotonic, time_ns
from typing import TYPE_CHECKING, Any

from ..events.names import COMMAND_COMPLETED, COMMAND_INVOKED
from ..events.text import encode
from ..storage import make_private_directory, open_private, try_lock, unlock, write_all

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..events.text import Json

SUFFIX = ".jsonl"
LOCK = "lock"
"""The sender's lock, which lies in the spool and is never unlinked while it may be held."""

FILE_LIMIT = 512 * 1024
"""Bytes; the sender takes no larger file."""
RESERVED = 96 * 1024
"""Bytes that only the lifecycle pair may fill."""
PUBLISH_AFTER = 5.0
"""Seconds from one publication of a long-lived invocation to the next."""

CONTINUED = b'#{"continued":true}\n'
"""The note at the end of a file that another one continues."""

_LIFECYCLE = (COMMAND_INVOKED, COMMAND_COMPLETED)


class Full(OSError):
    """The file has no room for an event of the application's own."""


class Erased(OSError):
    """What the invocation recorded was deleted while it ran: it must leave nothing more."""


class SpoolClient:
    """Writes an invocation's messages to files of its own, each at once and in one write.

    Args:
        directory: the destination's spool; made if it is missing.
        hand_off: called when something has been published.

    Attributes:
        publication: how many files have been published; a bound per publication starts anew.
    """

    __slots__ = (
        "_descriptor",
        "_directory",
        "_erased",
        "_hand_off",
        "_identity",
        "_open_runs",
        "_path",
        "_published_at",
        "_sequence",
        "_size",
        "_torn",
        "publication",
    )

    def __init__(self, directory: str, hand_off: Callable[[], None]) -> None:
        self._directory = directory
        self._erased = False
        self._hand_off = hand_off
        self._descriptor: int | None = None
        self._identity = (0, 0)
        self._open_runs: dict[str, dict[str, Json]] = {}
        self._path = ""
        self._published_at = monotonic()
        self._sequence = 0
        self._size = 0
        self._torn = False
        self.publication = 0

    def record(self, message: dict[str, Json], /) -> None:
        """Append a message; it survives the death of this process from then on.

        Raises:
            OSError: it could not be written; nothing half of it will ever be delivered. `Erased`
                from the moment on that somebody deletes what this invocation has recorded.
        """
        line = encode(message).encode("ascii") + b"\n"
        if (
            message.get("event") not in _LIFECYCLE
            and self._size + len(line) > FILE_LIMIT - RESERVED
        ):
            raise Full("the invocation's file is full")
        if not self._is_ours():
            self._open()
        self._write(line)
        self._follow(message)
        if monotonic() - self._published_at >= PUBLISH_AFTER:
            self._publish(continued=True)

    def close(self) -> None:
        """Publish what was written, and have it delivered."""
        if self._descriptor is not None:
            self._publish(continued=False)

    def _follow(self, message: dict[str, Json]) -> None:
        """Keep the runs that are open, for the note at the head of a following file."""
        properties: Any = message.get("properties", {})
        run_id = properties.get("run_id")
        self._sequence = properties.get("sequence", self._sequence)
        if message.get("event") == COMMAND_INVOKED:
            self._open_runs[run_id] = message
        elif message.get("event") == COMMAND_COMPLETED:
            self._open_runs.pop(run_id, None)

    def _publish(self, *, continued: bool) -> None:
        if continued and self._open_runs:
            self._write(CONTINUED)
        self._release()
        self._published_at = monotonic()
        self.publication += 1
        if self._erased:
            return
        self._hand_off()
        if continued and self._open_runs:
            # Held open from now on: should we vanish, the next sender finds who was running.
            self._open()

    def _open(self) -> None:
        """Make a file that no sender has seen, and hold its lock."""
        if self._path and not os.path.isdir(self._directory):
            self._erased = True  # it was there: whoever deleted it does not want it back
        if self._erased:
            raise Erased("what was recorded has been deleted")
        make_private_directory(self._directory)
        while True:
            name = f"{time_ns():020d}-{os.urandom(8).hex()}{SUFFIX}"
            path = os.path.join(self._directory, name)
            descriptor = open_private(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND)
            if try_lock(descriptor):
                found = os.fstat(descriptor)
                if found.st_nlink:
                    break
            os.close(descriptor)  # a sender took it between its making and our lock
        self._descriptor = descriptor
        self._identity = (found.st_dev, found.st_ino)
        self._path = path
        self._size = 0
        self._torn = False
        if self._open_runs:
            note: dict[str, Json] = {
                "open": list(self._open_runs.values()),
                "sequence": self._sequence,
            }
            self._write(b"#" + encode(note).encode("ascii") + b"\n")

    def _is_ours(self) -> bool:
        """Whether the descriptor still names our file: the command may have closed it.

        Its number may be another file's by now, so it is forgotten rather than closed.
        """
        if self._descriptor is None:
            return False
        try:
            found = os.fstat(self._descriptor)
        except OSError:
            found = None
        if found is None or (found.st_dev, found.st_ino) != self._identity:
            self._descriptor = None
            return False
        if not found.st_nlink:  # no sender unlinks a file that it cannot lock
            os.close(self._descriptor)
            self._descriptor = None
            self._erased = True
            return False
        return True

    def _write(self, line: bytes) -> None:
        assert self._descriptor is not None
        if self._torn:
            line = b"\n" + line  # the torn line is lost, its neighbours are not
        try:
            written = os.write(self._descriptor, line)
            self._size += written
            if written < len(line):
                self._torn = True
                write_all(self._descriptor, line[written:])
                self._size += len(line) - written
            self._torn = False
        except OSError:
            self._torn = self._torn or self._size > 0
            raise

    def _release(self) -> None:
        """Unlock, then close: a forked child that inherited the descriptor would keep the lock."""
        if self._is_ours() and self._descriptor is not None:
            unlock(self._descriptor)
            os.close(self._descriptor)
        self._descriptor = None
