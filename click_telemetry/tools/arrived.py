"""What arrived, as rows that a person can read: a pure function of messages, in their order.

It believes no message: whatever a field holds, there is a row, made of printable characters.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from ..events import BASE_PROPERTIES, COMMAND_COMPLETED
from ..visible import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MOST_OF_A_VALUE = 60
"""Characters of one property's value; `--json` shows the whole."""

_ENDING = frozenset(
    ("exit_code", "succeeded", "outcome", "error_class", "error_class_masked", "user_cancelled")
)
_TOLD = {
    "unfinished": "its process vanished before the command ended (killed, or replaced by exec)"
}


class Row(NamedTuple):
    """One message.

    Attributes:
        invocation: what keeps the rows of one invocation together.
        time: local, as HH:MM:SS.mmm.
        sequence: within the invocation.
        event: the event's name, or the message's type where it is no track.
        command: its path.
        flags: their names.
        exit_code: of the command; empty where it does not apply.
        duration: for people, such as `12 ms`.
        outcome: `failure`, `cancelled` or `unfinished`; empty for success and for other events.
        ending: a line about the outcome.
        own: a line with the properties that are neither ours nor shown already.
    """

    invocation: str
    time: str
    sequence: str
    event: str
    command: str
    flags: str
    exit_code: str
    duration: str
    outcome: str
    ending: str
    own: str


def in_order(messages: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Messages by invocation, in the order in which those began, then by sequence."""
    every = list(messages)
    began: dict[str, str] = {}
    for message in every:
        invocation, at = _invocation(message), _text(message.get("timestamp"))
        began[invocation] = min(began.get(invocation, at), at)

    def place(message: Mapping[str, Any]) -> tuple[str, str, int, str]:
        invocation = _invocation(message)
        sequence = _properties(message).get("sequence")
        return (
            began[invocation],
            invocation,
            sequence if isinstance(sequence, int) else 0,
            _text(message.get("timestamp")),
        )

    return sorted(every, key=place)


def rows(messages: Iterable[Mapping[str, Any]]) -> list[Row]:
    """A row for each message, in order; an `identify` that names no user is none."""
    return [
        _row(message)
        for message in in_order(messages)
        if message.get("type") != "identify" or message.get("userId") is not None
    ]


def apps(messages: Iterable[Mapping[str, Any]]) -> list[str]:
    """The applications' names, each once, in the order in which their invocations began."""
    found: dict[str, None] = {}
    for message in in_order(messages):
        app = _object(_object(message.get("context")).get("app")).get("name")
        if isinstance(app, str):
            found[app] = None
    return [*found]


def duration(milliseconds: int) -> str:
    """Milliseconds for people: `12 ms`, `1.3 s`, `2 min 5 s`, `1 h 0 min`."""
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    if milliseconds < 59_950:
        return f"{milliseconds / 1000:.1f} s"
    seconds = (milliseconds + 500) // 1000
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


def clock(timestamp: object) -> str:
    """An ISO timestamp as local time, or what stands there if it is none."""
    text = _text(timestamp)
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone()
    except (ValueError, OverflowError, OSError):
        return visible(text, 12)
    return moment.strftime("%H:%M:%S.") + f"{moment.microsecond // 1000:03d}"


def _row(message: Mapping[str, Any]) -> Row:
    properties = _properties(message)
    completed = message.get("event") == COMMAND_COMPLETED
    shown = {*BASE_PROPERTIES, *(_ENDING if completed else ())}
    took = properties.get("duration_ms")
    if isinstance(took, int) and not isinstance(took, bool):
        shown.add("duration_ms")
        took = duration(took) if took >= 0 else f"{took} ms"
    else:
        took = ""
    own = {name: value for name, value in properties.items() if name not in shown}
    flags = properties.get("flags")
    return Row(
        invocation=_invocation(message),
        time=clock(message.get("timestamp")),
        sequence=_cell(properties.get("sequence")),
        event=visible(_text(message.get("event")) or _text(message.get("type"))),
        command=_cell(properties.get("command")),
        flags=", ".join(map(_cell, flags)) if isinstance(flags, list) else _cell(flags),
        exit_code=_cell(properties.get("exit_code")) if completed else "",
        duration=took,
        outcome=_outcome(properties) if completed else "",
        ending=_ending(properties) if completed else "",
        own=", ".join(
            f"{visible(name)}={_cell(value)}" for name, value in {**_beside(message), **own}.items()
        ),
    )


def _outcome(properties: Mapping[str, Any]) -> str:
    outcome = _text(properties.get("outcome"))
    return "" if outcome == "success" else visible(outcome, MOST_OF_A_VALUE)


def _ending(properties: Mapping[str, Any]) -> str:
    outcome = _text(properties.get("outcome"))
    error = properties.get("error_class")
    told = _TOLD.get(outcome, "") if error is None else _cell(error)
    if properties.get("error_class_masked") is True:
        told += " (for a class that may not be named: see error_packages)"
    if outcome == "success" and not told:
        return ""
    return visible(outcome, MOST_OF_A_VALUE) + (f": {told}" if told else "")


def _beside(message: Mapping[str, Any]) -> dict[str, Any]:
    """What other messages than tracks say of themselves, and what a track has lost."""
    found = {
        name: message[name]
        for name in ("name", "userId", "groupId", "previousId")
        if message.get(name) is not None
    }
    found |= _object(message.get("traits"))
    dropped = _properties(message).get("dropped")
    return found if dropped is None else {**found, "dropped": dropped}


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return visible(value, MOST_OF_A_VALUE)
    return visible(json.dumps(value, ensure_ascii=False), MOST_OF_A_VALUE)


def _invocation(message: Mapping[str, Any]) -> str:
    found = _properties(message).get("invocation_id")
    # A message that belongs to no invocation stands where its own time puts it.
    return found if isinstance(found, str) else _text(message.get("messageId"))


def _properties(message: Mapping[str, Any]) -> Mapping[str, Any]:
    return _object(message.get("properties"))


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
