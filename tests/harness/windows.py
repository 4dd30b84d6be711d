"""A system that calls itself Windows: its calls on files, done with what POSIX has."""

from __future__ import annotations

import errno
import os
import sys
from types import SimpleNamespace

import pytest

from click_telemetry._foreground import platforms

if sys.platform != "win32":
    import fcntl


class Runtime:
    """Stands in for `msvcrt` and `_winapi`.

    Attributes:
        opened: how each file was opened: access, sharing, disposition, flags.
        locked: where each lock was asked for: position, mode, bytes.
    """

    def __init__(self) -> None:
        self.opened: list[tuple[int, int, int, int]] = []
        self.locked: list[tuple[int, int, int]] = []
        self.broken = False

    def CreateFile(
        self, path: str, access: int, share: int, security: int, how: int, flags: int, template: int
    ) -> int:
        self.opened.append((access, share, how, flags))
        disposition = {1: os.O_CREAT | os.O_EXCL, 3: 0, 4: os.O_CREAT}[how]
        mode = os.O_RDWR if access & platforms.GENERIC_WRITE else os.O_RDONLY
        return os.open(path, mode | disposition, 0o600)

    def CloseHandle(self, handle: int) -> None:
        os.close(handle)

    def open_osfhandle(self, handle: int, flags: int) -> int:
        """A descriptor for a handle, which has a flag of its own."""
        if flags & os.O_APPEND:
            fcntl.fcntl(handle, fcntl.F_SETFL, os.O_APPEND)
        return handle

    def locking(self, descriptor: int, mode: int, nbytes: int) -> None:
        """A lock of so many bytes at the current position."""
        if self.broken:
            raise OSError(errno.EINVAL, "no locks here")
        self.locked.append((os.lseek(descriptor, 0, os.SEEK_CUR), mode, nbytes))
        how = fcntl.LOCK_UN if mode == platforms.LK_UNLCK else fcntl.LOCK_EX | fcntl.LOCK_NB
        try:
            fcntl.flock(descriptor, how)
        except BlockingIOError:
            raise PermissionError(errno.EACCES, "locked") from None


def pretend(monkeypatch: pytest.MonkeyPatch) -> Runtime:
    """Call this system Windows, for a test's time."""
    runtime = Runtime()
    names = ("CreateFile", "CloseHandle", "open_osfhandle", "locking")
    functions = {name: getattr(runtime, name) for name in names}
    for module in ("msvcrt", "_winapi"):
        monkeypatch.setitem(sys.modules, module, SimpleNamespace(**functions))
    monkeypatch.setattr(sys, "platform", "win32")
    return runtime
