"""The reading side of the spool: which files wait, claiming one, acknowledging or releasing it.

A claim is the file's lock; acknowledging is `unlink`, before the lock is given up. What lies in
the directory and is not a file of ours is left alone.
"""

from __future__ import annotations

import json
import os
import stat
from typing import Any

from ...storage import NoLocks, open_private, try_lock
from ..spool import FILE_LIMIT, SUFFIX
from .unfinished import completions


class Claim:
    """A file that nobody writes any more, held by us.

    Attributes:
        name: its name in the spool.
        messages: what it says, with the end of every run that nobody lived to report.
        size: the file's bytes.
    """

    __slots__ = ("_descriptor", "_directory", "messages", "name", "size")

    def __init__(
        self,
        directory: str,
        name: str,
        descriptor: int,
        messages: list[dict[str, Any]],
        size: int,
    ) -> None:
        self._directory = directory
        self._descriptor = descriptor
        self.name = name
        self.messages = messages
        self.size = size

    def acknowledge(self) -> None:
        """Everything in it was accepted, or is past delivering.

        Raises:
            OSError: it could not be unlinked; it will be sent again, with the same message IDs.
        """
        try:
            os.unlink(os.path.join(self._directory, self.name))
        finally:
            os.close(self._descriptor)

    def release(self) -> None:
        """Leave it for another time."""
        os.close(self._descriptor)


def waiting(directory: str) -> list[str]:
    """The names of the spool's files, oldest first; empty where there is no spool."""
    try:
        return sorted(name for name in os.listdir(directory) if name.endswith(SUFFIX))
    except OSError:
        return []


def claim(directory: str, name: str) -> Claim | None:
    """Take a file, or None where it is somebody's, gone, or none of ours.

    A file that could be ours and says nothing (torn, empty, zeroed) is removed; one that could
    not (a symlink, a FIFO, a hard link) is not even opened for long.
    """
    path = os.path.join(directory, name)
    try:
        descriptor = open_private(path, os.O_RDWR)
    except OSError:
        return None
    try:
        found = os.fstat(descriptor)
        if found.st_nlink > 1 or not stat.S_ISREG(found.st_mode) or not _lock(descriptor):
            os.close(descriptor)
            return None
        found = os.fstat(descriptor)
        if found.st_nlink == 0:
            os.close(descriptor)  # another sender acknowledged it before we had the lock
            return None
        content = b"" if found.st_size > FILE_LIMIT else os.pread(descriptor, FILE_LIMIT, 0)
    except OSError:
        os.close(descriptor)
        return None
    taken = Claim(directory, name, descriptor, messages(content, found.st_mtime), len(content))
    if not taken.messages:
        try:
            taken.acknowledge()
        except OSError:
            return None
        return None
    return taken


def messages(content: bytes, written_at: float) -> list[dict[str, Any]]:
    """What a file says; a torn or foreign line is passed over.

    Args:
        content: the file's bytes.
        written_at: its last write, in seconds since the epoch.
    """
    said: list[dict[str, Any]] = []
    carried: list[dict[str, Any]] = []
    continued = False
    sequence = 0
    for line in content.split(b"\n")[:-1]:
        note = line.startswith(b"#")
        try:
            found = json.loads(line[1:] if note else line)
        except (ValueError, RecursionError):
            continue
        if not isinstance(found, dict):
            continue
        if note:
            continued = continued or found.get("continued") is True
            runs, number, at = found.get("open"), found.get("sequence"), found.get("at")
            if isinstance(at, float) and not said:
                written_at = at  # nothing more was written: tell it as the file before would
            if isinstance(runs, list):
                carried += [run for run in runs if isinstance(run, dict) and is_message(run)]
            if isinstance(number, int):
                sequence = max(sequence, number)
        elif is_message(found):
            said.append(found)
    if not continued:
        said += completions(said, carried, sequence, written_at)
    return said


def is_message(found: dict[str, Any]) -> bool:
    """Whether an object is a message as we write them; anything else is not ours to send."""
    return (
        found.get("type") in ("track", "identify")
        and isinstance(found.get("messageId"), str)
        and isinstance(found.get("anonymousId"), str)
        and isinstance(found.get("properties" if found["type"] == "track" else "traits"), dict)
    )


def _lock(descriptor: int) -> bool:
    try:
        return try_lock(descriptor)
    except NoLocks:
        return False
