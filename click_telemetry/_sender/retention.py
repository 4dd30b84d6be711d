"""Keeps a spool within its bounds: files that are too old or too many are dropped, oldest first.

It uses no network. Events are counted before their file is unlinked, so that a kill in between
neither loses a count nor counts twice.
"""

from __future__ import annotations

import heapq
import os
import re
from time import time
from typing import TYPE_CHECKING

from .._storage import check_private_directory
from .queue import (
    Claim,
    FileName,
    claim,
    list_names,
    oldest_names,
    parse,
    reported_by,
    take_directory_lock,
    take_lock,
)
from .state import CONFIGURATION_WAIT, FILE, SenderState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_FILES = 1_000
MAX_BYTES = 4 * 1024 * 1024
"""Of the files that are queued."""
BATCH = 100
"""Files that are counted with one write of the state."""

MAX_AGE = 7 * 24 * 3600.0
"""Seconds that a file is kept."""
MAX_AMBIGUITY = 20 * 3600.0
"""Seconds from the first ambiguous attempt: Segment recognises a repeated ID for a day."""
MAX_CREDIBLE_AGE = 365 * 24 * 3600.0
MAX_CREDIBLE_LEAD = 3600.0
"""Seconds; an age or a lead beyond these is the result of a wrong clock, then or now."""

MAX_SPOOLS = 50
"""Other destinations' spools that are inspected."""

KEEP = "keep"
DROP = "drop"
REDATE = "redate"

_REMAINS = re.compile(rf"{re.escape(FILE)}\.[0-9a-f]{{12}}")
_SPOOL = re.compile(r"[0-9a-f]{16}")


class Blocked(OSError):
    """A settled file cannot be unlinked: sending more would send it again and again."""


class Retention:
    """The bounds of one spool. Only the holder of the sender's lock may use it.

    Args:
        directory: the spool.
        state: of its sender.
        progress: called whenever there was progress, for the watchdog.
    """

    def __init__(self, directory: str, state: SenderState, progress: Callable[[], None]) -> None:
        self._directory = directory
        self._state = state
        self._progress = progress

    def clean(self) -> None:
        """Finish what an earlier sender has begun, and drop what is too old.

        Raises:
            Blocked: a settled file cannot be unlinked.
        """
        for name in self._state.settled:
            if parse(name) is not None:
                self._unlink(name)
        self._finish_report()
        self._drop(self._overdue())
        self._remove_remains()

    def trim(self) -> None:
        """Drop what is too much, oldest first.

        Raises:
            Blocked: a settled file cannot be unlinked.
        """
        self._drop(self._too_many())
        self._drop(self._too_large())

    def acknowledge(self, claims: list[Claim]) -> None:
        """Unlink files that were settled.

        Raises:
            Blocked: one cannot be unlinked; its name is saved, and it is not sent again.
        """
        problem: OSError | None = None
        for taken in claims:
            try:
                taken.acknowledge()
            except OSError as error:
                problem = error
        self._progress()
        if problem is not None:
            raise Blocked(*problem.args) from problem

    def drop(self, claims: list[Claim]) -> None:
        """Count the events of some files as dropped, and unlink the files.

        Raises:
            Blocked: one cannot be unlinked.
        """
        self._state.commit(
            [str(taken.name) for taken in claims],
            dropped=sum(len(taken.entries) + taken.dropped for taken in claims),
            unreported=sum(
                taken.unreported + sum(reported_by(message) for message in taken.messages)
                for taken in claims
            ),
        )
        self.acknowledge(claims)

    def _drop(self, names: Iterator[str]) -> None:
        claims: list[Claim] = []
        for name in names:
            taken = claim(self._directory, name)
            if taken is None:
                continue  # it has a writer, or is gone, or was empty and has been removed
            claims.append(taken)
            if len(claims) >= BATCH:
                self.drop(claims)
                claims = []
        if claims:
            self.drop(claims)

    def _finish_report(self) -> None:
        """Give a file the name with its report, if a sender was killed before it could."""
        reporting = self._state.reporting
        if reporting is None or None in map(parse, reporting):
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
        for name in list_names(self._directory):
            parsed = parse(name)
            found = self._stat(name)
            if parsed is None or found is None:
                continue
            verdict = judge_age(parsed, found.st_mtime, now)
            if verdict == DROP:
                yield name
            elif verdict == REDATE:
                self._redate(name, now)

    def _redate(self, name: str, now: float) -> None:
        taken = claim(self._directory, name)
        if taken is None:
            return
        try:
            taken.rename(taken.name.created_at(now))
        except OSError:
            pass  # kept rather than dropped too early
        taken.release()

    def _too_many(self) -> Iterator[str]:
        """All but the newest, in one pass that keeps only those in memory."""
        newest: list[str] = []
        for name in list_names(self._directory):
            if len(newest) < MAX_FILES:
                heapq.heappush(newest, name)
            else:
                yield heapq.heappushpop(newest, name)

    def _too_large(self) -> Iterator[str]:
        """The oldest of those that are left, until the rest has few enough bytes."""
        sizes = []
        for name in oldest_names(self._directory):
            found = self._stat(name)
            if found is not None:
                sizes.append((name, found.st_size))
        left = sum(size for _, size in sizes)
        for name, size in sizes:
            if left <= MAX_BYTES:
                return
            left -= size
            yield name

    def _remove_remains(self) -> None:
        """Remove temporary files of senders that were killed; only the lock's holder has one."""
        try:
            with os.scandir(self._directory) as entries:
                found = [
                    entry.path
                    for entry in entries
                    if _REMAINS.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)
                ]
        except OSError:
            return
        for path in found:
            try:
                os.unlink(path)
            except OSError:
                continue  # it only takes a little room

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


