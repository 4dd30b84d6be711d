"""The notice: claimed, shown once on a terminal, then marked shown. Only *shown* permits recording.

The claim is a file lock, so that one whose process died is free again at once.
"""

from __future__ import annotations

import os
import sys
import time

from ..storage import (
    NoLocks,
    make_private_directory,
    open_private,
    read_small,
    try_lock,
    write_all,
)

_CLAIMED = b"claimed\n"
_SHOWN = b"shown  \n"  # as long as the claim: on a full disk it still fits

STALE_AFTER = 60
"""Seconds; only where the file system has no locks to tell the living from the dead."""

TEXT = """\
{app} records which of its commands are run, to improve it: the command, the names of
its flags and how it ended. Never a value, an argument, a path or a message.
Say no with --no-telemetry, {prefix}_NO_TELEMETRY=1 or DO_NOT_TRACK=1.
Nothing was recorded this time.
"""


def was_shown(path: str) -> bool:
    """Whether the marker says that the notice has been shown."""
    try:
        return read_small(path, limit=64) == _SHOWN
    except OSError:
        return False


def show(path: str, text: str) -> bool:
    """Show the notice on stderr, if it is a terminal and nobody else is showing it.

    Args:
        path: the marker; its directory is made if it is missing.
        text: what to show, ending in a newline.

    Returns:
        Whether it was shown, and marked so, by this call.

    Raises:
        OSError: the marker cannot be stored. Then nothing was shown.
    """
    if not _at_terminal():
        return False
    make_private_directory(os.path.dirname(path))
    fresh = True
    try:
        descriptor = open_private(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    except FileExistsError:
        fresh = False
        descriptor = open_private(path, os.O_RDWR)
    try:
        if not _claim(descriptor, fresh=fresh):
            return False
        sys.stderr.write(text)
        sys.stderr.flush()
        os.lseek(descriptor, 0, os.SEEK_SET)  # Windows has no pwrite
        write_all(descriptor, _SHOWN)
        return True
    finally:
        os.close(descriptor)


def _at_terminal() -> bool:
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # there is no stderr, or it is closed
        return False


def _claim(descriptor: int, *, fresh: bool) -> bool:
    try:
        if not try_lock(descriptor):
            return False
    except NoLocks:
        age = time.time() - os.fstat(descriptor).st_mtime
        if not fresh and 0 <= age < STALE_AFTER:
            return False
    if os.read(descriptor, 64) == _SHOWN:
        return False
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    write_all(descriptor, _CLAIMED)
    return True
