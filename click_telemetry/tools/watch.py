"""`click-telemetry watch`: runs a command as it is, then shows which of its events arrived.

Only what the command itself sends is looked at: it gets a receiver, a state directory and an ID of
the moment, and the person's own files are read for their *no* alone.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from io import TextIOWrapper
from typing import TYPE_CHECKING

import rich_click as click
from rich.console import Console

from ..privacy.watched import ADDRESS_VARIABLE, STATE_VARIABLE, TOLD
from ..storage import read_small
from ..visible import visible
from . import arrived
from .child import Signals, run
from .reasons import Evidence, Note, explain
from .receiver import Receiver
from .senders import deliver
from .table import EventTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .receiver import Message

LARGEST_NOTE = 64 * 1024


@click.command(context_settings={"allow_interspersed_args": False})
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print each message on a line of stdout, whole; all else goes to stderr.",
)
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="COMMAND...")
@click.pass_context
def watch(ctx: click.Context, command: tuple[str, ...], as_json: bool) -> None:
    """Run COMMAND and show the events that it sends.

    The events take the whole way, through spool, sender and HTTP, to a receiver on this machine;
    nothing leaves it, and your own telemetry files stay as they are. A no (--no-telemetry,
    DO_NOT_TRACK, a stored choice) holds here too.

    The exit status is COMMAND's own, or 1 when it succeeded and no event came.
    """
    if not command:
        raise click.UsageError(
            "Name the command to watch, as in: click-telemetry watch -- demo-cli deploy", ctx
        )
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # what came may not fit the encoding
    messages, evidence = watched(command, quiet_stdout=as_json)
    if as_json:
        show_json(messages)
    show(messages, evidence, table=not as_json)
    ctx.exit(evidence.status or (0 if evidence.rows else 1))


def watched(command: Sequence[str], *, quiet_stdout: bool) -> tuple[list[Message], Evidence]:
    """Run a command, have its events delivered here, and gather what is known then.

    Args:
        command: its words.
        quiet_stdout: whether its standard output goes where its errors go.

    Raises:
        CannotStart: there is no such command, or it cannot be executed.
    """
    with Receiver() as receiver, private_state() as state, Signals() as signals:
        variables = {ADDRESS_VARIABLE: receiver.origin, STATE_VARIABLE: state}
        status = run(command, signals, variables, stdout_to_stderr=quiet_stdout)
        left = deliver(state, receiver.origin, stop=lambda: signals.arrived, say=_say)
        messages = receiver.messages
        apps, rows = arrived.apps(messages), len(arrived.rows(messages))
        return messages, Evidence(command, status, notes(state), left, apps, rows)


@contextmanager
def private_state() -> Iterator[str]:
    """A state directory for one run, removed with all that is in it."""
    state = os.path.realpath(tempfile.mkdtemp(prefix="click-telemetry-watch-"))
    try:
        yield state
    finally:
        shutil.rmtree(state, ignore_errors=True)


def notes(state: str) -> list[Note]:
    """What applications told, in the order of their telling; what is no note is passed over."""
    directory = os.path.join(state, TOLD)
    found: list[tuple[int, str, Note]] = []
    try:
        names = [name for name in os.listdir(directory) if name.endswith(".json")]
    except OSError:
        return []
    for name in names:
        path = os.path.join(directory, name)
        try:
            said = json.loads(read_small(path, limit=LARGEST_NOTE))
            note = Note(
                str(said["app"]),
                said["decided"] is True,
                *(str(said.get(key, "")) for key in ("mode", "reason", "detail")),
            )
            found.append((os.stat(path).st_mtime_ns, name, note))
        except (OSError, ValueError, RecursionError, LookupError, TypeError, AttributeError):
            continue
    return [note for _, _, note in sorted(found)]


def show_json(messages: Sequence[Message]) -> None:
    """Print each message on a line of its own, as it arrived: compact, ASCII alone."""
    for message in arrived.in_order(messages):
        click.echo(json.dumps(message, separators=(",", ":"), allow_nan=False))


def show(messages: Sequence[Message], evidence: Evidence, *, table: bool) -> None:
    """Tell a person what came, or why nothing did, and what else is to be known.

    Args:
        messages: what came.
        evidence: what else is known.
        table: whether the table may be printed on standard output; without it, every word goes
            to standard error.
    """
    reasons = explain(evidence)
    if not evidence.rows:
        for sentence in ("\nNo event arrived.", *reasons):
            _say(sentence)
        return
    click.echo(f"\n{summary(messages)}", err=not table)
    if table:
        click.echo()
        Console(highlight=False, markup=False, emoji=False).print(
            EventTable(arrived.rows(messages))
        )
    for sentence in reasons:
        click.echo(f"\n{sentence}", err=not table)


def summary(messages: Sequence[Message]) -> str:
    """The line above the table: how many, from whom, on which way."""
    tracks = sum(message["type"] == "track" for message in messages)
    others = len(messages) - tracks
    what = [_counted(tracks, "event")] if tracks else []
    what += [_counted(others, "other message")] if others else []
    names = [visible(app, 64) for app in arrived.apps(messages)]
    whom = f" from {_listed(names)}" if names else ""
    return f"{_listed(what)} arrived{whom} through spool, sender and HTTP."


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _listed(words: Sequence[str]) -> str:
    return " and ".join([*([", ".join(words[:-1])] if words[1:] else []), words[-1]])


def _say(words: str) -> None:
    click.echo(words, err=True)
