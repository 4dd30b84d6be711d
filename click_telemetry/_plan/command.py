"""`click-telemetry plan`: prints the tracking plan of an application, or checks a committed one.

The application is imported, and none of its commands is run. What it prints meanwhile goes to
stderr, so that stdout has the plan alone.
"""

from __future__ import annotations

import difflib
import json
import os
import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

import rich_click as click

from .._commands.terminal import allow_any_text
from .._instrument import OFF_VARIABLE
from .collect import load
from .markdown import page
from .message_schema import message_schema, segment_rules
from .tree import CannotLoad

if TYPE_CHECKING:
    from collections.abc import Callable

    from .model import Plan

WIDTH = 100
"""Characters of a line of JSON; what fits is on one line."""


def written(value: Any, indent: int = 0, before: int = 0) -> str:
    """A value as JSON, in lines that a diff shows one by one.

    Args:
        value: JSON.
        indent: of the lines below the first one.
        before: characters that precede it on its line.
    """
    line = json.dumps(value, ensure_ascii=False)
    if indent + before + len(line) <= WIDTH or not value or not isinstance(value, (dict, list)):
        return line
    inner = " " * (indent + 2)
    lines = []
    if isinstance(value, dict):
        for key, item in value.items():
            name = f"{json.dumps(key, ensure_ascii=False)}: "
            lines.append(f"{inner}{name}{written(item, indent + 2, len(name) + 1)}")
    else:
        lines = [f"{inner}{written(item, indent + 2, 1)}" for item in value]
    start, end = "{}" if isinstance(value, dict) else "[]"
    return start + "\n" + ",\n".join(lines) + "\n" + " " * indent + end


FORMATS: dict[str, Callable[[Plan], str]] = {
    "markdown": page,
    "jsonschema": lambda plan: written(message_schema(plan)) + "\n",
    "segment": lambda plan: written(segment_rules(plan)) + "\n",
}


def format_of(path: str) -> str:
    """The format that a file's name states: `.md`, `….segment.json`, or any other `.json`."""
    name = os.path.basename(path).lower()
    if not name.endswith(".json"):
        return "markdown"
    return "segment" if "segment" in name else "jsonschema"


@click.command()
@click.argument("target", metavar="MODULE:OBJECT")
@click.option(
    "--format",
    "form",
    type=click.Choice([*FORMATS]),
    help="A page for users, JSON Schema of every message, or rules of Segment Protocols. By "
    "default what the file's name states, else markdown.",
)
@click.option(
    "--output",
    "outputs",
    type=click.Path(dir_okay=False),
    multiple=True,
    help="Write it to a file. May be repeated.",
)
@click.option(
    "--check",
    "checked",
    type=click.Path(dir_okay=False),
    multiple=True,
    help="Compare it with a file, and show the difference. May be repeated.",
)
@click.pass_context
def plan(
    ctx: click.Context,
    target: str,
    form: str | None,
    outputs: tuple[str, ...],
    checked: tuple[str, ...],
) -> None:
    """Print all that an application can send: its tracking plan.

    MODULE:OBJECT is its root command, or its Typer application, such as acme.main:cli. Modules are
    found from the current directory too.

    The exit status is 1 if a checked file differs, or a command could not be loaded.
    """
    if outputs and checked:
        raise click.UsageError("Write the file with --output, or compare it with --check.", ctx)
    for stream in (sys.stdout, sys.stderr):
        allow_any_text(stream)
    found = load_quietly(target, ctx)
    path = ""
    stale = []
    try:
        for path in checked:
            if _differs(path, FORMATS[form or format_of(path)](found)):
                stale.append(path)
        for path in outputs:
            with open(path, "w", encoding="utf-8", newline="\n") as file:
                file.write(FORMATS[form or format_of(path)](found))
    except OSError as error:
        raise click.UsageError(f"{path}: {error.strerror}", ctx) from error
    if not outputs and not checked:
        click.echo(FORMATS[form or "markdown"](found), nl=False)
    for path in stale:
        click.echo(
            f"{path} is stale: click-telemetry plan {target} "
            f"{'' if form is None else f'--format {form} '}--output {path}",
            err=True,
        )
    for name, reason in sorted(found.problems.items()):
        click.echo(f"{name} could not be loaded, and is missing in the plan: {reason}", err=True)
    ctx.exit(1 if stale or found.problems else 0)


def load_quietly(target: str, ctx: click.Context) -> Plan:
    """The plan of an application that runs no command meanwhile, and prints on stderr.

    Raises:
        UsageError: it cannot be imported, or is no instrumented application.
    """
    os.environ[OFF_VARIABLE] = "1"  # importing an application may run a command
    words, sys.argv[1:] = sys.argv[1:], ["--help"]  # which then shows its help, and does no more
    try:
        with redirect_stdout(sys.stderr):
            return load(target)
    except CannotLoad as error:
        raise click.UsageError(f"{target}: {error}", ctx) from error
    finally:
        sys.argv[1:] = words


def _differs(path: str, text: str) -> bool:
    """Whether a file has another text; the difference is shown."""
    try:
        with open(path, encoding="utf-8", errors="backslashreplace", newline="") as file:
            old = file.read().replace("\r\n", "\n")
    except FileNotFoundError:
        old = ""
    lines = difflib.unified_diff(
        old.splitlines(keepends=True), text.splitlines(keepends=True), path, "as it would be now"
    )
    for line in lines:
        click.echo(line if line.endswith("\n") else f"{line}\n", nl=False)
    return old != text
