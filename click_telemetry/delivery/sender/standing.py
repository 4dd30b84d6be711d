"""What a destination's sender remembers from one process to the next: a small file in the spool.

How often it failed, until when it waits, whom it has identified, and what `telemetry status`
tells people. Losing it costs a repeated identify and a shorter wait, nothing else.
"""

from __future__ import annotations

import json
import os
import random
import time
from typing import Any

from ...storage import open_private, read_small, replace_file
from ..launcher import LONGEST_WAIT, NOT_BEFORE

FILE = "standing.json"
LIMIT = 64 * 1024

FIRST_WAIT = 30.0
LONGEST_BACKOFF = 6 * 3600.0
CONFIGURATION_WAIT = 3600.0
"""Seconds: after a failure, doubled for each further one; and where only people can mend it."""


class Standing:
    """The memory of one spool.

    Args:
        directory: the spool.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._facts = _read(os.path.join(directory, FILE))

    @property
    def identified(self) -> str | None:
        """The anonymous ID that this destination has been told."""
        found = self._facts.get("identified")
        return found if isinstance(found, str) else None

    def delivered(self, messages: int, identified: str | None) -> None:
        """Messages were accepted: the waiting is over."""
        self._facts["delivered"] = self._count("delivered") + messages
        self._facts["delivered_at"] = time.time()
        self._facts["failures"] = 0
        if identified is not None:
            self._facts["identified"] = identified
        self._forget_wait()
        self._save()

    def refused(self, messages: int, error: str) -> None:
        """Messages were dropped, since the server will never take them."""
        self._facts["refused"] = self._count("refused") + messages
        self._facts["last_error"] = error
        self._save()

    def failed(self, error: str, *, configuration: bool, retry_after: float | None = None) -> None:
        """A request failed: put off the next one, in every process.

        Args:
            error: one word for people.
            configuration: whether waiting alone cannot mend it.
            retry_after: seconds that the server asked for.
        """
        failures = self._count("failures") + 1
        self._facts["failures"] = failures
        self._facts["last_error"] = error
        self._facts["failed_at"] = time.time()
        first = CONFIGURATION_WAIT if configuration else FIRST_WAIT
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

    def _count(self, name: str) -> int:
        found = self._facts.get(name)
        return found if isinstance(found, int) and found >= 0 else 0

    def _save(self) -> None:
        try:
            replace_file(
                os.path.join(self._directory, FILE), json.dumps(self._facts).encode("ascii")
            )
        except OSError:
            return  # a memory that cannot be kept; delivering does not depend on it


def put_off(directory: str, wait: float) -> None:
    """Let no sender start for some seconds: one `stat` tells the foreground."""
    path = os.path.join(directory, NOT_BEFORE)
    try:
        descriptor = open_private(path, os.O_RDWR | os.O_CREAT)
    except OSError:
        return  # the next command will ask again, which is all that is lost
    try:
        until = time.time() + min(wait, LONGEST_WAIT)
        os.utime(descriptor, (until, until))
    finally:
        os.close(descriptor)


def _read(path: str) -> dict[str, Any]:
    try:
        found = json.loads(read_small(path, limit=LIMIT))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
