"""Watching the detached sender from outside: by its lock, and by what the kernel tells of it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

from .processes import Home


def lock_of(home: Home, app: str = "acme") -> Path:
    """The sender's lock of the only destination."""
    (found,) = home.state(app).glob("spool/*/lock")
    return found


def is_alive(lock: Path) -> bool:
    """Whether somebody holds the sender's lock."""
    descriptor = os.open(lock, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def wait_until(what: Callable[[], bool], timeout: float = 30.0) -> None:
    """Return as soon as something holds; fail when it does not come to that."""
    until = time.monotonic() + timeout
    while not what():
        if time.monotonic() > until:
            raise AssertionError(f"waited {timeout} s in vain for {what}")
        time.sleep(0.02)


def wait_for_end(home: Home, app: str = "acme") -> None:
    """Wait until no sender is alive."""
    lock = lock_of(home, app)
    wait_until(lambda: not is_alive(lock))


def sender_processes(home: Home) -> list[int]:
    """The processes that have a sender's lock of this home open, from /proc."""
    return [pid for pid in _processes() if _open_locks(pid, home)]


def lock_holders(home: Home) -> list[int]:
    """Those that hold such a lock; another one may have it open for a moment, to find it busy."""
    return [
        pid
        for pid in _processes()
        if any("FLOCK" in _about(pid, number) for number in _open_locks(pid, home))
    ]


def _processes() -> list[int]:
    return [
        int(entry) for entry in os.listdir("/proc") if entry.isdigit() and int(entry) != os.getpid()
    ]


def _open_locks(pid: int, home: Home) -> list[str]:
    """The numbers of a process's descriptors that are a sender's lock of this home."""
    inside = str(home.path)
    found = []
    try:
        numbers = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return []  # it has ended, or is somebody else's
    for number in numbers:
        try:
            path = os.readlink(f"/proc/{pid}/fd/{number}")
        except OSError:
            continue  # closed meanwhile
        if path.startswith(inside) and path.endswith("/lock"):
            found.append(number)
    return found


def _about(pid: int, number: str) -> str:
    """What the kernel tells of a descriptor, the locks that it holds included."""
    try:
        with open(f"/proc/{pid}/fdinfo/{number}", encoding="ascii") as about:
            return about.read()
    except OSError:
        return ""


def due_now(home: Home, app: str = "acme") -> None:
    """Forget a put-off, as if the time had passed."""
    for mark in home.state(app).glob("spool/*/not-before"):
        mark.unlink()
