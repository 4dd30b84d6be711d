"""`unfinished`: the end of a run whose process vanished, said by the next sender.

A pure function of a dead writer's file. However often it is said, it is the same message.
"""

from __future__ import annotations

from typing import Any

from ...events import COMMAND_COMPLETED, COMMAND_INVOKED
from ...events.message import completion_id, timestamp

_LARGEST = 2**53
"""Every JSON reader knows the whole numbers up to here."""
_LATEST = 253_402_300_799.0
"""The last second of the year 9999; a file system may hold a later one, a date may not."""


def completions(
    said: list[dict[str, Any]], carried: list[dict[str, Any]], sequence: int, written_at: float
) -> list[dict[str, Any]]:
    """A `Command Completed` for each run that began and did not end.

    Args:
        said: the file's messages.
        carried: the Invoked messages of runs that began in an earlier file of the series.
        sequence: the last sequence of the earlier files.
        written_at: the file's last write, in seconds since the epoch.
    """
    open_runs = {_run(message): message for message in carried if message["type"] == "track"}
    for message in said:
        if message["type"] != "track":
            continue
        sequence = max(sequence, sequence_number(message["properties"].get("sequence")))
        if message.get("event") == COMMAND_INVOKED:
            open_runs[_run(message)] = message
        elif message.get("event") == COMMAND_COMPLETED:
            open_runs.pop(_run(message), None)
    ended = []
    for run_id, invoked in open_runs.items():
        try:
            message_id = completion_id(run_id)
        except ValueError:
            continue  # no run of ours
        sequence += 1
        ended.append(_completed(invoked, message_id, sequence, written_at))
    return ended


def sequence_number(found: object) -> int:
    """A place in an invocation's sequence; 0 for what is none."""
    return found if type(found) is int and 0 < found <= _LARGEST else 0


def _completed(
    invoked: dict[str, Any], message_id: str, sequence: int, written_at: float
) -> dict[str, Any]:
    properties = {name: value for name, value in invoked["properties"].items() if name != "dropped"}
    return {
        **invoked,
        "event": COMMAND_COMPLETED,
        "messageId": message_id,
        "timestamp": timestamp(min(max(written_at, 0.0), _LATEST)),
        "properties": {
            **properties,
            "succeeded": False,
            "outcome": "unfinished",
            "sequence": sequence,
        },
    }


def _run(message: dict[str, Any]) -> str:
    return str(message["properties"].get("run_id"))
