"""The queue: the spool's files, their names and messages, claiming, acknowledging, releasing one.

A claim is a file's lock. Acknowledging unlinks the file before its lock is released. What is in the
directory and is not a file of facts is left alone.

A file keeps its writer's bytes. What a sender has to remember of it is in its name, since a rename
is atomic, survives a kill, and goes together with the file:
`<nanoseconds>-<32 hex digits>-<part>[.dropped-<count>][.tried-<seconds>].facts`.
"""

from __future__ import annotations

import heapq
import json
import os
import re
import stat
from typing import TYPE_CHECKING, Any, NamedTuple

from .._reader import Composer
from .._spool import LOCK
from .._storage import NoLocks, check_private_directory, open_private, try_lock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._reader import Message

FILE_LIMIT = 512 * 1024
"""Bytes; a writer of ours makes no larger file."""
MESSAGE_LIMIT = 32 * 1024
"""Bytes of a message as it is sent; Segment rejects a larger one."""
ROOM_FOR_DROPPED = 32
"""Bytes of `, "dropped": 123456789`, and some."""
MAX_NAMES = 1_000
"""Names that are held in memory at a time, however many there are."""
MAX_DROPPED = 10**9 - 1
HEAD_LIMIT = 4 * 1024 + 256 * 1024
LINE_LIMIT = 32 * 1024
"""Bytes of the first line, which contains the runs that are open, and of any other line."""
_MAX_DEPTH = 64

_NAME = re.compile(
    r"([0-9]{20})-([0-9a-f]{32})-([0-9]{4,9})"
    r"(?:\.dropped-([0-9]{1,9}))?(?:\.tried-([0-9]{1,12}))?\.facts"
)


class FileName(NamedTuple):
    """The name of a file of facts.

    Attributes:
        created: when its writer created it, in nanoseconds since the epoch; names sort by it.
        digits: the 32 hexadecimal digits of its invocation.
        part: of the invocation, from 1.
        dropped: how many dropped events its first message reports.
        tried: since when its messages may have arrived without our knowing, in seconds since the
            epoch; None if there was no ambiguous attempt.
    """

    created: int
    digits: str
    part: int
    dropped: int = 0
    tried: int | None = None

    def __str__(self) -> str:
        dropped = f".dropped-{self.dropped}" if self.dropped else ""
        tried = f".tried-{self.tried}" if self.tried is not None else ""
        return f"{self.created:020d}-{self.digits}-{self.part:04d}{dropped}{tried}.facts"

    def reporting(self, dropped: int) -> FileName:
        """The name of a file whose first message reports so many dropped events."""
        return self._replace(dropped=min(dropped, MAX_DROPPED))

    def tried_at(self, at: int | None) -> FileName:
        """The name of a file with an ambiguous attempt since then."""
        return self._replace(tried=at)

    def created_at(self, now: float) -> FileName:
        """The name of a file whose age is counted from now on."""
        now = max(now, 0.0)  # a clock before 1970
        return self._replace(created=int(now * 1e9), tried=None if self.tried is None else int(now))


