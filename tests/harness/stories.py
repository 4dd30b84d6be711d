"""What a run recorded, short enough to be compared to a literal."""

from __future__ import annotations

from typing import Any

import click
from click.testing import CliRunner, Result

from click_telemetry.testing import RecordingClient

OWN = ("exit_code", "outcome", "error_class", "error_class_masked", "user_cancelled")


def story(client: RecordingClient) -> list[tuple[Any, ...]]:
    """Each event as a tuple: name, command, flags, and how it ended if it did."""
    entries: list[tuple[Any, ...]] = []
    for event in client.events:
        properties = event["properties"]
        ending = {name: properties[name] for name in OWN if name in properties}
        entry: tuple[Any, ...] = (event["event"], properties["command"], properties["flags"])
        entries.append((*entry, ending) if ending else entry)
    return entries


def pair(
    command: str,
    *flags: str,
    code: int = 0,
    outcome: str | None = None,
    error: str | None = None,
    **more: Any,
) -> list[tuple[Any, ...]]:
    """The story of one command that ran."""
    ending: dict[str, Any] = {"exit_code": code}
    ending["outcome"] = outcome or ("success" if code == 0 else "failure")
    if error is not None:
        ending["error_class"] = error
    if outcome == "cancelled":
        ending["user_cancelled"] = True
    return [
        ("Command Invoked", command, [*flags]),
        ("Command Completed", command, [*flags], {**ending, **more}),
    ]


def run(command: click.Command, *args: str, **kwargs: Any) -> Result:
    """Run a command in Click's own runner."""
    return CliRunner().invoke(command, args, **kwargs)
