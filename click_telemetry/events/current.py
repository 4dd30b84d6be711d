"""What an application says from anywhere: `track` now, or `current()` to pass on and say later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .active import Speaker


class Handle:
    """An invocation's voice, to be handed to a thread or a callback.

    It stays valid: after the invocation's end what is said through it is dropped.
    """

    __slots__ = ("_speaker",)

    def __init__(self, speaker: Speaker) -> None:
        self._speaker = speaker

    def track(self, event: str, properties: Mapping[str, Any] | None = None) -> None:
        """Record an event of the application's own, as `click_telemetry.track` does."""
        _say(self._speaker, event, properties)


def track(event: str, properties: Mapping[str, Any] | None = None) -> None:
    """Record an event of the application's own. Never raises, never waits.

    It belongs to the running command; from a thread that Python started bare, to the process's
    only live invocation. Where there is none, or more than one, it is dropped and counted.

    Args:
        event: what happened, object and past-tense action in Title Case: `Invoice Exported`.
        properties: facts of this event. Values that are not JSON are coerced or left out;
            those that every event carries (`sequence`, `command` …) cannot be set from here.
    """
    try:
        from . import active  # contextvars: 0.4 ms, not for a program that tracks nothing

        found = active.speaker()
    except Exception:  # a signal's handler amid this import, or an interpreter that shuts down
        return
    _say(found, event, properties)


def current() -> Handle:
    """The running invocation's voice; a silent one when nothing runs or nothing is recorded."""
    from . import active

    return Handle(active.speaker() or active.SILENT)


def _say(speaker: Speaker | None, event: str, properties: Mapping[str, Any] | None) -> None:
    from .active import LIVE

    try:
        if speaker is not None:
            speaker.track(event, properties)
            return
    except Exception:  # a fault of ours, or of a value that cannot even be looked at
        pass
    LIVE.stray()
