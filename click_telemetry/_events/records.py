"""Keeps the records of resources: a small file of ours, the application's store, or memory.

Our file contains no name and no ID: a resource is found by a digest. It is bounded; the record that
was not changed for the longest time is removed. `resources` knows what a record means.
"""

from __future__ import annotations

import os
from time import sleep
from typing import TYPE_CHECKING, Any, Protocol

from .._instrument import pass_on
from .._recorder import encode, is_random_id
from .._storage import (
    NoLocks,
    TooLarge,
    check_private_directory,
    open_private,
    read_small,
    replace_file,
    try_lock,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    from .text import Json

    Update = Callable[[dict[str, Any] | None], dict[str, Any] | None]
    """Called once with a record, None where there is none; gives the new one, or None."""

    Records: TypeAlias = "RecordStore | MemoryStore | ApplicationStore"

FILE = "resources.json"
LOCK = "resources.lock"
"""Never unlinked while it may be held; a file of its own, since `resources.json` is replaced."""

MAX_RECORDS = 200
MAX_BYTES = 64 * 1024

LOCK_TIMEOUT = 0.25
"""Seconds that the lock is waited for; its holder needs a millisecond. A missed count is better
than a slow command."""


class Store(Protocol):
    """Where an application keeps its own records of its resources.

    What else a record contains is kept. Our four keys are `connect_count`, `last_connected_at`,
    `created_at` (an application's own of that name is kept, and read: ISO 8601, seconds or
    milliseconds since the epoch) and `telemetry_id`. Errors of a store cost what it would have
    kept, never the command. When the run is off it is neither read nor written; log mode reads and
    does not write.
    """

    def load(self, kind: str, id: str, /) -> Mapping[str, Any] | None:  # noqa: A002
        """The record of a resource, or None."""

    def save(self, kind: str, id: str, record: dict[str, Any], /) -> None:  # noqa: A002
        """Keep a record in place of the one that was loaded."""


class RecordStore:
    """The file of one application.

    Args:
        directory: its state directory.
        read_only: whether nothing is to be written.
        timeout: seconds to wait for another process's change.
    """

    __slots__ = ("_directory", "_read_only", "_timeout")

    def __init__(self, directory: str, *, read_only: bool, timeout: float = LOCK_TIMEOUT) -> None:
        self._directory = directory
        self._timeout = timeout
        self._read_only = read_only

    def change(self, kind: str, name: str, update: Update) -> None:
        """Change the record of a resource, safely among other processes.

        Args:
            kind: the resource's kind.
            name: its ID.
            update: called once with the record (None where there is none); gives the new one, or
                None to remove it. What cannot be stored is not.
        """
        key = digest(kind, name)
        if self._read_only:
            update((self._read() or {}).get(key))
            return
        lock = self._lock()
        try:
            records = self._read() if lock is not None else None
            found = (records or {}).pop(key, None)
            made = update(found)
            if records is None or (found is None and made is None):
                return
            if made is not None:
                records[key] = made
            self._write(records)
        finally:
            if lock is not None:
                os.close(lock)

    def _lock(self) -> int | None:
        """The lock, held; None where nothing can be stored now."""
        try:
            # Not created: a person who deletes it while the command runs does not want it back.
            check_private_directory(self._directory)
            lock = open_private(os.path.join(self._directory, LOCK), os.O_RDWR | os.O_CREAT)
        except OSError:
            return None
        try:
            for _ in range(round(self._timeout / 0.001)):
                if try_lock(lock):
                    return lock
                sleep(0.001)
        except NoLocks:
            return lock  # of two changes at the same moment the last one stays
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)
        return None

    def _read(self) -> dict[str, dict[str, Any]] | None:
        """The records, none if the file has none; None where the file is not ours."""
        try:
            content = read_small(os.path.join(self._directory, FILE), limit=MAX_BYTES)
        except (FileNotFoundError, TooLarge):
            return {}
        except OSError:
            return None
        import json  # 1.7 ms

        try:
            found = json.loads(content)
        except (ValueError, RecursionError):
            return {}
        if not isinstance(found, dict):
            return {}
        records = {}
        for key, record in list(found.items())[-MAX_RECORDS:]:
            if len(key) == _DIGEST and isinstance(record, dict):
                records[key] = {
                    k: record[k] for k, is_valid in _KEYS.items() if is_valid(record.get(k))
                }
        return records

    def _write(self, records: dict[str, Any]) -> None:
        kept: dict[str, Json] = dict(list(records.items())[-MAX_RECORDS:])
        try:
            replace_file(os.path.join(self._directory, FILE), encode(kept).encode("ascii") + b"\n")
        except OSError:
            return  # such as a full disk: the event is recorded, the stored count is the old one


class MemoryStore:
    """Records for this invocation alone: with a client of the application's own, as in a test."""

    __slots__ = ("_records",)

    def __init__(self, records: dict[str, dict[str, Any]]) -> None:
        self._records = records

    def change(self, kind: str, name: str, update: Update) -> None:
        """As `RecordStore.change`."""
        key = f"{kind}\0{name}"
        made = update(self._records.get(key))
        if made is None:
            self._records.pop(key, None)
        else:
            self._records[key] = made


class ApplicationStore:
    """The application's own store; its errors are caught."""

    __slots__ = ("_read_only", "_store")

    def __init__(self, store: Store, *, read_only: bool) -> None:
        self._store = store
        self._read_only = read_only

    def change(self, kind: str, name: str, update: Update) -> None:
        """As `RecordStore.change`; what cannot be read is not overwritten, nothing is removed."""
        readable = not self._read_only
        record: dict[str, Any] | None = None
        try:
            found = self._store.load(kind, name)
            record = None if found is None else dict(found.items())
        except Exception as error:  # the application's own code, or a record that is none
            pass_on(error)
            readable = False
        made = update(record)
        if made is not None and readable:
            try:
                self._store.save(kind, name, made)
            except Exception as error:  # as above; the event is recorded all the same
                pass_on(error)


def digest(kind: str, name: str) -> str:
    """What a resource is found by, in every process; the name cannot be derived from it."""
    from hashlib import blake2b  # loads OpenSSL: 3 ms, for the rare run that changes a resource

    text = f"{kind}\0{name}".encode("utf-8", "surrogatepass")
    return blake2b(text, digest_size=16).hexdigest()


_DIGEST = 32


def _is_time(value: object) -> bool:
    return isinstance(value, str) and len(value) <= 32


_KEYS: dict[str, Callable[[object], bool]] = {
    "telemetry_id": lambda value: isinstance(value, str) and is_random_id(value),
    "created_at": _is_time,
    "connect_count": lambda value: type(value) is int and 0 <= value < 2**63,
    "last_connected_at": _is_time,
}
"""All that is kept of a resource, and its form; anything else in the file is not ours."""
