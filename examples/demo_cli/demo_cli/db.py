"""`db`: the database. Imported by nothing but the lazy group."""

from __future__ import annotations

import os

import rich_click as click

MIGRATIONS = ("0001_create_apps", "0002_add_region", "0003_add_plan", "0004_index_owner")


@click.group()
def db() -> None:
    """Migrate, fill and open the database."""


@db.command()
@click.option("--dry-run", is_flag=True, help="List the migrations, and apply none.")
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    default=len(MIGRATIONS),
    show_default="all",
    help="How many migrations to apply.",
)
def migrate(dry_run: bool, steps: int) -> None:
    """Apply the migrations that are still to be applied."""
    for migration in MIGRATIONS[:steps]:
        click.echo(f"{'Would apply' if dry_run else 'Applied'} {migration}")


@db.command()
def seed() -> None:
    """Fill the tables with sample rows."""
    click.echo("Filled 3 tables with 60 rows.")


@db.command()
@click.option("--exec", "execute", is_flag=True, help="Really become the database's shell.")
def shell(execute: bool) -> None:
    """Open the database's own shell in place of this program."""
    program = "true"  # stands for psql: it takes the process over, and ends well
    click.echo(f"Handing over to {program}…" if execute else f"Would hand over to {program}.")
    if execute:
        os.execvp(program, [program])
