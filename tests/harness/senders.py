"""Observes the detached sender from outside: by its lock, and by /proc."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from .processes import Home
from .queue import Queue
from .queue import wait_until as wait_until


def lock_of(home: Home, app: str = "acme") -> Path:
    """The sender's lock of the only destination."""
    (found,) = home.state(app).glob("spool/*/lock")
    return found


def is_alive(lock: Path) -> bool:
    """Whether a process holds the sender's lock."""
    import fcntl  # not on Windows, where a home needs it too

    descriptor = os.open(lock, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def wait_for_end(home: Home, app: str = "acme") -> None:
    """Wait until no sender is alive."""
    lock = lock_of(home, app)
    wait_until(lambda: not is_alive(lock))


def drain(queue: Queue, home: Home) -> None:
    """Run senders until nothing is queued and none is alive; no sender fails any more."""
    until = time.monotonic() + 120
    while queue.names or sender_processes(home):
        assert time.monotonic() < until, f"still queued: {queue.names}"
        queue.send()
        time.sleep(0.05)


def sender_processes(home: Home) -> list[int]:
    """The processes that have a sender's lock of this home open."""
    return [pid for pid in _processes() if _open_locks(pid, home)]


def end_senders(home: Home) -> None:
    """Kill the senders of a home: nothing waits for them any more."""
    if not any(map(is_alive, home.path.glob(".local/state/*/telemetry/spool/*/lock"))):
        return
    for pid in sender_processes(home):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def marked(home: Home) -> dict[str, str]:
    """A variable by which `marked_senders` finds the senders that inherit it; it has no effect."""
    return {"NO_PROXY": str(home.path)}


def marked_senders(home: Home) -> list[int]:
    """The senders that were started with `marked`, from their start to their end."""
    return [pid for pid in _processes() if "CLICK_TELEMETRY_SENDER=1" in _variables(pid, home)]


def _variables(pid: int, home: Home) -> set[str]:
    """A process's variables, if the mark is one of them."""
    try:
        content = Path(f"/proc/{pid}/environ").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return set()  # it has ended, or is another user's
    found = set(content.split("\0"))
    return found if f"NO_PROXY={home.path}" in found else set()


def lock_holders(home: Home) -> list[int]:
    """Those that hold such a lock; another one may have it open for a moment, to find it busy."""
    return [
        pid
        for pid in _processes()
        if any("FLOCK" in _information(pid, number) for number in _open_locks(pid, home))
    ]


def holders(path: Path) -> list[int]:
    """The other processes that have a file open."""
    return [pid for pid in _processes() if str(path) in open_files(pid).values()]


def open_files(pid: int) -> dict[str, str]:
    """The paths of a process's descriptors, by number; empty if it has ended."""
    found = {}
    try:
        for number in os.listdir(f"/proc/{pid}/fd"):
            try:
                found[number] = os.readlink(f"/proc/{pid}/fd/{number}")
            except OSError:
                continue  # closed meanwhile
    except OSError:
        return {}  # it has ended, or is another user's
    return found


def due_now(home: Home, app: str = "acme") -> None:
    """Let a sender start at once, as if the time after a failure had passed."""
    for mark in home.state(app).glob("spool/*/not-before"):
        mark.unlink()


def _processes() -> list[int]:
    return [
        int(entry) for entry in os.listdir("/proc") if entry.isdigit() and int(entry) != os.getpid()
    ]


def _open_locks(pid: int, home: Home) -> list[str]:
    """The numbers of a process's descriptors that are a sender's lock of this home."""
    return [
        number
        for number, path in open_files(pid).items()
        if path.startswith(str(home.path)) and path.endswith("/lock")
    ]


def _information(pid: int, number: str) -> str:
    """What the kernel knows of a descriptor, the locks that it holds included."""
    try:
        with open(f"/proc/{pid}/fdinfo/{number}", encoding="ascii") as file:
            return file.read()
    except OSError:
        return ""
