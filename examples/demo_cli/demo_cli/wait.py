"""`wait`: a command that takes its time, for someone to interrupt."""

from __future__ import annotations

import time

import rich_click as click

SLICE = 0.05  # seconds


@click.command()
@click.option(
    "--seconds", type=click.FloatRange(min=0), default=30, show_default=True, help="How long."
)
def wait(seconds: float) -> None:
    """Wait until the time is over, or until Ctrl-C."""
    click.echo(f"Waiting {seconds:g} s. Ctrl-C ends it.")
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(SLICE, left))
    click.echo("Done.")
