"""Which invocation an event belongs to: the context's, else the process's only live one.

`ACTIVE` follows tasks and copied contexts; `LIVE` is for plain threads, which start without any.
It is a register, not state: it holds what is running now, and nothing else.
"""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextvars import ContextVar
    from typing import Any, Protocol

    from ..privacy.settings import Settings
    from .bound import Place
    from .run import Run

    class Speaker(Protocol):
        """Somebody who can record an event now: a run, or a root before its first leaf."""

        @property
        def session_id(self) -> str | None:
            """The session, once something is recorded."""

        @property
        def settings(self) -> Settings | None:
            """What the application declared; None for nobody."""

        def track(
            self, name: object, properties: Mapping[Any, Any] | None, place: Place | None = None
        ) -> None:
            """Record one event of the application's own; `place` if it is one of several."""

        def act(self, do: Callable[[Run], None]) -> None:
            """Do something with the run that speaks: now, or once the first leaf begins."""

        def now_speaking(self) -> Speaker:
            """Who speaks for the same invocation at this moment: its innermost live run."""


else:
    try:
        from _contextvars import ContextVar  # contextvars adds abstract classes, and 0.1 ms
    except ImportError:
        from contextvars import ContextVar


class Register:
    """The roots that are running in this process, and the events that found none of them."""

    __slots__ = ("_ended", "_lock", "_roots", "_strays")

    def __init__(self) -> None:
        self._ended = False
        self._lock = RLock()
        self._roots: list[Speaker] = []
        self._strays = 0

    def enter(self, root: Speaker) -> None:
        """A root begins."""
        with self._lock:
            self._roots.append(root)

    def leave(self, root: Speaker) -> None:
        """A root has ended; it need not have begun."""
        with self._lock:
            self._roots = [other for other in self._roots if other is not root]
            self._ended = True

    def alone(self, root: Speaker) -> bool:
        """Whether a root is the first and only one of this process."""
        return not self._ended and self._roots == [root]

    def only(self) -> Speaker | None:
        """The live root, if there is exactly one; a choice between two would be a guess."""
        roots = self._roots
        return roots[0].now_speaking() if len(roots) == 1 else None

    def stray(self) -> None:
        """An event found no invocation, or one that has ended; the next one will report it."""
        with self._lock:
            self._strays += 1

    def take_strays(self) -> int:
        """How many events found no invocation since this was asked last."""
        with self._lock:
            strays, self._strays = self._strays, 0
        return strays


ACTIVE: ContextVar[Speaker | None] = ContextVar("click_telemetry", default=None)
LIVE = Register()


class Silent:
    """Nobody: an excluded command, a run that is off."""

    __slots__ = ()

    @property
    def session_id(self) -> str | None:
        """None: nothing is recorded."""
        return None

    @property
    def settings(self) -> Settings | None:
        """None: it speaks for no application."""
        return None

    def track(
        self, name: object, properties: Mapping[Any, Any] | None, place: Place | None = None
    ) -> None:
        """Say nothing."""

    def act(self, do: Callable[[Run], None]) -> None:
        """Do nothing."""

    def now_speaking(self) -> Speaker:
        """Nobody still."""
        return self


SILENT = Silent()
REFUSED = Silent()
"""Nobody, since a person said no: what the run starts is to be silent too."""


def speaker() -> Speaker | None:
    """Who speaks here and now, or None when no invocation can be told."""
    found = ACTIVE.get()
    return found if found is not None else LIVE.only()
