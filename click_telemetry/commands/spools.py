"""What waits in an application's spools, and what their senders remember: read, never taken.

Every destination has a spool of its own; all of them are looked at, also those of another key.
"""

from __future__ import annotations

import json
import os
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple

from ..delivery.launcher import NOT_BEFORE
from ..delivery.sender import standing
from ..delivery.sender.content import messages
from ..delivery.sender.waiting import waiting
from ..delivery.spool import CONTINUED, FILE_LIMIT, LOCK
from ..storage import NoLocks, open_private, read_small, try_lock

if TYPE_CHECKING:
    from collections.abc import Sequence

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
        delivered: messages that were accepted, since the spool began.
        delivered_at: when the last one was, in seconds since the epoch.
        dropped: messages that were given up: too old, or too many.
        refused: messages that the server would never take.
        failures: requests that failed since one succeeded.
        failed_at: when the last one did, in seconds since the epoch.
        last_error: one word for why.
    """

    directory: str
    destination: Destination | None
    sender: bool
    files: list[File]
    not_before: float | None
    delivered: int
    delivered_at: float | None
    dropped: int
    refused: int
    failures: int
    failed_at: float | None
    last_error: str | None

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
    facts = _remembered(directory)
    return Spool(
        directory,
        destination,
        sender_lives(directory),
        [file for name in waiting(directory) if (file := _file(directory, name)) is not None],
        _not_before(directory),
        _count(facts, "delivered"),
        _moment(facts, "delivered_at"),
        _count(facts, "dropped"),
        _count(facts, "refused"),
        _count(facts, "failures"),
        _moment(facts, "failed_at"),
        found if isinstance(found := facts.get("last_error"), str) else None,
    )


def sender_lives(directory: str) -> bool:
    """Whether a sender holds the spool's lock."""
    return _is_held(os.path.join(directory, LOCK))


def _is_one(directory: str) -> bool:
    return os.path.isdir(directory) and not os.path.islink(directory)


def _file(directory: str, name: str) -> File | None:
    path = os.path.join(directory, name)
    held = _is_held(path)
    try:
        content = read_small(path, limit=FILE_LIMIT)
        written_at = os.stat(path).st_mtime
    except OSError:
        return None  # delivered meanwhile, or none of ours
    if held:
        content = content[: content.rfind(b"\n") + 1] + CONTINUED  # its runs have not ended
    began = name[:20]
    return File(
        name,
        held,
        int(began) / 1e9 if began.isascii() and began.isdigit() else written_at,
        messages(content, written_at),
    )


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


def _remembered(directory: str) -> dict[str, Any]:
    try:
        found = json.loads(read_small(os.path.join(directory, standing.FILE), limit=standing.LIMIT))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _count(facts: dict[str, Any], name: str) -> int:
    found = facts.get(name)
    return found if type(found) is int and found >= 0 else 0  # a bool is no count


def _moment(facts: dict[str, Any], name: str) -> float | None:
    found = facts.get(name)
    if isinstance(found, (int, float)) and not isinstance(found, bool) and 0 < found < 1e11:
        return float(found)
    return None
