"""`fail`: the ways for a command to end badly, one for each `--how`."""

from __future__ import annotations

import sys

import rich_click as click


@click.command()
@click.option(
    "--how",
    type=click.Choice(["exception", "click", "usage", "exit", "abort", "sysexit"]),
    default="exception",
    show_default=True,
    help="An error of Python's or of Click's, or a plain end.",
)
@click.option(
    "--code",
    type=click.IntRange(0, 255),
    default=1,
    show_default=True,
    help="The exit code of exit and sysexit.",
)
@click.pass_context
def fail(ctx: click.Context, how: str, code: int) -> None:
    """Fail on purpose."""
    if how == "click":
        raise click.ClickException("This command fails on purpose.")
    if how == "usage":
        raise click.UsageError("This command cannot be used right.", ctx)
    if how == "exit":
        ctx.exit(code)
    if how == "abort":
        raise click.Abort
    if how == "sysexit":
        sys.exit(code)
    raise RuntimeError("This command fails on purpose.")