def parse(name: str) -> FileName | None:
    """The parts of a name, or None if it is not that of a file of facts."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    created, digits, part, dropped, tried = found.groups()
    return FileName(
        int(created), digits, int(part), int(dropped or 0), None if tried is None else int(tried)
    )


class Composition(NamedTuple):
    """What one file gives.

    Attributes:
        messages: in the order in which they are sent.
        lost: facts that could not be composed and that no message reports.
        pending: all dropped events that no message reports: `lost`, those of the facts' `dropped`
            and of the file's name.
        newer: whether the file has a higher version of the format. Then it is not read, and `lost`
            is the number of its facts.
    """

    messages: list[Message]
    lost: int
    pending: int
    newer: bool


def compose(name: str, content: bytes, *, writer_gone: bool) -> Composition:
    """The messages of one file. A line that cannot be read is skipped and counted.

    Args:
        name: of the file, without its directory.
        content: its bytes; what follows the last line's end is a torn line and is not counted.
        writer_gone: whether no process writes to it any more; then each run without an end gets
            an `unfinished` one.

    Raises:
        ValueError: the name is not that of a file of facts.
    """
    stem, _, marks = name.partition(".")
    hex_digits = stem.split("-")[1] if stem.count("-") == 2 else ""
    if len(hex_digits) != 32:
        raise ValueError(f"{name!r} is not the name of a file of facts")
    dropped = marks.partition("dropped-")[2].partition(".")[0]
    composer = Composer(hex_digits, int(dropped or 0))
    decode = json.JSONDecoder(
        object_pairs_hook=_unique, parse_float=_finite, parse_constant=_finite
    ).decode
    messages: list[Message] = []
    lines = content.split(b"\n")[:-1]
    limit = HEAD_LIMIT
    for line in lines:
        if not line:
            continue  # the end of a line that was torn before its first byte
        try:
            if len(line) > limit:
                raise ValueError("too long")
            fact = decode(line.decode("ascii"))
            if line.count(b"[") + line.count(b"{") > _MAX_DEPTH:
                _check_depth(fact)
        except (ValueError, RecursionError):
            composer.skip()
        else:
            messages += composer.feed(fact)
        limit = LINE_LIMIT
        if composer.newer:
            facts = max(1, len(lines) - 1)
            return Composition([], facts, facts + composer.pending, True)
    messages += composer.finish(writer_gone=writer_gone)
    return Composition(messages, composer.lost, composer.pending, False)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _finite(text: str) -> float:
    """A number that JSON has; `NaN`, `Infinity` and 1e999 are none."""
    number = float(text)
    if not float("-inf") < number < float("inf"):
        raise ValueError(text)
    return number


def _check_depth(fact: object) -> None:
    """Raise for what is nested so deeply that another encoder may fail on it."""
    level = [fact]
    for _ in range(_MAX_DEPTH):
        level = [
            inner
            for value in level
            if isinstance(value, (dict, list))
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return
    raise ValueError("nested too deeply")


class Entry(NamedTuple):
    """A message and its length in bytes as it is sent."""

    message: dict[str, Any]
    size: int


class Claim:
    """A file that has no writer any more, locked by us.

    Attributes:
        name: its name in the spool.
        entries: its messages that may be sent.
        newer: whether a newer version of this library wrote it; then it is kept for that one.
        dropped: its events that cannot be sent and that no message reports: they are too large or
            unreadable, or in a newer format.
        unreported: further events that were dropped and counted earlier and that no message
            reports.
    """

    __slots__ = (
        *("_descriptor", "_directory", "_first_track", "dropped", "entries", "name", "newer"),
        "unreported",
    )

    def __init__(self, directory: str, name: FileName, descriptor: int, content: bytes) -> None:
        self._directory = directory
        self._descriptor = descriptor
        self.name = name
        composition = compose(str(name), content, writer_gone=True)
        self.newer = composition.newer
        self.dropped = composition.lost
        self.unreported = composition.pending - composition.lost
        self.entries: list[Entry] = []
        self._first_track: int | None = None
        tracks = 0
        for message in composition.messages:
            size = length(message)
            properties = message.get("properties", {})
            if message["type"] == "track":
                tracks += 1
                fits = size <= MESSAGE_LIMIT - ROOM_FOR_DROPPED
                if tracks == 1 and fits and properties.get("outcome") != "unfinished":
                    self._first_track = len(self.entries)
            if size > MESSAGE_LIMIT:
                self.dropped += 1
                self.unreported += reported_by(message)
            else:
                self.entries.append(Entry(message, size))

    @property
    def messages(self) -> list[dict[str, Any]]:
        """Its messages that may be sent."""
        return [entry.message for entry in self.entries]

    @property
    def size(self) -> int:
        """Bytes of its messages as they are sent, with room for a report."""
        return sum(entry.size for entry in self.entries) + ROOM_FOR_DROPPED

    @property
    def is_empty(self) -> bool:
        """Whether nothing in it is to be sent or counted."""
        return not (self.entries or self.dropped or self.unreported or self.newer)

    @property
    def can_report(self) -> bool:
        """Whether its first message can report dropped events, and was never sent without."""
        return self.name.tried is None and not self.name.dropped and self._first_track is not None

    def report(self, name: FileName) -> None:
        """Let its first message report dropped events, in this attempt and every other one.

        Raises:
            OSError: its name could not be changed; nothing is reported then.
        """
        self.rename(name)
        first = self._first_track
        if first is None:
            return
        message = self.entries[first].message
        properties = message["properties"]
        dropped = reported_by(message) + name.dropped
        reporting = {**message, "properties": {**properties, "dropped": dropped}}
        self.entries[first] = Entry(reporting, length(reporting))

    def rename(self, name: FileName) -> None:
        """Give it another name.

        Raises:
            FileNotFoundError: it was removed.
            OSError: the directory cannot be written to, or the other name exists.
        """
        if name == self.name:
            if os.fstat(self._descriptor).st_nlink == 0:
                raise FileNotFoundError(self._path(name))
            return
        if os.path.lexists(self._path(name)):  # only the holder of the sender's lock renames
            raise FileExistsError(self._path(name))
        os.rename(self._path(self.name), self._path(name))
        self.name = name

    def acknowledge(self) -> None:
        """Unlink it: everything in it was accepted or counted as dropped.

        Raises:
            OSError: it could not be unlinked.
        """
        try:
            os.unlink(self._path(self.name))
        except FileNotFoundError:
            pass  # another process has removed it
        finally:
            os.close(self._descriptor)

    def release(self) -> None:
        """Leave it for another attempt."""
        os.close(self._descriptor)

    def _path(self, name: FileName) -> str:
        return os.path.join(self._directory, str(name))


def length(message: dict[str, Any]) -> int:
    """A message's bytes as the Segment client sends it."""
    return len(json.dumps(message))


