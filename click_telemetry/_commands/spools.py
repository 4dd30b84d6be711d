"""The queue of an application, read without taking anything: the files, the senders, their state.

Each destination has a spool of its own. All of them are read, also those of a destination that is
no longer configured.
"""

from __future__ import annotations

import os
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple

from .._foreground import identity
from .._sender.delivery import identify, next_report
from .._sender.queue import FILE_LIMIT, MESSAGE_LIMIT, compose, length, oldest_names, parse
from .._sender.state import SenderState
from .._spool import LOCK, MAX_WAIT, NOT_BEFORE
from .._storage import NoLocks, open_private, purge, read_small, try_lock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .._recorder import Directories
    from .application import KnownDestination


class QueuedFile(NamedTuple):
    """One file of a spool.

    Attributes:
        name: in the spool.
        locked: whether a running command writes it, or a sender has claimed it.
        created: seconds since the epoch.
        messages: what its facts give so far, as they would be sent.
    """

    name: str
    locked: bool
    created: float
    messages: list[dict[str, Any]]


class SpoolReport(NamedTuple):
    """One destination's spool.

    Attributes:
        directory: its path.
        known: its destination; None if the application is configured for another one now.
        sending: whether a sender is running.
        files: what is queued, oldest first.
        not_before: the time before which no sender delivers, in seconds since the epoch; None if
            that is now.
        state: what its senders have counted, and the last error.
        problem: why the last attempt failed, or the next one will, in one word as
            `state.last_error`; empty if nothing is known against it.
    """

    directory: str
    known: KnownDestination | None
    sending: bool
    files: list[QueuedFile]
    not_before: float | None
    state: SenderState
    problem: str

    @property
    def queued(self) -> int:
        """How many messages are queued."""
        return sum(len(file.messages) for file in self.files)

    @property
    def oldest(self) -> float | None:
        """When the oldest file was created, in seconds since the epoch."""
        return min((file.created for file in self.files), default=None)


class Purged(NamedTuple):
    """What was deleted.

    Attributes:
        existed: whether anything was stored.
        messages: how many were queued.
        sending: whether a sender was running; a request that it has begun cannot be withdrawn.
    """

    existed: bool
    messages: int
    sending: bool


def read_spools(
    directories: Directories | None, known: Sequence[KnownDestination] = ()
) -> list[SpoolReport]:
    """Every spool of an application, those of its present destinations first.

    Args:
        directories: the application's.
        known: its present destinations.
    """
    if directories is None:
        return []
    try:
        names = sorted(os.listdir(directories.spool))
    except OSError:
        return []
    paths = [os.path.join(directories.spool, name) for name in names]
    present = {one.spool: one for one in known}
    paths.sort(key=lambda path: [*present, path].index(path))
    return [
        read_spool(path, present.get(path))
        for path in paths
        if os.path.isdir(path) and not os.path.islink(path)
    ]


def read_spool(directory: str, known: KnownDestination | None) -> SpoolReport:
    """One spool, as of now."""
    state = SenderState(directory)
    settled = set(state.settled)  # counted already, and only to be unlinked
    found = [_read_file(directory, name) for name in _names(directory) if name not in settled]
    return SpoolReport(
        directory,
        known,
        is_sending(directory),
        [file for file in found if file is not None],
        _not_before(directory),
        state,
        _problem(directory, state),
    )


def _problem(directory: str, state: SenderState) -> str:
    lock = os.path.join(directory, LOCK)
    if os.path.lexists(lock) and (os.path.islink(lock) or not os.path.isfile(lock)):
        return "lock"
    return (state.last_error or "unknown") if state.failures else ""


def is_sending(directory: str) -> bool:
    """Whether a sender holds the spool's lock."""
    return _is_locked(os.path.join(directory, LOCK))


def messages_to_send(spool: SpoolReport, anonymous_id: str | None) -> list[dict[str, Any]]:
    """A spool's messages in the order in which they would be sent.

    Args:
        spool: as it is.
        anonymous_id: the stored one; it is identified once at a destination.
    """
    messages = [message for file in spool.files for message in file.messages]
    if not messages:
        return []
    introduction = identify(anonymous_id, spool.state.identified, messages[0])
    report = next_report(spool.state, spool.directory, anonymous_id, messages[0], time())
    return [one for one in (introduction, *messages, report) if one is not None]


def stored_id(directories: Directories | None) -> str | None:
    """The anonymous ID, or None if no valid one is stored."""
    return identity.read(directories.anonymous_id) if directories is not None else None


def purge_all(directories: Directories) -> Purged:
    """Delete everything but the saved setting.

    Raises:
        OSError: as `_storage.purge`.
    """
    found = read_spools(directories)
    sending = any(is_sending(spool.directory) for spool in found)
    messages = sum(spool.queued for spool in found)
    return Purged(purge(directories.state), messages, sending)


def _names(directory: str) -> Iterator[str]:
    last = ""
    while names := oldest_names(directory, after=last):
        yield from names
        last = names[-1]


def _read_file(directory: str, name: str) -> QueuedFile | None:
    path, parsed = os.path.join(directory, name), parse(name)
    if parsed is None:
        return None
    locked = _is_locked(path)
    try:
        content = read_small(path, limit=FILE_LIMIT)
    except OSError:
        return None  # it was delivered meanwhile, or is not ours
    # Its runs have not ended while a command writes it.
    composed = compose(name, content, writer_gone=not locked).messages
    messages = [message for message in composed if length(message) <= MESSAGE_LIMIT]
    return QueuedFile(name, locked, parsed.created / 1e9, messages)


def _is_locked(path: str) -> bool:
    """Whether another process holds a file's lock.

    The lock is taken for a moment: a writer takes another file then, and a sender checks again.
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
    # One further ahead comes from a clock that was wrong, and postpones nothing.
    return until if 0 < until - time() <= MAX_WAIT else None