def judge_age(name: FileName, written_at: float, now: float) -> str:
    """Whether a file is kept: KEEP, DROP, or REDATE if no reading of the clock can be right. Pure.

    Args:
        name: the file's.
        written_at: its last write, in seconds since the epoch.
        now: seconds since the epoch.
    """
    ambiguous_for = 0.0 if name.tried is None else now - name.tried
    if not _is_credible(ambiguous_for):
        return REDATE
    if ambiguous_for > MAX_AMBIGUITY:
        return DROP
    for since in (written_at, name.created / 1e9):
        if _is_credible(now - since):
            return DROP if now - since > MAX_AGE else KEEP
    return REDATE


def trim_without_lock(spool: str, progress: Callable[[], None]) -> None:
    """Apply the bounds to a spool whose lock cannot be opened, and save that for `status`.

    A directory, a link or a FIFO has the lock's name: nothing is delivered until it is removed, and
    the spool must not grow meanwhile. Never raises.
    """
    try:
        lock = take_directory_lock(spool)
        if lock is None:
            return
        try:
            state = SenderState(spool)
            state.record_failure("lock", first=CONFIGURATION_WAIT)
            retention = Retention(spool, state, progress)
            retention.clean()
            retention.trim()
        finally:
            os.close(lock)
    except OSError:
        return  # it is another user's, or cannot be changed


def clean_other_spools(spool: str, progress: Callable[[], None]) -> None:
    """Drop what is too old in the application's other spools, and count it there.

    A user who has signed out may never come back, and a new version may have a new key: no sender
    delivers there then. Nothing is sent, and a spool without overdue files is not touched.

    Args:
        spool: our own, which is left alone.
        progress: called whenever there was progress.
    """
    parent, own = os.path.split(spool)
    try:
        found = [name for name in os.listdir(parent) if _SPOOL.fullmatch(name) and name != own]
    except OSError:
        return
    for name in found[:MAX_SPOOLS]:
        try:
            _clean_spool(os.path.join(parent, name), progress)
        except OSError:
            continue  # it is another user's, or cannot be changed: its own sender reports that


def _clean_spool(spool: str, progress: Callable[[], None]) -> None:
    check_private_directory(spool)
    if not _has_overdue_files(spool):
        return
    try:
        lock = take_lock(spool, create=False)
    except OSError:
        trim_without_lock(spool, progress)
        return
    if lock is not None:
        try:
            Retention(spool, SenderState(spool), progress).clean()
        finally:
            os.close(lock)


def _has_overdue_files(spool: str) -> bool:
    now = time()
    for name in list_names(spool):
        parsed = parse(name)
        if parsed is not None:
            written_at = os.lstat(os.path.join(spool, name)).st_mtime
            if judge_age(parsed, written_at, now) == DROP:
                return True
    return False


def _is_credible(age: float) -> bool:
    return -MAX_CREDIBLE_LEAD <= age <= MAX_CREDIBLE_AGE
