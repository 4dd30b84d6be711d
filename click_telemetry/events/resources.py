"""The life of what an application makes: `resource(…)` created, connected to, deleted.

Owns the events and what they count; where a record lies between runs is `records`', or the
application's own store. A resource's name never leaves the machine.
"""

from __future__ import annotations

import os
from datetime import datetime, timezone
from time import time
from typing import TYPE_CHECKING, Any, Protocol

from ..identifiers import is_random_id, random_id
from .loud import complain
from .message import timestamp
from .values import plain_properties

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .records import Keeper
    from .run import Run
    from .text import Json

MAX_KIND = 64
"""Characters."""

_HEX = frozenset("0123456789abcdef")
_LARGEST = 2**63
_MOST = 10**9
_MILLISECONDS = 10**11
"""A number of seconds that is larger would be after the year 5000: it is milliseconds."""


class Store(Protocol):
    """Where an application keeps its own records of its resources.

    What else a record holds is kept. Our four keys are `connect_count`, `last_connected_at`,
    `created_at` (an application's own of that name is kept, and read: ISO 8601, seconds or
    milliseconds since the epoch) and `telemetry_id`. Errors of a store cost what it would have
    kept, never the command. When the run is off it is neither asked nor written; log mode asks
    and does not write.
    """

    def load(self, kind: str, id: str, /) -> Mapping[str, Any] | None:  # noqa: A002
        """The record of a resource, or None."""

    def save(self, kind: str, id: str, record: dict[str, Any], /) -> None:  # noqa: A002
        """Keep a record in place of the one that was loaded."""


