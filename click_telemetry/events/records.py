"""Where the records of resources lie: a small file of ours, the application's store, or memory.

Our file holds no name and no ID: a resource is found by a digest. It is bounded; the longest
untouched goes. What a record means is `resources`' to say.
"""

from __future__ import annotations

import os
from time import sleep
from typing import TYPE_CHECKING, Any, Protocol

from ..identifiers import is_random_id
from ..storage import (
    NoLocks,
    TooLarge,
    check_private_directory,
    open_private,
    read_small,
    replace_file,
    try_lock,
)
from .text import encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from .resources import Store
    from .text import Json

    Change = Callable[[dict[str, Any] | None], dict[str, Any] | None]

FILE = "resources.json"
LOCK = "resources.lock"
"""Never unlinked while it may be held; it lies beside the file, which is exchanged."""

MAX_RECORDS = 200
MAX_BYTES = 64 * 1024

PATIENCE = 0.25
"""Seconds that the lock is waited for; who holds it needs a millisecond. Rather a count missed
than a command that waits."""


class Keeper(Protocol):
    """Who changes a record: the file, the application's store, or nobody beyond this invocation."""

    def change(self, kind: str, name: str, do: Change) -> None:
        """Call `do` once with the record, and keep what it gives; see `Records.change`."""


class Records:
    """The file of one application.

    Args:
        directory: its state directory.
        read_only: whether nothing is to be written.
        patience: seconds to wait for another process's change.
    """

    __slots__ = ("_directory", "_patience", "_read_only")

    def __init__(self, directory: str, *, read_only: bool, patience: float = PATIENCE) -> None:
        self._directory = directory
        self._patience = patience
        self._read_only = read_only

    def change(self, kind: str, name: str, do: Change) -> None:
        """Change the record of a resource, safe beside other processes.

        Args:
            kind: the resource's kind.
            name: its ID.
            do: called once with the record (None where there is none); gives the new one, or None
                to forget it. What cannot be stored is not.
        """
        key = digest(kind, name)
        if self._read_only:
            do((self._read() or {}).get(key))
            return
        lock = self._lock()
        try:
            records = self._read() if lock is not None else None
            found = (records or {}).pop(key, None)
            made = do(found)
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
            # Never made: somebody who deletes it while the command runs does not want it back.
            check_private_directory(self._directory)
            lock = open_private(os.path.join(self._directory, LOCK), os.O_RDWR | os.O_CREAT)
        except OSError:
            return None
        try:
            for _ in range(round(self._patience / 0.001)):
                if try_lock(lock):
                    return lock
                sleep(0.001)
        except NoLocks:
            return lock  # of two at a moment the last one stays
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)
        return None

    def _read(self) -> dict[str, dict[str, Any]] | None:
        """The records, none of them if the file says nothing; None where the file is not ours."""
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
                records[key] = {k: record[k] for k, ours in _OURS.items() if ours(record.get(k))}
        return records

    def _write(self, records: dict[str, Any]) -> None:
        kept: dict[str, Json] = dict(list(records.items())[-MAX_RECORDS:])
        try:
            replace_file(os.path.join(self._directory, FILE), encode(kept).encode("ascii") + b"\n")
        except OSError:
            return  # a full disk, say: the event is said, and the count starts from the last one


class Memory:
    """Records of this invocation alone: an application's own client, in a test above all."""

    __slots__ = ("_records",)

    def __init__(self, records: dict[str, dict[str, Any]]) -> None:
        self._records = records

    def change(self, kind: str, name: str, do: Change) -> None:
        """As `Keeper`."""
        key = f"{kind}\0{name}"
        made = do(self._records.get(key))
        if made is None:
            self._records.pop(key, None)
        else:
            self._records[key] = made


class Given:
    """The application's own store, whatever it does."""

    __slots__ = ("_read_only", "_store")

    def __init__(self, store: Store, *, read_only: bool) -> None:
        self._store = store
        self._read_only = read_only

    def change(self, kind: str, name: str, do: Change) -> None:
        """As `Keeper`; what cannot be read is not overwritten, and nothing is ever removed."""
        readable = not self._read_only
        record: dict[str, Any] | None = None
        try:
            found = self._store.load(kind, name)
            record = None if found is None else dict(found.items())
        except Exception:  # the application's own code, or a record that is none
            readable = False
        made = do(record)
        if made is not None and readable:
            try:
                self._store.save(kind, name, made)
            except Exception:  # likewise; the event is said all the same
                return


def digest(kind: str, name: str) -> str:
    """What a resource is found by: the same in every process, and no name can be read from it."""
    try:
        from _blake2 import blake2b  # hashlib loads OpenSSL: 3 ms
    except ImportError:
        from hashlib import blake2b
    text = f"{kind}\0{name}".encode("utf-8", "surrogatepass")
    return blake2b(text, digest_size=16).hexdigest()


_DIGEST = 32


def _is_time(value: object) -> bool:
    return isinstance(value, str) and len(value) <= 32


_OURS: dict[str, Callable[[object], bool]] = {
    "telemetry_id": lambda value: isinstance(value, str) and is_random_id(value),
    "created_at": _is_time,
    "connect_count": lambda value: type(value) is int and 0 <= value < 2**63,
    "last_connected_at": _is_time,
}
"""All that is kept of a resource, and what it looks like; anything else in the file is not ours."""
