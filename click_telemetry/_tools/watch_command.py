"""`click-telemetry watch`: runs a command unchanged, then shows which of its events arrived.

Only events of the command itself are received: it gets a receiver, a state directory and an ID of
its own. Of the person's own files only the saved setting is read.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import rich_click as click
from rich.console import Console

from .._commands.terminal import allow_any_text, escape, pluralize
from .._doctor.channel import PROBLEMS
from .._doctor.command import examinations_in, try_sender
from .._doctor.diagnosis import outside_watch
from .._foreground.sinks import ADDRESS_VARIABLE, DECISIONS, STATE_VARIABLE
from .child import Signals, private_state, reports_in, run
from .explanation import DecisionReport, Evidence, explain
from .receiver import Receiver
from .senders import deliver
from .table import EventTable, apps, flows, in_order, rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .receiver import Message

MAX_PROBLEM = 300
"""Characters of one problem."""


@click.command(context_settings={"allow_interspersed_args": False})
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print each message as one line on stdout; everything else is printed on stderr.",
)
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="COMMAND...")
@click.pass_context
def watch(ctx: click.Context, command: tuple[str, ...], as_json: bool) -> None:
    """Run COMMAND and show the events that it sends.

    The events pass through the spool, the sender and HTTP to a receiver on this machine. Nothing
    leaves it, and your own telemetry files are not changed. An opt-out (--no-telemetry,
    DO_NOT_TRACK, a saved setting) applies here too.

    The exit status is that of COMMAND, or 1 if COMMAND succeeded and no event arrived.
    """
    if not command:
        raise click.UsageError(
            "Name the command to watch, as in: click-telemetry watch -- demo-cli deploy", ctx
        )
    for stream in (sys.stdout, sys.stderr):
        allow_any_text(stream)
    messages, evidence = watch_run(command, quiet_stdout=as_json)
    if as_json:
        print_json(messages)
    print_result(messages, evidence, table=not as_json)
    ctx.exit(evidence.status or (0 if evidence.rows else 1))


def watch_run(command: Sequence[str], *, quiet_stdout: bool) -> tuple[list[Message], Evidence]:
    """Run a command, deliver its events to a receiver, and collect what is known afterwards.

    Args:
        command: its words.
        quiet_stdout: whether its standard output is printed on stderr.

    Raises:
        CannotStart: the command does not exist, or cannot be executed.
    """
    with Receiver() as receiver, private_state("watch") as state, Signals() as signals:
        variables = {ADDRESS_VARIABLE: receiver.origin, STATE_VARIABLE: state}
        status = run(command, signals, variables, stdout_to_stderr=quiet_stdout)
        remainders = deliver(state, receiver.origin, stop=lambda: signals.arrived, report=_report)
        messages = receiver.messages
        reports = decision_reports(state)
        return messages, Evidence(
            command,
            status,
            reports,
            remainders,
            apps(messages),
            len(rows(messages)),
            problems=problems_in(state),
            outside=outside(state),
        )


def problems_in(state: str) -> list[str]:
    """What applications reported as dropped or mistaken, each once."""
    found = reports_in(os.path.join(state, PROBLEMS))
    return [*dict.fromkeys(str(one.get("problem", "")) for one in found)]


def outside(state: str) -> list[str]:
    """What would happen without watch, a line for each application that was examined."""
    found = examinations_in(state)
    trials = [try_sender(one) if "sender" in one else None for one in found]
    lines = [*dict.fromkeys(map(outside_watch, found, trials))]
    return lines or ["Outside watch: unknown, since no instrumented command began."]


def decision_reports(state: str) -> list[DecisionReport]:
    """What applications reported, in order; a file that cannot be read is skipped."""
    found = []
    for values in reports_in(os.path.join(state, DECISIONS)):
        try:
            more = [str(values.get(key, "")) for key in ("mode", "reason", "detail")]
            found.append(DecisionReport(str(values["app"]), values["decided"] is True, *more))
        except LookupError:
            continue
    return found


def print_json(messages: Sequence[Message]) -> None:
    """Print each message as one line, as it arrived: compact, in ASCII."""
    for message in in_order(messages):
        click.echo(json.dumps(message, separators=(",", ":"), allow_nan=False))


def print_result(messages: Sequence[Message], evidence: Evidence, *, table: bool) -> None:
    """Print what arrived, or why nothing did, and what else is known.

    Args:
        messages: what arrived.
        evidence: what else is known.
        table: whether to print the table on standard output; without it, everything is printed
            on standard error.
    """
    err = not table or not evidence.rows
    if evidence.rows:
        click.echo(f"\n{summary(messages)}", err=err)
        if table:
            click.echo()
            Console(highlight=False, markup=False, emoji=False).print(EventTable(rows(messages)))
    else:
        click.echo("\nNo event arrived.", err=err)
    found = flows(messages)
    if found:
        click.echo("\nFlows", err=err)
    for flow in found:
        click.echo(f"  {flow}", err=err)
    for sentence in explain(evidence):
        click.echo(f"\n{sentence}" if evidence.rows else sentence, err=err)
    if evidence.problems:
        click.echo("\nDropped or mistaken; in a test each of these raises", err=err)
    for problem in evidence.problems:
        click.echo(f"  - {escape(problem, MAX_PROBLEM)}", err=err)
    click.echo("", err=err)
    console = Console(stderr=err, highlight=False, markup=False, emoji=False)
    for line in evidence.outside:  # in a pipe it stays one line
        console.print(escape(line), soft_wrap=not console.is_terminal)


def summary(messages: Sequence[Message]) -> str:
    """The line above the table: how many events arrived, and from which applications."""
    tracks = sum(message["type"] == "track" for message in messages)
    others = len(messages) - tracks
    parts = [pluralize(tracks, "event")] if tracks else []
    parts += [pluralize(others, "other message")] if others else []
    names = [escape(app, 64) for app in apps(messages)]
    origin = f" from {_listed(names)}" if names else ""
    return f"{_listed(parts)} arrived{origin} through spool, sender and HTTP."


def _listed(words: Sequence[str]) -> str:
    return " and ".join([*([", ".join(words[:-1])] if words[1:] else []), words[-1]])


def _report(text: str) -> None:
    click.echo(text, err=True)
