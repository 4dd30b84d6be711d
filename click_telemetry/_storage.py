"""Our own files: private, never a link's target, never a blocking open. Owns no path.

A file or directory in our place that is not ours (a symlink, a FIFO, another user's file) is left
alone.
"""

from __future__ import annotations

import os
import stat
import sys
from time import time

from ._instrument import pass_on

if sys.platform != "win32":
    import fcntl

LOWEST_DESCRIPTOR = 10
"""Our descriptors are not below this one: shell scripts and daemons reuse low ones by number."""


PURGED = "purged-"
"""Prefix of a spool directory's name while it is deleted."""
PURGE_TRIES = 20

_ALWAYS = (
    getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)  # Windows would write a line's end as two bytes
)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)


class Unusable(OSError):
    """A path is not a file or directory that we may use."""


class TooLarge(Unusable):
    """A file is larger than any that we write under its name."""


class NoLocks(OSError):
    """The file system has no working locks; nothing is recorded or sent there."""


# Directories ---------------------------------------------------------------------------------


def make_private_directory(path: str) -> None:
    """Create a directory that only this user may use, with its missing parents.

    Raises:
        OSError: it cannot be created, or is not ours (`Unusable`).
    """
    if not os.path.isabs(path):
        raise Unusable(f"{path!r} would be created in the current directory")
    try:
        check_private_directory(path)
        return
    except FileNotFoundError as error:
        pass_on(error)
    missing = []
    while not os.path.lexists(path):
        missing.append(path)
        path = os.path.dirname(path)
    for path in reversed(missing):
        try:
            os.mkdir(path, 0o700)
        except FileExistsError as error:
            pass_on(error)
            continue  # another first run created it
        os.chmod(path, 0o700)  # a umask of 0777 would lock us out
    check_private_directory(path)


def check_private_directory(path: str) -> None:
    """Raise unless a directory is ours alone: not a link, our owner, not writable by others.

    Raises:
        FileNotFoundError: it does not exist.
        OSError: it is not ours (`Unusable`), or cannot be inspected.
    """
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode):
        raise Unusable(f"{path} is not a directory")
    if hasattr(os, "geteuid") and (found.st_uid != os.geteuid() or found.st_mode & 0o022):
        raise Unusable(f"{path} belongs to another user, or other users may write to it")


def can_create(path: str) -> bool:
    """Whether a private directory exists, or could be created, without creating it."""
    try:
        check_private_directory(path)
        return os.access(path, os.W_OK | os.X_OK)
    except FileNotFoundError as error:
        pass_on(error)
    except OSError as error:
        pass_on(error)
        return False
    while True:
        parent = os.path.dirname(path)
        if parent == path:
            return False
        path = parent
        if os.path.lexists(path):
            return os.path.isdir(path) and os.access(path, os.W_OK | os.X_OK)


def purge(state: str) -> bool:
    """Delete an application's state directory: the ID, the notice's mark, every spool.

    The spools are moved aside first, all at once: a sender whose lock has no name any more ends
    before its next request, and an invocation whose file has none records nothing more. The saved
    setting is in another directory and is kept. The parent is deleted if it is empty.

    Args:
        state: the directory.

    Returns:
        Whether it existed.

    Raises:
        OSError: a part of it could not be deleted, or is not ours; the rest is deleted.
    """
    exists = os.path.lexists(state)
    if exists:
        check_private_directory(state)
        _delete_tree(state)
    try:
        os.rmdir(os.path.dirname(state))
    except OSError:
        pass  # it is not empty, or does not exist
    return exists


def _delete_tree(state: str) -> None:
    import shutil

    spool = os.path.join(state, "spool")
    linked = [path for path in (spool, *_paths_in(spool)) if os.path.islink(path)]
    for last in range(PURGE_TRIES):
        try:
            os.rename(spool, os.path.join(state, PURGED + os.urandom(6).hex()))
        except FileNotFoundError:
            pass  # nothing was ever recorded
        try:
            shutil.rmtree(state)
        except OSError:
            # A command that begins at this moment may create it again: that is deleted too.
            if not os.path.lexists(state):
                break
            if last == PURGE_TRIES - 1:
                raise
        else:
            break
    if linked:
        raise Unusable(f"{linked[0]} was a link: delete the directory that it pointed to yourself")


def _paths_in(directory: str) -> list[str]:
    try:
        return [os.path.join(directory, name) for name in os.listdir(directory)]
    except OSError:
        return []  # nothing was ever recorded


# Files ---------------------------------------------------------------------------------------


def read_small(path: str, *, limit: int, follow: bool = False) -> bytes:
    """Read a regular file of this user in full.

    Args:
        path: an absolute path.
        limit: its maximum size in bytes.
        follow: whether a symlink is accepted, as dotfiles often are.

    Raises:
        FileNotFoundError: it does not exist.
        OSError: it is not a regular file of this user, too large, or cannot be read.
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


def open_null_for(path: str) -> int:
    """The null device, instead of a sender's lock that is a directory, a link or a FIFO.

    A sender that is given it reports that, and keeps the spool within its bounds. The descriptor is
    not below `LOWEST_DESCRIPTOR`.

    Args:
        path: the lock's.

    Raises:
        OSError: the lock is missing or a file, or no descriptor is left.
    """
    if sys.platform == "win32" or stat.S_ISREG(os.lstat(path).st_mode):
        raise Unusable(path)
    low = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        return fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, LOWEST_DESCRIPTOR)
    finally:
        os.close(low)


def open_private(path: str, flags: int) -> int:
    """Open a file of ours for writing, on a descriptor not below `LOWEST_DESCRIPTOR`.

    Args:
        path: an absolute path in a private directory.
        flags: of `os.open`, besides those that keep it private.

    Raises:
        OSError: it cannot be opened, or is not ours.
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
        from ._foreground.platforms import open_shared

        return open_shared(path, flags)
    return os.open(path, flags | _ALWAYS, 0o600)


def is_ahead(path: str, limit: float) -> bool:
    """Whether a file's modification time is later than now, by at most so many seconds."""
    try:
        return 0 < os.stat(path).st_mtime - time() <= limit
    except OSError as error:
        pass_on(error)
        return False


def set_time(descriptor: int, path: str, at: float) -> None:
    """Set the modification time of an open file of ours, in seconds since the epoch.

    Raises:
        OSError: it cannot be set.
    """
    os.utime(descriptor if os.utime in os.supports_fd else path, (at, at))


def replace_file(path: str, content: bytes) -> None:
    """Write a file so that a reader sees the old content or the new one, never a mixture.

    Raises:
        OSError: it could not be written; the old content is unchanged.
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
    """Write every byte, in as many calls as it takes.

    Raises:
        OSError: as `os.write`.
    """
    while content:
        content = content[os.write(descriptor, content) :]


# Locks ---------------------------------------------------------------------------------------


def try_lock(descriptor: int) -> bool:
    """Lock an open file for this open file alone; False if another one holds the lock.

    Raises:
        NoLocks: the file system or the platform has no working locks.
    """
    if sys.platform == "win32":
        from ._foreground import platforms

        try:
            return platforms.try_lock(descriptor)
        except OSError as error:
            pass_on(error)
            raise NoLocks(*error.args) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        pass_on(error)
        return False
    except OSError as error:
        pass_on(error)
        raise NoLocks(*error.args) from error
    return True


def unlock(descriptor: int) -> None:
    """Release a lock, for every process that inherited it too."""
    if sys.platform == "win32":
        from ._foreground import platforms

        platforms.unlock(descriptor)
    else:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
