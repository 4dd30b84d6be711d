"""What an application says on every event: `properties=` as declared, then `set_context`.

Belongs to one invocation. Bounded together, since every event carries it; knows no base property
but by name.
"""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING, Any

from . import RESERVED_PROPERTIES
from .loud import complain
from .text import copied
from .values import plain_properties

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from .run import Run
    from .text import Json

APPLICATION_BYTES = 4_000
"""On the wire, of `properties=` and `set_context` together, beside an event's own."""

USERS = frozenset(("user_id", "anonymous_id", "userId", "anonymousId"))
"""Names that would name a user on every event without `identify`."""


def set_context(**properties: Any) -> None:
    """Say more on every later event of this invocation, and of this one alone.

        set_context(agent="claude", cloud="hetzner")
        set_context(cloud=None)  # no longer known

    It replaces what `properties=` or an earlier call said under the same name; an event's own
    property of that name wins over it. Before the command has begun (in a group's callback) it is
    remembered. Threads and tasks of the invocation say it too; other invocations never do. It takes
    4,000 bytes on the wire at most, together with `properties=`; what does not fit is left out and
    counted.

    Args:
        **properties: values that are not JSON are coerced or left out, as those of `track`. None
            removes.

    Raises:
        DeclarationError: in a test alone, for a name that every event carries already (`sequence`,
            `command` …), that `Command Completed` has (`outcome`), or that names a user. At a
            prompt such a property is left out and counted.
    """
    from .current import act

    refused = [name for name in properties if _is_reserved(name)]
    given = {k: v for k, v in properties.items() if v is not None and k not in refused}
    removed = [k for k, v in properties.items() if v is None and k not in refused]
    plain, lost = plain_properties(given)
    # What cannot be said takes the place of what was said: an old value would be a wrong one.
    removed += [name for name in given if plain.get(name) is None]

    def do(run: Run) -> None:
        left_out = run.invocation.context().update(plain, removed)
        run.invocation.lose(lost + len(refused) + left_out)

    speaking = act(do)
    for name in refused:
        complain(_refusal(name), speaking)


class Context:
    """One invocation's.

    Another thread may make a message meanwhile: dictionaries are replaced, and never changed.
    """

    __slots__ = ("_declared", "_lock", "_said")

    def __init__(self) -> None:
        self._declared: dict[str, Json] = {}
        self._lock = RLock()  # a signal handler may set it, amid another
        self._said: dict[str, Json] = {}

    def declare(self, properties: Mapping[str, Any]) -> int:
        """Take what was declared; a function is called once, None is left out.

        Returns:
            How many could not be found or said.
        """
        given: dict[str, Any] = {}
        failed = 0
        for name, value in properties.items():
            try:
                found = value() if callable(value) else value
            except Exception:  # the application's own function: the property is left out
                failed += 1
                continue
            if found is not None:
                given[name] = found
        plain, lost = plain_properties(given, room=APPLICATION_BYTES)
        self._declared = {k: v for k, v in plain.items() if k not in RESERVED_PROPERTIES}
        return failed + lost

    def update(self, given: Mapping[str, Json], removed: Collection[str]) -> int:
        """Take what was set; see `set_context`.

        Args:
            given: plain properties.
            removed: names that are no longer said.

        Returns:
            How many did not fit.
        """
        lost = 0
        replaced = {*removed, *given}
        with self._lock:
            declared = {k: v for k, v in self._declared.items() if k not in replaced}
            said = {k: v for k, v in self._said.items() if k not in replaced}
            for name, value in given.items():
                if name in removed:
                    continue
                everything = {**declared, **said, name: value}
                if plain_properties(everything, room=APPLICATION_BYTES)[1]:
                    lost += 1
                else:
                    said[name] = value
            self._declared, self._said = declared, said
        return lost

    def declared(self) -> dict[str, Json]:
        """What `properties=` says, anew: a message is the client's."""
        return {name: copied(value) for name, value in self._declared.items()}

    def said(self) -> dict[str, Json]:
        """What `set_context` said, anew."""
        return {name: copied(value) for name, value in self._said.items()}


def _is_reserved(name: str) -> bool:
    return name in RESERVED_PROPERTIES or name in USERS


def _refusal(name: str) -> str:
    if name in USERS:
        return f"set_context({name}=…) would name a user on every event: write identify(…) instead"
    return (
        f"set_context({name}=…): events carry {name!r} already: rename it, for example to "
        f"{'app_' + name!r}"
    )
