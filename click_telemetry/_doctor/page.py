"""The result of `doctor` as a page for people, and as one JSON object for scripts.

The page begins with the verdict, then each reason with its fix, then the details. Every text from
outside is escaped. Colour never carries meaning alone.
"""

from __future__ import annotations

import os
from datetime import datetime
from time import time
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from .._commands.terminal import (
    describe_delivery_error,
    escape,
    format_duration,
    pluralize,
    shorten_home,
)
from .._sender.state import log_path
from .reasons import current_queue

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import RenderableType

    from .diagnosis import Diagnosis, Evidence
    from .reasons import Reason

HERE, PRODUCTION = "here", "in production"
MAX_WIDTH = 100
"""Columns of a sentence: longer lines are hard to read."""
MAX_TEXT = 400
"""Characters of one; `--json` has all of them."""


# JSON ---------------------------------------------------------------------------------------------


def as_json(
    diagnosis: Diagnosis, evidence: Evidence, trial: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The whole result. Its keys are a public contract.

    Args:
        diagnosis: what is known.
        evidence: what the command left behind.
        trial: of the sender's process; None if there was none.
    """
    production = diagnosis.production
    found: dict[str, Any] = {
        "app": diagnosis.app,
        "command": diagnosis.command,
        "would_send": diagnosis.would_send,
        "reasons": [one._asdict() for one in diagnosis.reasons],
        "production": None
        if production is None
        else {"would_send": not production, "reasons": [one._asdict() for one in production]},
        "notes": [one._asdict() for one in diagnosis.notes],
        "known": diagnosis.known,
        "mode": diagnosis.mode,
        "exit_status": evidence.status,
    }
    examination = evidence.first
    if examination is None:
        return found
    status, tried = examination["status"], trial or {}
    current = current_queue(examination)
    delivery = ("delivered", "rejected", "dropped", "failures", "failed_at", "last_error")
    return {
        **found,
        "destination": {"host": examination["host"], "connection": tried.get("connection")},
        "directories": examination["directories"],
        "storage": examination["storage_problem"] or "works",
        "locks": examination["lock_problem"] or "work",
        "sender": tried.get("client") or "starts",
        "queue": status["queue"],
        "delivery": current and {key: current[key] for key in (*delivery, "not_before")},
        "sender_log": _log(examination),
        "versions": examination["versions"],
        "commands": examination["commands"],
        "roots": evidence.roots,
        "events": evidence.events,
        "cost": tried.get("cost"),
    }


# The page -----------------------------------------------------------------------------------------


def print_page(diagnosis: Diagnosis, evidence: Evidence, trial: Mapping[str, Any] | None) -> None:
    """Print the result on standard output.

    Args:
        diagnosis: what is known.
        evidence: what the command left behind.
        trial: of the sender's process; None if there was none.
    """
    console = Console(highlight=False, markup=False, emoji=False)
    width = min(console.width, MAX_WIDTH)
    console.print()
    for block in _blocks(diagnosis, evidence, trial):
        for line in console.render_lines(block, console.options.update_width(width), pad=False):
            text = Text.assemble(*((part.text, part.style or "") for part in line))
            text.rstrip()
            console.print(text, soft_wrap=True)


def _blocks(
    diagnosis: Diagnosis, evidence: Evidence, trial: Mapping[str, Any] | None
) -> Iterator[RenderableType]:
    yield _verdict(diagnosis, evidence)
    numbered = _merged(diagnosis)
    if numbered:
        yield Text()
        for number, (reason, where) in enumerate(numbered, 1):
            yield _item(f"{number}.", reason.detail, reason.fix, where)
    if diagnosis.notes:
        yield Text("\nAlso", "bold")
        for note in diagnosis.notes:
            yield _item("-", note.detail, note.fix)
    if evidence.first is not None:
        yield Text("\nDetails", "bold")
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(width=13)
        grid.add_column(overflow="fold")
        for label, value in _details(evidence.first, evidence, trial or {}):
            grid.add_row(Text(label, "dim"), Text(escape(value)))
        yield Padding.indent(grid, 2)


def _verdict(diagnosis: Diagnosis, evidence: Evidence) -> Text:
    """The first two lines: what would happen, and what was done."""
    name = escape(diagnosis.command or diagnosis.app or " ".join(evidence.command), 200)
    if not diagnosis.known:
        return Text.assemble(("It is unknown whether it would send.\n", "bold yellow"), name)
    results = [("Here", not diagnosis.reasons)]
    if diagnosis.production is not None:
        results.append(("In production", not diagnosis.production))
    parts: list[tuple[str, str]] = []
    for where, sends in results:
        what = _sends(diagnosis) if sends else "would not send"
        parts += [(f"{where}: ", "bold"), (f"{what}.", "bold green" if sends else "bold red")]
        parts.append((" ", ""))
    done = "ran" if evidence.ran else "ended before its work"
    return Text.assemble(*parts, ("\n" + f"{name} {done}. Nothing was recorded or sent.", "dim"))


def _sends(diagnosis: Diagnosis) -> str:
    return "would pass its events to its own client" if diagnosis.has_client else "would send"


def _merged(diagnosis: Diagnosis) -> list[tuple[Reason, str]]:
    """Each reason once, with where it applies."""
    production = list(diagnosis.production or ())
    found = []
    for reason in diagnosis.reasons:
        same = [one for one in production if one.reason == reason.reason and one == reason]
        production = [one for one in production if one not in same]
        where = f"{HERE} and {PRODUCTION}" if same else HERE
        found.append((reason, where if diagnosis.known else ""))
    return found + [(one, PRODUCTION) for one in production]


def _item(mark: str, detail: str, fix: str, where: str = "") -> RenderableType:
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=2)
    grid.add_column(overflow="fold")
    first = Text.assemble(
        (f"{where.capitalize()}: " if where else "", "bold"), escape(detail, MAX_TEXT)
    )
    grid.add_row(Text(mark), first)
    if fix:
        grid.add_row("", Text.assemble(("Fix: ", "bold"), escape(fix, MAX_TEXT)))
    return Padding.indent(grid, 2)


def _details(
    examination: Mapping[str, Any], evidence: Evidence, trial: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    status, home = examination["status"], examination["home"]
    if examination["client"]:
        yield "Destination", "the application's own client"
    else:
        yield "Destination", _destination(examination["host"], trial.get("connection"))
    for one in examination["directories"]:
        if one["mode"] is not None or one["name"] in ("saved setting", "state"):
            rights = f"rights {one['mode']}" if one["mode"] is not None else "not there yet"
            yield one["name"].capitalize(), f"{shorten_home(one['path'], home)}, {rights}"
    yield "Locks", examination["lock_problem"] or "work"
    yield "Sender", trial.get("client") or "starts"
    yield "Queue", _queue(status["queue"])
    current = current_queue(examination)
    if current is not None:
        yield "Delivered", pluralize(current["delivered"], "message")
        if current["last_error"]:
            yield "Last error", describe_delivery_error(current["last_error"])
        if current["not_before"]:
            yield "Next attempt", f"not before {current['not_before']}"
        if current["last_error"]:
            yield "Sender's log", _log_line(_log(examination), home)
    versions = examination["versions"]
    yield "Application", f"{examination['app']} {versions['app'] or '(its version is null)'}"
    yield (
        "Versions",
        f"Python {versions['python']}, Click {versions['click']}, "
        f"click_telemetry {versions['click_telemetry']}",
    )
    if evidence.events is not None:
        yield "Events", ", ".join(evidence.events) or "none"
    cost = trial.get("cost")
    if cost:
        yield (
            "Cost",
            f"a recorded run imports {pluralize(cost['modules'], 'module')} more, "
            f"{cost['milliseconds']} ms this time",
        )


def _log(examination: Mapping[str, Any]) -> str | None:
    for one in examination["directories"]:
        if one["name"] == "state":
            return log_path(one["path"])
    return None  # there is no path for a directory


def _log_line(path: str | None, home: str) -> str:
    """Where the senders' log is, or what to create so that they write one."""
    if path is None or os.path.exists(path):
        return shorten_home(path or "", home)
    return f"none; create {shorten_home(os.path.dirname(path), home)} for one"


def _destination(host: str | None, connection: Mapping[str, Any] | None) -> str:
    if host is None:
        return "none"
    if not host.startswith(("https://", "http://")):
        return host
    if connection is None:
        return f"{host}, not contacted (--connect does)"
    if "error" in connection:
        return f"{host}: {describe_delivery_error(connection['error'])}"
    return f"{host}, answered {connection['status']} in {connection['milliseconds']} ms"


def _queue(queue: Mapping[str, Any]) -> str:
    if not queue["files"]:
        return "empty"
    size = f"{pluralize(queue['messages'], 'message')} in {pluralize(queue['files'], 'file')}"
    try:
        oldest = datetime.fromisoformat(queue["oldest"].replace("Z", "+00:00")).timestamp()
    except (AttributeError, ValueError):
        return size
    return f"{size}, the oldest {format_duration(time() - oldest)} old"
