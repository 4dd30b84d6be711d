"""`apps`: the applications of the signed-in user."""

from __future__ import annotations

import rich_click as click

from demo_cli.api import Api
from demo_cli.create import create
from demo_cli.plan import plan


@click.group()
def apps() -> None:
    """Create, list and delete applications."""


apps.add_command(create)
apps.add_command(plan)


@apps.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs to read.")
def list_apps(as_json: bool) -> None:
    """List the applications."""
    found = Api().apps()
    if as_json:
        import json

        click.echo(json.dumps([vars(app) for app in found], indent=2))
        return
    for app in found:
        click.echo(f"{app.id:<12}{app.name:<10}{app.region:<6}{app.plan}")


@apps.command()
@click.argument("app_id")
@click.confirmation_option(prompt="Delete this application for good?", help="Do not ask.")
def delete(app_id: str) -> None:
    """Delete an application."""
    click.echo(f"Deleted {app_id}.")
