"""Keeps a spool within its bounds: what has waited too long or is too much goes, oldest first.

It meets no network. What goes is counted before it is unlinked, so that a kill in between neither
loses a count nor counts twice.
"""

from __future__ import annotations

import heapq
import os
import re
from time import time
from typing import TYPE_CHECKING

from .. import refusal
from . import name as naming
from .standing import FILE
from .waiting import Claim, claim, names, waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .standing import Standing

MOST_FILES = 1_000
MOST_BYTES = 4 * 1024 * 1024
"""Of the files that wait for another time."""
AT_ONCE = 100
"""Files that are counted with one write."""
STALE = 3600.0
"""Seconds after which a file that was to be renamed is the remains of a writer that was killed."""

_OURS = re.compile(rf"(?:{re.escape(FILE)}|{re.escape(refusal.FILE)})\.[0-9a-f]{{12}}")
_WRITERS = re.compile(r"[0-9]{20}-[0-9a-z]{1,32}\.whole\.jsonl\.[0-9a-f]{12}")


class Blocked(OSError):
    """A file that is done with cannot be unlinked: sending more would send it for ever."""


class Bounds:
    """The bounds of one spool. Only the holder of the sender's lock may use it.

    Args:
        directory: the spool.
        standing: its memory.
        progress: called whenever something has been done, so that no deadline takes it for stuck.
    """

    def __init__(self, directory: str, standing: Standing, progress: Callable[[], None]) -> None:
        self._directory = directory
        self._standing = standing
        self._progress = progress

    def tidy(self) -> None:
        """Finish what a sender before us has begun, and drop what has waited too long.

        Raises:
            Blocked: what is done with cannot be unlinked.
        """
        for name in self._standing.settled:
            if naming.parse(name) is not None:
                self._unlink(name)
        self._finish_report()
        self._drop(self._overdue())
        self._sweep()

    def trim(self) -> None:
        """Drop what is too much, oldest first.

        Raises:
            Blocked: what is done with cannot be unlinked.
        """
        self._drop(self._too_many())
        self._drop(self._too_large())

    def acknowledge(self, taken: list[Claim]) -> None:
        """Unlink what was settled.

        Raises:
            Blocked: it cannot be unlinked; its name is remembered, and it is not sent again.
        """
        problem: OSError | None = None
        for held in taken:
            try:
                held.acknowledge()
            except OSError as error:
                problem = error
        self._progress()
        if problem is not None:
            raise Blocked(*problem.args) from problem

    def drop(self, taken: list[Claim]) -> None:
        """Count some files' messages as dropped, and unlink them.

        Raises:
            Blocked: they cannot be unlinked.
        """
        self._standing.settle(
            [str(held.name) for held in taken],
            dropped=sum(len(held.messages) + held.too_large for held in taken),
            unreported=sum(held.name.lost for held in taken),
        )
        self.acknowledge(taken)

    def _drop(self, victims: Iterator[str]) -> None:
        taken: list[Claim] = []
        for name in victims:
            held = claim(self._directory, name)
            if held is None:
                continue  # a living writer's, or gone, or it said nothing and has been removed
            taken.append(held)
            if len(taken) >= AT_ONCE:
                self.drop(taken)
                taken = []
        if taken:
            self.drop(taken)

    def _finish_report(self) -> None:
        """Give a file the name that says what it reports, if we were killed before that."""
        reporting = self._standing.reporting
        if reporting is None or None in map(naming.parse, reporting):
            return
        before, after = (os.path.join(self._directory, name) for name in reporting)
        try:
            if not os.path.lexists(after):
                os.rename(before, after)
        except FileNotFoundError:
            return  # it has been sent since, with its report
        except OSError as error:
            raise Blocked(*error.args) from error

    def _overdue(self) -> Iterator[str]:
        now = time()
        for name in names(self._directory):
            parsed = naming.parse(name)
            found = self._stat(name)
            if parsed is None or found is None:
                continue
            verdict = naming.verdict(parsed, found.st_mtime, now)
            if verdict == naming.DROP:
                yield name
            elif verdict == naming.DATE_ANEW:
                self._date_anew(name, now)

    def _date_anew(self, name: str, now: float) -> None:
        held = claim(self._directory, name)
        if held is None:
            return
        try:
            held.rename(held.name.begun_at(now))
        except OSError:
            pass  # it stays as it was: kept rather than dropped too early
        held.release()

    def _too_many(self) -> Iterator[str]:
        """All but the newest, found in one walk that remembers only those."""
        newest: list[str] = []
        for name in names(self._directory):
            if len(newest) < MOST_FILES:
                heapq.heappush(newest, name)
            else:
                yield heapq.heappushpop(newest, name)

    def _too_large(self) -> Iterator[str]:
        """The oldest of those that are left, as far as all of them are too many bytes."""
        sizes = []
        for name in waiting(self._directory):
            found = self._stat(name)
            if found is not None:
                sizes.append((name, found.st_size))
        left = sum(size for _, size in sizes)
        for name, size in sizes:
            if left <= MOST_BYTES:
                return
            left -= size
            yield name

    def _sweep(self) -> None:
        """Remove what a kill left of files that were to be renamed."""
        now = time()
        try:
            with os.scandir(self._directory) as entries:
                found = [entry.name for entry in entries if self._is_remains(entry, now)]
        except OSError:
            return
        for name in found:
            try:
                os.unlink(os.path.join(self._directory, name))
            except OSError:
                continue  # it takes a little room, which is all that it does

    @staticmethod
    def _is_remains(entry: os.DirEntry[str], now: float) -> bool:
        try:
            if not entry.is_file(follow_symlinks=False):
                return False
            if _OURS.fullmatch(entry.name):
                return True  # only the lock's holder makes one, and that is us
            return (
                _WRITERS.fullmatch(entry.name) is not None
                and abs(now - entry.stat(follow_symlinks=False).st_mtime) > STALE
            )
        except OSError:
            return False

    def _stat(self, name: str) -> os.stat_result | None:
        try:
            return os.lstat(os.path.join(self._directory, name))
        except OSError:
            return None

    def _unlink(self, name: str) -> None:
        try:
            os.unlink(os.path.join(self._directory, name))
        except FileNotFoundError:
            return
        except OSError as error:
            raise Blocked(*error.args) from error
