"""Delivery at the invocation's end, bounded: for machines that go away with it, or allow no child.

What is not accepted in time stays in the spool. Nothing here changes how a command ends: Ctrl-C
during the wait ends the wait. Where there can be no child (frozen, in a zip, embedded), a thread of
this process delivers; it takes no signal, changes no handler, no filter, and prints nothing.
"""

from __future__ import annotations

import os
import signal
import warnings
from contextlib import contextmanager
from threading import Thread, get_ident
from time import monotonic, sleep
from typing import TYPE_CHECKING

from .. import _launcher
from .._spool import Spool, can_start_python

if TYPE_CHECKING:
    from collections.abc import Iterator
    from logging import LogRecord

    from .._sender.watchdog import Timeout

POLL_EVERY = 0.005
"""Seconds."""
_LOGGERS = ("urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry")


def deliver(spool: Spool) -> None:
    """Deliver now: in a child that is waited for, or in this process where there can be none.

    Args:
        spool: what is delivered; its settings have the timeout.

    Raises:
        OSError: no child could be started.
    """
    until = deadline(spool)
    lock = spool.take_lock()
    if lock is None:
        return
    if not can_start_python():
        deliver_in_thread(spool, lock, until)
    elif hasattr(os, "posix_spawn"):
        try:
            child = _launcher.spawn(spool, lock, _launcher.command_line())
        finally:
            os.close(lock)
        wait_for(child, until)
    else:
        os.close(lock)  # the child takes it
        from subprocess import TimeoutExpired

        from . import portable

        process = portable.open_child(spool, _launcher.command_line(), detached=False)
        try:
            process.wait(spool.settings.flush_timeout)
        except (TimeoutExpired, KeyboardInterrupt):
            return  # who presses Ctrl-C now wants the prompt
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def deadline(spool: Spool) -> float:
    """When the wait is over, by `time.monotonic()`."""
    return monotonic() + spool.settings.flush_timeout


def wait_for(child: int, until: float) -> None:
    """Wait for a child of ours; end it on expiry or Ctrl-C.

    Args:
        child: its process ID.
        until: by `time.monotonic()`.
    """
    gone = False
    try:
        while not gone and monotonic() < until:
            gone = _has_gone(child, os.WNOHANG)
            if not gone:
                sleep(POLL_EVERY)
    except KeyboardInterrupt:
        return  # who presses Ctrl-C now wants the prompt
    finally:
        if not gone and not _has_gone(child, os.WNOHANG):
            os.kill(child, signal.SIGKILL)
            _has_gone(child, 0)


def _has_gone(child: int, flags: int) -> bool:
    """Whether a child has ended, also where other code of this program has waited for it."""
    try:
        return os.waitpid(child, flags) != (0, 0)
    except ChildProcessError:
        return True


def deliver_in_thread(spool: Spool, lock: int, until: float) -> None:
    """Deliver in a thread, which closes its connection on expiry.

    Args:
        spool: what is delivered.
        lock: the sender's lock, held; it is closed here.
        until: by `time.monotonic()`.
    """
    # Imported here and not in the thread: a thread that imports when the interpreter ends may abort
    # it (seen with an extension written in Rust, on Python 3.11).
    with warnings.catch_warnings():  # requests and urllib3 set filters when they are imported
        warnings.simplefilter("ignore")
        try:
            import segment.analytics.request  # noqa: F401

            from .._sender import main, transports  # noqa: F401
            from .._sender.watchdog import Timeout  # with the client, in its thread
        except (ImportError, KeyboardInterrupt):  # the client is missing, or unwanted now
            os.close(lock)
            return
    timeout = Timeout(until)
    thread = Thread(target=_work, args=(spool, lock, timeout), name="click_telemetry", daemon=True)
    try:
        if timeout.left() <= 0:
            raise RuntimeError
        thread.start()
    except RuntimeError:
        os.close(lock)  # no thread can be started at the interpreter's end (since Python 3.12)
        return
    try:
        thread.join(max(timeout.left(), 0))
        if thread.is_alive():
            timeout.expire()
            thread.join(0.05)  # it notices at once, and has a file to release
    except KeyboardInterrupt:
        return  # who presses Ctrl-C now wants the prompt
    finally:
        timeout.expire()


def _work(spool: Spool, lock: int, timeout: Timeout) -> None:
    try:
        import json

        from .._sender.main import work  # the client takes 110 ms

        with _without_logs():
            work(json.loads(_launcher.job(spool)), lock, timeout)
    except Exception:
        return  # what was not acknowledged is still in the spool


@contextmanager
def _without_logs() -> Iterator[None]:
    """Keep what libraries log in this thread out of the application's logs."""
    import logging

    thread = get_ident()

    def is_other(record: LogRecord) -> bool:
        return record.thread != thread

    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addFilter(is_other)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(is_other)
