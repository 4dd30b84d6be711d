"""`apps plan`: which plan the profile's application is on, and how to leave it for another."""

from __future__ import annotations

import rich_click as click
from click_telemetry import track

from demo_cli.api import PLANS, Api, Plan
from demo_cli.ask import ask
from demo_cli.events import PLAN_CHANGE, Direction, PlanChanged
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
@click.option("--to", type=click.Choice(PLANS), help="The new plan.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--simulate",
    type=click.Choice(["ok", "billing", "api-error"]),
    default="ok",
    hidden=True,
    help="Make the change fail.",
)
def change(to: str | None, yes: bool, simulate: str) -> None:
    """Move the profile's application to another plan."""
    api = Api(simulate)
    app = api.apps()[0]
    from_plan = Plan(app.plan)
    with PLAN_CHANGE(from_plan=from_plan) as f:
        f.step("plan")
        to_plan = Plan(to or ask("plan", "New plan", PLANS, flow=f))
        f.set(to_plan=to_plan)
        if to_plan == from_plan:
            f.abort("already_on_plan")
            click.echo(f"{app.id} is on the {to_plan.value} plan already.")
            return
        direction = Direction.of(from_plan, to_plan)
        f.set(direction=direction)

        f.step("terms")
        what = f"{direction.value} {app.id} from {from_plan.value} to {to_plan.value}"
        if not yes and not f.confirm("terms", f"{what.capitalize()}?"):
            f.event("Declined Terms")
            f.abort("declined_terms")
            raise click.Abort
        f.event("Accepted Terms")

        f.step("api_call")
        app = api.change_plan(app, to_plan.value)
    track(PlanChanged(direction, from_plan, to_plan))
    done = {Direction.UPGRADE: "Upgraded", Direction.DOWNGRADE: "Downgraded"}[direction]
    click.secho(f"{done} {app.id} from {from_plan.value} to {app.plan}.", fg="green")
