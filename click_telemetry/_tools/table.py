"""The table of events that arrived: messages to rows, rows to lines of a terminal or a pipe.

No message is trusted: each gives a row of printable characters, whatever its fields contain. The
table is as wide as its cells need, and 80 columns if it can be. Colour never carries meaning alone.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.cells import cell_len
from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from .._commands.terminal import escape
from .._reader import BASE_PROPERTIES, COMMAND_COMPLETED, COMMAND_INVOKED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from rich.console import (
        Console,
        ConsoleOptions,
        JustifyMethod,
        RenderableType,
        RenderResult,
    )

MAX_VALUE = 60
"""Characters of one property's value; `--json` prints all of them."""
GAP = 2
MIN_WIDTH = 8
"""Columns of a command and of flags, however narrow the terminal is."""

OUTCOME_STYLES = {"failure": "red", "cancelled": "yellow", "unfinished": "magenta"}

_OUTCOME_PROPERTIES = frozenset(
    ("exit_code", "succeeded", "outcome", "error_class", "error_class_masked", "user_cancelled")
)
_UNFINISHED = "its process ended before the command did (killed, or replaced by exec)"


# Messages to rows ---------------------------------------------------------------------------------


class Row(NamedTuple):
    """One message.

    Attributes:
        invocation: the same for all rows of one invocation.
        time: local, as HH:MM:SS.mmm.
        sequence: within the invocation.
        event: the event's name, or the type of a message that is not a track.
        command: its path.
        flags: their names.
        exit_code: of the command; empty for other events.
        duration: for people, such as `12 ms`.
        outcome: `failure`, `cancelled` or `unfinished`; empty for success and for other events.
        outcome_text: a line about the outcome.
        own: a line with the properties that are not shown otherwise.
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
    outcome_text: str
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
    """A row for each message, in order, except for an `identify` without a user."""
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


_ENDS = {"Completed": "completed", "Aborted": "aborted", "Failed": "failed"}


def flows(messages: Iterable[Mapping[str, Any]]) -> list[str]:
    """A line for each flow that started: its name, how it ended, the step and the reason."""
    lines: list[str] = []
    running: dict[tuple[str, str], list[int]] = {}
    for message in in_order(messages):
        properties = _properties(message)
        name, _, moment = _text(message.get("event")).rpartition(" ")
        key = _text(properties.get("run_id")), name
        if moment == "Started" and "duration_ms" not in properties:
            running.setdefault(key, []).append(len(lines))
            lines.append(f"{escape(name)}: has not ended")
        elif moment in _ENDS and running.get(key):
            why = properties.get("reason", properties.get("error_class"))
            step, took = properties.get("step"), properties.get("duration_ms")
            lines[running[key].pop()] = (
                f"{escape(name)}: {_ENDS[moment]}"
                + (f" at step {_cell(step)}" if step is not None else "")
                + (f", reason {_cell(why)}" if why is not None else "")
                + (f", after {format_duration(took)}" if isinstance(took, int) else "")
            )
    return lines


def format_duration(milliseconds: int) -> str:
    """Milliseconds for people: `12 ms`, `1.3 s`, `2 min 5 s`, `1 h 0 min`."""
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    if milliseconds < 59_950:
        return f"{milliseconds / 1000:.1f} s"
    seconds = (milliseconds + 500) // 1000
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


def format_clock(timestamp: object) -> str:
    """An ISO timestamp as local time; what is not a timestamp is returned as it is."""
    text = _text(timestamp)
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone()
    except (ValueError, OverflowError, OSError):
        return escape(text, 12)
    return moment.strftime("%H:%M:%S.") + f"{moment.microsecond // 1000:03d}"


def _row(message: Mapping[str, Any]) -> Row:
    properties = _properties(message)
    completed = message.get("event") == COMMAND_COMPLETED
    shown = {*BASE_PROPERTIES, *(_OUTCOME_PROPERTIES if completed else ())}
    took = properties.get("duration_ms")
    if isinstance(took, int) and not isinstance(took, bool):
        shown.add("duration_ms")
        took = format_duration(took) if took >= 0 else f"{took} ms"
    else:
        took = ""
    own = {name: value for name, value in properties.items() if name not in shown}
    flags = properties.get("flags")
    return Row(
        invocation=_invocation(message),
        time=format_clock(message.get("timestamp")),
        sequence=_cell(properties.get("sequence")),
        event=escape(_text(message.get("event")) or _text(message.get("type"))),
        command=_cell(properties.get("command")),
        flags=", ".join(map(_cell, flags)) if isinstance(flags, list) else _cell(flags),
        exit_code=_cell(properties.get("exit_code")) if completed else "",
        duration=took,
        outcome=_outcome(properties) if completed else "",
        outcome_text=_outcome_text(properties) if completed else "",
        own=", ".join(
            f"{escape(name)}={_cell(value)}"
            for name, value in {**_other_fields(message), **own}.items()
        ),
    )


def _outcome(properties: Mapping[str, Any]) -> str:
    outcome = _text(properties.get("outcome"))
    return "" if outcome == "success" else escape(outcome, MAX_VALUE)


def _outcome_text(properties: Mapping[str, Any]) -> str:
    outcome = _text(properties.get("outcome"))
    error = properties.get("error_class")
    detail = _cell(error)
    if error is None and outcome == "unfinished":
        detail = _UNFINISHED
    if properties.get("error_class_masked") is True:
        detail += " (masked: its class is not the application's, see packages)"
    if outcome == "success" and not detail:
        return ""
    return escape(outcome, MAX_VALUE) + (f": {detail}" if detail else "")


def _other_fields(message: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of messages other than tracks, and a track's count of dropped events."""
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
        return escape(value, MAX_VALUE)
    return escape(json.dumps(value, ensure_ascii=False), MAX_VALUE)


