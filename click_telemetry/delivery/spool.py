"""The writing side of the spool: an invocation's series of files, held one at a time.

The directory is the queue; see `sender.waiting` for its reading side. The lock tells the living
from the dead: a file whose lock is free has no writer any more.

A line is a message. A line that begins with `#` is a note for the sender: the file is `continued`
by another one, or these runs were `open` when it began, after so many messages (`sequence`), the
last of them written `at` that time.

Where the file system has no locks nothing tells the living from the dead. There a file appears
whole, by one rename, under the suffix `WHOLE`: it has no writer once it can be seen (`unlocked`).
"""

from __future__ import annotations

import os
from time import monotonic, time_ns
from typing import TYPE_CHECKING, Any

from ..events import COMMAND_COMPLETED, COMMAND_INVOKED
from ..events.text import encode
from ..storage import NoLocks, Unusable, check_private_directory, make_private_directory
from .locked import LockedFile, locked_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..events.text import Json
    from .unlocked import UnlockedFile

SUFFIX = ".jsonl"
WHOLE = ".whole" + SUFFIX
"""Of a file that was written at once and has no writer; nobody needs its lock to take it."""

FILE_LIMIT = 512 * 1024
"""Bytes; the sender takes no larger file."""
RESERVED = 96 * 1024
"""Bytes that only the lifecycle pair may fill."""
CARRIED = 256 * 1024
"""Bytes of open runs that a following file begins with; some 200, of as many threads."""
PUBLISH_AFTER = 5.0
"""Seconds from one publication of a long-lived invocation to the next."""

CONTINUED = b'#{"continued":true}\n'
"""The note at the end of a file that another one continues."""

_LIFECYCLE = (COMMAND_INVOKED, COMMAND_COMPLETED)
_NOTES = 256
"""Bytes that are kept for the notes around the open runs."""
_TRIES = 16
"""Senders that take a new file between its making and our lock, before we leave it."""


class Full(OSError):
    """The file has no room for an event of the application's own."""


class Erased(OSError):
    """What the invocation recorded was deleted while it ran: it must leave nothing more."""


