"""The properties of events: any Python value as JSON, and what every event has in common.

The conversion is bounded and never raises. What cannot be recorded safely is left out; what could
contain too much (an object's repr, a path, bytes) becomes a tag. First the budget of an event is
applied, to texts as they were given; then what is kept is scrubbed, so that scrubbing takes a
bounded time. Texts are dropped whole, never cut: half a secret is still one.
"""

from __future__ import annotations

import datetime
import os
import sys
from enum import Enum
from itertools import islice
from threading import RLock
from typing import TYPE_CHECKING, Any

from .._instrument import pass_on
from .._recorder import encode
from .._scrub import (
    announce,
    bound_name,
    is_bound,
    is_count,
    names_secret,
    nearest,
    scrub,
    scrub_number,
    scrub_value,
)
from .text import MAX_INTEGER, MAX_NAME, MAX_TEXT, deep_copy, name_or_none, sanitize_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from .._scrub import Found
    from .text import Json

MAX_DEPTH = 4
MAX_NODES = 200
"""Values that are converted, containers included."""
MAX_ATTEMPTS = 1_000
"""Keys and values that are looked at, with those of properties that are dropped."""
MAX_BYTES = 24_000
"""Of one event's own properties as sent; Segment refuses a message over 32 KB."""

CONTEXT_BYTES = 4_000
"""As sent, of `properties=` and `set_context` together; an event's own are not among them."""


class NotRecordable(Exception):
    """A value that is left out of an event."""


class _TooMany(NotRecordable):
    """More values than may be converted; a bound on time, which no list catches."""


class _Budget:
    """What an event may still hold, and how much of what was given was dropped."""

    __slots__ = ("attempts", "bytes", "dropped", "nodes")

    def __init__(self, room: int) -> None:
        self.attempts = MAX_ATTEMPTS
        self.bytes = room
        self.dropped = 0
        self.nodes = MAX_NODES

    def attempt(self) -> None:
        if self.attempts == 0:
            raise _TooMany
        self.attempts -= 1

    def count(self) -> None:
        self.attempt()
        if self.nodes == 0:
            raise _TooMany
        self.nodes -= 1

    def take(self, size: int) -> None:
        if size > self.bytes:
            raise NotRecordable
        self.bytes -= size


def convert_properties(
    properties: Mapping[Any, Any], room: int = MAX_BYTES
) -> tuple[dict[str, Json], int]:
    """Convert an event's properties to JSON; also returns how many were dropped.

    A property that is missing counts as one, and so does each item that is missing in what is kept.

    Args:
        properties: any object that was passed as such.
        room: bytes that the result may take, as sent.
    """
    kept, budget = _within_budget(properties, room)
    scrubber = _Scrubber(budget.bytes)
    return scrubber.mapping(kept, None), budget.dropped + scrubber.dropped


def _within_budget(properties: Mapping[Any, Any], room: int) -> tuple[dict[str, Json], _Budget]:
    """Convert properties to JSON, texts as they are."""
    budget = _Budget(room)
    kept: dict[str, Json] = {}
    items, budget.dropped = _items(properties)
    for key, value in items:
        before = budget.bytes, budget.nodes, budget.dropped
        try:
            name = _key(key, budget, kept)
            kept[name] = _convert(value, MAX_DEPTH, budget)
        except Exception as error:  # a value whose own code fails is left out like any other
            pass_on(error)
            # What did not fit takes no room from what still may.
            budget.bytes, budget.nodes, budget.dropped = before
            budget.dropped += 1
    return kept, budget


def sanitize_name(name: object) -> str | None:
    """The name of an application's own event, sanitized and scrubbed, or None."""
    found = name_or_none(name)
    if found is not None:
        found = scrub(found)
    return found if found is not None and len(found) <= MAX_NAME else None


def _convert(value: Any, depth: int, budget: _Budget) -> Json:
    budget.count()
    if value is None or value is True or value is False:
        budget.take(_size(None))
        return bool(value) if value is not None else None
    if isinstance(value, str):
        return _text(value, budget)
    if isinstance(value, int):
        budget.take(_size(0))
        return _integer(value)
    if isinstance(value, float):
        real = float.__float__(value)
        budget.take(_size(0.0))
        # JSON has no NaN and no infinity; a reader that meets one refuses the whole batch.
        return real if real - real == 0.0 else None
    if isinstance(value, Enum):
        inner = value._value_
        return _convert(
            inner if isinstance(inner, (str, int, float)) else value._name_, depth, budget
        )
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _text("[bytes]", budget)
    if isinstance(value, os.PathLike):
        return _text("[path]", budget)
    if isinstance(value, (list, tuple)):
        return _list(value, depth, budget)
    if isinstance(value, (set, frozenset)):
        return sorted(_list(value, depth, budget), key=encode)
    kind = type(value)  # the class's own: a remote object would fetch such an attribute
    if hasattr(kind, "items") and hasattr(kind, "keys"):
        return _dict(value, depth, budget)
    return _text(_special(value), budget)


