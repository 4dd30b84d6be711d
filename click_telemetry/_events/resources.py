"""The life of what an application creates: `resource(…)` created, connected to, deleted.

Owns the events and what they count; `records` keeps a record between runs. A resource's name never
leaves the machine.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from datetime import datetime, timedelta, timezone
from time import time_ns
from typing import TYPE_CHECKING, Any

from .._instrument import pass_on
from .._reader import derived_id
from .._recorder import is_random_id
from .records import ApplicationStore, MemoryStore, RecordStore
from .scope import current_recorder
from .state import Track, Value, state_of
from .text import MAX_INTEGER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._recorder import Invocation
    from .records import Records, Store
    from .text import Json

MAX_KIND = 64
"""Characters."""

_MAX_COUNT = 10**9
_MILLISECONDS = 10**11
"""A number of seconds that is larger would be after the year 5000: it is milliseconds."""


def resource(kind: str, id: str | int, /, *, store: Store | None = None) -> Resource:  # noqa: A002
    """Something that the application creates and that exists longer than a run.

        vm = resource("Machine", machine.id)
        vm.created(region="eu")
        vm.connected()
        vm.deleted()            # after it succeeded

    gives `Machine Created`, `Machine Connected` (with `connect_count`, this time included) and
    `Machine Deleted` (with `connect_count` and `lifetime_hours`).

    **`resource_id`** is the ID itself only if it is a random UUID (version 4 or 7). Any other ID
    may be a name that a person chose (`my-secret-project`), identify the machine it was made on
    (UUIDs of version 1) or be guessed from its digest (versions 3 and 5, hashes), and a server's
    short ID cannot be distinguished from a word. A random UUID replaces those, and is kept with the
    record: the same in every run, and not derived from the ID. To record the server's own ID, pass
    it as a property of the event.

    Args:
        kind: what it is, declared in the code, in Title Case.
        id: which one; it finds the record.
        store: the application's own records; by default a small file in the state directory,
            which contains digests in place of IDs, at most 200 resources.

    Raises:
        DeclarationError: only in a test, for a kind or an ID that cannot be used. Elsewhere nothing
            is recorded of such a resource, and the event is counted as dropped.
    """
    name = _name(id)
    problem = ""
    if not _is_kind(kind):
        problem = 'resource() takes a kind in Title Case, as in resource("Machine", machine.id)'
    elif not name:
        problem = f"resource({kind!r}, …) takes the ID as a text or a number, and not an empty one"
    elif store is not None and not (hasattr(store, "load") and hasattr(store, "save")):
        problem = f"resource({kind!r}, …): a store has load(kind, id) and save(kind, id, record)"
    if problem:
        current_recorder().report(problem)
    return Resource("" if problem else kind, name, store)


class Resource:
    """What `resource` returns. Its methods never raise."""

    __slots__ = ("_id", "_kind", "_store")

    def __init__(self, kind: str, id: str, store: Store | None) -> None:  # noqa: A002
        self._kind = kind
        self._id = id
        self._store = store

    def created(self, **properties: Any) -> None:
        """It has been created: `<Kind> Created`.

        Args:
            **properties: of the event, as those of `track`.
        """
        self._record(_Created, properties)

    def connected(self, **properties: Any) -> None:
        """A connection to it: `<Kind> Connected`, with the `connect_count` so far.

        Args:
            **properties: of the event, as those of `track`.
        """
        self._record(_Connected, properties)

    def deleted(self, **properties: Any) -> None:
        """It has been deleted: `<Kind> Deleted`. Call it after that succeeded.

        `lifetime_hours` (two decimals, never less than 0) is there if the time of its
        creation is known. A record of ours is removed; one in the application's own store is the
        application's to remove, after this call.

        Args:
            **properties: of the event, as those of `track`.
        """
        self._record(_Deleted, properties)

    def _record(self, kind: type[_ResourceEvent], properties: Mapping[str, Any]) -> None:
        at = time_ns()
        recorder = current_recorder()
        converted, dropped = recorder.convert(properties)
        recorder.record(kind(self, converted, dropped, at))


class _ResourceEvent(Value):
    """One event of a resource, as a value.

    Args:
        resource: what it happened to.
        properties: of the event, as JSON.
        dropped: how many of them were dropped before.
        at: nanoseconds since the epoch.
    """

    __slots__ = ("_at", "_dropped", "_known", "_properties", "_resource")

    action = ""
    """The event's name without the resource's kind."""

    def __init__(
        self, resource: Resource, properties: dict[str, Json], dropped: int, at: int
    ) -> None:
        self._resource = resource
        self._properties = properties
        self._dropped = dropped
        self._at = at
        self._known: dict[str, Json] = {}

    def record(self, invocation: Invocation, run: int) -> list[dict[str, Any]]:
        """Change the record, and give the event."""
        resource = self._resource
        if not resource._kind:
            invocation.count_dropped(self._dropped + 1)
            return []
        records = _records(resource._store, invocation)
        records.change(resource._kind, resource._id, self._update)
        event = Track(
            f"{resource._kind} {self.action}",
            {**self._properties, **self._known},
            at=self._at,
            dropped=self._dropped,
        )
        return event.record(invocation, run)

    @abstractmethod
    def _change(self, record: dict[str, Any], known: dict[str, Json]) -> dict[str, Any] | None:
        """Change a record, and add what is known from it to the event.

        Returns:
            The record that is kept, or None to remove it.
        """

    def _update(self, found: dict[str, Any] | None) -> dict[str, Any] | None:
        record = dict(found or {})
        self._known["resource_id"] = _resource_id(self._resource._id, record)
        return self._change(record, self._known)


class _Created(_ResourceEvent):
    __slots__ = ()

    action = "Created"

    def _change(self, record: dict[str, Any], known: dict[str, Json]) -> dict[str, Any] | None:
        if self._resource._store is None:
            record.pop("connect_count", None)
            record.pop("last_connected_at", None)
            record["created_at"] = _timestamp(self._at)
        record.setdefault("created_at", _timestamp(self._at))
        return record


class _Connected(_ResourceEvent):
    __slots__ = ()

    action = "Connected"

    def _change(self, record: dict[str, Any], known: dict[str, Json]) -> dict[str, Any] | None:
        count = min(_count(record.get("connect_count")) + 1, _MAX_COUNT)
        known["connect_count"] = record["connect_count"] = count
        record["last_connected_at"] = _timestamp(self._at)
        return record


class _Deleted(_ResourceEvent):
    __slots__ = ()

    action = "Deleted"

    def _update(self, found: dict[str, Any] | None) -> dict[str, Any] | None:
        super()._update(found)
        if not found:  # of a resource that was unknown nothing is known now either
            self._known = {"resource_id": self._known["resource_id"]}
        return None

    def _change(self, record: dict[str, Any], known: dict[str, Json]) -> dict[str, Any] | None:
        known["connect_count"] = _count(record.get("connect_count"))
        began = _moment(record.get("created_at"))
        if began is not None:
            known["lifetime_hours"] = round(max(0.0, self._at / 1e9 - began) / 3600, 2)
        return None


def _records(store: Store | None, invocation: Invocation) -> Records:
    """Where the record of a resource is kept."""
    read_only = invocation.sink.read_only
    if store is not None:
        return ApplicationStore(store, read_only=read_only)
    directory = invocation.sink.state_directory
    if directory is not None:
        return RecordStore(directory, read_only=read_only)
    return MemoryStore(state_of(invocation).resources)


def _resource_id(name: str, record: dict[str, Any]) -> str:
    """The ID that may leave the machine; a random one is put into the record where needed."""
    if is_random(name):
        return name
    kept = record.get("telemetry_id")
    if not isinstance(kept, str) or not is_random_id(kept):
        kept = record["telemetry_id"] = derived_id(os.urandom(16).hex(), 0)
    return kept


def _name(found: object) -> str:
    """An ID as a text; empty for what is none."""
    if isinstance(found, str):
        return str.__str__(found)
    if (
        isinstance(found, int)
        and not isinstance(found, bool)
        and -MAX_INTEGER <= found < MAX_INTEGER
    ):
        return repr(int.__int__(found))
    return ""


def _is_kind(kind: object) -> bool:
    return isinstance(kind, str) and 0 < len(kind) <= MAX_KIND and kind[0].isupper()


def is_random(text: str) -> bool:
    """Whether an ID is a random UUID (RFC 9562, versions 4 and 7), in either case of letters."""
    return text[14:15] in ("4", "7") and is_random_id(f"{text[:14]}4{text[15:]}".lower())


def _timestamp(at: int) -> str:
    """A time in nanoseconds since the epoch as ISO 8601, in UTC."""
    moment = datetime(1970, 1, 1) + timedelta(milliseconds=at // 1_000_000)
    return moment.isoformat(timespec="milliseconds") + "Z"


def _count(value: object) -> int:
    """A count as a store may keep it; 0 for what is none."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        value = int(value)
    if type(value) is int and 0 <= value <= _MAX_COUNT:
        return value
    return 0


def _moment(value: object) -> float | None:
    """A time as a store may keep it, in seconds since the epoch; None for what is none."""
    try:
        if isinstance(value, str):
            text = value[:-1] + "+00:00" if value.endswith(("Z", "z")) else value
            value = datetime.fromisoformat(text)
            if value.tzinfo is None:
                value = value.replace(tzinfo=timezone.utc)
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            seconds = float(value)
            if seconds - seconds == 0.0:
                return seconds / 1000 if abs(seconds) > _MILLISECONDS else seconds
    except Exception as error:  # no time, or one out of range
        pass_on(error)
    return None