class SpoolClient:
    """Writes an invocation's messages to files of its own, each at once and in one write.

    Args:
        directory: the destination's spool; made if it is missing, but not a second time. Who
            deletes it wants it forgotten.
        hand_off: called when something has been published.

    Attributes:
        publication: how many times something was published; a bound per publication starts anew.
        written: bytes that were published since the last `hand_off`, those that it is for included.
    """

    __slots__ = (
        "_directory",
        "_erased",
        "_file",
        "_hand_off",
        "_locks",
        "_made",
        "_named",
        "_open_runs",
        "_owed",
        "_published_at",
        "_sequence",
        "publication",
        "written",
    )

    def __init__(self, directory: str, hand_off: Callable[[], None]) -> None:
        self._directory = directory
        self._erased = False
        self._file: LockedFile | UnlockedFile | None = None
        self._hand_off = hand_off
        self._locks = True
        self._made = False
        self._named = 0
        self._open_runs: dict[str, dict[str, Json]] = {}
        self._owed = b""
        self._published_at = monotonic()
        self._sequence = 0
        self.publication = 0
        self.written = 0

    @property
    def state_directory(self) -> str:
        """The directory of everything that is stored for the application here."""
        return os.path.dirname(os.path.dirname(self._directory))

    def record(self, message: dict[str, Json], /) -> None:
        """Append a message; it survives the death of this process from then on.

        Raises:
            OSError: it could not be written; nothing half of it will ever be delivered. One of the
                lifecycle pair is kept instead, and tried again with the next event and at the end.
                `Erased` from the moment on that somebody deletes what this invocation recorded.
        """
        line = encode(message).encode("ascii") + b"\n"
        lifecycle = message.get("event") in _LIFECYCLE
        try:
            self._file_with_room(len(line), lifecycle).write(self._owed + line)
            self._owed = b""
        except OSError:
            if self._erased or not lifecycle or len(self._owed) + len(line) > RESERVED:
                raise
            self._owed += line
        self._follow(message)
        self.publish_if_due()

    def publish_if_due(self) -> None:
        """Give a sender what is written so far, once 5 s have gone since the last time.

        Called with every event, one that finds no room included: no timer, no thread. Never raises.
        """
        if monotonic() - self._published_at < PUBLISH_AFTER:
            return
        self._published_at = monotonic()
        if self._owed:
            return  # a file that said `continued` would leave its runs to messages not yet written
        try:
            self._go_on()
        except OSError:
            return  # everything stays in this file until the next time
        self.publication += 1
        self._have_it_delivered()

    def close(self) -> None:
        """Publish what was written, and have it delivered."""
        if self._owed:
            try:
                self._file_with_room(0, lifecycle=True).write(self._owed)
            except OSError:
                pass  # now it is lost: there is nobody left to tell
        try:
            self._release()
        except OSError:
            return  # likewise
        self._have_it_delivered()

    def _follow(self, message: dict[str, Json]) -> None:
        """Keep the runs that are open, for the note at the head of a following file."""
        properties: Any = message.get("properties", {})
        run_id = properties.get("run_id")
        self._sequence = properties.get("sequence", self._sequence)
        if message.get("event") == COMMAND_INVOKED:
            self._open_runs[run_id] = message
        elif message.get("event") == COMMAND_COMPLETED:
            self._open_runs.pop(run_id, None)

    def _go_on(self) -> None:
        """Release the file; while runs are open the following one is held before that.

        At any moment one of the two, or both in the same words, tells who was running should we
        vanish: the new file's note is on disk before the old one says `continued`.
        """
        if self._open_runs and self._file is not None:
            following = self._new_file(self._file.written_at())
            try:
                self._file.write(CONTINUED)
                self._release()
            except BaseException:
                following.discard()
                raise
            self._file = following
        else:
            self._release()

    def _release(self) -> None:
        if self._file is not None:
            self._file.release()
            self.written += self._file.size
            self._file = None

    def _have_it_delivered(self) -> None:
        if not self.written:
            return
        try:
            self._hand_off()
        except Exception:  # the next invocation's sender takes it; nothing of it is lost
            return
        self.written = 0

    def _file_with_room(self, length: int, lifecycle: bool) -> LockedFile | UnlockedFile:
        """The file to write to; a following one where even the lifecycle pair would not fit.

        Raises:
            Full: only the lifecycle pair has room.
            OSError: there is none and none can be made.
        """
        if isinstance(self._file, LockedFile):
            if not self._file.is_ours():
                # What a sender takes for dead it completes, so be back before the next one looks.
                self._file = self._file.found_again()
            elif self._file.unlinked:
                self._forget()  # no sender unlinks a file that it cannot lock
        size = (self._file.size if self._file is not None else 0) + len(self._owed) + length
        if not lifecycle and size > FILE_LIMIT - RESERVED:
            before = self.publication
            self.publish_if_due()
            if self.publication == before:
                raise Full("the invocation's file is full")
        elif self._file is not None and size > FILE_LIMIT - _NOTES:
            self._go_on()
        if self._file is None:
            self._file = self._new_file(None)
        return self._file

    def _new_file(self, written_at: float | None) -> LockedFile | UnlockedFile:
        """A file that no sender has seen, its lock held, the open runs noted at its head.

        Raises:
            OSError: it cannot be made; nothing is left of it.
        """
        if self._erased:
            raise Erased("what was recorded has been deleted")
        if self._made:
            try:
                check_private_directory(self._directory)
            except FileNotFoundError:
                self._forget()
        else:
            make_private_directory(self._directory)
            self._made = True
        file: LockedFile | UnlockedFile | None = self._locked_file() if self._locks else None
        if file is None:
            from .unlocked import UnlockedFile  # for the few whose home has no locks

            file = UnlockedFile(self._new_path(WHOLE))
        if self._open_runs:
            try:
                file.write(self._note(written_at))
            except BaseException:
                file.discard()
                raise
        return file

    def _forget(self) -> None:
        """Whoever deleted what was here does not want it back.

        Raises:
            Erased: always.
        """
        self._erased = True
        self._release()
        self.written = 0
        self._owed = b""
        raise Erased("what was recorded has been deleted")

    def _locked_file(self) -> LockedFile | None:
        """A new file, locked; None where there are no locks."""
        try:
            for _ in range(_TRIES):
                file = locked_file(self._new_path(SUFFIX))
                if file is not None:
                    return file
        except NoLocks:
            self._locks = False
            return None
        raise Unusable("every new file is taken before it is locked")

    def _new_path(self, suffix: str) -> str:
        # Later than the last one's name whatever the clock says: a series is read in order.
        self._named = max(time_ns(), self._named + 1)
        name = f"{self._named:020d}-{os.urandom(8).hex()}{suffix}"
        return os.path.join(self._directory, name)

    def _note(self, written_at: float | None) -> bytes:
        """The open runs, as many as a file has room for, and where the series has got to."""
        carried: list[Json] = []
        room = CARRIED
        for invoked in self._open_runs.values():
            room -= len(encode(invoked))
            if room < 0:
                break
            carried.append(invoked)
        note: dict[str, Json] = {"open": carried, "sequence": self._sequence}
        if written_at is not None:
            note["at"] = written_at
        return b"#" + encode(note).encode("ascii") + b"\n"
