"""Text for a terminal: escaped, coloured if the stream is a terminal, with readable numbers."""

from __future__ import annotations

import errno
import os
import sys
from datetime import datetime
from io import TextIOWrapper
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable

_DELIVERY_ERRORS = {
    "deadline": "the server took too long",
    "lock": "the spool cannot be locked",
    "unlink": "the spool's files cannot be deleted, so nothing was sent",
    "unwritable": "the spool's files cannot be renamed, so nothing was sent",
    "html": "the response is a web page, not the server's (a network's login page, perhaps)",
    "ConnectionError": "the server could not be reached",
    "ConnectTimeout": "the server could not be reached in time",
    "ReadTimeout": "the server did not respond in time",
    "ReadTimeoutError": "the server's response did not end in time",
    "IncompleteRead": "the server's response was incomplete",
    "ProtocolError": "the server's response was incomplete",
    "SSLError": "the server's certificate is not trusted",
    "ProxyError": "the proxy rejected the connection",
    "partial": "the server accepted a request and rejected some of its events",
    "encoding": "an event cannot be encoded",
    "file_locks": "the file system has no locks, so nothing was written",
    "file_ELOOP": "the path is a link, which is not followed",
    "file_busy": "another process has locked the file",
    "file_unusable": "the path is not a file of this user",
    "http_401": "the server does not accept the application's key (401)",
    "http_403": "the server does not accept the application's key (403)",
    "http_404": "the server has no such address (404)",
    "http_429": "the server limits the rate of requests (429)",
}


def escape(text: str, limit: int | None = None) -> str:
    """Replace each character that is not printable by its Python escape.

    No text from outside can then move the cursor, set a colour or change the direction of writing.

    Args:
        text: from a message, a file name or a command line.
        limit: the most characters; a longer text ends in `…`.
    """
    shown = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )
    if limit is not None and len(shown) > limit:
        return shown[: limit - 1] + "…"
    return shown


def printer(context: click.Context) -> Callable[[str], None]:
    """Prints lines on standard output, coloured if it is a terminal.

    The application's own switch (`context.color`) takes precedence over `NO_COLOR` (no-color.org).
    """
    allow_any_text(sys.stdout)
    color = context.color
    if color is None and (os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"):
        color = False
    return lambda line: click.echo(line, color=color)


def allow_any_text(stream: object) -> None:
    """Let a stream escape what its encoding does not contain; a path may contain any character."""
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def pluralize(count: int, noun: str) -> str:
    """`1 message`, `2 messages`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def format_time(seconds: float) -> str:
    """Format seconds since the epoch as local time."""
    try:
        return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, OSError, ValueError):
        return "an invalid time"


def format_duration(seconds: float) -> str:
    """Round a number of seconds: `12 s`, `3 min`, `5 h`, `2 days`."""
    seconds = max(seconds, 0.0)
    for unit, size, until in (("s", 1, 90), ("min", 60, 5400), ("h", 3600, 172800)):
        if seconds < until:
            return f"{round(seconds / size)} {unit}"
    return f"{round(seconds / 86400)} days"


def shorten_home(path: str, home: str) -> str:
    """Escape a path, and replace the home directory by `~`."""
    home = home.rstrip("/")
    return escape("~" + path[len(home) :] if home and path.startswith(home + os.sep) else path)


def describe_system_error(error: OSError) -> str:
    """The operating system's message for an error."""
    return escape(error.strerror or str(error) or type(error).__name__)


def describe_delivery_error(error: str) -> str:
    """Describe a sender's error code as a clause.

    Args:
        error: `SenderState.last_error`.
    """
    known = _DELIVERY_ERRORS.get(error)
    if known is not None:
        return known
    extra = error.removeprefix("extra_")
    if extra != error:
        return f"a package is missing: pip install 'click-telemetry[{extra}]'"
    number = getattr(errno, error.removeprefix("file_"), None)
    if error.startswith("file_E") and isinstance(number, int):
        return f"the file cannot be written ({os.strerror(number)})"
    status = error.removeprefix("http_")
    if status != error and status.isascii() and status.isdigit():
        if status.startswith("3"):
            return f"the server redirects to another address ({status}), which is not followed"
        result = "failed" if status.startswith("5") else "rejected the request"
        return f"the server {result} ({status})"
    return f"delivery failed ({error})"
