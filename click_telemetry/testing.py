"""For an application's own tests: what it records, and the proof that telemetry does no harm."""

from __future__ import annotations

from ._kit.events import RecordingClient, TelemetryEvents, record_events

__all__ = ("RecordingClient", "TelemetryEvents", "record_events")
