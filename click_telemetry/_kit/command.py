"""`click-telemetry check`: runs the checks of the kit on a command line, for a shell and for CI."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import rich_click as click

from .._commands.terminal import allow_any_text, escape, pluralize
from .._plan.command import load_quietly
from .._plan.message_schema import problems_of
from .checks import Result, all_checks
from .process import NotRunnable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .._plan.model import Plan

PASSED, FAILED = 0, 1


@click.command(context_settings={"allow_interspersed_args": False})
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@click.option("--secret", "secrets", multiple=True, help="A further text that must not come out.")
@click.option("--input", "given", metavar="TEXT", help="COMMAND's standard input.")
@click.option("--plan", "target", metavar="MODULE:OBJECT", help="Its tracking plan must allow it.")
@click.option("--copy", is_flag=True, help="Run COMMAND in copies of the current directory.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="COMMAND...")
@click.pass_context
def check(
    ctx: click.Context,
    command: tuple[str, ...],
    as_json: bool,
    secrets: tuple[str, ...],
    given: str | None,
    target: str | None,
    copy: bool,
) -> None:
    """Check that telemetry does no harm to COMMAND.

    COMMAND runs about ten to twenty times in an empty home, with its telemetry and without, and
    what is sent arrives on this machine. Checked are: stdout, stderr, the exit status and the files
    are the same; nothing private is stored or sent; it never waits for the host. It runs in the
    current directory, or with --copy in a copy, whose files are then compared too. --plan names its
    root command as for `click-telemetry plan`: what is recorded must be as planned.

    The exit status is 0 if every check passed, 1 if one failed, 2 if COMMAND cannot be run.
    """
    if not command:
        raise click.UsageError(
            "Name the command to check, as in: click-telemetry check -- demo-cli deploy", ctx
        )
    for stream in (sys.stdout, sys.stderr):
        allow_any_text(stream)
    plan = None if target is None else load_quietly(target, ctx)
    results = []
    try:
        for result in _checks(plan, command, secrets=secrets, input=given, copy=copy):
            results.append(result)
            if not as_json:
                _print(result)
    except NotRunnable as error:
        raise click.UsageError(escape(str(error), 400), ctx) from None
    passed = not any(result.faults for result in results)
    if as_json:
        shown = [
            {"check": r.check, "passed": not r.faults, "faults": r.faults, "summary": r.summary}
            for r in results
        ]
        click.echo(json.dumps({"passed": passed, "checks": shown}, indent=2))
    ctx.exit(PASSED if passed else FAILED)


def _checks(plan: Plan | None, command: Sequence[str], **options: Any) -> Iterator[Result]:
    for result in all_checks(command, **options):
        yield result
        if plan is not None and result.messages:
            count = pluralize(len(result.messages), "message")
            faults = problems_of(result.messages, plan)
            yield Result("as planned", f"the tracking plan allows all of {count}", faults)


def _print(result: Result) -> None:
    """Print what a check found, as soon as it has ended."""
    if not result.faults:
        click.echo(f"{click.style('passed', fg='green')}  {result.check}: {result.summary}")
        return
    click.echo(f"{click.style('FAILED', fg='red')}  {result.check}")
    for fault in result.faults:
        click.echo(f"        {escape(fault, 1_000)}")