def resource(kind: str, id: str | int, /, *, store: Store | None = None) -> Resource:  # noqa: A002
    """Something that the application makes and that lives longer than a run.

        vm = resource("Machine", machine.id)
        vm.created(region="eu")
        vm.connected()
        vm.deleted()            # after it succeeded

    gives `Machine Created`, `Machine Connected` (with `connect_count`, this time included) and
    `Machine Deleted` (with `connect_count` and `lifetime_hours`).

    **`resource_id`** is the ID itself only if it is a random UUID (version 4 or 7). Any other ID
    may be a name that a person chose (`my-secret-project`), tell the machine it was made on (UUIDs
    of version 1) or be guessed from its digest (versions 3 and 5, hashes), and nothing in a text
    tells a server's short ID from a word. For those a random UUID is drawn and kept with the
    record: the same in every run, and nobody can lead it back. Who needs the server's own ID says
    so with a property of the event.

    Args:
        kind: what it is, declared in the code, in Title Case.
        id: which one; it finds the record.
        store: the application's own records; by default a small file in the state directory,
            which holds digests in place of IDs, at most 200 resources.

    Raises:
        DeclarationError: in a test alone, for a kind or an ID that cannot be used. At a prompt
            nothing is said of such a resource, and the loss is counted.
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
        from .active import speaker

        complain(problem, speaker())
    return Resource("" if problem else kind, name, store)


class Resource:
    """What `resource` gives. Its methods never raise, and say nothing where nothing is recorded."""

    __slots__ = ("_id", "_kind", "_store")

    def __init__(self, kind: str, id: str, store: Store | None) -> None:  # noqa: A002
        self._kind = kind
        self._id = id
        self._store = store

    def created(self, **properties: Any) -> None:
        """It has been made: `<Kind> Created`. Its life begins now.

        Args:
            **properties: of the event, as those of `track`.
        """

        def change(record: dict[str, Any], at: float) -> dict[str, Json]:
            if self._store is None:
                record.pop("connect_count", None)
                record.pop("last_connected_at", None)
                record["created_at"] = timestamp(at)
            record.setdefault("created_at", timestamp(at))
            return {}

        self._happened("Created", properties, change)

    def connected(self, **properties: Any) -> None:
        """Somebody connected to it: `<Kind> Connected`, with the `connect_count` so far.

        Args:
            **properties: of the event, as those of `track`.
        """

        def change(record: dict[str, Any], at: float) -> dict[str, Json]:
            count = min(_count(record.get("connect_count")) + 1, _MOST)
            record["connect_count"] = count
            record["last_connected_at"] = timestamp(at)
            return {"connect_count": count}

        self._happened("Connected", properties, change)

    def deleted(self, **properties: Any) -> None:
        """It has been deleted: `<Kind> Deleted`. Call it after that succeeded.

        `lifetime_hours` (two decimals, never less than 0) is there when it is known when it was
        made. A record of ours is forgotten; one in the application's own store stays the
        application's to remove, after this call.

        Args:
            **properties: of the event, as those of `track`.
        """

        def change(record: dict[str, Any], at: float) -> dict[str, Json]:
            facts: dict[str, Json] = {"connect_count": _count(record.get("connect_count"))}
            began = _moment(record.get("created_at"))
            if began is not None:
                facts["lifetime_hours"] = round(max(0.0, at - began) / 3600, 2)
            return facts

        self._happened("Deleted", properties, change, last=True)

    def _happened(
        self,
        what: str,
        properties: Mapping[str, Any],
        change: Callable[[dict[str, Any], float], dict[str, Json]],
        *,
        last: bool = False,
    ) -> None:
        from .current import act

        at = time()
        plain, lost = plain_properties(properties)

        def do(run: Run) -> None:
            run.invocation.lose(lost)
            if not self._kind:
                run.invocation.lose(1)
                return
            said: dict[str, Json] = {}

            def remember(found: dict[str, Any] | None) -> dict[str, Any] | None:
                record = dict(found or {})
                said["resource_id"] = self._told_id(record)
                facts = change(record, at)
                # Of a resource that was unknown nothing is known now either.
                said.update(facts if not last or found else {})
                return None if last else record

            self._keeper(run).change(self._kind, self._id, remember)
            run.invocation.track(f"{self._kind} {what}", {**plain, **said}, run, at)

        act(do)

    def _told_id(self, record: dict[str, Any]) -> str:
        """The ID that may leave; drawn and put into the record where it is not its own."""
        if is_opaque(self._id):
            return self._id
        kept = record.get("telemetry_id")
        if not isinstance(kept, str) or not is_random_id(kept):
            kept = record["telemetry_id"] = random_id()
        return kept

    def _keeper(self, run: Run) -> Keeper:
        from .records import Given, Memory, Records

        client = run.invocation.client
        read_only = getattr(client, "read_only", False) is True
        if self._store is not None:
            return Given(self._store, read_only=read_only)
        state = getattr(client, "state_directory", None)
        if read_only:
            from ..privacy.directories import directories

            places = directories(run.invocation.settings.app, os.environ)
            state = places.state if places is not None else None
        if isinstance(state, str):
            return Records(state, read_only=read_only)
        return Memory(run.invocation.memory)


def _name(found: object) -> str:
    """What an ID finds its record by; empty for what is none."""
    if isinstance(found, str):
        return str.__str__(found)
    if isinstance(found, int) and not isinstance(found, bool) and -_LARGEST <= found < _LARGEST:
        return repr(int.__int__(found))
    return ""


def _is_kind(kind: object) -> bool:
    return isinstance(kind, str) and 0 < len(kind) <= MAX_KIND and kind[0].isupper()


def is_opaque(text: str) -> bool:
    """Whether an ID is a random UUID (RFC 9562, versions 4 and 7), in either case of letters."""
    lower = text.lower()
    return (
        len(text) == 36
        and [place for place, letter in enumerate(text) if letter == "-"] == [8, 13, 18, 23]
        and _HEX.issuperset(lower.replace("-", ""))
        and text[14] in "47"
        and lower[19] in "89ab"
    )


def _count(value: object) -> int:
    """A count as some store may keep it; 0 for what is none."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        value = int(value)
    if type(value) is int and 0 <= value <= _MOST:
        return value
    return 0


def _moment(value: object) -> float | None:
    """A time as some store may keep it, in seconds since the epoch; None for what is none."""
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
    except Exception:  # no time after all, or one that no clock ever showed
        pass
    return None
