"""The Segment message: an event on the wire.

Source: Segment's spec (track, identify, common fields). `sentAt` and the write key are added when
it is sent; everything else is fixed when it is recorded, so that every try says the same.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from .. import __version__
from ..identifiers import derived_id, random_id
from .ambient import system
from .text import plain_text

if TYPE_CHECKING:
    from .text import Json


def context(app: str, version: str | None) -> dict[str, Json]:
    """Segment's `context` for one invocation: application, system, library, and no IP."""
    return {
        "app": {"name": app, "version": plain_text(version) if version is not None else None},
        "os": {"name": system()},
        "library": {"name": "click_telemetry", "version": __version__},
    }


def track_message(
    event: str,
    properties: dict[str, Json],
    *,
    anonymous_id: str,
    context: dict[str, Json],
    at: float,
    message_id: str | None = None,
) -> dict[str, Json]:
    """One `track` call.

    Args:
        event: the event's name.
        properties: all of its properties, plain.
        anonymous_id: the installation's ID.
        context: see `context`.
        at: when it happened, in seconds since the epoch.
        message_id: what the receiver tells repetitions by; a new one by default.
    """
    return {
        "type": "track",
        "event": event,
        "properties": properties,
        "messageId": message_id or random_id(),
        "anonymousId": anonymous_id,
        "timestamp": timestamp(at),
        "context": context,
    }


def identify_message(
    traits: dict[str, Json], *, anonymous_id: str, context: dict[str, Json], at: float
) -> dict[str, Json]:
    """One `identify` call, but for the `userId`, which every message of a user has.

    Args:
        traits: facts about the user, plain.
        anonymous_id: the installation's ID.
        context: see `context`.
        at: when it happened, in seconds since the epoch.
    """
    return {
        "type": "identify",
        "traits": traits,
        "messageId": random_id(),
        "anonymousId": anonymous_id,
        "timestamp": timestamp(at),
        "context": context,
    }


def timestamp(at: float) -> str:
    """ISO 8601 in UTC with milliseconds, as Segment takes it."""
    moment = datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="milliseconds")
    return moment.removesuffix("+00:00") + "Z"


def completion_id(run_id: str) -> str:
    """The message ID of a run's only Completed, whoever says it: the run, or a later sender.

    Segment keeps the first of two messages with one ID, so a run cannot end twice.
    """
    return derived_id(run_id, _COMPLETION)


_COMPLETION = 0x636F6D70_6C65_0000_0074_656400000001
