"""`import`: many records and a progress bar. The file is named, never opened."""

from __future__ import annotations

import time

import rich_click as click

from demo_cli.events import RecordsImported


@click.command("import")
@click.argument("file", type=click.Path())
@click.option(
    "--items",
    type=click.IntRange(min=0),
    default=50,
    show_default=True,
    help="How many records to import.",
)
@click.option(
    "--delay", type=click.FloatRange(min=0), default=0, hidden=True, help="Seconds a record takes."
)
def import_records(file: str, items: int, delay: float) -> None:
    """Import records from FILE."""
    with (
        RecordsImported(records=items).timed(),
        click.progressbar(range(items), label="Importing") as records,
    ):
        for _ in records:
            time.sleep(delay)
    click.echo(f"Imported {items} records from {click.format_filename(file)}.")
