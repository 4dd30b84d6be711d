"""What waits in an application's spools, and what their senders remember: read, never taken.

Every destination has a spool of its own; all of them are looked at, also those of another key.
"""

from __future__ import annotations

import os
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple

from ..delivery import LOCK, NOT_BEFORE
from ..delivery.sender.content import messages
from ..delivery.sender.name import parse
from ..delivery.sender.standing import Standing
from ..delivery.sender.waiting import Claim, waiting
from ..delivery.spool import CONTINUED, FILE_LIMIT
from ..storage import NoLocks, open_private, read_small, try_lock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..privacy.directories import Directories
    from .destinations import Destination


class File(NamedTuple):
    """One file of a spool.

    Attributes:
        name: in the spool.
        held: whether a running command still writes it, or a sender has it in hand.
        began: when it was made, in seconds since the epoch.
        messages: what it says so far, as it would be sent.
    """

    name: str
    held: bool
    began: float
    messages: list[dict[str, Any]]


class Spool(NamedTuple):
    """One destination's spool.

    Attributes:
        directory: where it is.
        destination: what this application knows of it; None where it is configured otherwise now.
        sender: whether a sender is alive.
        files: what waits, oldest first.
        not_before: until when nothing is sent, in seconds since the epoch; None for at once.
        remembered: what its senders have counted, and what went wrong last.
    """

    directory: str
    destination: Destination | None
    sender: bool
    files: list[File]
    not_before: float | None
    remembered: Standing

    @property
    def waits(self) -> int:
        """How many messages wait."""
        return sum(len(file.messages) for file in self.files)


def spools(places: Directories | None, known: Sequence[Destination] = ()) -> list[Spool]:
    """Every spool of an application, those of its present destinations first.

    Args:
        places: its directories.
        known: its present destinations.
    """
    if places is None:
        return []
    above = os.path.join(places.state, "spool")
    try:
        found = sorted(os.path.join(above, name) for name in os.listdir(above))
    except OSError:
        return []
    whose = {one.spool: one for one in known}
    found.sort(key=lambda directory: [*whose, directory].index(directory))
    return [spool(directory, whose.get(directory)) for directory in found if _is_one(directory)]


def spool(directory: str, destination: Destination | None) -> Spool:
    """One spool, as it is now."""
    remembered = Standing(directory)
    settled = set(remembered.settled)
    return Spool(
        directory,
        destination,
        sender_lives(directory),
        [
            file
            for name in _names(directory)
            if name not in settled and (file := _file(directory, name)) is not None
        ],
        _not_before(directory),
        remembered,
    )


def sender_lives(directory: str) -> bool:
    """Whether a sender holds the spool's lock."""
    return _is_held(os.path.join(directory, LOCK))


def _is_one(directory: str) -> bool:
    return os.path.isdir(directory) and not os.path.islink(directory)


def _names(directory: str) -> Iterator[str]:
    last = ""
    while names := waiting(directory, after=last):
        yield from names
        last = names[-1]


def _file(directory: str, name: str) -> File | None:
    path, known = os.path.join(directory, name), parse(name)
    if known is None:
        return None
    held = not known.whole and _is_held(path)
    try:
        content = read_small(path, limit=FILE_LIMIT)
        written_at = os.stat(path).st_mtime
    except OSError:
        return None  # delivered meanwhile, or none of ours
    if held:
        content = content[: content.rfind(b"\n") + 1] + CONTINUED  # its runs have not ended
    # As a sender would have it, but for the lock: what is too large is left out.
    claimed = Claim(directory, known, -1, messages(content, written_at))
    return File(name, held, known.begun / 1e9, claimed.messages)


def _is_held(path: str) -> bool:
    """Whether somebody holds a file's lock.

    Held ourselves for a moment: a writer takes another file then, and a sender looks again.
    """
    try:
        descriptor = open_private(path, os.O_RDWR)
    except OSError:
        return False
    try:
        return not try_lock(descriptor)
    except NoLocks:
        return False
    finally:
        os.close(descriptor)


def _not_before(directory: str) -> float | None:
    try:
        until = os.stat(os.path.join(directory, NOT_BEFORE)).st_mtime
    except OSError:
        return None
    return until if until > time() else None
