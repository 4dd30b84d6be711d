"""The properties that a typed event's annotations declare, and which values each may have.

Reads annotations and checks values; knows no event.
"""

from __future__ import annotations

import datetime
import sys
import typing
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal

from .text import MAX_TEXT

if TYPE_CHECKING:
    from .text import Json

ALLOWED = (
    "Literal, an Enum, bool, int, float, date, datetime, Annotated[str, 64] for a text of at most "
    "64 characters, a list of one of these, and each with | None"
)

_SCALARS: dict[Any, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    datetime.date: "date",
    datetime.datetime: "date-time",
}


class UnsupportedAnnotation(Exception):
    """An annotation that no property may have; the message gives the reason."""


class Mismatch(Exception):
    """A value that does not match its declaration."""


class EventProperty:
    """One declared property of an event.

    Attributes:
        name: its name.
        kind: `boolean`, `integer`, `number`, `string`, `date` or `date-time`; of a list's items.
        choices: the values that it may have, as they are recorded; None if they are not listed.
        max_length: of a text without choices, in characters.
        many: whether it is a list.
        optional: whether None may be given, which leaves it out.
    """

    __slots__ = ("_enum", "choices", "kind", "many", "max_length", "name", "optional")

    def __init__(self, name: str, annotation: Any) -> None:
        self.name = name
        self.choices: tuple[Json, ...] | None = None
        self.max_length: int | None = None
        self._enum: type[Enum] | None = None
        annotation, self.optional = _without_none(_resolve_alias(annotation))
        annotation, self.many = _item_type(annotation)
        self.kind = self._read(_resolve_alias(annotation))

    def convert(self, value: Any) -> Json:
        """Convert a value to JSON.

        Raises:
            Mismatch: it does not match the declaration.
        """
        if not self.many:
            return self._convert_one(value)
        if not isinstance(value, (list, tuple)):
            raise Mismatch
        return [self._convert_one(one) for one in value]

    def _read(self, annotation: Any) -> str:
        origin = typing.get_origin(annotation)
        if origin is Literal:
            return self._read_choices(typing.get_args(annotation))
        if isinstance(annotation, type) and issubclass(annotation, Enum):
            self._enum = annotation
            return self._read_choices(tuple(_enum_value(one) for one in annotation))
        if origin is typing.Annotated:
            return self._read_bound(*typing.get_args(annotation))
        if annotation is str:
            raise UnsupportedAnnotation(
                "is a text without a bound: write Literal[…] or Annotated[str, 64]"
            )
        found = _SCALARS.get(annotation) if isinstance(annotation, type) else None
        if found is None:
            raise UnsupportedAnnotation(
                f"is {_annotation_name(annotation)}: a property may be {ALLOWED}"
            )
        return found

    def _read_choices(self, choices: tuple[Any, ...]) -> str:
        found = tuple(_enum_value(one) if isinstance(one, Enum) else one for one in choices)
        kinds = {type(one) for one in found}
        if not found or len(kinds) != 1 or not kinds <= {str, int, bool}:
            raise UnsupportedAnnotation(
                "has values that are not all texts, all integers or all booleans"
            )
        if any(isinstance(one, str) and len(one) > MAX_TEXT for one in found):
            raise UnsupportedAnnotation(
                f"has a value of more than {MAX_TEXT} characters: shorten it"
            )
        self.choices = found
        return {str: "string", int: "integer", bool: "boolean"}[kinds.pop()]

    def _read_bound(self, annotation: Any, *marks: Any) -> str:
        if annotation is not str:
            return self._read(_resolve_alias(annotation))
        for mark in marks:
            bound = mark if isinstance(mark, int) else getattr(mark, "max_length", None)
            if isinstance(bound, int) and not isinstance(bound, bool):
                if not 0 < bound <= MAX_TEXT:
                    raise UnsupportedAnnotation(
                        f"is bounded by {bound}: write a number from 1 to {MAX_TEXT}"
                    )
                self.max_length = bound
                return "string"
        raise UnsupportedAnnotation("is a text without a bound: write Annotated[str, 64]")

    def _convert_one(self, value: Any) -> Json:
        if self._enum is not None and isinstance(value, self._enum):
            return _enum_value(value)
        if self.choices is not None:
            for choice in self.choices:
                if isinstance(value, type(choice)) and (
                    isinstance(value, bool) == isinstance(choice, bool) and value == choice
                ):
                    return choice
            raise Mismatch
        return _CHECKS[self.kind](value, self.max_length)


def _boolean(value: Any, _: int | None) -> Json:
    if isinstance(value, bool):
        return value
    raise Mismatch


def _integer(value: Any, _: int | None) -> Json:
    if isinstance(value, int) and not isinstance(value, bool):
        return int.__int__(value)
    raise Mismatch


def _number(value: Any, _: int | None) -> Json:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    raise Mismatch


def _date(value: Any, _: int | None) -> Json:
    if isinstance(value, datetime.date):
        # A datetime is a date too; what was declared is no more precise than a day.
        return datetime.date(value.year, value.month, value.day).isoformat()
    raise Mismatch


def _date_time(value: Any, _: int | None) -> Json:
    if isinstance(value, datetime.datetime):
        return datetime.datetime.isoformat(value)
    raise Mismatch


def _string(value: Any, most: int | None) -> Json:
    if isinstance(value, str) and most is not None and str.__len__(value) <= most:
        return str.__str__(value)
    raise Mismatch


_CHECKS = {
    "boolean": _boolean,
    "integer": _integer,
    "number": _number,
    "date": _date,
    "date-time": _date_time,
    "string": _string,
}


def _enum_value(member: Enum) -> str | int:
    """As `properties` records it: its value if that is a text or an integer, else its name."""
    value: object = member._value_
    return value if isinstance(value, (str, int)) else member._name_


def _resolve_alias(annotation: Any) -> Any:
    """Resolve a `type X = …` (Python 3.12)."""
    while hasattr(annotation, "__value__") and not isinstance(annotation, type):
        annotation = annotation.__value__
    return annotation


def _without_none(annotation: Any) -> tuple[Any, bool]:
    origin = typing.get_origin(annotation)
    union = getattr(sys.modules.get("types"), "UnionType", None)
    if origin is not typing.Union and (union is None or origin is not union):
        return annotation, False
    rest = [one for one in typing.get_args(annotation) if one is not type(None)]
    if len(rest) != 1:
        raise UnsupportedAnnotation(
            "is one of several types: write one of them, or one of them | None"
        )
    return _resolve_alias(rest[0]), len(rest) < len(typing.get_args(annotation))


def _item_type(annotation: Any) -> tuple[Any, bool]:
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is list and len(args) == 1:
        return args[0], True
    if origin is tuple and len(args) == 2 and args[1] is ...:
        return args[0], True
    return annotation, False


def _annotation_name(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)