def _size(value: Json) -> int:
    """How many bytes of the budget a text, a number or a constant takes."""
    if isinstance(value, str):
        return len(encode(value))
    if value is None or isinstance(value, bool):
        return 5
    return 20 if isinstance(value, int) else 24


def _integer(value: int) -> int:
    number = int.__int__(value)
    if not -MAX_INTEGER <= number < MAX_INTEGER:
        raise NotRecordable
    return number


def _special(value: Any) -> str:
    if isinstance(value, datetime.datetime):
        return datetime.datetime.isoformat(value)
    if isinstance(value, datetime.date):
        return datetime.date.isoformat(value)
    if isinstance(value, datetime.time):
        return datetime.time.isoformat(value)
    uuid, decimal = sys.modules.get("uuid"), sys.modules.get("decimal")
    # An object of theirs exists only if they are loaded.
    if uuid is not None and isinstance(value, uuid.UUID):
        return str(uuid.UUID.__str__(value))
    if decimal is not None and isinstance(value, decimal.Decimal):
        return str(decimal.Decimal.__str__(value))
    return "[object]"


def _text(value: str, budget: _Budget) -> str:
    size = str.__len__(value)
    if size > MAX_TEXT or size + 2 > budget.bytes:
        raise NotRecordable
    budget.take(len(encode(str.__str__(value))))
    return sanitize_text(value)  # of the same size: a replacement takes as many bytes


def _list(values: Iterable[Any], depth: int, budget: _Budget) -> list[Json]:
    if depth == 0:
        raise NotRecordable
    budget.take(2)
    first = list(islice(values, budget.nodes + 1))
    if len(first) > budget.nodes:
        raise _TooMany
    kept: list[Json] = []
    for value in first:
        before = budget.bytes, budget.dropped
        try:
            converted = _convert(value, depth - 1, budget)
            budget.take(1)
            kept.append(converted)
        except _TooMany:
            raise
        except NotRecordable:
            budget.bytes, budget.dropped = before
            budget.dropped += 1
    return kept


def _dict(mapping: Mapping[Any, Any], depth: int, budget: _Budget) -> dict[str, Json]:
    if depth == 0:
        raise NotRecordable
    budget.take(2)
    kept: dict[str, Json] = {}
    items, dropped = _items(mapping)
    if items and dropped:
        raise _TooMany
    budget.dropped += dropped
    for key, value in items:
        before = budget.bytes, budget.dropped
        try:
            name = _key(key, budget, kept)
            kept[name] = _convert(value, depth - 1, budget)
        except _TooMany:
            raise
        except NotRecordable:
            budget.bytes, budget.dropped = before
            budget.dropped += 1
    return kept


def _items(mapping: Mapping[Any, Any]) -> tuple[list[tuple[Any, Any]], int]:
    """The pairs that may be converted, and how many more there are; 1 if that failed."""
    try:
        items = list(islice(mapping.items(), MAX_NODES))
        return items, max(0, len(mapping) - MAX_NODES) if len(items) == MAX_NODES else 0
    except Exception as error:  # a mapping whose own code fails
        pass_on(error)
        return [], 1


def _key(key: object, budget: _Budget, kept: Mapping[str, Json]) -> str:
    budget.attempt()
    if isinstance(key, Enum):
        key = key._value_
    if isinstance(key, bool) or not isinstance(key, (str, int)):
        raise NotRecordable
    name = name_or_none(key if isinstance(key, str) else repr(_integer(key)))
    if name is None or name in kept:  # 1 and "1" are one name
        raise NotRecordable
    budget.take(_size(name) + 2)
    return name


