"""Starts the sender without posix_spawn or without a shell: on Windows, in a bare container.

Such a child takes the sender's lock itself, once ours is free.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from .._launcher import command_line, environment, job, spawn

if TYPE_CHECKING:
    from .._spool import Spool

CREATE_NEW_PROCESS_GROUP = 0x00000200
CREATE_BREAKAWAY_FROM_JOB = 0x01000000
CREATE_NO_WINDOW = 0x08000000
"""Of Windows' CreateProcess. Not DETACHED_PROCESS: with it Python would open a window after all."""

SLEEP = "import time\ntime.sleep({delay})\n"
SLEEP_DETACHED = "import os\nos.fork() and os._exit(0)\n" + SLEEP


def start(spool: Spool, lock: int, *, away: bool, delay: int) -> None:
    """Start a sender that outlives this process.

    Args:
        spool: what it delivers.
        lock: the sender's lock, held.
        away: whether this program goes on, and must never meet a child that is not its own.
        delay: seconds that the sender sleeps first; none where there is no posix_spawn.

    Raises:
        OSError: it could not be started.
    """
    if hasattr(os, "posix_spawn"):
        command = command_line()
        sleep = SLEEP_DETACHED if away else SLEEP
        command[-1] = sleep.format(delay=delay) + command[-1]
        child = spawn(spool, lock, command)
        if away:
            os.waitpid(child, 0)
    else:
        # Given away: Popen would warn that it still runs.
        open_child(spool, command_line()).returncode = 0


def open_child(
    spool: Spool, command: list[str], *, detached: bool = True
) -> subprocess.Popen[bytes]:
    """A child with the job on its standard input and nothing else of ours.

    Args:
        spool: what it delivers.
        command: its command line.
        detached: whether it should leave the job object that a terminal or a CI service may end.

    Raises:
        OSError: it could not be started.
    """
    flags = 0
    if sys.platform == "win32":
        flags = CREATE_NO_WINDOW | CREATE_NEW_PROCESS_GROUP
        if detached:
            flags |= CREATE_BREAKAWAY_FROM_JOB
    try:
        child = _popen(spool, command, flags)
    except PermissionError:
        if not flags & CREATE_BREAKAWAY_FROM_JOB:
            raise
        # A job object may forbid leaving it: then the child lives as long as it does.
        child = _popen(spool, command, flags & ~CREATE_BREAKAWAY_FROM_JOB)
    assert child.stdin is not None
    try:
        with child.stdin:
            child.stdin.write(job(spool))
    except OSError:
        pass  # it has ended already; the spool keeps everything
    return child


def _popen(spool: Spool, command: list[str], flags: int) -> subprocess.Popen[bytes]:
    options: dict[str, Any] = {"creationflags": flags} if flags else {"start_new_session": True}
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(os.environ),
        cwd=spool.directory,
        **options,
    )
