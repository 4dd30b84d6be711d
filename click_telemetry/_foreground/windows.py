"""Windows' own ways with files, and nothing else of Windows.

Opened so that others may rename and remove them, as they may elsewhere; locked by a byte that no
file of ours ever reaches. Written by Microsoft's documentation, and not yet run there.
"""

from __future__ import annotations

import os
from typing import Any

LOCKED_BYTE = 0x7FFF0000
"""Beyond the end of every file of ours (a lock keeps others from the bytes under it), and within
the 31 bits of the C library's `_locking`."""

LK_UNLCK = 0
LK_NBLCK = 2

GENERIC_READ = 0x80000000
GENERIC_WRITE = 0x40000000
FILE_SHARE_ALL = 0x00000007
"""FILE_SHARE_READ, FILE_SHARE_WRITE and FILE_SHARE_DELETE; Python's own `open` leaves out the last,
so that a file that is open could be neither renamed nor removed."""
CREATE_NEW, OPEN_EXISTING, OPEN_ALWAYS = 1, 3, 4
FILE_FLAG_OPEN_REPARSE_POINT = 0x00200000
"""A symlink is opened itself, where O_NOFOLLOW would raise; it is no regular file then."""


def open_shared(path: str, flags: int) -> int:
    """As `os.open`, for a file that others may rename and remove meanwhile.

    Args:
        path: an absolute path.
        flags: of `os.open`; what is created is created exclusively only with O_EXCL.

    Raises:
        OSError: it cannot be opened.
    """
    winapi: Any = __import__("_winapi")
    writes = flags & (os.O_WRONLY | os.O_RDWR)
    how = OPEN_EXISTING
    if flags & os.O_CREAT:
        how = CREATE_NEW if flags & os.O_EXCL else OPEN_ALWAYS
    handle = winapi.CreateFile(
        path,
        GENERIC_READ | GENERIC_WRITE if writes else GENERIC_READ,
        FILE_SHARE_ALL,
        0,
        how,
        FILE_FLAG_OPEN_REPARSE_POINT,
        0,
    )
    kept = os.O_RDWR | os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0)
    try:
        descriptor: int = _runtime().open_osfhandle(handle, flags & kept)
    except BaseException:
        winapi.CloseHandle(handle)
        raise
    return descriptor


def try_lock(descriptor: int) -> bool:
    """Lock an open file for this open file alone; False when somebody holds it.

    Raises:
        OSError: it cannot be locked at all.
    """
    try:
        _locking(descriptor, LK_NBLCK)
    except PermissionError:
        return False
    return True


def unlock(descriptor: int) -> None:
    """Give a lock back.

    Raises:
        OSError: there was none.
    """
    _locking(descriptor, LK_UNLCK)


def _locking(descriptor: int, mode: int) -> None:
    here = os.lseek(descriptor, 0, os.SEEK_CUR)
    os.lseek(descriptor, LOCKED_BYTE, os.SEEK_SET)
    try:
        _runtime().locking(descriptor, mode, 1)
    finally:
        os.lseek(descriptor, here, os.SEEK_SET)


def _runtime() -> Any:
    return __import__("msvcrt")
