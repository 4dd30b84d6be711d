"""`apps plan`: which plan the profile's application is on, and how to leave it for another."""

from __future__ import annotations

import rich_click as click

from demo_cli.api import PLANS, Api
from demo_cli.session import Session, pass_session


@click.group()
def plan() -> None:
    """See and change an application's plan."""


@plan.command()
@pass_session
def show(session: Session) -> None:
    """Show the plan of the profile's application."""
    session.detail(f"profile {session.profile}")
    app = Api().apps()[0]
    click.echo(f"{app.id} is on the {app.plan} plan.")


@plan.command()
@click.option("--to", "to_plan", type=click.Choice(PLANS), prompt="New plan", help="The new plan.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--simulate",
    type=click.Choice(["ok", "billing", "api-error"]),
    default="ok",
    hidden=True,
    help="Make the change fail.",
)
def change(to_plan: str, yes: bool, simulate: str) -> None:
    """Move the profile's application to another plan."""
    api = Api(simulate)
    app = api.apps()[0]

    if app.plan == to_plan:
        click.echo(f"{app.id} is on the {to_plan} plan already.")
        return

    direction = "Upgrade" if PLANS.index(to_plan) > PLANS.index(app.plan) else "Downgrade"
    if not yes:
        click.confirm(f"{direction} {app.id} from {app.plan} to {to_plan}?", abort=True)

    changed = api.change_plan(app, to_plan)
    click.secho(f"{direction}d {changed.id} from {app.plan} to {changed.plan}.", fg="green")
