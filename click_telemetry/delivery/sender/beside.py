"""The application's other spools: what waits in them for longer than it may, goes.

A person who has signed out may never come back, and a new version may have a new key: nobody
delivers there then. Nothing here sends, and a spool in which nothing is overdue is not touched.
"""

from __future__ import annotations

import os
import re
from time import time
from typing import TYPE_CHECKING

from ...storage import NoLocks, check_private_directory, open_private, try_lock
from .. import LOCK
from . import name as naming
from .bounds import Blocked, Bounds
from .standing import Standing
from .waiting import names

if TYPE_CHECKING:
    from collections.abc import Callable

_SPOOL = re.compile(r"[0-9a-f]{16}")
MOST = 50
"""Spools that are looked at."""


def tidy_beside(spool: str, progress: Callable[[], None]) -> None:
    """Drop what is overdue in the spools beside one, and count it there.

    Args:
        spool: our own, which is left alone.
        progress: called whenever something has been done.
    """
    above, own = os.path.split(spool)
    try:
        found = [name for name in os.listdir(above) if _SPOOL.fullmatch(name) and name != own]
    except OSError:
        return
    for name in found[:MOST]:
        try:
            _tidy(os.path.join(above, name), progress)
        except (OSError, Blocked):
            continue  # it is somebody's, or cannot be changed: its own sender will tell


def _tidy(spool: str, progress: Callable[[], None]) -> None:
    check_private_directory(spool)
    if not _is_overdue(spool):
        return
    lock = open_private(os.path.join(spool, LOCK), os.O_RDWR)
    try:
        if try_lock(lock):
            Bounds(spool, Standing(spool), progress).tidy()
    except NoLocks:
        return  # nobody could tell whether its own sender is at it
    finally:
        os.close(lock)


def _is_overdue(spool: str) -> bool:
    now = time()
    for name in names(spool):
        parsed = naming.parse(name)
        if parsed is not None:
            written_at = os.lstat(os.path.join(spool, name)).st_mtime
            if naming.verdict(parsed, written_at, now) == naming.DROP:
                return True
    return False
