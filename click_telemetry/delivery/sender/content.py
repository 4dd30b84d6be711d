"""What a spool file says: its bytes to the messages that may be sent. Pure.

Everything else in it (a torn line, zeros, somebody's JSON, a number that JSON cannot say) is
passed over, and its neighbours are not.
"""

from __future__ import annotations

import json
from typing import Any

from .unfinished import completions, sequence_number

MESSAGE_LIMIT = 32 * 1024
"""Bytes of a message as it is sent; Segment takes no larger one."""
ROOM_FOR_LOST = 32
"""Bytes of `, "dropped": 123456789`, and some."""


def messages(content: bytes, written_at: float) -> list[dict[str, Any]]:
    """What a file says; a torn or foreign line is passed over.

    Args:
        content: the file's bytes.
        written_at: its last write, in seconds since the epoch.
    """
    said: list[dict[str, Any]] = []
    carried: list[dict[str, Any]] = []
    continued = False
    sequence = 0
    for line in content.split(b"\n")[:-1]:
        note = line.startswith(b"#")
        found = _object(line[1:] if note else line)
        if found is None:
            continue
        if note:
            continued = continued or found.get("continued") is True
            runs, at = found.get("open"), found.get("at")
            if isinstance(at, float) and not said:
                written_at = at  # nothing more was written: tell it as the file before would
            if isinstance(runs, list):
                carried += [run for run in runs if isinstance(run, dict) and is_message(run)]
            sequence = max(sequence, sequence_number(found.get("sequence")))
        elif is_message(found):
            said.append(found)
    if not continued:
        said += completions(said, carried, sequence, written_at)
    return said


def is_message(found: dict[str, Any]) -> bool:
    """Whether an object is a message as we write them; anything else is not ours to send."""
    return (
        found.get("type") in ("track", "identify")
        and isinstance(found.get("messageId"), str)
        and isinstance(found.get("anonymousId"), str)
        and isinstance(found.get("properties" if found["type"] == "track" else "traits"), dict)
    )


def length(message: dict[str, Any]) -> int:
    """A message's bytes as the Segment client sends it."""
    return len(json.dumps(message))


def _object(line: bytes) -> dict[str, Any] | None:
    """A line's JSON object; None for what we never write, such as NaN, which is no JSON."""
    try:
        found = json.loads(line.decode("ascii"))
        json.dumps(found, allow_nan=False)  # 1e999 is read as infinity
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
