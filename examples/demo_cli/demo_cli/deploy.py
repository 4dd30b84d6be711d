"""`deploy`, and `push`, which it was called before version 1.2."""

from __future__ import annotations

import rich_click as click

from demo_cli.api import REGIONS
from demo_cli.session import Session, pass_session


def key_values(
    ctx: click.Context, param: click.Parameter, value: tuple[str, ...]
) -> dict[str, str]:
    """Read KEY=VALUE pairs; the last one of a key wins."""
    pairs = {}
    for item in value:
        key, equals, rest = item.partition("=")
        if not key or not equals:
            raise click.BadParameter(f"{item!r} is not KEY=VALUE.", ctx, param)
        pairs[key] = rest
    return pairs


@click.command()
@click.option(
    "--region",
    type=click.Choice(REGIONS),
    default="eu",
    envvar="DEMO_REGION",
    show_default=True,
    show_envvar=True,
    help="Where it runs.",
)
@click.option(
    "--replicas",
    type=click.IntRange(1, 20),
    default=1,
    show_default=True,
    help="How many copies run side by side.",
)
@click.option(
    "--env",
    metavar="KEY=VALUE",
    multiple=True,
    callback=key_values,
    help="An environment variable of the application. Repeat it for more.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@click.option("-m", "--message", metavar="TEXT", help="A note for the deployment's history.")
@click.option(
    "--wait/--no-wait",
    default=True,
    show_default=True,
    help="Wait until every replica is healthy.",
)
@pass_session
def deploy(
    session: Session,
    region: str,
    replicas: int,
    env: dict[str, str],
    dry_run: bool,
    message: str | None,
    wait: bool,
) -> None:
    """Deploy the application in this directory."""
    session.detail(f"profile {session.profile}")
    click.echo(f"Deploying to {region}{' (dry run)' if dry_run else ''}…")
    click.echo(f"  replicas  {replicas}")
    if env:
        click.echo(f"  env       {', '.join(sorted(env))}")
    if message:
        click.echo(f"  message   {message}")
    if dry_run:
        click.echo("Nothing was changed.")
    elif wait:
        click.secho(f"Deployed: {replicas} of {replicas} healthy.", fg="green")
    else:
        click.echo("Started. See demo-cli status.")


@click.command(deprecated=True)
@click.option("--region", type=click.Choice(REGIONS), default="eu", help="Where it runs.")
def push(region: str) -> None:
    """Deploy by the old name of deploy."""
    click.echo(f"Deploying to {region}…")
