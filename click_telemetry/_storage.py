"""Our own files: private, never followed, never waited for. Owns no path and no meaning.

Whatever lies in our place and is not ours (a symlink, a FIFO, another user's file) is left alone.
"""

from __future__ import annotations

import os
import stat
import sys

if sys.platform != "win32":
    import fcntl

LOWEST_DESCRIPTOR = 10
"""Ours stay above what shell scripts and daemons close and reuse by number."""

_ALWAYS = (
    getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)  # Windows would write a line's end as two bytes
)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)


class Unusable(OSError):
    """What lies at a path is not a file or directory that we may use."""


class TooLarge(Unusable):
    """A file of ours is larger than any that we write there."""


def make_private_directory(path: str) -> None:
    """Make a directory for us alone, with whatever is missing above it.

    Raises:
        OSError: it cannot be made, or what lies there is not ours (`Unusable`).
    """
    if not os.path.isabs(path):
        raise Unusable(f"{path!r} would be made in the current directory")
    try:
        check_private_directory(path)
        return
    except FileNotFoundError:
        pass
    missing = []
    while not os.path.lexists(path):
        missing.append(path)
        path = os.path.dirname(path)
    for path in reversed(missing):
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            continue  # another first run made it
        os.chmod(path, 0o700)  # a umask of 0777 would lock us out
    check_private_directory(path)


def check_private_directory(path: str) -> None:
    """Raise unless a directory is ours alone: no symlink, our owner, nobody else may write.

    Raises:
        FileNotFoundError: there is none.
        OSError: it is not ours (`Unusable`), or cannot be looked at.
    """
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode):
        raise Unusable(f"{path} is not a directory")
    if hasattr(os, "geteuid") and (found.st_uid != os.geteuid() or found.st_mode & 0o022):
        raise Unusable(f"{path} belongs to others, or others may write to it")


def can_be_made(path: str) -> bool:
    """Whether a private directory is there, or could be made, without making it."""
    try:
        check_private_directory(path)
        return os.access(path, os.W_OK | os.X_OK)
    except FileNotFoundError:
        pass
    except OSError:
        return False
    while True:
        above = os.path.dirname(path)
        if above == path:
            return False
        path = above
        if os.path.lexists(path):
            return os.path.isdir(path) and os.access(path, os.W_OK | os.X_OK)


def read_small(path: str, *, limit: int, follow: bool = False) -> bytes:
    """Read a whole regular file of ours.

    Args:
        path: an absolute path.
        limit: the most bytes that are acceptable.
        follow: whether a symlink is acceptable (dotfiles often are).

    Raises:
        FileNotFoundError: there is none.
        OSError: it is no regular file of this user, too large, or cannot be read.
    """
    descriptor = _open(path, os.O_RDONLY | (0 if follow else _NOFOLLOW))
    try:
        check_own_file(os.fstat(descriptor), path)
        content = b""
        while len(content) <= limit:
            piece = os.read(descriptor, limit + 1 - len(content))
            if not piece:
                return content
            content += piece
        raise TooLarge(f"{path} is larger than {limit} bytes")
    finally:
        os.close(descriptor)


def check_own_file(found: os.stat_result, path: str) -> None:
    """Raise `Unusable` unless a file is a regular one of this user."""
    if not stat.S_ISREG(found.st_mode):
        raise Unusable(f"{path} is not a regular file")
    if hasattr(os, "geteuid") and found.st_uid != os.geteuid():
        raise Unusable(f"{path} belongs to another user")


def open_private(path: str, flags: int) -> int:
    """Open a file of ours for writing, on a descriptor that nobody expects to be free.

    Args:
        path: an absolute path in a private directory.
        flags: of `os.open`, beside those that keep it ours.

    Raises:
        OSError: it cannot be opened, or what lies there is not ours.
    """
    low = _open(path, flags | _NOFOLLOW)
    descriptor = low
    try:
        found = os.fstat(low)
        check_own_file(found, path)
        if sys.platform != "win32" and low < LOWEST_DESCRIPTOR:
            descriptor = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, LOWEST_DESCRIPTOR)
            os.close(low)
        if found.st_mode & 0o600 != 0o600:
            os.fchmod(descriptor, 0o600)  # a umask of 0777 would hide it from the sender
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _open(path: str, flags: int) -> int:
    if sys.platform == "win32":
        from ._foreground.windows import open_shared

        return open_shared(path, flags)
    return os.open(path, flags | _ALWAYS, 0o600)


def set_time(descriptor: int, path: str, at: float) -> None:
    """Give a file of ours, which is open, a time of modification, in seconds since the epoch.

    Raises:
        OSError: that is not possible.
    """
    os.utime(descriptor if os.utime in os.supports_fd else path, (at, at))


def replace_file(path: str, content: bytes) -> None:
    """Write a whole file so that a reader sees the old one or the new one, never a mixture.

    Raises:
        OSError: it could not be written; the old one stands.
    """
    temporary = f"{path}.{os.urandom(6).hex()}"
    descriptor = open_private(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        try:
            write_all(descriptor, content)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def write_all(descriptor: int, content: bytes) -> None:
    """Write every byte, however many calls it takes.

    Raises:
        OSError: as `os.write`.
    """
    while content:
        content = content[os.write(descriptor, content) :]


class NoLocks(OSError):
    """The file system has no working locks."""


def try_lock(descriptor: int) -> bool:
    """Lock an open file for this open file alone; False when somebody holds it.

    Raises:
        NoLocks: the file system or the platform has no working locks.
    """
    if sys.platform == "win32":
        from ._foreground import windows

        try:
            return windows.try_lock(descriptor)
        except OSError as error:
            raise NoLocks(*error.args) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise NoLocks(*error.args) from error
    return True


def unlock(descriptor: int) -> None:
    """Give a lock back, for every process that inherited it too."""
    if sys.platform == "win32":
        from ._foreground import windows

        windows.unlock(descriptor)
    else:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
