"""Delivery where no sender can outlive the process, or where none can be started by posix_spawn.

Inline delivery is bounded: what is not accepted in time stays in the spool. It does not change how
a command ends: Ctrl-C during the wait ends the wait. Where there can be no child (frozen, in a zip,
embedded), a thread of this process delivers; it takes no signal, changes no handler, no filter, and
prints nothing.

Without posix_spawn or a shell (Windows, a bare container) a child is started by `subprocess`. It
takes the sender's lock itself, once ours is free.
"""

from __future__ import annotations

import os
import signal
import sys
import warnings
from contextlib import contextmanager
from threading import Thread, get_ident
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from .. import _launcher
from .._spool import can_start_python

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from logging import LogRecord

    from .._sender.watchdog import Timeout
    from .._spool import Spool

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

        process = open_child(spool, _launcher.command_line(), detached=False)
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
        command = _launcher.command_line()
        sleep = SLEEP_DETACHED if away else SLEEP
        command[-1] = sleep.format(delay=delay) + command[-1]
        child = _launcher.spawn(spool, lock, command)
        if away:
            os.waitpid(child, 0)
    else:
        # Given away: Popen would warn that it still runs.
        open_child(spool, _launcher.command_line()).returncode = 0


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
            child.stdin.write(_launcher.job(spool))
    except OSError:
        pass  # it has ended already; the spool keeps everything
    return child


def _popen(spool: Spool, command: list[str], flags: int) -> subprocess.Popen[bytes]:
    options: dict[str, Any] = {"creationflags": flags} if flags else {"start_new_session": True}
    import subprocess  # 2 ms, which a child that is started by posix_spawn does not cost

    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=_launcher.environment(os.environ),
        cwd=spool.directory,
        **options,
    )
