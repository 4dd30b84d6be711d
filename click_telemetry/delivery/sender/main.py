"""The sender: holds the lock, delivers what waits, releases, then looks once more.

It does not outlive its work, speaks to nobody but the server, and may be killed at any moment:
what was not acknowledged is sent again, under the same message IDs.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from ...privacy import choice
from ...privacy.refusal import variable_saying_no
from ...storage import LOWEST_DESCRIPTOR, NoLocks, open_private, try_lock
from .. import LOCK
from ..child import LETTER_DESCRIPTOR, LOCK_DESCRIPTOR
from ..launcher import too_early
from .beside import tidy_beside
from .deadline import DEADLINE, Deadline
from .deliver import Delivery
from .standing import CONFIGURATION_WAIT, Standing
from .waiting import claim, waiting

if TYPE_CHECKING:
    from .patience import Patience

AFTER_DEADLINE = 300.0
"""Seconds to wait after a server has held a sender until its deadline."""
MOST_MEMORY = 512 * 1024 * 1024
"""Bytes of address space; the sender and the Segment client need about 60 MB."""


def main(letter: dict[str, Any], deadline: float = DEADLINE) -> int:
    """Run as a process of its own.

    Args:
        letter: what the launcher wrote (`launcher.Letter`), read from standard input already.
        deadline: seconds without progress after which this process ends itself.

    Returns:
        The process's exit status: 0, also when somebody else delivers; 1 after a fault of ours.
    """
    if variable_saying_no(os.environ, "") is not None:
        return 0  # started by hand: an application that sees such a variable starts none
    spool: str = letter["spool"]
    lock = _inherited_lock(spool)
    _leave_the_parent()
    _take_no_more_memory()
    end = Deadline(deadline)
    if lock is None:
        lock = _take_lock(spool)
    if lock is None:
        return 0
    status = work(letter, lock, end)
    tidy_beside(spool, end.progress)
    return status


def work(letter: dict[str, Any], lock: int, deadline: Deadline | Patience) -> int:
    """Deliver until nothing waits any more, or nothing can be delivered now.

    Args:
        letter: what the launcher wrote (`launcher.Letter`).
        lock: the sender's lock, held; it is closed here.
        deadline: of this process, or the patience of one that waits for its end.

    Returns:
        As `main`.
    """
    spool: str = letter["spool"]
    again: int | None = lock
    status = 0
    while again is not None:
        deadline.too_late = lambda: Standing(spool).failed("deadline", first=AFTER_DEADLINE)
        gone = False
        delivery = Delivery(letter, again, deadline)
        try:
            gone = delivery.run()
        except Exception as error:  # a fault of ours, or of a client that has changed: not again at
            status = 1  # every command
            Standing(spool).failed(type(error).__name__, first=CONFIGURATION_WAIT)
        deadline.too_late = int
        delivery.close()
        if not gone and _was_erased(letter):
            _erase_again(spool)
        os.close(again)
        # Released, then looked: who found the lock busy until now relies on this look.
        if not gone or too_early(spool, letter.get("token")) or not _waits(spool):
            return status
        again = _take_lock(spool)
    return status


def _was_erased(letter: dict[str, Any]) -> bool:
    """Whether somebody has said no and deleted everything, the ID of who started us included.

    A command that had decided just before goes on for a moment, and makes the spool again.
    """
    path: str | None = letter["choice"]
    if letter["anonymous_id"] is None or path is None or choice.read(path) != choice.DISABLED:
        return False
    return not os.path.lexists(os.path.join(_state(letter["spool"]), "id"))


def _erase_again(spool: str) -> None:
    from ..erasing import erase

    try:
        erase(_state(spool))
    except OSError:
        return  # what is left is sent by nobody


def _state(spool: str) -> str:
    return os.path.dirname(os.path.dirname(spool))


def _inherited_lock(spool: str) -> int | None:
    """The lock that the launcher held for us, on a descriptor that nothing else expects."""
    try:
        given = os.fstat(LOCK_DESCRIPTOR)
        named = os.lstat(os.path.join(spool, LOCK))
        if (given.st_dev, given.st_ino) != (named.st_dev, named.st_ino):
            return None
        if not _is_ours(LOCK_DESCRIPTOR):
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
    if _is_ours(lock):
        return lock
    os.close(lock)
    return None


def _is_ours(lock: int) -> bool:
    """Whether nobody else holds the lock.

    Where there are no locks nobody can tell. Two senders at a time send the same messages there,
    byte for byte; who starts them sees to it that this is rare.
    """
    try:
        return try_lock(lock)
    except NoLocks:
        return True


def _waits(spool: str) -> bool:
    """Whether a file can be claimed that came while we were at work."""
    for name in waiting(spool):
        taken = claim(spool, name)
        if taken is not None:
            taken.release()
            return True
    return False


def _leave_the_parent() -> None:
    """Keep nothing of who started us: its directory, its streams, its terminal, its signals."""
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    if null > 2:
        os.close(null)
    os.closerange(LETTER_DESCRIPTOR, LOWEST_DESCRIPTOR)
    if sys.platform != "win32":
        import signal

        # An inherited block would keep the deadline's alarm from us for ever.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})


def _take_no_more_memory() -> None:
    """Let a server that answers without end meet a limit before the machine does."""
    if sys.platform == "win32":
        return
    import resource

    for what, most in ((resource.RLIMIT_AS, MOST_MEMORY), (resource.RLIMIT_CORE, 0)):
        try:
            soft, hard = resource.getrlimit(what)
            if soft == resource.RLIM_INFINITY or soft > most:
                resource.setrlimit(what, (most, hard))
        except (OSError, ValueError):
            continue  # a platform that has it by name alone