def _invocation(message: Mapping[str, Any]) -> str:
    found = _properties(message).get("invocation_id")
    # A message without an invocation is ordered by its own time.
    return found if isinstance(found, str) else _text(message.get("messageId"))


def _properties(message: Mapping[str, Any]) -> Mapping[str, Any]:
    return _object(message.get("properties"))


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


# Rows to lines ------------------------------------------------------------------------------------

TITLES = {
    "time": "time",
    "sequence": "#",
    "event": "event",
    "command": "command",
    "flags": "flags",
    "exit_code": "exit",
    "duration": "duration",
}
"""The columns' headers, by the attribute of `Row` that they show."""

NUMBERS = frozenset(("sequence", "exit_code", "duration"))
"""They are aligned to the right."""

SPANNED = ("command", "flags")
"""The columns that the name of an event within a command spans."""


class EventTable:
    """What arrived, as a renderable of rich.

    `rich.table.Table` has no cell that spans columns, so each row is a table of its own, and all
    have the same widths. An outcome and an event's own properties have lines below the row. The
    name of an event within a command spans the columns of the command and the flags, which are the
    same as above.

    Args:
        rows: in order; an empty line separates one invocation from the next.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows
        above = (None, *rows[:-1]) if rows else ()
        self._spanning = [_is_within(row, one) for row, one in zip(rows, above, strict=True)]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines, without trailing space."""
        widths = self._widths(options.max_width)
        content = Group(*self._content(widths, "-" if options.ascii_only else "─"))
        options = options.update_width(max(options.max_width, _total(widths.values())))
        for segments in console.render_lines(content, options, pad=False):
            line = Text.assemble(*((segment.text, segment.style or "") for segment in segments))
            line.rstrip()
            yield line

    def _content(self, widths: Mapping[str, int], rule: str) -> Iterator[RenderableType]:
        yield _line({field: Text(title, "bold") for field, title in TITLES.items()}, widths)
        yield Text(rule * _total(widths.values()), "dim")
        indent = _total((widths["time"], widths["sequence"], 0))
        invocation = None
        for row, spanning in zip(self._rows, self._spanning, strict=True):
            if invocation not in (None, row.invocation):
                yield Text()
            invocation = row.invocation
            style = OUTCOME_STYLES.get(row.outcome, "")
            styles = {"time": "dim", "exit_code": style}
            yield _line(
                {field: Text(getattr(row, field), styles.get(field, "")) for field in TITLES},
                widths,
                spanning=spanning,
            )
            for text in (Text(row.outcome_text, style), Text(row.own, "dim")):
                if text:
                    text.overflow = "fold"
                    yield Padding.indent(text, indent)

    def _widths(self, available: int) -> dict[str, int]:
        """Each column's width: that of its widest cell, unless the terminal is too narrow.

        Args:
            available: columns of the terminal.
        """
        widths = {field: cell_len(title) for field, title in TITLES.items()}
        for row, spanning in zip(self._rows, self._spanning, strict=True):
            for field in TITLES:
                if not (spanning and field == "event"):
                    widths[field] = max(widths[field], cell_len(getattr(row, field)))
        if _total(widths.values()) > available:
            widths["event"] = min(widths["event"], len(COMMAND_COMPLETED))
            command, flags = widths["command"], widths["flags"]
            room = available - _total(widths.values()) + command + flags
            room = max(room, 2 * MIN_WIDTH)
            widths["command"] = min(command, max(room // 2, room - flags))
            widths["flags"] = min(flags, room - widths["command"])
        return widths


def _is_within(row: Row, above: Row | None) -> bool:
    """Whether a row is an event within the command that the row above it names."""
    if above is None or row.event in (COMMAND_INVOKED, COMMAND_COMPLETED):
        return False
    return (row.invocation, row.command, row.flags) == (
        above.invocation,
        above.command,
        above.flags,
    )


def _total(widths: Collection[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _line(cells: Mapping[str, Text], widths: Mapping[str, int], *, spanning: bool = False) -> Table:
    """One row.

    Args:
        cells: by the attribute of `Row` that they show.
        widths: of the columns.
        spanning: whether the event spans the columns of the command and the flags.
    """
    line = Table.grid(padding=(0, GAP, 0, 0), pad_edge=False)
    shown = [field for field in cells if not (spanning and field in SPANNED)]
    for field in shown:
        width = widths[field]
        if spanning and field == "event":
            width = _total([width, *(widths[spanned] for spanned in SPANNED)])
        justify: JustifyMethod = "right" if field in NUMBERS else "left"
        line.add_column(width=width, justify=justify, overflow="fold")
    line.add_row(*(cells[field] for field in shown))
    return line
