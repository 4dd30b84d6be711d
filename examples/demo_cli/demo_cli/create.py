"""`apps create`, which has nine steps; `demo_cli.events` declares them."""

from __future__ import annotations

import rich_click as click

from demo_cli.api import PLANS, REGIONS, Api
from demo_cli.ask import ask
from demo_cli.events import APPLICATION_CREATE
from demo_cli.session import Session, pass_session


@click.command()
@click.option("--name", metavar="NAME", help="What to call it.")
@click.option("--plan", type=click.Choice(PLANS), help="The plan to start on.")
@click.option("--region", type=click.Choice(REGIONS), help="Where it lives.")
@click.option("--accept-terms", is_flag=True, help="Accept the terms without being asked.")
@click.option("--dry-run", is_flag=True, help="Ask the questions, and create nothing.")
@click.option(
    "--simulate",
    type=click.Choice(["ok", "billing", "api-error", "courtesy-error"]),
    default="ok",
    hidden=True,
    help="Make one of the steps fail.",
)
@pass_session
def create(
    session: Session,
    name: str | None,
    plan: str | None,
    region: str | None,
    accept_terms: bool,
    dry_run: bool,
    simulate: str,
) -> None:
    """Create an application.

    Asks for whatever the options leave open.
    """
    api = Api(simulate)
    with APPLICATION_CREATE(when=not dry_run) as f:
        f.step("name")
        name = name or f.prompt("name", "Name", default="my-app")

        f.step("auth")
        click.echo(f"Signed in as {api.authenticate()}.")

        f.step("plan")
        plan = plan or ask("plan", "Plan", PLANS, PLANS[0], f)
        f.set(plan=plan)

        f.step("terms")
        if not accept_terms and not f.confirm("terms", f"Accept the terms of the {plan} plan?"):
            f.event("Declined Terms")
            f.abort("declined_terms")
            click.echo("Nothing was created.")
            return
        f.event("Accepted Terms")

        f.step("region")
        region = region or ask("region", "Region", REGIONS, REGIONS[0], f)
        f.set(region=region)

        if dry_run:
            click.echo(f"Would create {name} in {region} on the {plan} plan. Nothing was created.")
            return

        f.step("api_call")
        click.echo(f"Creating {name} in {region}…")
        app = api.create_app(name, region)

        f.step("api_key")
        key = api.create_key(app)

        f.step("apply_plan")
        app = api.change_plan(app, plan)
        click.secho(f"Created {app.id} on the {app.plan} plan.", fg="green")
        click.echo(f"API key: {key}")

        f.step("profile_configure")
        f.complete()  # there is an application now, whatever becomes of the profile
        api.configure_profile(session.profile, app)
        click.echo(f"The profile {session.profile} uses {app.id} now.")
