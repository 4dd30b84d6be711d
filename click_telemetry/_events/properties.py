"""The properties of events: any Python value as JSON, and what every event has in common.

The conversion is bounded and never raises. What cannot be recorded safely is left out; what could
contain too much (an object's repr, a path, bytes) becomes a tag; texts are scrubbed, after those
that are too long were dropped.
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
from .._scrub.pairs import names_secret
from .._scrub.scrub import scrub, scrub_under
from .text import MAX_INTEGER, MAX_NAME, MAX_TEXT, deep_copy, name_or_none, sanitize_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from .text import Json

MAX_DEPTH = 4
MAX_NODES = 200
"""Values that are converted, containers included."""
MAX_BYTES = 24_000
"""Of one event's own properties as sent; Segment refuses a message over 32 KB."""

CONTEXT_BYTES = 4_000
"""As sent, of `properties=` and `set_context` together; an event's own are not among them."""


class NotRecordable(Exception):
    """A value that is left out of an event."""


class _TooMany(NotRecordable):
    """More values than may be converted; a bound on time, which no list catches."""


class _Budget:
    __slots__ = ("bytes", "nodes")

    def __init__(self, room: int) -> None:
        self.nodes = MAX_NODES
        self.bytes = room

    def count(self) -> None:
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

    Args:
        properties: any object that was passed as such.
        room: bytes that the result may take, as sent.
    """
    budget = _Budget(room)
    kept: dict[str, Json] = {}
    items, dropped = _items(properties)
    for key, value in items:
        before = budget.bytes, budget.nodes
        try:
            name = _key(key, budget, kept)
            kept[name] = _convert(value, MAX_DEPTH, budget, name)
        except Exception as error:  # a value whose own code fails is left out like any other
            pass_on(error)
            dropped += 1
            # What did not fit takes no room from what still may.
            budget.bytes, budget.nodes = before
    return kept, dropped


def sanitize_name(name: object) -> str | None:
    """The name of an application's own event, sanitized and scrubbed, or None."""
    found = name_or_none(name)
    if found is not None:
        found = scrub(found)
    return found if found is not None and len(found) <= MAX_NAME else None


def _convert(value: Any, depth: int, budget: _Budget, under: str) -> Json:
    """Convert a value; `under` is the nearest key that names a secret, else the outermost."""
    budget.count()
    if value is None or value is True or value is False:
        budget.take(5)
        return bool(value) if value is not None else None
    if isinstance(value, str):
        return _text(value, budget, under)
    if isinstance(value, int):
        budget.take(20)
        return _integer(value)
    if isinstance(value, float):
        real = float.__float__(value)
        budget.take(24)
        # JSON has no NaN and no infinity; a reader that meets one refuses the whole batch.
        return real if real - real == 0.0 else None
    if isinstance(value, Enum):
        inner = value._value_
        return _convert(
            inner if isinstance(inner, (str, int, float)) else value._name_, depth, budget, under
        )
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _tag("[bytes]", budget)
    if isinstance(value, os.PathLike):
        return _tag("[path]", budget)
    if isinstance(value, (list, tuple)):
        return _list(value, depth, budget, under)
    if isinstance(value, (set, frozenset)):
        return sorted(_list(value, depth, budget, under), key=encode)
    kind = type(value)  # the class's own: a remote object would fetch such an attribute
    if hasattr(kind, "items") and hasattr(kind, "keys"):
        return _dict(value, depth, budget, under)
    return _tag(_special(value), budget)


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


def _text(value: str, budget: _Budget, under: str) -> str:
    if str.__len__(value) > MAX_TEXT:
        raise NotRecordable
    return _tag(scrub_under(under, sanitize_text(value)), budget)


def _tag(text: str, budget: _Budget) -> str:
    budget.take(len(encode(text)))
    return text


def _list(values: Iterable[Any], depth: int, budget: _Budget, under: str) -> list[Json]:
    if depth == 0:
        raise NotRecordable
    budget.take(2)
    kept: list[Json] = []
    for value in list(islice(values, budget.nodes + 1)):
        before = budget.bytes
        try:
            converted = _convert(value, depth - 1, budget, under)
            budget.take(1)
            kept.append(converted)
        except _TooMany:
            raise
        except NotRecordable:
            budget.bytes = before
    return kept


def _dict(mapping: Mapping[Any, Any], depth: int, budget: _Budget, under: str) -> dict[str, Json]:
    if depth == 0:
        raise NotRecordable
    budget.take(2)
    kept: dict[str, Json] = {}
    items, dropped = _items(mapping)
    if items and dropped:
        raise _TooMany
    for key, value in items:
        before = budget.bytes
        try:
            name = _key(key, budget, kept)
            kept[name] = _convert(value, depth - 1, budget, name if names_secret(name) else under)
        except _TooMany:
            raise
        except NotRecordable:
            budget.bytes = before
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
    if isinstance(key, Enum):
        key = key._value_
    if isinstance(key, bool) or not isinstance(key, (str, int)):
        raise NotRecordable
    given = name_or_none(key if isinstance(key, str) else repr(_integer(key)))
    if given is None:
        raise NotRecordable
    name = scrub(given)
    if len(name) > MAX_NAME or (name != given and name in kept):
        raise NotRecordable  # of two addresses as keys only one can be kept
    budget.take(len(encode(name)) + 2)
    return name


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
            for name, value in given.items():
                if name in removed:
                    continue
                everything = {**declared, **kept, name: value}
                if convert_properties(everything, room=CONTEXT_BYTES)[1]:
                    dropped += 1
                else:
                    kept[name] = value
            self._declared, self._set = declared, kept
        return dropped

    def merged(self, own: Mapping[str, Any]) -> dict[str, Json]:
        """An event's properties: copies of those that were set, its own, those declared."""
        return {
            **{name: deep_copy(value) for name, value in self._set.items()},
            **own,
            **{name: deep_copy(value) for name, value in self._declared.items()},
        }
