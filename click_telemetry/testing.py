"""For an application's own tests: what it records, and the proof that telemetry does no harm.

The functions of the kit start processes; they are loaded at their first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._kit import CheckFailed
from ._kit.events import (
    RecordingClient,
    TelemetryEvents,
    assert_matches_plan,
    record_events,
)

if TYPE_CHECKING:
    from ._kit.checks import (
        assert_fast_offline,
        assert_no_leaks,
        assert_transparent,
    )

_MODULES = {
    "assert_fast_offline": "checks",
    "assert_no_leaks": "checks",
    "assert_transparent": "checks",
}

__all__ = (
    "CheckFailed",
    "RecordingClient",
    "TelemetryEvents",
    "assert_fast_offline",
    "assert_matches_plan",
    "assert_no_leaks",
    "assert_transparent",
    "record_events",
)


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # with what is asked for

    return getattr(import_module(f"._kit.{_MODULES[name]}", __package__), name)
