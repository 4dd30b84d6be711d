"""`login` and `whoami`: who is at the keyboard."""

from __future__ import annotations

import rich_click as click

from demo_cli.api import USER
from demo_cli.session import Session, pass_session


@click.command()
@click.option("--username", prompt="User name", help="Your e-mail address.")
@click.password_option(confirmation_prompt=False, help="Your password. Better to be asked for it.")
def login(username: str, password: str) -> None:
    """Sign in to the platform."""
    if not password.strip():
        raise click.UsageError("The password is blank.")
    click.secho(f"Logged in as {username}.", fg="green")


@click.command()
@pass_session
def whoami(session: Session) -> None:
    """Show who is signed in."""
    click.echo(f"{USER} (profile {session.profile})")
