"""A child of this process's own making, for Linux, where `sys.executable` is no Python to start.

A copy of this process: what it imports, says and changes stays in it, and it can be ended at any
moment. (A thread cannot: one that was importing when the interpreter ended has aborted it.)
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .child import environment, written

if TYPE_CHECKING:
    from .launcher import Letter

MOST_DESCRIPTORS = 4096


def fork(letter: Letter, lock: int, until: float) -> int:
    """Start a child that delivers; gives its process ID. No code of the application's runs in it.

    Args:
        letter: what a sender would be told.
        lock: the sender's lock, held; it stays open here.
        until: when nobody waits any more, by `monotonic()`.

    Raises:
        OSError: it could not be started.
    """
    import warnings

    with warnings.catch_warnings():
        # Since 3.12 it warns where there are threads: a lock that one of them holds would stay
        # locked in the child. Then the child is ended when the time is over, which is all.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            _deliver(letter, lock, until)
        finally:
            os._exit(0)
    return child


def _deliver(letter: Letter, lock: int, until: float) -> None:
    _leave_the_parent(lock)
    import json

    from .sender.main import work
    from .sender.patience import Patience

    work(json.loads(written(letter)), lock, Patience(until))


def _leave_the_parent(lock: int) -> None:
    """Keep nothing of the application: its terminal, descriptors, variables, directory, signals."""
    import signal

    for each in signal.valid_signals():
        try:
            signal.signal(each, signal.SIG_DFL)
        except (OSError, ValueError):
            continue  # SIGKILL, SIGSTOP, and those of the C library
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.closerange(3, lock)
    os.closerange(lock + 1, MOST_DESCRIPTORS)
    kept = environment(os.environ)
    os.environ.clear()
    os.environ.update(kept)
    os.chdir("/")
