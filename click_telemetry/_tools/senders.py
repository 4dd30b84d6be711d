"""Delivers what a watched run has spooled, with the library's own senders, and waits for them."""

from __future__ import annotations

import glob
import os
from time import monotonic, sleep
from typing import TYPE_CHECKING, NamedTuple

from .._commands.sender_process import SenderJob, SenderProcess, file_key
from .._foreground.sinks import WRITE_KEY
from .._sender.queue import claim, oldest_names
from .._sender.state import SenderState

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_WAIT = 10.0
"""Seconds in all; what has not arrived by then is reported."""
POLL_EVERY = 0.02
ANNOUNCE_AFTER = 1.0
"""Seconds of waiting for another process, after which that is printed."""


class Remainder(NamedTuple):
    """What is still in an application's spool when the wait is over.

    Attributes:
        app: the application's name.
        locked: files that a running process writes.
        undelivered: files that no process writes any more.
        rejected: messages that the receiver rejected.
        error: the sender's error code or the system's message; empty if there is none.
        exit_status: of the last sender; None if it was killed or never started.
    """

    app: str
    locked: int = 0
    undelivered: int = 0
    rejected: int = 0
    error: str = ""
    exit_status: int | None = None


class WatchedSpool:
    """One spool of the watched run, and its sender.

    Args:
        directory: `<state>/<app>/spool/<digest>`.
        host: the receiver's origin.
    """

    def __init__(self, directory: str, host: str) -> None:
        self._directory = directory
        self._job = SenderJob(directory, host, WRITE_KEY, None, None)
        self._sender = SenderProcess()
        self._tried: set[object] = set()

    def advance(self) -> bool:
        """Start a sender for the files that can be claimed and were not tried before.

        Returns:
            Whether to wait: a sender is running, or a running process writes a file.
        """
        if self._sender.is_running:
            return True
        free, locked = self._files()
        if free - self._tried:
            self._tried |= free
            self._sender.start(self._job)
            return True
        return bool(locked)

    @property
    def waits_for_writer(self) -> bool:
        """Whether a running process that writes a file is all that there is to wait for."""
        return not self._sender.is_running and bool(self._files()[1])

    def remainder(self) -> Remainder:
        """What is still there, and why. A sender that is running is killed first."""
        self._sender.kill()
        free, locked = self._files()
        state = SenderState(self._directory)
        return Remainder(
            os.path.basename(os.path.dirname(os.path.dirname(self._directory))),
            len(locked),
            len(free),
            state.rejected,
            state.last_error or self._sender.problem,
            self._sender.exit_status,
        )

    def _files(self) -> tuple[set[object], set[object]]:
        """The files that can be claimed, and those that cannot. Only while no sender is running."""
        free, locked = set(), set()
        for name in oldest_names(self._directory):
            taken = claim(self._directory, name)
            if taken is not None:
                taken.release()
                free.add(file_key(name))
            elif os.path.lexists(os.path.join(self._directory, name)):
                locked.add(file_key(name))
        return free, locked


def deliver(
    state: str,
    host: str,
    *,
    stop: Callable[[], bool],
    report: Callable[[str], None],
    max_wait: float = MAX_WAIT,
) -> list[Remainder]:
    """Deliver all that a watched run has spooled, and wait for it.

    Args:
        state: the run's state directory.
        host: the receiver's origin.
        stop: whether to stop waiting.
        report: called once, if the wait is for a process that outlives the command.
        max_wait: seconds.

    Returns:
        What remains in each spool; nothing for one that is empty and had no error.
    """
    began = monotonic()
    announced = False
    spools: dict[str, WatchedSpool] = {}
    while True:
        for found in glob.glob(os.path.join(glob.escape(state), "*", "spool", "*", "")):
            directory = found.rstrip(os.sep)
            if directory not in spools:
                spools[directory] = WatchedSpool(directory, host)
        unfinished = [spool for spool in spools.values() if spool.advance()]
        waited = monotonic() - began
        if not unfinished or stop() or waited >= max_wait:
            break
        if not announced and waited >= ANNOUNCE_AFTER:
            announced = all(spool.waits_for_writer for spool in unfinished)
            if announced:
                report(
                    f"Waiting up to {max_wait:g} s for a process that outlives the command and "
                    "still records events; Ctrl-C ends the wait."
                )
        sleep(POLL_EVERY)
    remainders = [spool.remainder() for spool in spools.values()]
    return [one for one in remainders if one.locked or one.undelivered or one.rejected]
