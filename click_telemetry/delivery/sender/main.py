"""The sender: holds the lock, delivers what waits, releases, then looks once more.

It does not outlive its work, speaks to nobody but the server, and may be killed at any moment:
what was not acknowledged is sent again, under the same message IDs.
"""

from __future__ import annotations

import os
from typing import Any

from ...storage import LOWEST_DESCRIPTOR, NoLocks, open_private, try_lock
from ..launcher import LETTER_DESCRIPTOR, LOCK_DESCRIPTOR, too_early
from ..spool import LOCK
from .deadline import set_deadline
from .deliver import Delivery
from .standing import put_off
from .waiting import claim, waiting

AFTER_DEADLINE = 300.0
"""Seconds to wait after a server has held a sender until its deadline."""


def main(letter: dict[str, Any]) -> int:
    """Run as a process of its own.

    Args:
        letter: what the launcher wrote (`launcher.Letter`), read from standard input already.

    Returns:
        The process's exit status: 0, also when somebody else delivers.
    """
    spool: str = letter["spool"]
    token: str | None = letter.get("token")
    lock = _inherited_lock(spool)
    _leave_the_parent()
    set_deadline(lambda: put_off(spool, AFTER_DEADLINE))
    if lock is None:
        lock = _take_lock(spool)
    while lock is not None:
        gone = Delivery(letter, lock).run()
        os.close(lock)
        # Released, then looked: who found the lock busy until now relies on this look.
        lock = _take_lock(spool) if gone and not too_early(spool, token) and _waits(spool) else None
    return 0


def _inherited_lock(spool: str) -> int | None:
    """The lock that the launcher held for us, on a descriptor that nothing else expects."""
    try:
        given = os.fstat(LOCK_DESCRIPTOR)
        named = os.lstat(os.path.join(spool, LOCK))
        if (given.st_dev, given.st_ino) != (named.st_dev, named.st_ino):
            return None
        if not try_lock(LOCK_DESCRIPTOR):
            return None
        import fcntl

        lock = fcntl.fcntl(LOCK_DESCRIPTOR, fcntl.F_DUPFD_CLOEXEC, LOWEST_DESCRIPTOR)
        os.close(LOCK_DESCRIPTOR)
    except (OSError, ImportError):
        return None
    return lock


def _take_lock(spool: str) -> int | None:
    """The lock, or None where another sender is alive."""
    try:
        lock = open_private(os.path.join(spool, LOCK), os.O_RDWR | os.O_CREAT)
    except OSError:
        return None
    try:
        if try_lock(lock):
            return lock
    except NoLocks:
        pass  # without locks there is no telling who else is at it
    os.close(lock)
    return None


def _waits(spool: str) -> bool:
    """Whether a file can be claimed that came while we were at work."""
    for name in waiting(spool):
        taken = claim(spool, name)
        if taken is not None:
            taken.release()
            return True
    return False


def _leave_the_parent() -> None:
    """Keep nothing of who started us: its directory, its streams, its terminal."""
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    if null > 2:
        os.close(null)
    os.closerange(LETTER_DESCRIPTOR, LOWEST_DESCRIPTOR)
