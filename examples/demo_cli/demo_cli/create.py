"""`apps create`, which has nine steps.

They are name, auth, plan, terms, region, api_call, api_key, apply_plan and profile_configure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import rich_click as click

from demo_cli.api import PLANS, REGIONS, Api
from demo_cli.session import Session, pass_session

if TYPE_CHECKING:
    from collections.abc import Sequence


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

    name = name or click.prompt("Name", default="my-app")

    click.echo(f"Signed in as {api.authenticate()}.")

    plan = plan or ask("Plan", PLANS)

    if not accept_terms and not click.confirm(f"Accept the terms of the {plan} plan?"):
        click.echo("Nothing was created.")
        return

    region = region or ask("Region", REGIONS)

    if dry_run:
        click.echo(f"Would create {name} in {region} on the {plan} plan. Nothing was created.")
        return

    click.echo(f"Creating {name} in {region}…")
    app = api.create_app(name, region)

    key = api.create_key(app)

    app = api.change_plan(app, plan)
    click.secho(f"Created {app.id} on the {app.plan} plan.", fg="green")
    click.echo(f"API key: {key}")

    api.configure_profile(session.profile, app)
    click.echo(f"The profile {session.profile} uses {app.id} now.")


def ask(question: str, choices: Sequence[str]) -> str:
    """Prompt for one of the choices; the first is the default."""
    answer: str = click.prompt(question, type=click.Choice(choices), default=choices[0])
    return answer
