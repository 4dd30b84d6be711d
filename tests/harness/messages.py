"""Segment messages as they arrive, short enough to be written in a test."""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_OID, uuid5

Message = dict[str, Any]


def track(
    event: str,
    command: str = "acme deploy",
    *flags: str,
    sequence: int = 1,
    invocation: str = "one",
    at: str = "2026-03-01T12:00:00.123Z",
    app: str = "acme",
    **own: Any,
) -> Message:
    """An event of an instrumented application."""
    return {
        "type": "track",
        "event": event,
        "properties": {
            **own,
            "invocation_id": invocation,
            "run_id": str(uuid5(NAMESPACE_OID, f"run {command} {invocation}")),
            "session_id": "session",
            "sequence": sequence,
            "command": command,
            "flags": [*flags],
            "version": "2.1.0",
            "os": "linux",
            "arch": "x86_64",
            "python_version": "3.13.0",
            "is_ci": False,
            "is_tty": True,
            "cli_context": "human",
            "in_container": False,
        },
        "messageId": str(uuid5(NAMESPACE_OID, f"{event} {invocation} {sequence}")),
        "anonymousId": "anonymous",
        "timestamp": at,
        "context": {"app": {"name": app, "version": "2.1.0"}},
    }


def pair(
    command: str = "acme deploy",
    *flags: str,
    exit_code: int | None = 0,
    outcome: str = "success",
    duration_ms: int | None = 12,
    first: int = 1,
    **kwargs: Any,
) -> list[Message]:
    """The two events of a command."""
    ending: dict[str, Any] = {"succeeded": outcome == "success", "outcome": outcome}
    if exit_code is not None:
        ending["exit_code"] = exit_code
    if duration_ms is not None:
        ending["duration_ms"] = duration_ms
    where = {name: kwargs.pop(name) for name in ("invocation", "at", "app") if name in kwargs}
    return [
        track("Command Invoked", command, *flags, sequence=first, **where),
        track(
            "Command Completed", command, *flags, sequence=first + 1, **where, **ending, **kwargs
        ),
    ]
