"""`run`: passes a command line on, options and all."""

from __future__ import annotations

import rich_click as click


# Without allow_interspersed_args=False, `run ls --help` would show our own help.
@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(command: tuple[str, ...]) -> None:
    """Run COMMAND inside the application, with whatever arguments follow it."""
    click.echo("Would run:")
    for argument in command:
        click.echo(f"  {argument}")
