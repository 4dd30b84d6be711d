"""What an application says from anywhere: `track` now, or `current()` to pass on and say later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .active import Speaker
    from .event import Event
    from .run import Run
    from .text import Json


class Handle:
    """An invocation's voice, to be handed to a thread or a callback.

    It stays valid: after the invocation's end what is said through it is dropped.
    """

    __slots__ = ("_speaker",)

    def __init__(self, speaker: Speaker) -> None:
        self._speaker = speaker

    @overload
    def track(self, event: Event, /) -> None: ...
    @overload
    def track(self, event: str, properties: Mapping[str, Any] | None = ...) -> None: ...
    def track(self, event: str | Event, properties: Mapping[str, Any] | None = None) -> None:
        """Record an event of the application's own, as `click_telemetry.track` does."""
        say(self._speaker, event, properties)

    def reset(self) -> None:
        """The user has signed out: later messages name nobody, as after `identify(None)`."""
        from .user import signed_out

        _act(self._speaker, signed_out)


@overload
def track(event: Event, /) -> None: ...
@overload
def track(event: str, properties: Mapping[str, Any] | None = ...) -> None: ...
def track(event: str | Event, properties: Mapping[str, Any] | None = None) -> None:
    """Record an event of the application's own. Never waits, and raises in tests alone.

    It belongs to the running command; from a thread that Python started bare, to the process's
    only live invocation. Where there is none, or more than one, it is dropped and counted.

    Args:
        event: what happened: an `Event`, whose properties are declared; or, for the quick case,
            its name, object and past-tense action in Title Case: `Invoice Exported`.
        properties: facts of this event. Values that are not JSON are coerced or left out;
            those that every event carries (`sequence`, `command` …) cannot be set from here.

    Raises:
        DeclarationError: in a test alone, for an `Event` that is not as it was declared.
    """
    try:
        from . import active  # contextvars: 0.4 ms, not for a program that tracks nothing

        found = active.speaker()
    except Exception:  # a signal's handler amid this import, or an interpreter that shuts down
        return
    say(found, event, properties)


def current() -> Handle:
    """The running invocation's voice; a silent one when nothing runs or nothing is recorded."""
    from . import active

    return Handle(active.speaker() or active.SILENT)


def act(do: Callable[[Run], None]) -> Speaker | None:
    """Have something done with the run that speaks here; where there is none, it is counted.

    Args:
        do: called with the run, at once or when the first leaf begins; never, when nothing is
            recorded.

    Returns:
        Who speaks here.
    """
    from . import active

    speaking = active.speaker()
    _act(speaking, do)
    return speaking


def say(
    speaker: Speaker | None,
    event: str | Event,
    properties: Mapping[str, Any] | None,
    measured: Mapping[str, Json] | None = None,
) -> None:
    """Record an event by somebody's voice.

    Args:
        speaker: whose; None is nobody, which is counted.
        event: a typed one, or a name.
        properties: of a name.
        measured: what was measured of a typed one, beside its declared properties.
    """
    from .active import LIVE

    # Who has no declared event does not load what they are made of.
    if not isinstance(event, str) and getattr(type(event), "__telemetry__", None) is not None:
        from .typed import say_typed

        say_typed(speaker, event, measured or {})
        return
    try:
        if speaker is not None:
            speaker.track(event, properties)
            return
    except Exception:  # a fault of ours, or of a value that cannot even be looked at
        pass
    LIVE.stray()


def _act(speaker: Speaker | None, do: Callable[[Run], None]) -> None:
    from .active import LIVE

    if speaker is None:
        LIVE.stray()
    else:
        speaker.act(do)
