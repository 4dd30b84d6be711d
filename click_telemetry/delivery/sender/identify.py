"""The one `identify` of an anonymous ID: the same message however often it is made. Pure."""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_OID, uuid5


def identify(
    anonymous_id: str | None, identified: str | None, messages: list[dict[str, Any]]
) -> dict[str, Any] | None:
    """What is to be sent before some messages; None where the destination knows the ID already.

    Args:
        anonymous_id: the installation's, or None for an ID of the moment.
        identified: the ID that the destination has been told.
        messages: what is to be sent.
    """
    if anonymous_id is None or identified == anonymous_id or not messages:
        return None
    app = messages[0].get("context", {}).get("app", {}).get("name")
    return {
        "type": "identify",
        "messageId": str(uuid5(NAMESPACE_OID, f"click_telemetry identify {anonymous_id}")),
        "anonymousId": anonymous_id,
        "traits": {},
        "context": {"app": {"name": app}, "library": {"name": "click_telemetry"}},
    }
