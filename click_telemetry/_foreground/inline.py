"""Delivery where no sender can outlive the process, or where none can be started by posix_spawn.

Inline delivery is bounded: what is not accepted in time stays in the spool. It does not change how
a command ends: Ctrl-C during the wait ends the wait. Where there can be no child (frozen, in a zip,
embedded), a thread of this process delivers; it takes no signal, changes no handler, no filter, and
prints nothing.

With `delivery="inline"` the child starts when the first command begins, loads its client meanwhile,
and waits for the lock of the invocation's file: it delivers when the command releases that file, or
dies. The command waits at its end, so that the wait is one request and not an import.

Without posix_spawn or a shell (Windows, a bare container) a child is started by `subprocess`. It
takes the sender's lock itself, once ours is free.
"""

from __future__ import annotations

import os
import signal
import stat
import sys
import warnings
from contextlib import contextmanager
from functools import partial
from threading import Thread, get_ident
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from .. import _launcher
from .._instrument import pass_on
from .._spool import GUARD, LOCK, LOWEST_DESCRIPTOR, MAX_WAIT, NOT_BEFORE, Spool, can_start_python
from .._storage import is_ahead, open_null_for

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from logging import LogRecord

    from .._recorder import Invocation
    from .._sender.watchdog import Timeout
    from .._spool import SpoolFile

POLL_EVERY = 0.005
"""Seconds."""
_LOGGERS = ("urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry")


WAITING_SCRIPT = 'cd /; unset PWD OLDPWD; exec "$@" <&4 4<&- & echo $! >&3'
"""Orphans the sender, as `_launcher.DETACHED_SCRIPT`, and reports its process ID."""


class Child:
    """A sender that is not a child of this process, and waits until it may deliver.

    Args:
        reader: a pipe's end. The other end is the sender's alone: there the shell has written its
            process ID; it adds a line when it begins to deliver; at its end the pipe is closed.

    Raises:
        OSError: it was not started.
    """

    def __init__(self, reader: int) -> None:
        self._reader = reader
        found = os.fstat(reader)
        self._identity = (found.st_dev, found.st_ino)
        os.set_blocking(reader, False)
        report = os.read(reader, 64)
        if not report.rstrip().isdigit():
            raise ChildProcessError
        self._pid = int(report)
        self._delivers = False

    def finish(self, until: float) -> bool:
        """Wait until it has ended; end it on expiry or Ctrl-C.

        Args:
            until: by `time.monotonic()`.

        Returns:
            Whether it had begun to deliver, or the time is over.
        """
        try:
            gone = wait_for(self._has_gone, self._kill, until)
        finally:
            self.forget()
        return self._delivers or not gone

    def forget(self) -> None:
        """Close our end of the pipe."""
        _waiting.discard(self)
        if self._is_ours():
            os.close(self._reader)
        self._reader = -1

    def _kill(self) -> None:
        try:
            os.kill(self._pid, signal.SIGKILL)
        except ProcessLookupError as error:
            pass_on(error)

    def _has_gone(self) -> bool:
        if not self._is_ours():
            return True
        try:
            report = os.read(self._reader, 64)
        except BlockingIOError as error:
            pass_on(error)
            return False
        self._delivers = self._delivers or bool(report)
        return not report

    def _is_ours(self) -> bool:
        """Whether the command has not closed our end, and given its number to another file."""
        try:
            found = os.fstat(self._reader)
        except OSError as error:
            pass_on(error)
            return False
        return (found.st_dev, found.st_ino) == self._identity


class InlineSpool(Spool):
    """A spool that a sender of its own delivers, before the command's end."""

    # child: the sender that was started when a command began.
    __slots__ = ("child",)

    child: Child | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.child = None

    def new_file(self, invocation: Invocation) -> SpoolFile:
        """As `Spool.new_file`; if a command begins, and not the next part, a sender is started."""
        made = super().new_file(invocation)
        if self.file is None:
            self._end_child()
            self.child = start_waiting(self, made.path)
        return made

    def hand_over(self, *, leaving: bool) -> None:
        """Let the sender deliver, and wait for it; start another one if there is none."""
        if self.delivers:
            child, self.child = self.child, None
            deliver(self, child)
            self.unsent = False

    def close(self, invocation: Invocation) -> None:
        """As `Spool.close`; a sender that is not needed is ended."""
        try:
            super().close(invocation)
        finally:
            self._end_child()

    def _end_child(self) -> None:
        child, self.child = self.child, None
        if child is not None:
            child.finish(0)


