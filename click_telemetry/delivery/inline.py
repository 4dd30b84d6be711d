"""Delivery at the invocation's end, bounded: for machines that go away with it, or allow no child.

What is not accepted in time stays in the spool. Nothing here changes how a command ends: Ctrl-C
during the wait ends the wait.
"""

from __future__ import annotations

import os
import sys
from time import monotonic, sleep
from typing import TYPE_CHECKING

from .child import command_line, spawn, spawns
from .launcher import can_start, turn

if TYPE_CHECKING:
    from .launcher import Letter

SIGKILL = 9
"""By number: the module `signal` costs 1 ms."""
LOOK_EVERY = 0.005
"""Seconds."""


def hand_off_inline(letter: Letter, timeout: float) -> None:
    """Deliver now: in a child that is waited for, or in this process where there can be none.

    Args:
        letter: what the sender is told.
        timeout: seconds.

    Raises:
        OSError: no child could be started.
    """
    until = monotonic() + timeout
    lock = turn(letter)
    if lock is None:
        return
    if not can_start():
        _without_python(letter, lock, until)
        return
    if not spawns():
        os.close(lock)  # the child takes it
        from .portable import run

        run(letter, timeout)
        return
    try:
        child = spawn(letter, lock, command_line())
    finally:
        os.close(lock)
    wait_for(child, until)


def _without_python(letter: Letter, lock: int, until: float) -> None:
    if sys.platform == "linux" and hasattr(os, "fork"):  # elsewhere system libraries forbid it
        from .forked import fork

        try:
            child = fork(letter, lock, until)
        finally:
            os.close(lock)
        wait_for(child, until)
    else:
        from .in_process import deliver

        deliver(letter, lock, until)


def wait_for(child: int, until: float) -> None:
    """Wait for a child of ours; end it when the time is over, or when nobody wants to wait.

    Args:
        child: its process ID.
        until: by `monotonic()`.
    """
    gone = False
    try:
        while not gone and monotonic() < until:
            gone = _has_gone(child)
            if not gone:
                sleep(LOOK_EVERY)
    except KeyboardInterrupt:
        return  # whoever presses Ctrl-C now wants the prompt, and has it
    finally:
        if not gone and not _has_gone(child):
            os.kill(child, SIGKILL)
            _has_gone(child, 0)


def _has_gone(child: int, flags: int | None = None) -> bool:
    """Whether a child has ended, by us or by somebody else in this program who waits for any."""
    try:
        return os.waitpid(child, os.WNOHANG if flags is None else flags) != (0, 0)
    except ChildProcessError:
        return True
