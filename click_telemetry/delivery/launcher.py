"""Starts the sender, detached, at the end of an invocation; owns the hand-over and nothing else.

The foreground never waits for it: whoever holds the sender's lock will look at the spool again, so
a busy lock means that all is done. Where a failure has put off delivery a sender is started all the
same, once in a while, to keep the spool within its bounds; it then opens no connection.
"""

from __future__ import annotations

import os
import sys
from time import time

from ..storage import NoLocks, open_private, try_lock, write_all
from . import GUARD, LOCK, LONGEST_WAIT, NOT_BEFORE, PACKAGE

TALLY = "tally"
"""A file in the spool with a byte for each page that was put by while delivery is put off."""
PAGE = 4096
TRIM_AFTER = 100
"""Pages; a tenth of the files, and of the bytes, that may wait at most."""


class Letter:
    """What the sender is told on its standard input: never in argv, environment or on disk.

    Args:
        spool: the destination's spool.
        host: an origin.
        write_key: Segment's write key.
        choice: the file with the person's choice; the sender asks again before each request.
        anonymous_id: the ID to identify once, or None for an ID of the moment.
        token: what to authorise with instead of the write key, or None.

    Attributes:
        deliver: whether the sender may speak to the server; else it keeps the bounds and ends.
    """

    __slots__ = ("anonymous_id", "choice", "deliver", "host", "spool", "token", "write_key")

    def __init__(
        self,
        spool: str,
        host: str,
        write_key: str,
        choice: str | None,
        anonymous_id: str | None,
        token: str | None = None,
    ) -> None:
        self.spool = spool
        self.host = host
        self.write_key = write_key
        self.choice = choice
        self.anonymous_id = anonymous_id
        self.token = token
        self.deliver = True


def can_start() -> bool:
    """Whether a child of this interpreter would be a Python that finds this package.

    Frozen, or embedded in another program, `sys.executable` is that program: starting it would run
    the application again. In a zipapp there is nothing that the child could be pointed to.
    """
    executable = sys.executable or ""
    return (
        not getattr(sys, "frozen", False)
        and os.path.isabs(executable)
        and "py" in os.path.basename(executable).lower()
        and os.path.isfile(os.path.join(PACKAGE, "__init__.py"))
    )


def hand_off(letter: Letter, written: int = 0, *, leaving: bool = False) -> None:
    """Have the spool delivered: start a sender, unless one is alive or it is too early.

    Args:
        letter: what the sender is told.
        written: bytes that were added to the spool since the last call.
        leaving: whether the process is about to end. Then that is awaited: nobody is left who
            could `wait` for a child, which saves giving it away (1.7 ms of a shell's life).

    Raises:
        OSError: none could be started; the spool keeps everything for the next invocation.
    """
    if leaving:
        import atexit

        atexit.register(_leave, letter, written, os.getpid())
    else:
        _start(letter, written, away=True)


def _leave(letter: Letter, written: int, pid: int) -> None:
    """As the process ends; what goes wrong here would be printed, and it waits in the spool."""
    if os.getpid() == pid:
        try:
            _start(letter, written, away=False)
        except BaseException:  # no memory, no process, a Ctrl-C: the next invocation starts one
            return


def _start(letter: Letter, written: int, *, away: bool) -> None:
    lock = turn(letter, written)
    if lock is None:
        return
    try:
        from . import child  # 0.2 ms, which a burst of commands pays once

        if child.spawns():
            child.start(letter, lock, away=away)
        else:
            from .portable import start

            start(letter)
    finally:
        os.close(lock)  # never unlocked: that would free the child's lock too


def too_early(spool: str, token: str | None = None) -> bool:
    """Whether a failure has put off the next attempt: with this token, where there is one."""
    if token is not None:
        from .refusal import is_refused

        refused = is_refused(spool, token)
        if refused is not None:
            return refused  # a fresh token does not wait for the sake of the one before
    try:
        until = os.stat(os.path.join(spool, NOT_BEFORE)).st_mtime
    except OSError:
        return False
    return 0 < until - time() <= LONGEST_WAIT


def trim_is_due(spool: str, written: int) -> bool:
    """Whether so much was put by, since this was last true, that the bounds may be exceeded.

    A byte is added to a file for each page, so that nobody has to count what waits.

    Raises:
        OSError: it cannot be told.
    """
    tally = open_private(os.path.join(spool, TALLY), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        write_all(tally, b"." * (written // PAGE + 1))
        if os.fstat(tally).st_size < TRIM_AFTER:
            return False
        os.ftruncate(tally, 0)
        return True
    finally:
        os.close(tally)


def turn(letter: Letter, written: int = 0) -> int | None:
    """The sender's lock, held, when it is our turn to start one.

    Raises:
        OSError: the lock cannot be opened, or there is none and no mark can be made instead.
    """
    if GUARD in os.environ:
        return None
    letter.deliver = not too_early(letter.spool, letter.token)
    if not letter.deliver and not trim_is_due(letter.spool, written):
        return None
    lock = open_private(os.path.join(letter.spool, LOCK), os.O_RDWR | os.O_CREAT)
    try:
        if try_lock(lock):
            return lock
    except NoLocks:
        from .unlocked import take_turn

        try:
            take_turn(letter.spool)
        except OSError:
            os.close(lock)
            raise
        return lock
    os.close(lock)
    return None
