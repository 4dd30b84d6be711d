"""Delivery at the invocation's end, bounded: for machines that go away with the command."""

from __future__ import annotations

import os
from time import monotonic, sleep
from typing import TYPE_CHECKING

from .launcher import command_line, spawn, turn

if TYPE_CHECKING:
    from .launcher import Letter

SIGKILL = 9
"""By number: the module `signal` costs 1 ms."""


def hand_off_inline(letter: Letter, timeout: float) -> None:
    """Deliver now, in a child that is waited for: where none would outlive this process.

    Args:
        letter: what the sender is told.
        timeout: seconds; what has not been accepted by then stays in the spool.

    Raises:
        OSError: no child could be started.
    """
    lock = turn(letter)
    if lock is None:
        return
    try:
        child = spawn(letter, lock, command_line())
    finally:
        os.close(lock)
    until = monotonic() + timeout
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if monotonic() >= until:
            os.kill(child, SIGKILL)
            os.waitpid(child, 0)
            return
        sleep(0.005)