def reported_by(message: dict[str, Any]) -> int:
    """How many dropped events a message reports."""
    dropped: int = message.get("properties", {}).get("dropped", 0)
    return dropped


def list_names(directory: str) -> Iterator[str]:
    """The names of the files of facts, in no order; none if there is no spool."""
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if parse(entry.name) is not None:
                    yield entry.name
    except OSError:
        return


def oldest_names(directory: str, after: str = "") -> list[str]:
    """The names of the files of facts, oldest first, at most `MAX_NAMES`.

    Args:
        directory: the spool.
        after: the last name of those that were returned before.
    """
    return heapq.nsmallest(MAX_NAMES, (name for name in list_names(directory) if name > after))


def claim(directory: str, name: str) -> Claim | None:
    """Lock a file, or return None if it has a writer, is gone or is not ours.

    A file without any fact (torn, empty, zeroed) is removed. What is not a private regular file (a
    symlink, a FIFO, a device, a hard link, another user's) is left alone.
    """
    parsed = parse(name)
    path = os.path.join(directory, name)
    try:
        # Checked before it is opened: opening some devices has an effect.
        if parsed is None or not stat.S_ISREG(os.lstat(path).st_mode):
            return None
        descriptor = open_private(path, os.O_RDWR)
    except OSError:
        return None
    try:
        if os.fstat(descriptor).st_nlink > 1 or not try_lock(descriptor):
            os.close(descriptor)
            return None
        found = os.fstat(descriptor)
        if found.st_nlink == 0:
            os.close(descriptor)  # another sender acknowledged it before we had the lock
            return None
        content = _read(descriptor, found.st_size)
    except OSError:  # no locks included
        os.close(descriptor)
        return None
    taken = Claim(directory, parsed, descriptor, content)
    if taken.is_empty:
        try:
            taken.acknowledge()
        except OSError:
            pass
        return None
    return taken


def take_lock(directory: str, *, create: bool = True) -> int | None:
    """The sender's lock, or None if another sender holds it or there are no locks.

    Args:
        directory: the spool.
        create: whether the lock's file is created if it is missing.

    Raises:
        OSError: it cannot be opened: it is a directory, a link, a FIFO, another user's file.
    """
    flags = os.O_RDWR | (os.O_CREAT if create else 0)
    return _locked(open_private(os.path.join(directory, LOCK), flags))


def take_directory_lock(directory: str) -> int | None:
    """A lock for the case that the sender's lock cannot be opened: that of the spool itself.

    Nothing may be sent under it; it keeps two processes from applying the bounds at a time.

    Raises:
        OSError: the directory cannot be opened, or is not ours.
    """
    check_private_directory(directory)
    flags = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
    return _locked(os.open(directory, flags))


def holds_lock(lock: int) -> bool:
    """Whether this open file holds its lock, which it takes if it is free; False without locks."""
    try:
        return try_lock(lock)
    except NoLocks:
        return False


def _locked(lock: int) -> int | None:
    if holds_lock(lock):
        return lock
    os.close(lock)
    return None


def _read(descriptor: int, size: int) -> bytes:
    """A file's bytes, in as many reads as it takes; one unreadable line if it is too large."""
    if size > FILE_LIMIT:
        return b"too large\n"
    content = b""
    while len(content) < size:
        piece = os.read(descriptor, size - len(content))
        if not piece:
            break
        content += piece
    return content
