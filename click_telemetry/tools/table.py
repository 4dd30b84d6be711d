"""A table of rows for a terminal, or for a pipe: as wide as what it holds, 80 columns if it can.

Meaning never hangs on a colour: what red says, a word says too.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len
from rich.text import Text

from ..events import COMMAND_COMPLETED, COMMAND_INVOKED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console, ConsoleOptions, RenderResult

    from .arrived import Row

GAP = 2
NARROWEST = 8
"""Columns that a path and flags keep, however narrow the terminal."""

OUTCOME_STYLES = {"failure": "red", "cancelled": "yellow", "unfinished": "magenta"}


class Column(NamedTuple):
    """One column.

    Attributes:
        title: its header.
        field: the row's attribute.
        right: whether its cells stand at its right edge.
        keeps: columns that it keeps when the terminal is narrow; None for all that it needs.
    """

    title: str
    field: str
    right: bool = False
    keeps: int | None = None


COLUMNS = (
    Column("time", "time"),
    Column("#", "sequence", right=True),
    Column("event", "event", keeps=len(COMMAND_COMPLETED)),
    Column("command", "command", keeps=NARROWEST),
    Column("flags", "flags", keeps=NARROWEST),
    Column("exit", "exit_code", right=True),
    Column("duration", "duration", right=True),
)


class EventTable:
    """What arrived, as something that rich prints.

    Lines are put together here rather than by `rich.table.Table`, which has no cell that spans
    columns: how a command ended, and an event's own properties, stand on lines of their own, and an
    event within a command has the room where its command and flags would be said once more.

    Args:
        rows: in order; an empty line separates one invocation from the next.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines, none with space at its end."""
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
            width = max(options.max_width - indent, NARROWEST)
            for text in (Text(row.ending, style=style), Text(row.own, style="dim")):
                for line in text.wrap(console, width, overflow="fold") if text else ():
                    yield _indented(line, indent)

    def widths(self, available: int) -> list[int]:
        """Each column's width: as its widest cell needs, unless there is no room for all.

        Args:
            available: columns of the terminal.
        """
        rows = [row for position, row in enumerate(self._rows) if not self._is_within(position)]
        widths = [
            max(
                cell_len(column.title),
                *(
                    cell_len(getattr(row, column.field))
                    for row in (rows if column.keeps is not None else self._rows)
                ),
                0,
            )
            for column in COLUMNS
        ]
        kept = [
            width if c.keeps is None else c.keeps for c, width in zip(COLUMNS, widths, strict=True)
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
        """Whether a row is about an event within a command that the rows above it name already."""
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
    """One row, on as many lines as its longest cell takes."""
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
