"""Values that an application might pass by mistake: broken, lying, endless."""

from __future__ import annotations

import enum
import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any

from hypothesis import strategies as st

ANY_TEXT = st.text(st.characters(exclude_categories=()))
"""Text with anything in it: surrogates, controls, changes of direction."""


def strict(text: str) -> Any:
    """Read JSON as Segment's servers do: no NaN, no infinity."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


class Colour(enum.Enum):
    RED = "red"
    ONE = 1
    PAIR = ("a", "b")
    NOTHING = None


class Number(enum.IntEnum):
    TWO = 2


class Level(str, enum.Enum):
    HIGH = "high"


class Permission(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()


class BrokenMapping(Mapping[Any, Any]):
    """Its own code fails."""

    def __getitem__(self, key: Any) -> Any:
        raise RuntimeError("no")

    def __iter__(self) -> Iterator[Any]:
        raise RuntimeError("no")

    def __len__(self) -> int:
        raise RuntimeError("no")


def fail(*_: Any) -> Any:
    raise RuntimeError("no")


def broken(kind: type, *names: str) -> Any:
    """A subclass whose every method that one might call on it fails."""
    return type("Broken", (kind,), {**dict.fromkeys(names, fail), "__hash__": kind.__hash__})


BrokenText = broken(
    str,
    *("__str__", "__repr__", "__len__", "__eq__", "__iter__", "__getitem__", "__format__"),
    *("isascii", "translate", "encode", "lower", "strip"),
)
BrokenInt = broken(
    int, "__str__", "__repr__", "__int__", "__index__", "__lt__", "__le__", "__neg__", "__bool__"
)
BrokenFloat = broken(float, "__str__", "__repr__", "__float__", "__sub__", "__eq__", "__bool__")

Faceless = type("Faceless", (), {"__class__": property(fail)})
"""It has no name."""


def liar(kind: type) -> Any:
    """An object that claims to be of a class that it is not."""
    return type("Liar", (), {"__class__": property(lambda self: kind)})()


def broken_class() -> Any:
    """A class that cannot be asked for its own name, with instances that have no attributes."""

    class Meta(type):
        def __getattribute__(cls, name: str) -> Any:
            raise RuntimeError("no")

    class Broken(metaclass=Meta):
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("no")

    return Broken


class Endless(dict[str, int]):
    """Its items never end."""

    def items(self) -> Any:
        return ((str(n), n) for n in itertools.count())


class EndlessList(list[int]):
    def __iter__(self) -> Iterator[int]:
        return iter(itertools.count())