class _Scrubber:
    """Scrubs what is kept; what becomes longer must still fit.

    Args:
        room: bytes of the budget that are left.
    """

    __slots__ = ("_room", "dropped")

    def __init__(self, room: int) -> None:
        self._room = room
        self.dropped = 0

    def mapping(self, given: Mapping[str, Json], under: Found | None) -> dict[str, Json]:
        """Scrub names and values; `under` is the kind of secret that they are part of."""
        kept: dict[str, Json] = {}
        bound = bound_name(given) if len(given) > 1 else None
        for key, value in given.items():
            before = self._room, self.dropped
            try:
                name = self._fitting(key, scrub(key))
                if len(name) > MAX_NAME or name in kept:
                    raise NotRecordable  # of two addresses as keys only one can be kept
                found = bound if bound is not None and is_bound(key) else names_secret(name)
                if found is not None and is_count(name, value):
                    found = None
                kept[name] = self._value(value, nearest(found, under))
            except NotRecordable:
                self._room, self.dropped = before
                self.dropped += 1
        return kept

    def _value(self, value: Json, under: Found | None, *, nested: bool = False) -> Json:
        if isinstance(value, str):
            return self._fitting(value, scrub_value(value, under))
        if isinstance(value, dict):
            return self.mapping(value, under)
        if isinstance(value, list):
            return self._list(value, under, nested)
        if under is None or value is None or isinstance(value, bool):
            return value
        scrubbed = scrub_number(value, under)
        return self._fitting(value, scrubbed) if isinstance(scrubbed, str) else value

    def _list(self, given: list[Json], under: Found | None, nested: bool) -> list[Json]:
        kept: list[Json] = []
        for value, found in zip(given, announce(given, nested), strict=True):
            before = self._room, self.dropped
            try:
                kept.append(self._value(value, nearest(found, under), nested=True))
            except NotRecordable:
                self._room, self.dropped = before
                self.dropped += 1
        return kept

    def _fitting(self, given: Json, scrubbed: str) -> str:
        if given != scrubbed:
            self._room -= _size(scrubbed) - _size(given)
            if self._room < 0:
                raise NotRecordable
        return scrubbed


# Of every event ----------------------------------------------------------------------------------


class Context:
    """The properties of every event of one invocation: `properties=`, then what `set_context` set.

    They are bounded together, since every event contains them.

    Another thread may read them meanwhile: mappings are replaced, and never changed.
    """

    __slots__ = ("_declared", "_lock", "_set")

    def __init__(self) -> None:
        self._declared: dict[str, Json] = {}
        self._lock = RLock()  # a signal handler may set a property during a call
        self._set: dict[str, Json] = {}

    def declare(self, properties: Mapping[str, Any]) -> int:
        """Take what was declared; a function is called once, None is left out.

        Returns:
            How many could not be found or recorded.
        """
        from .._reader import RESERVED_PROPERTIES  # 1 M instructions, only for `properties=`

        given: dict[str, Any] = {}
        failed = 0
        for name, value in properties.items():
            try:
                found = value() if callable(value) else value
            except Exception as error:  # the application's own function: the property is left out
                pass_on(error)
                failed += 1
                continue
            if found is not None:
                given[name] = found
        converted, dropped = convert_properties(given, room=CONTEXT_BYTES)
        self._declared = {k: v for k, v in converted.items() if k not in RESERVED_PROPERTIES}
        return failed + dropped

    def update(self, given: Mapping[str, Json], removed: Collection[str]) -> int:
        """Take what was set; see `set_context`.

        Args:
            given: as JSON.
            removed: names that are no longer set.

        Returns:
            How many did not fit.
        """
        dropped = 0
        replaced = {*removed, *given}
        with self._lock:
            declared = {k: v for k, v in self._declared.items() if k not in replaced}
            kept = {k: v for k, v in self._set.items() if k not in replaced}
            added = {k: v for k, v in given.items() if k not in removed}
            if _fits({**declared, **kept, **added}):
                kept |= added
            else:
                for name, value in added.items():
                    if _fits({**declared, **kept, name: value}):
                        kept[name] = value
                    else:
                        dropped += 1
            self._declared, self._set = declared, kept
        return dropped

    def merged(self, own: Mapping[str, Any]) -> dict[str, Json]:
        """An event's properties: copies of those that were set, its own, those declared."""
        return {
            **{name: deep_copy(value) for name, value in self._set.items()},
            **own,
            **{name: deep_copy(value) for name, value in self._declared.items()},
        }


def _fits(properties: Mapping[str, Json]) -> bool:
    """Whether properties that were converted before fit into what every event has."""
    return _within_budget(properties, CONTEXT_BYTES)[1].dropped == 0
