"""`click-telemetry doctor`: starts a command, stops it before its work, and explains what it found.

It gives the command a private directory, whose file it holds locked while it runs: only then does a
command stop (`channel.order`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import rich_click as click

from .. import __version__
from .._commands.terminal import allow_any_text, escape
from .._foreground.sinks import ADDRESS_VARIABLE, STATE_VARIABLE
from .._launcher import BOOT
from .._storage import NoLocks, open_private, try_lock, write_all
from .._tools.child import CannotStart, Signals, private_state, reports_in, run
from .channel import EXAMINATIONS, ORDER, PROBLEMS, order
from .diagnosis import Evidence, diagnosis_of
from .page import as_json, print_page

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

NOWHERE = "http://127.0.0.1:9"
"""The address in the command's environment; nothing is sent to it."""
TRIAL_TIMEOUT = 30.0
"""Seconds."""
WOULD_SEND, WOULD_NOT_SEND, UNKNOWN = 0, 1, 2


@click.command(context_settings={"allow_interspersed_args": False})
@click.option("--run", "run_it", is_flag=True, help="Let COMMAND do its work; nothing is recorded.")
@click.option("--json", "json_output", is_flag=True, help="Print one JSON object on stdout.")
@click.option("--connect", is_flag=True, help="Contact the host, without events and without a key.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="COMMAND...")
@click.pass_context
def doctor(
    ctx: click.Context, command: tuple[str, ...], run_it: bool, json_output: bool, connect: bool
) -> None:
    """Explain whether COMMAND would send its events, here and in production, and if not, why.

    COMMAND starts in its own environment and ends before its work: its options are parsed, and the
    callbacks of its groups run. Nothing is recorded, sent or stored, and no notice is shown. A
    program that is not instrumented runs in full.

    The exit status is 0 if COMMAND would send, 1 if it would not, 2 if that is unknown.
    """
    if not command:
        raise click.UsageError(
            "Name the command to examine, as in: click-telemetry doctor -- demo-cli deploy", ctx
        )
    for stream in (sys.stdout, sys.stderr):
        allow_any_text(stream)
    try:
        evidence = examine(command, run_it=run_it, quiet_stdout=json_output)
    except CannotStart as error:
        evidence = Evidence([*command], 127, problem=error.format_message())
    trial = try_sender(evidence.first, connect=connect) if evidence.first is not None else None
    diagnosis = diagnosis_of(evidence, trial)
    if json_output:
        click.echo(json.dumps(as_json(diagnosis, evidence, trial), indent=2))
    else:
        print_page(diagnosis, evidence, trial)
    ctx.exit(
        UNKNOWN if not diagnosis.known else WOULD_SEND if diagnosis.would_send else WOULD_NOT_SEND
    )


def examine(command: Sequence[str], *, run_it: bool, quiet_stdout: bool) -> Evidence:
    """Start a command under a doctor, and collect what it reported.

    Args:
        command: its words.
        run_it: whether it does its work.
        quiet_stdout: whether its standard output is printed on stderr.

    Raises:
        CannotStart: it does not exist, cannot be executed, or would not stop.
    """
    with private_state("doctor") as state, Signals() as signals, _order(state, run_it):
        variables = {ADDRESS_VARIABLE: NOWHERE, STATE_VARIABLE: state}
        status = run(command, signals, variables, stdout_to_stderr=quiet_stdout)
        found = examinations_in(state)
        problems = [str(one.get("problem")) for one in reports_in(os.path.join(state, PROBLEMS))]
    return Evidence([*command], status, found, ran=run_it, problems=problems)


def examinations_in(state: str) -> list[dict[str, Any]]:
    """What applications reported of themselves, in order.

    Versions that differ in more than the last number may not understand each other: of another
    one's report only that is kept.

    Args:
        state: the tool's directory.
    """
    found = reports_in(os.path.join(state, EXAMINATIONS))
    for number, one in enumerate(found):
        version = str(one.get("library", "of another version"))
        if version.rpartition(".")[0] != __version__.rpartition(".")[0]:
            found[number] = {
                "app": one.get("app", "the application"),
                "failed": f"it has click_telemetry {version}, and this is {__version__}",
                "fix": "Run the click-telemetry that is installed with the application.",
            }
    return found


@contextmanager
def _order(state: str, run_it: bool) -> Iterator[None]:
    """The file that lets commands stop, locked while this is entered.

    Raises:
        CannotStart: a command would not stop.
    """
    descriptor = open_private(os.path.join(state, ORDER), os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        write_all(descriptor, json.dumps({"directory": state, "run": run_it}).encode("ascii"))
        try_lock(descriptor)
        if order({ADDRESS_VARIABLE: NOWHERE, STATE_VARIABLE: state}) is None:
            raise CannotStart(
                f"Directories in {escape(os.path.dirname(state))} are open to other users, so that "
                "no command would stop: set TMPDIR to a local disk."
            )
        yield
    except NoLocks:
        raise CannotStart(
            f"Files cannot be locked in {escape(os.path.dirname(state))}: set TMPDIR to a local "
            "disk."
        ) from None
    finally:
        os.close(descriptor)


def try_sender(examination: Mapping[str, Any], *, connect: bool = False) -> dict[str, Any]:
    """Start a process as the sender is started, which only tries its imports.

    Args:
        examination: of the application, whose interpreter is used.
        connect: whether it also contacts the host.
    """
    sender = examination["sender"]
    boot = BOOT.replace("click_telemetry._sender.main", "click_telemetry._doctor.trial")
    command = [boot if word == BOOT else word for word in sender["command"]]
    job = {
        "package": sender["package"],
        "paths": sender["paths"],
        "host": examination["host"],
        "transport": examination["transport"],
        "connect": connect,
    }
    try:
        done = subprocess.run(
            command,
            input=json.dumps(job).encode("ascii") + b"\n",
            env=sender["environment"],
            cwd=os.sep,
            capture_output=True,
            timeout=TRIAL_TIMEOUT,
            check=False,
        )
        found = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError) as error:
        return {"client": str(error)}
    except ValueError:
        return {"client": done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]}
    return found if isinstance(found, dict) else {"client": "it printed something else"}
