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
    found = []
    inside = str(home.path)
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            opened = [
                os.readlink(f"/proc/{entry}/fd/{fd}") for fd in os.listdir(f"/proc/{entry}/fd")
            ]
        except OSError:
            continue
        if any(path.startswith(inside) and path.endswith("/lock") for path in opened):
            found.append(int(entry))
    return found


def due_now(home: Home, app: str = "acme") -> None:
    """Forget a put-off, as if the time had passed."""
    for mark in home.state(app).glob("spool/*/not-before"):
        mark.unlink()
