"""One leaf that began: its voice, and its pair of events. Records through its invocation alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..identifiers import random_id
from . import COMMAND_COMPLETED, message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..privacy.settings import Settings
    from .bound import Place
    from .invocation import Invocation
    from .text import Json

    Act = Callable[["Run"], None]


class Run:
    """One leaf that began, with its pair of events."""

    __slots__ = ("command", "flags", "invocation", "live", "run_id")

    def __init__(self, invocation: Invocation, command: str, flags: list[str]) -> None:
        self.invocation = invocation
        self.command = command
        self.flags = flags
        self.run_id = random_id()
        self.live = True

    @property
    def session_id(self) -> str | None:
        """The invocation's session."""
        return self.invocation.session_id

    @property
    def settings(self) -> Settings:
        """What the application declared."""
        return self.invocation.settings

    def track(
        self, name: object, properties: Mapping[Any, Any] | None, place: Place | None = None
    ) -> None:
        """Record an event of the application's own in this run."""
        self.invocation.track(name, properties, self, place=place)

    def act(self, do: Act) -> None:
        """Do something with this run, unless its invocation has ended."""
        self.invocation.act(do, self)

    def now_speaking(self) -> Run:
        """This run: who was handed a run keeps it."""
        return self

    def finish(self, own: dict[str, Json], at: float | None = None) -> None:
        """Record that the leaf has ended; only the first call counts.

        Args:
            own: the properties of `Command Completed`.
            at: when, in seconds since the epoch; now by default.
        """
        if self.live:
            self.live = False
            self.invocation.record(
                COMMAND_COMPLETED, own, self, at, message.completion_id(self.run_id)
            )
