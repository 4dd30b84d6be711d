"""The sender's process: holds the lock, delivers what is queued, releases, then checks once more.

It ends with its work and contacts only the destination. It may be killed at any moment: what was
not acknowledged is sent again, with the same message IDs.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from .. import __version__
from .._instrument import opt_out_variable
from .._launcher import JOB_DESCRIPTOR, LOCK_DESCRIPTOR
from .._recorder import read_setting
from .._spool import LOCK
from .._storage import LOWEST_DESCRIPTOR, purge
from .delivery import Delivery
from .queue import claim, holds_lock, oldest_names, take_lock
from .retention import clean_other_spools, trim_without_lock
from .state import CONFIGURATION_WAIT, SenderState, is_postponed, note, open_log
from .transports import load_transport
from .watchdog import MAX_LIFE, MAX_PAUSE, Watchdog

if TYPE_CHECKING:
    from .watchdog import Timeout

AFTER_EXPIRY = 300.0
"""Seconds to wait after a server has kept a sender until its watchdog terminated it."""
MAX_MEMORY = 512 * 1024 * 1024
"""Bytes of address space; the sender and the Segment client need about 60 MB."""


def main(job: dict[str, Any], pause: float = MAX_PAUSE) -> int:
    """Run as a process of its own.

    Args:
        job: what the launcher wrote on standard input, already read: `spool`, `host`, `write_key`,
            `setting` (the path of the saved setting, or None), `anonymous_id` and `token` (or
            None), `deliver` (whether the network may be used), `transport` (what a destination
            other than Segment needs, or None), `after` (a file whose writer is waited for first, if
            any; None unless a command waits for this process).
        pause: seconds without progress after which this process is terminated.

    Returns:
        The process's exit status: 0, also if another sender is alive; 1 after an error of ours.
    """
    if opt_out_variable(os.environ, "") is not None:
        return 0  # started by hand: an application that sees such a variable starts no sender
    spool: str = job["spool"]
    lock = _inherited_lock(spool)
    _leave_parent()
    _limit_memory()
    open_log(_state_directory(spool))
    note(
        "start",
        version=__version__,
        python=".".join(map(str, sys.version_info[:3])),
        spool=os.path.basename(spool),
        deliver=job.get("deliver", True),
        waits=bool(job.get("after")),
    )
    if job.get("after"):
        load_transport(job)
        _wait_for_writer(job["after"])
        note("writer-gone")
        if is_postponed(spool):
            note("end", reason="postponed")
            return 0
    watchdog = Watchdog(pause)
    if lock is None:
        try:
            lock = take_lock(spool)
        except OSError:
            note("end", reason="lock-unusable")
            trim_without_lock(spool, watchdog.progress)
            return 0
    if lock is None:
        note("end", reason="another-sender")
        return 0
    status = work(job, lock, watchdog)
    clean_other_spools(spool, watchdog.progress)
    note("end", status=status)
    return status


def work(job: dict[str, Any], lock: int, timeout: Watchdog | Timeout) -> int:
    """Deliver until the queue is empty, or nothing can be delivered now.

    Args:
        job: as for `main`.
        lock: the sender's lock, held; it is closed here.
        timeout: the process's watchdog, or the timeout of an in-process delivery.

    Returns:
        As `main`.
    """
    spool: str = job["spool"]
    held: int | None = lock
    status = 0
    while held is not None:
        timeout.on_expiry = lambda: SenderState(spool).record_failure(
            "deadline", first=AFTER_EXPIRY
        )
        done = False
        delivery = Delivery(job, held, timeout)
        try:
            done = delivery.run()
        except Exception as error:  # of ours, or of a client that has changed: not at every command
            status = 1
            word = getattr(error, "word", type(error).__name__)
            SenderState(spool).record_failure(str(word), first=CONFIGURATION_WAIT)
        timeout.on_expiry = int
        delivery.close()
        if not done and _was_purged(job):
            _purge_again(spool)
        os.close(held)
        # Released, then checked: a command that found the lock busy until now relies on this check.
        if not done or is_postponed(spool) or not _has_files(spool):
            return status
        try:
            held = take_lock(spool)
        except OSError:
            return status
    return status


def _was_purged(job: dict[str, Any]) -> bool:
    """Whether the user has disabled telemetry and deleted its data, the ID included.

    A command that had decided right before continues for a moment, and creates the spool again.
    """
    setting: str | None = job["setting"]
    if job["anonymous_id"] is None or setting is None or read_setting(setting) != "disabled":
        return False
    return not os.path.lexists(os.path.join(_state_directory(job["spool"]), "id"))


def _purge_again(spool: str) -> None:
    try:
        purge(_state_directory(spool))
    except OSError:
        return  # no sender sends what is left


def _state_directory(spool: str) -> str:
    return os.path.dirname(os.path.dirname(spool))


def _inherited_lock(spool: str) -> int | None:
    """The lock that the launcher has taken for us, on a descriptor that nothing else uses."""
    try:
        inherited = os.fstat(LOCK_DESCRIPTOR)
        named = os.lstat(os.path.join(spool, LOCK))
        if (inherited.st_dev, inherited.st_ino) != (named.st_dev, named.st_ino):
            return None
        if not holds_lock(LOCK_DESCRIPTOR):
            return None
        import fcntl

        lock = fcntl.fcntl(LOCK_DESCRIPTOR, fcntl.F_DUPFD_CLOEXEC, LOWEST_DESCRIPTOR)
        os.close(LOCK_DESCRIPTOR)
    except (OSError, ImportError):
        return None
    return lock


def _wait_for_writer(path: str) -> None:
    """Wait until a file of the spool has no writer any more, however that ended; then report it.

    After ten minutes the kernel terminates this process: the command starts another one.
    """
    import fcntl  # only such a sender waits, and none on Windows
    import signal

    signal.alarm(int(MAX_LIFE))
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        os.close(descriptor)
    except OSError:
        pass  # another sender has delivered it, or it was deleted
    try:
        os.write(LOCK_DESCRIPTOR, b"\n")
    except OSError:
        return  # the command has died: no process waits for this one


def _has_files(spool: str) -> bool:
    """Whether a file can be claimed that was closed while we were delivering."""
    for name in oldest_names(spool):
        taken = claim(spool, name)
        if taken is not None:
            taken.release()
            if not taken.newer:
                return True
    return False


def _leave_parent() -> None:
    """Keep nothing of the process that started us: directory, streams, descriptors, signals."""
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    if null > 2:
        os.close(null)
    os.closerange(JOB_DESCRIPTOR, LOWEST_DESCRIPTOR)
    if sys.platform != "win32":
        import signal

        # A blocked signal is inherited, and would keep the watchdog's alarm from us for ever.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})


def _limit_memory() -> None:
    """Let a response without end meet a limit before it fills the machine's memory."""
    if sys.platform == "win32":
        return
    import resource

    for kind, limit in ((resource.RLIMIT_AS, MAX_MEMORY), (resource.RLIMIT_CORE, 0)):
        try:
            soft, hard = resource.getrlimit(kind)
            if soft == resource.RLIM_INFINITY or soft > limit:
                resource.setrlimit(kind, (limit, hard))
        except (OSError, ValueError):
            continue  # a platform that has it by name alone
