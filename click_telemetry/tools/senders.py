"""Delivers a watched run with the library's own sender, started here and waited for.

It is the process that an application would have left behind, without its sleep.
"""

from __future__ import annotations

import glob
import json
import os
from time import monotonic, sleep
from typing import TYPE_CHECKING, NamedTuple

from ..delivery.attended import Attended
from ..delivery.launcher import Letter
from ..delivery.sender import standing
from ..delivery.sender.name import stem
from ..delivery.sender.waiting import claim, waiting
from ..privacy.watched import WRITE_KEY
from ..storage import read_small

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST = 10.0
"""Seconds for everything; what has not arrived by then is reported, not waited for."""
PAUSE = 0.02


class Left(NamedTuple):
    """What one application's spool still holds when the time is over, or nothing waits any more.

    Attributes:
        app: the application's name.
        held: files that a living process writes.
        undelivered: files that nobody writes any more.
        refused: messages that the receiver would not take.
        error: why, in one word of the sender's or the system's; empty where there is none.
        exit_status: the sender's last one, None where it had to be killed or was never started.
    """

    app: str
    held: int = 0
    undelivered: int = 0
    refused: int = 0
    error: str = ""
    exit_status: int | None = None


class Spool:
    """One spool of the watched run, and the sender that is at it.

    Args:
        directory: `<state>/<app>/spool/<digest>`.
        host: the receiver's origin.
    """

    def __init__(self, directory: str, host: str) -> None:
        self._directory = directory
        self._host = host
        self._sender = Attended()
        self._tried: set[str] = set()

    @property
    def busy(self) -> bool:
        """Whether a sender is at work."""
        return self._sender.busy

    def look(self) -> bool:
        """Start a sender for what can be claimed and was not tried before.

        Returns:
            Whether waiting makes sense: a sender works, or a living process holds a file.
        """
        if self.busy:
            return True
        free, held = self._files()
        if free - self._tried:
            self._tried |= free
            self._sender.start(Letter(self._directory, self._host, WRITE_KEY, None, None))
            return True
        return bool(held)

    @property
    def held(self) -> bool:
        """Whether the only thing to wait for is a living process."""
        return not self.busy and bool(self._files()[1])

    def left(self) -> Left:
        """What is still there, and why; a sender that still works is ended first."""
        self._sender.end()
        free, held = self._files()
        facts = self._standing()
        refused, error = facts.get("refused"), facts.get("last_error")
        return Left(
            os.path.basename(os.path.dirname(os.path.dirname(self._directory))),
            len(held),
            len(free),
            refused if isinstance(refused, int) else 0,
            error if isinstance(error, str) else self._sender.problem,
            self._sender.exit_status,
        )

    def _files(self) -> tuple[set[str], set[str]]:
        """The files that can be claimed, and those that cannot. Only while no sender works."""
        free, held = set(), set()
        for name in waiting(self._directory):
            taken = claim(self._directory, name)
            if taken is not None:
                taken.release()
                free.add(stem(name))
            elif os.path.lexists(os.path.join(self._directory, name)):
                held.add(stem(name))
        return free, held

    def _standing(self) -> dict[str, object]:
        path = os.path.join(self._directory, standing.FILE)
        try:
            found = json.loads(read_small(path, limit=standing.LIMIT))
        except (OSError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


def deliver(
    state: str,
    host: str,
    *,
    stop: Callable[[], bool],
    say: Callable[[str], None],
    longest: float = LONGEST,
) -> list[Left]:
    """Deliver all that a watched run has spooled, and wait for it.

    Args:
        state: the run's state directory.
        host: the receiver's origin.
        stop: whether somebody is tired of waiting.
        say: called once, when the wait is for a process that outlives the command.
        longest: seconds.

    Returns:
        What is left in each spool; nothing for a spool that is empty and had no trouble.
    """
    until = monotonic() + longest
    patient_until = monotonic() + 1.0
    spools: dict[str, Spool] = {}
    while True:
        for directory in glob.glob(os.path.join(glob.escape(state), "*", "spool", "*", "")):
            spools.setdefault(directory.rstrip(os.sep), Spool(directory.rstrip(os.sep), host))
        going = [spool for spool in spools.values() if spool.look()]
        if not going or stop() or monotonic() >= until:
            break
        if monotonic() >= patient_until and all(spool.held for spool in going):
            say(
                f"Waiting up to {longest:g} s for a process that outlives the command and still "
                "holds its events; Ctrl-C ends the wait."
            )
            patient_until = until
        sleep(PAUSE)
    found = [spool.left() for spool in spools.values()]
    return [left for left in found if left.held or left.undelivered or left.refused]