def start_waiting(spool: Spool, path: str) -> Child | None:
    """Start a sender that delivers when a command has ended. Never raises for a system's error.

    None is started yet where `wait` would return it (without a shell; as the first process of a
    container, which inherits every orphan), where the application would notice its start (a handler
    of SIGCHLD), and while delivery is postponed.

    Args:
        spool: what is delivered.
        path: of the invocation's file, locked by this process.
    """
    if (
        not spool.delivers
        or spool.pid == 1
        or GUARD in os.environ
        or not can_start_python()
        or not hasattr(os, "posix_spawn")
        or not os.access(_launcher.SHELL, os.X_OK)
        or _launcher.handles_children()
        or is_ahead(os.path.join(spool.directory, NOT_BEFORE), MAX_WAIT)
    ):
        return None
    import fcntl  # not on Windows, which has no posix_spawn

    numbers: list[int] = []
    try:
        numbers += os.pipe()
        for number in numbers[:2]:
            numbers.append(fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, LOWEST_DESCRIPTOR))
        *_, reader, writer = numbers
        shell = [_launcher.SHELL, "-c", WAITING_SCRIPT, _launcher.SHELL]
        started = _launcher.spawn(spool, writer, [*shell, *_launcher.command_line()], after=path)
        _has_gone(started, 0)  # the shell, which ends at once
        child = Child(reader)
        numbers.remove(reader)
    except OSError as error:
        pass_on(error)
        return None  # one is started at the end
    finally:
        for number in numbers:
            os.close(number)
    _waiting.add(child)
    return child


_waiting: set[Child] = set()


def _forget_in_child() -> None:
    """Close a forked process's copies of our pipes."""
    for child in [*_waiting]:
        child.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)


def deliver(spool: Spool, started: Child | None = None) -> None:
    """Deliver now: in a child that is waited for, or in this process where there can be none.

    Args:
        spool: what is delivered; its settings have the timeout.
        started: a sender that has been prepared for it.

    Raises:
        OSError: no child could be started.
    """
    until = monotonic() + spool.settings.flush_timeout
    if started is not None and started.finish(until):
        return
    try:
        lock = spool.take_lock()
    except OSError as error:
        pass_on(error)
        lock = open_null_for(os.path.join(spool.directory, LOCK))
    if lock is None:
        return
    if not can_start_python():
        deliver_in_thread(spool, lock, until)
    elif hasattr(os, "posix_spawn"):
        try:
            child = _launcher.spawn(spool, lock, _launcher.command_line(), after="")
        finally:
            os.close(lock)
        wait_for(partial(_has_gone, child, os.WNOHANG), partial(_end, child), until)
    else:
        os.close(lock)  # the child takes it
        process = open_child(spool, _launcher.command_line(), detached=False)
        wait_for(lambda: process.poll() is not None, process.kill, until)
        process.wait()


def wait_for(has_gone: Callable[[], bool], end: Callable[[], object], until: float) -> bool:
    """Wait until a process has gone; end it on expiry or Ctrl-C.

    Args:
        has_gone: whether it has.
        end: ends it.
        until: by `time.monotonic()`.

    Returns:
        Whether it went by itself.
    """
    gone = False
    try:
        while not gone and monotonic() < until:
            gone = has_gone()
            if not gone:
                sleep(POLL_EVERY)
    except KeyboardInterrupt:
        return False  # who presses Ctrl-C now wants the prompt
    finally:
        if not gone and not has_gone():
            end()
    return gone


def _end(child: int) -> None:
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
        from .._sender.retention import trim_without_lock  # with it

        if stat.S_ISREG(os.fstat(lock).st_mode):
            with _without_logs():
                work(json.loads(_launcher.job(spool)), lock, timeout)
        else:
            trim_without_lock(spool.directory, timeout.progress)
            os.close(lock)
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
