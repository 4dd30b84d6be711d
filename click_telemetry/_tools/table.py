"""The table of events that arrived: messages to rows, rows to lines of a terminal or a pipe.

No message is trusted: each gives a row of printable characters, whatever its fields contain. The
table is as wide as its cells need, and 80 columns if it can be. Colour never carries meaning alone.
"""

from __future__ import annotations

import json
from datetime import datetime
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.cells import cell_len
from rich.text import Text

from .._commands.terminal import visible
from .._reader import BASE_PROPERTIES, COMMAND_COMPLETED, COMMAND_INVOKED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rich.console import Console, ConsoleOptions, RenderResult

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


def local_clock(timestamp: object) -> str:
    """An ISO timestamp as local time; what is not a timestamp is returned as it is."""
    text = _text(timestamp)
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone()
    except (ValueError, OverflowError, OSError):
        return visible(text, 12)
    return moment.strftime("%H:%M:%S.") + f"{moment.microsecond // 1000:03d}"


def _row(message: Mapping[str, Any]) -> Row:
    properties = _properties(message)
    completed = message.get("event") == COMMAND_COMPLETED
    shown = {*BASE_PROPERTIES, *(_OUTCOME_PROPERTIES if completed else ())}
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
        time=local_clock(message.get("timestamp")),
        sequence=_cell(properties.get("sequence")),
        event=visible(_text(message.get("event")) or _text(message.get("type"))),
        command=_cell(properties.get("command")),
        flags=", ".join(map(_cell, flags)) if isinstance(flags, list) else _cell(flags),
        exit_code=_cell(properties.get("exit_code")) if completed else "",
        duration=took,
        outcome=_outcome(properties) if completed else "",
        outcome_text=_outcome_text(properties) if completed else "",
        own=", ".join(
            f"{visible(name)}={_cell(value)}"
            for name, value in {**_other_fields(message), **own}.items()
        ),
    )


def _outcome(properties: Mapping[str, Any]) -> str:
    outcome = _text(properties.get("outcome"))
    return "" if outcome == "success" else visible(outcome, MAX_VALUE)


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
    return visible(outcome, MAX_VALUE) + (f": {detail}" if detail else "")


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
        return visible(value, MAX_VALUE)
    return visible(json.dumps(value, ensure_ascii=False), MAX_VALUE)


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


class Column(NamedTuple):
    """One column.

    Attributes:
        title: its header.
        field: the row's attribute.
        right: whether its cells are aligned to the right.
        min_width: columns that it keeps on a narrow terminal; None for all that it needs.
    """

    title: str
    field: str
    right: bool = False
    min_width: int | None = None


COLUMNS = (
    Column("time", "time"),
    Column("#", "sequence", right=True),
    Column("event", "event", min_width=len(COMMAND_COMPLETED)),
    Column("command", "command", min_width=MIN_WIDTH),
    Column("flags", "flags", min_width=MIN_WIDTH),
    Column("exit", "exit_code", right=True),
    Column("duration", "duration", right=True),
)


class EventTable:
    """What arrived, as a renderable of rich.

    `rich.table.Table` has no cell that spans columns. Here an outcome and an event's own properties
    have lines of their own, and the name of an event within a command may use the columns of
    the command and the flags, which are the same as above.

    Args:
        rows: in order; an empty line separates one invocation from the next.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines, without trailing space."""
        widths = self.widths(options.max_width)
        titles = [Text(column.title, style="bold") for column in COLUMNS]
        yield from _lines(console, titles, widths)
        rule = "-" if options.ascii_only else "─"
        yield Text(rule * min(_total(widths), options.max_width), style="dim")
        indent = sum(widths[:2]) + 2 * GAP
        for position, row in enumerate(self._rows):
            if position and row.invocation != self._rows[position - 1].invocation:
                yield Text()
            style = OUTCOME_STYLES.get(row.outcome, "")
            cells = [Text(getattr(row, column.field)) for column in COLUMNS]
            cells[0].stylize("dim")
            cells[5].stylize(style)
            if self._is_within(position):
                spanned = _total(widths[2:5])
                cells[3:5], columns = [], (*COLUMNS[:3], *COLUMNS[5:])
                yield from _lines(console, cells, [*widths[:2], spanned, *widths[5:]], columns)
            else:
                yield from _lines(console, cells, widths)
            width = max(options.max_width - indent, MIN_WIDTH)
            for text in (Text(row.outcome_text, style=style), Text(row.own, style="dim")):
                for line in text.wrap(console, width, overflow="fold") if text else ():
                    yield _indented(line, indent)

    def widths(self, available: int) -> list[int]:
        """Each column's width: that of its widest cell, unless the terminal is too narrow.

        Args:
            available: columns of the terminal.
        """
        rows = [row for position, row in enumerate(self._rows) if not self._is_within(position)]
        widths = [
            max(
                cell_len(column.title),
                *(
                    cell_len(getattr(row, column.field))
                    for row in (rows if column.min_width is not None else self._rows)
                ),
                0,
            )
            for column in COLUMNS
        ]
        kept = [
            width if c.min_width is None else c.min_width
            for c, width in zip(COLUMNS, widths, strict=True)
        ]
        while _total(widths) > available:
            spare = [width - keep for width, keep in zip(widths, kept, strict=True)]
            if max(spare) <= 0:
                break
            widest = max(
                (number for number, more in enumerate(spare) if more > 0), key=widths.__getitem__
            )
            widths[widest] -= 1
        return widths

    def _is_within(self, position: int) -> bool:
        """Whether a row is an event within the command that the row above it names."""
        row = self._rows[position]
        if not position or row.event in (COMMAND_INVOKED, COMMAND_COMPLETED):
            return False
        above = self._rows[position - 1]
        return (row.invocation, row.command, row.flags) == (
            above.invocation,
            above.command,
            above.flags,
        )


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _lines(
    console: Console,
    cells: Sequence[Text],
    widths: Sequence[int],
    columns: Sequence[Column] = COLUMNS,
) -> Iterator[Text]:
    """One row, on as many lines as its longest cell needs."""
    wrapped = [
        list(cell.wrap(console, width, overflow="fold")) if cell else []
        for cell, width in zip(cells, widths, strict=True)
    ]
    for pieces in zip_longest(*wrapped, fillvalue=None):
        line = Text()
        for column, piece, width in zip(columns, pieces, widths, strict=True):
            cell = piece.copy() if piece is not None else Text()
            cell.rstrip()
            cell.align("right" if column.right else "left", width)
            line.append_text(cell).append(" " * GAP)
        line.rstrip()
        yield line


def _indented(text: Text, columns: int) -> Text:
    line = Text(" " * columns).append_text(text)
    line.rstrip()
    return line
