"""Deletes all that an application's telemetry has stored: the ID, the notice's mark, every spool.

The spools are moved aside first, all at once: a sender whose lock has no name any more ends before
its next request, and a writer whose file has none records nothing more. No lock that is held is
ever freed for a second sender by this. The person's choice lies elsewhere, and stays.
"""

from __future__ import annotations

import os
import shutil

from ..storage import check_private_directory

MOVED = "erased-"
TRIES = 20


def erase(state: str) -> bool:
    """Delete an application's state directory, and its parent where nothing else is in it.

    Args:
        state: `Directories.state`.

    Returns:
        Whether there was anything.

    Raises:
        OSError: something could not be deleted, or is not ours; what could be deleted is gone.
    """
    there = os.path.lexists(state)
    if there:
        check_private_directory(state)
        _remove(state)
    try:
        os.rmdir(os.path.dirname(state))
    except OSError:
        pass  # something else is in it, or it is not there
    return there


def _remove(state: str) -> None:
    for last in range(TRIES):
        _move_aside(state)
        try:
            shutil.rmtree(state)
        except OSError:
            # A command that begins just now may put something there again: it goes as well.
            if not os.path.lexists(state):
                return
            if last == TRIES - 1:
                raise
        else:
            return


def _move_aside(state: str) -> None:
    try:
        os.rename(
            os.path.join(state, "spool"), os.path.join(state, f"{MOVED}{os.urandom(6).hex()}")
        )
    except FileNotFoundError:
        return  # nothing was ever recorded
