"""A typed event as it is recorded: what its class declares, of what its instance holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import active
from .bound import Place
from .loud import complain, is_test

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .active import Speaker
    from .event import Event
    from .text import Json


def say_typed(speaker: Speaker | None, event: Event, measured: Mapping[str, Json]) -> None:
    """Record a typed event.

    What is not as declared is left out, named in `invalid` and counted: names of properties are
    the developer's own words.

    Args:
        speaker: who says it; None is nobody, which is counted.
        event: the event.
        measured: what was measured of it.

    Raises:
        DeclarationError: in a test, for a value that is not as declared.
    """
    if speaker is active.SILENT and not is_test(None):
        return
    try:
        plan = type(event).__telemetry__
        own, wrong = plan.plain(_Held(event))
    except Exception:  # a class that only looks like one of ours
        active.LIVE.stray()
        return
    if wrong:
        kinds = [f"{name} is {_kind(event, name)}" for name in wrong]
        complain(
            f"{type(event).__name__} is not as it was declared: {', '.join(kinds)}. Pass what the "
            "annotation says, or change the annotation",
            speaker,
        )
        own["invalid"] = [*wrong]
    if speaker is None:
        active.LIVE.stray()
        return
    try:
        speaker.track(plan.name, {**own, **measured}, Place(lost=len(wrong)))
    except Exception:  # a fault of ours
        active.LIVE.stray()


class _Held:
    """An instance's attributes, as a mapping is asked for them."""

    __slots__ = ("_event",)

    def __init__(self, event: Event) -> None:
        self._event = event

    def __getitem__(self, name: str) -> Any:
        return getattr(self._event, name)


def _kind(event: Event, name: str) -> str:
    missing = object()
    found = getattr(event, name, missing)
    return "missing" if found is missing else f"{type(found).__name__}, or out of its bounds"
