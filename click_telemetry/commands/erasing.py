"""Deletes all that an application's telemetry has stored, but for the person's choice.

The spools are moved aside first, all at once: a sender whose lock has no name any more ends before
its next request, and a writer whose file has none records nothing more. No lock that is held is
ever freed for a second sender by this.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, NamedTuple

from ..storage import check_private_directory
from .spools import sender_lives, spools

if TYPE_CHECKING:
    from ..privacy.directories import Directories

MOVED = "erased-"
TRIES = 20


class Erased(NamedTuple):
    """What is gone.

    Attributes:
        messages: how many had waited.
        anything: whether there was anything at all.
        sending: whether a sender was alive; a request that it had begun cannot be called back.
    """

    messages: int
    anything: bool
    sending: bool


def erase(places: Directories) -> Erased:
    """Delete the ID, the notice's marker, and every spool.

    Raises:
        OSError: something could not be deleted; what could is gone.
    """
    if not os.path.lexists(places.state):
        _remove_if_empty(os.path.dirname(places.state))
        return Erased(0, False, False)
    check_private_directory(places.state)
    found = spools(places)
    sending = any(sender_lives(spool.directory) for spool in found)
    messages = sum(spool.waits for spool in found)
    _move_aside(places.state)
    # A command that begins just now may put something there again, which is deleted as well.
    for _ in range(TRIES):
        try:
            shutil.rmtree(places.state)
            break
        except FileNotFoundError:
            continue
        except OSError as error:
            failed = error
            _move_aside(places.state)
    else:
        if os.path.lexists(places.state):
            raise failed
    _remove_if_empty(os.path.dirname(places.state))
    return Erased(messages, True, sending)


def _move_aside(state: str) -> None:
    try:
        os.rename(
            os.path.join(state, "spool"), os.path.join(state, f"{MOVED}{os.urandom(6).hex()}")
        )
    except FileNotFoundError:
        return  # nothing was ever recorded


def _remove_if_empty(directory: str) -> None:
    """Remove the directory of the application's name, where nothing else is in it."""
    try:
        os.rmdir(directory)
    except OSError:
        return  # something else is in it, or there is none
