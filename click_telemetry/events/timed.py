"""A typed event that measures its block: how long it took, and whether it succeeded."""

from __future__ import annotations

from time import monotonic_ns
from typing import TYPE_CHECKING

from . import active, ending
from .current import say

if TYPE_CHECKING:
    from types import TracebackType

    from .event import Event
    from .text import Json


class Timed:
    """What `Event.timed` gives; one for each block."""

    __slots__ = ("_began", "_event", "_speaker")

    def __init__(self, event: Event) -> None:
        self._event = event
        self._began = monotonic_ns()
        self._speaker: active.Speaker | None = None

    def __enter__(self) -> None:
        """Start the clock."""
        self._speaker = active.speaker()
        self._began = monotonic_ns()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Record the event; what was raised passes through."""
        own: dict[str, Json] = {"duration_ms": (monotonic_ns() - self._began) // 1_000_000}
        try:
            own |= self._ended(error)
        except Exception:  # an exception's class whose own code fails
            own["succeeded"] = False
        say(self._speaker, self._event, None, own)

    async def __aenter__(self) -> None:
        """Start the clock."""
        self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Record the event, as `__exit__` does."""
        self.__exit__(kind, error, traceback)

    def _ended(self, error: BaseException | None) -> dict[str, Json]:
        """As `Command Completed` tells it, without the exit code."""
        if error is None:
            return {"succeeded": True}
        settings = self._speaker.settings if self._speaker is not None else None
        ended = ending.raised(
            error,
            own=settings.package if settings is not None else "__main__",
            packages=settings.error_packages if settings is not None else (),
        )
        names = ("succeeded", "error_class", "error_class_masked", "user_cancelled")
        return {name: ended[name] for name in names if name in ended}
