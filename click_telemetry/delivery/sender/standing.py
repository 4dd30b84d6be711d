"""What a destination's sender remembers from one process to the next: a small file in the spool.

How often it failed, until when it waits, whom it has identified, what it has counted and only
has to unlink, and what `telemetry status` tells people. Nobody but the lock's holder writes it.
"""

from __future__ import annotations

import json
import os
import random
import time
from typing import Any

from ...storage import open_private, read_small, replace_file, set_time
from .. import LONGEST_WAIT, NOT_BEFORE

FILE = "standing.json"
LIMIT = 64 * 1024

FIRST_WAIT = 30.0
LONGEST_BACKOFF = 6 * 3600.0
CONFIGURATION_WAIT = 3600.0
"""Seconds: after a failure, doubled for each further one; and where only people can mend it."""

LONGEST_WORD = 80
LARGEST_COUNT = 10**12


class Standing:
    """The memory of one spool. What cannot be read, or is out of bounds, counts as absent.

    Args:
        directory: the spool.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        found = _read(os.path.join(directory, FILE))
        self._facts: dict[str, Any] = {name: found[name] for name in _KNOWN if name in found}

    @property
    def delivered(self) -> int:
        """Messages that were accepted."""
        return self._count("delivered")

    @property
    def delivered_at(self) -> float | None:
        """When the last ones were, in seconds since the epoch."""
        return self._moment("delivered_at")

    @property
    def refused(self) -> int:
        """Messages that a server would never take."""
        return self._count("refused")

    @property
    def dropped(self) -> int:
        """Messages that had waited too long, were too many or too large."""
        return self._count("dropped")

    @property
    def failures(self) -> int:
        """Failures since the last success."""
        return self._count("failures")

    @property
    def failed_at(self) -> float | None:
        """When the last one was, in seconds since the epoch."""
        return self._moment("failed_at")

    @property
    def last_error(self) -> str | None:
        """Its reason, in one word: `http_503`, `ConnectionError`."""
        return self._word("last_error")

    @property
    def identified(self) -> str | None:
        """The anonymous ID that this destination has been told."""
        return self._word("identified")

    @property
    def unreported(self) -> int:
        """How many dropped messages no event has reported yet."""
        return self._count("unreported")

    @property
    def reporting(self) -> tuple[str, str] | None:
        """A file's name before and after it was told to report what was dropped."""
        found = _names(self._facts.get("reporting"))
        return (found[0], found[1]) if len(found) == 2 else None

    @property
    def settled(self) -> list[str]:
        """The names of files that have been counted, and are not to be sent again."""
        return _names(self._facts.get("settled"))

    def settle(
        self,
        names: list[str],
        *,
        delivered: int = 0,
        refused: int = 0,
        error: str = "",
        dropped: int = 0,
        unreported: int = 0,
        identified: str | None = None,
    ) -> None:
        """Count what becomes of some files, before they are unlinked.

        Whoever comes next, if we are killed in between, unlinks them and counts nothing twice.

        Args:
            names: the files'; the ones before them must be gone.
            delivered: their messages that were accepted: the waiting is over.
            refused: those that the server will never take.
            error: what it said of them, in one word.
            dropped: those that were given up; a later event reports them.
            unreported: how many more were given up earlier, which one of them would have reported.
            identified: the anonymous ID that was told.
        """
        self._facts["settled"] = names
        self._add("delivered", delivered)
        self._add("refused", refused)
        self._add("dropped", dropped)
        self._add("unreported", dropped + unreported)
        if delivered or refused:
            self._facts["failures"] = 0
            self._forget_wait()
        if error:
            self._facts["last_error"] = error[:LONGEST_WORD]
        if delivered:
            self._facts["delivered_at"] = time.time()
        if identified is not None:
            self._facts["identified"] = identified
        self._save()

    def report(self, before: str, after: str) -> bool:
        """Hand the count of what was dropped over to a file, before it gets the name that says so.

        Returns:
            Whether that was remembered; if not, the file must not report it.
        """
        unreported = self.unreported
        self._facts["unreported"] = 0
        self._facts["reporting"] = [before, after]
        if self._save():
            return True
        self._facts["unreported"] = unreported
        del self._facts["reporting"]
        return False

    def failed(
        self,
        error: str,
        *,
        first: float = FIRST_WAIT,
        retry_after: float | None = None,
    ) -> None:
        """A request failed: put off the next one, in every process.

        Args:
            error: one word for people.
            first: seconds to wait after the first failure, doubled for each further one.
            retry_after: seconds that the server asked for.
        """
        failures = self.failures + 1
        self._facts["failures"] = failures
        self._facts["last_error"] = error[:LONGEST_WORD]
        self._facts["failed_at"] = time.time()
        wait = min(first * 2 ** min(failures - 1, 20), LONGEST_BACKOFF)
        wait *= random.uniform(0.5, 1.0)  # a thousand machines came back together
        if retry_after is not None:
            wait = max(wait, retry_after)
        self._save()
        put_off(self._directory, wait)

    def _forget_wait(self) -> None:
        try:
            os.unlink(os.path.join(self._directory, NOT_BEFORE))
        except OSError:
            return  # there was none

    def _add(self, name: str, count: int) -> None:
        if count:
            self._facts[name] = min(self._count(name) + count, LARGEST_COUNT)

    def _count(self, name: str) -> int:
        found = self._facts.get(name)
        return found if type(found) is int and 0 <= found <= LARGEST_COUNT else 0

    def _moment(self, name: str) -> float | None:
        found: Any = self._facts.get(name)
        known = isinstance(found, (int, float)) and not isinstance(found, bool)
        return float(found) if known and 0 <= found <= LARGEST_COUNT else None

    def _word(self, name: str) -> str | None:
        found = self._facts.get(name)
        return found if isinstance(found, str) and len(found) <= LONGEST_WORD else None

    def _save(self) -> bool:
        try:
            replace_file(
                os.path.join(self._directory, FILE), json.dumps(self._facts).encode("ascii")
            )
        except OSError:
            return False  # a memory that cannot be kept; delivering does not depend on it
        return True


_KNOWN = (
    *("delivered", "delivered_at", "refused", "dropped", "failures", "failed_at", "last_error"),
    *("identified", "unreported", "reporting", "settled"),
)


def put_off(directory: str, wait: float) -> None:
    """Let no sender start for some seconds: one `stat` tells the foreground."""
    path = os.path.join(directory, NOT_BEFORE)
    try:
        descriptor = open_private(path, os.O_RDWR | os.O_CREAT)
    except OSError:
        return  # the next command will ask again, which is all that is lost
    try:
        until = time.time() + min(wait, LONGEST_WAIT)
        set_time(descriptor, path, until)
    except OSError:
        return  # as above
    finally:
        os.close(descriptor)


def _names(found: object) -> list[str]:
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []


def _read(path: str) -> dict[str, Any]:
    try:
        found = json.loads(read_small(path, limit=LIMIT))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
