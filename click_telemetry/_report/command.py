"""`click-telemetry report`: what an application's events answer."""

from __future__ import annotations

import json
import re
import sys
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import rich_click as click
from rich.console import Console

from .._commands.terminal import allow_any_text, escape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .answers import Plan

EXTRA = "pip install 'click-telemetry[report]'"
DIALECTS = ("bigquery", "snowflake", "redshift", "clickhouse", "postgres", "duckdb")
UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def parse_since(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    """A moment in UTC, from an ISO date or datetime (UTC without an offset), or from `7d`."""
    if value is None:
        return None
    ago = re.fullmatch(r"(\d{1,4})([hdw])", value)
    if ago is not None:
        return datetime.now(timezone.utc) - timedelta(**{UNITS[ago[2]]: int(ago[1])})
    try:
        moment = datetime.fromisoformat(value.replace("Z", "+00:00"))
        if moment.tzinfo is None:
            return moment.replace(tzinfo=timezone.utc)
        return moment.astimezone(timezone.utc)
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(
            f"{escape(value)!r} is no date: write 2026-03-01, 2026-03-01T12:00 or 7d.", ctx, param
        ) from error


@click.command()
@click.argument("paths", nargs=-1, metavar="PATH...")
@click.option(
    "--plan",
    type=click.Path(exists=True, dir_okay=False),
    help="A tracking plan (click-telemetry plan --format jsonschema): what is never used.",
)
@click.option(
    "--since",
    metavar="DATE",
    callback=parse_since,
    help="Events from then on: 2026-03-01, or 7d (also h, w).",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--html", type=click.Path(dir_okay=False), help="Write a page with charts.")
@click.option("--sql", type=click.Choice(DIALECTS), help="Print the questions for a warehouse.")
@click.pass_context
def report(
    ctx: click.Context,
    paths: tuple[str, ...],
    plan: str | None,
    since: datetime | None,
    as_json: bool,
    html: str | None,
    sql: str | None,
) -> None:
    """Report what the events in PATH answer: files, folders or globs of JSON lines.

    PATH has the messages of the destination File, of `click-telemetry watch --json`, or of an
    export of Segment or RudderStack; gzip and zstd too, and - for standard input. Nothing is sent.
    """
    for stream in (sys.stdout, sys.stderr):
        allow_any_text(stream)
    if not paths and not sql:
        raise click.UsageError(
            "Name the files with the messages, as in: click-telemetry report events.jsonl", ctx
        )
    if sql and (as_json or html):
        raise click.UsageError("--sql prints SQL alone: leave out --json and --html.", ctx)
    try:
        declared = _plan(plan)
        if sql:
            _print_sql(sql, paths, declared, since)
            return
        found = _report(paths, declared, since)
    except ModuleNotFoundError as error:
        if error.name not in ("duckdb", "sqlglot"):
            raise
        raise click.ClickException(f"report needs {error.name}: {EXTRA}") from error
    if html:
        _write_page(html, found)
    if as_json:
        click.echo(json.dumps(found, indent=2, allow_nan=False))
    elif not html:
        # It is loaded only if there is something to show.
        from .terminal import show

        show(Console(highlight=False, markup=False, emoji=False), found)


def _plan(path: str | None) -> Plan | None:
    if path is None:
        return None
    # It needs duckdb, which may be missing.
    from .answers import NoPlan, read_plan

    try:
        return read_plan(path)
    except NoPlan as error:
        raise click.ClickException(
            f"{escape(path)} is no tracking plan: {escape(str(error))}. "
            "Write one with: click-telemetry plan MODULE:OBJECT --format jsonschema"
        ) from error


def _report(paths: Sequence[str], plan: Plan | None, since: datetime | None) -> Mapping[str, Any]:
    # It needs duckdb, which may be missing.
    from .answers import build

    # It imports duckdb.
    from .read import NoFiles, NoSpace, database, find_files, load

    try:
        files = find_files(paths)
    except NoFiles as error:
        raise click.ClickException(
            f"There is no file at {escape(str(error))}: name files, folders or globs."
        ) from error
    try:
        with database() as connection:
            stdin = getattr(sys.stdin, "buffer", None)  # some services start without one
            sources = load(connection, files, since=since, stdin=stdin)
            return build(connection, sources, plan=plan, since=since)
    except NoSpace as error:
        raise click.ClickException(
            f"There is no space left in {escape(str(error))}. Set TMPDIR to a directory with more."
        ) from error


def _print_sql(
    dialect: str, paths: Sequence[str], plan: Plan | None, since: datetime | None
) -> None:
    # It needs sqlglot, which may be missing.
    from .warehouse import queries

    flows: dict[str, bool] = {}
    if plan is not None:
        flows = plan.flows
    elif paths:
        flows = {
            flow["flow"]: any(end["step"] is not None for end in flow["ends"])
            for flow in _report(paths, None, since)["flows"]
        }
    click.echo(queries(dialect, flows=flows, plan=plan, since=since), nl=False)


def _write_page(path: str, found: Mapping[str, Any]) -> None:
    # It is loaded only if a page is written.
    from .page import render

    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(render(found))
    except OSError as error:
        raise click.ClickException(f"{escape(path)} cannot be written: {error.strerror}") from error
    click.echo(f"Wrote {escape(path)}.", err=True)
