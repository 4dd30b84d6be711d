"""`status`, and `internals` for those who run the platform."""

from __future__ import annotations

import rich_click as click

from demo_cli.api import PLANS, REGIONS


@click.command()
def status() -> None:
    """Show whether the platform is well."""
    for region in REGIONS:
        click.echo(f"{region:<6}{click.style('healthy', fg='green')}")


@click.command(hidden=True)
def internals() -> None:
    """Show what the platform offers."""
    click.echo(f"regions: {', '.join(REGIONS)}")
    click.echo(f"plans: {', '.join(PLANS)}")
