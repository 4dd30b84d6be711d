"""`status`: whether anything is recorded and why, what waits here and what was sent."""

from __future__ import annotations

import json
from time import time
from typing import TYPE_CHECKING

import click
from rich.text import Text

from ..privacy.consent import CLIENT, LOG, NOTHING, SEND, WATCH
from ..privacy.reasons import REASONS
from ..visible import visible
from . import account as accounts
from .account import at_home
from .application import application
from .console import ago, clock, console, counted
from .problems import delivery_error
from .switches import NO, SILENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .account import Account
    from .spools import Spool

LABEL = 14
"""Columns of a label with its gap."""
MOST_OF_A_VALUE = 40
"""Characters of a variable's value; `--json` shows the whole."""

_ON = {
    SEND: "on: its commands are recorded, and sent.",
    LOG: "in log mode: messages are printed on stderr, and none is sent.",
    CLIENT: "on, and the application takes the messages itself.",
    WATCH: "being watched: messages go to the watcher on this machine.",
}


def run(context: click.Context, *, why: bool, as_json: bool) -> None:
    """Print the account.

    Args:
        context: the command's.
        why: whether to list the switches.
        as_json: whether to print JSON, and nothing else.
    """
    found = accounts.account(application(context))
    if as_json:
        click.echo(json.dumps(accounts.as_json(found), indent=2, allow_nan=False))
        return
    out = console(context)
    for line in [*lines(found), *(("", *why_lines(found)) if why else ()), "", *_hints(found, why)]:
        out.print(line)


def lines(found: Account) -> Iterator[Text | str]:
    """What is the case, a fact a line."""
    application = found.application
    app, home = application.settings.app, application.environ.get("HOME", "")
    yield Text(f"Telemetry of {app} is {_headline(found)}", style="bold")
    yield ""
    places = application.places
    if places is None:
        yield _fact("Folders", "none: HOME is not set to an absolute path", "yellow")
        return
    stored = {"none": "none stored", "unreadable": f"it {found.problem or 'cannot be read'}"}
    choice = application.facts.choice
    yield _fact(
        "Your choice",
        stored.get(choice, choice),
        "yellow" if choice == "unreadable" else "",
    )
    yield _fact("", visible(at_home(places.choice, home)), "dim")
    yield _fact("Anonymous ID", found.anonymous_id or "none")
    yield _fact("Stored in", visible(at_home(places.state, home)))
    if not found.spools:
        yield _fact("Waiting", "nothing")
    for spool in found.spools:
        yield from _spool_lines(spool)


def why_lines(found: Account) -> Iterator[Text]:
    """Every switch, its value and what it says; the first no wins."""
    names = [switch.name for switch in found.switches]
    width = max(map(len, names)) + 2
    yield Text("Why? The first no from the top decides.", style="bold")
    yield Text()
    for switch in found.switches:
        wins = switch.key == found.winner
        line = Text("  ")
        line.append(switch.name.ljust(width), style="bold" if wins else "")
        value = "not set" if switch.value is None else visible(switch.value, MOST_OF_A_VALUE)
        line.append(value or "empty", style="dim" if switch.says == SILENT else "")
        if switch.says != SILENT:
            line.append(f"  {switch.says}", style="bold red" if switch.says == NO else "green")
        if wins:
            line.append("  <- decides", style="bold")
        yield line


def _headline(found: Account) -> str:
    decision = found.application.decision
    if decision.mode != NOTHING:
        return _ON[decision.mode]
    if decision.detail:
        return f"off: {decision.detail} says no."
    if decision.reason == "choice":
        return "off, for good: you have disabled it."
    return f"off: {REASONS[decision.reason]}."


def _spool_lines(spool: Spool) -> Iterator[Text]:
    known, memory = spool.destination, spool.remembered
    if known is None:
        yield _fact("Elsewhere", "for another key or server than now:")
    elif known.identified:
        yield _fact("Signed in", f"with your account, to {visible(known.host, 50)}:")
    if not spool.files:
        yield _fact("Waiting", "nothing")
    else:
        oldest = ago(time() - min(file.began for file in spool.files))
        where = f"{counted(spool.waits, 'message')} in {counted(len(spool.files), 'file')}"
        yield _fact("Waiting", f"{where}, the oldest {oldest} old")
    when = f", the last at {clock(memory.delivered_at)}" if memory.delivered_at else ""
    yield _fact("Delivered", counted(memory.delivered, "message") + when)
    if memory.refused:
        yield _fact("Refused", f"{counted(memory.refused, 'message')} that the server did not take")
    if memory.dropped:
        yield _fact("Dropped", f"{counted(memory.dropped, 'message')}: too old, or too many")
    if memory.last_error and (memory.failures or memory.refused):
        at = f", at {clock(memory.failed_at)}" if memory.failed_at else ""
        yield _fact("Trouble", visible(delivery_error(memory.last_error), 100) + at, "yellow")
    if spool.sender:
        yield _fact("Sending", "right now")
    elif spool.not_before is not None:
        yield _fact("Next attempt", f"not before {clock(spool.not_before)}")


def _fact(label: str, value: str, style: str = "") -> Text:
    return Text.assemble(f"  {label:<{LABEL}}", (value, style))


def _hints(found: Account, why: bool) -> Iterator[str]:
    group = found.application.group
    if not why:
        yield f"Every switch: {group} status --why"
    if any(spool.files for spool in found.spools):
        yield f"What waits:   {group} show"
    refused = found.application.facts.choice in ("disabled", "unreadable")
    yield f"Allow it:     {group} enable" if refused else f"Turn it off:  {group} disable"
