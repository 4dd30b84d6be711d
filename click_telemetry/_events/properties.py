"""The properties of every event of one invocation: `properties=`, then what `set_context` set.

They are bounded together, since every event contains them.
"""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING, Any

from .._instrument import pass_on
from .._reader import RESERVED_PROPERTIES
from .text import copied
from .values import plain_properties

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from .text import Json

CONTEXT_BYTES = 4_000
"""As sent, of `properties=` and `set_context` together; an event's own are not among them."""


class Context:
    """The properties of every event of one invocation.

    Another thread may read them meanwhile: mappings are replaced, and never changed.
    """

    __slots__ = ("_declared", "_lock", "_set")

    def __init__(self) -> None:
        self._declared: dict[str, Json] = {}
        self._lock = RLock()  # a signal handler may set it, amid this
        self._set: dict[str, Json] = {}

    def declare(self, properties: Mapping[str, Any]) -> int:
        """Take what was declared; a function is called once, None is left out.

        Returns:
            How many could not be found or recorded.
        """
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
        plain, dropped = plain_properties(given, room=CONTEXT_BYTES)
        self._declared = {k: v for k, v in plain.items() if k not in RESERVED_PROPERTIES}
        return failed + dropped

    def update(self, given: Mapping[str, Json], removed: Collection[str]) -> int:
        """Take what was set; see `set_context`.

        Args:
            given: plain properties.
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
                if plain_properties(everything, room=CONTEXT_BYTES)[1]:
                    dropped += 1
                else:
                    kept[name] = value
            self._declared, self._set = declared, kept
        return dropped

    def declared_values(self) -> dict[str, Json]:
        """A copy of what `properties=` gave."""
        return {name: copied(value) for name, value in self._declared.items()}

    def set_values(self) -> dict[str, Json]:
        """A copy of what `set_context` set."""
        return {name: copied(value) for name, value in self._set.items()}
