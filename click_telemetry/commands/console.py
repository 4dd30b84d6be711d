"""Where the commands print: rich's console, as the terminal, NO_COLOR and the application ask."""

from __future__ import annotations

import sys
from datetime import datetime
from io import TextIOWrapper
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    import click


def console(context: click.Context, *, stderr: bool = False) -> Console:
    """A console for one of the two standard streams.

    Args:
        context: the command's; its `color` is the application's own switch, if it has one.
        stderr: whether it is for what is no result.
    """
    stream = sys.stderr if stderr else sys.stdout
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")  # a path may not fit the encoding
    return Console(
        stderr=stderr,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=True,
        no_color=True if context.color is False else None,
        force_terminal=True if context.color else None,
    )


def clock(seconds: float) -> str:
    """Seconds since the epoch as local time, for people."""
    try:
        return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, OSError, ValueError):
        return "a time that no clock shows"


def ago(seconds: float) -> str:
    """A span in seconds, roughly: `12 s`, `3 min`, `5 h`, `2 days`."""
    seconds = max(seconds, 0.0)
    for unit, size, until in (("s", 1, 90), ("min", 60, 5400), ("h", 3600, 172800)):
        if seconds < until:
            return f"{round(seconds / size)} {unit}"
    return f"{round(seconds / 86400)} days"


def counted(count: int, noun: str) -> str:
    """`1 message`, `2 messages`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
