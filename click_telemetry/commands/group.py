"""`telemetry_group`: the commands that an application adds with one line.

It costs the application an object: what a command does, and rich-click, are loaded when one runs or
shows its help. Nothing below it is ever recorded.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from ..observe.state import mark

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = ("status", "enable", "disable", "show", "flush", "purge", "reset-id")
"""In the order of the help."""

HELP = "See, refuse, allow and delete what is recorded of your use."


class TelemetryCommand(click.Command):
    """One of the commands; its help is rich-click's, whatever the application's own is."""

    def get_help(self, ctx: click.Context) -> str:
        """The help page."""
        from .pages import help_page

        return help_page(self, ctx)


class TelemetryGroup(click.Group):
    """The group; its commands are declared when one of them is looked up."""

    is_telemetry_group = True

    def __init__(self, name: str, help: str) -> None:  # noqa: A002
        super().__init__(name, help=help)
        mark(self).excluded = True

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Parse the group's own line."""
        with ending_as_click(parent):
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was named."""
        with ending_as_click(ctx.parent):
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the help."""
        return [*NAMES]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command, or None for a name that is none."""
        if cmd_name not in self.commands and cmd_name in NAMES:
            from .declared import COMMANDS

            self.commands[cmd_name] = COMMANDS[cmd_name]()
        return self.commands.get(cmd_name)

    def get_help(self, ctx: click.Context) -> str:
        """The help page."""
        from .pages import help_page

        return help_page(self, ctx)


@contextmanager
def ending_as_click(parent: object) -> Iterator[None]:
    """End as Click does, below an application that carries a copy of Click of its own.

    The copy (Typer's, since 0.26) does not know the exceptions of this one.

    Args:
        parent: the context above.
    """
    if parent is None or isinstance(parent, click.Context):
        yield
        return
    try:
        yield
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("Aborted!", err=True)
        sys.exit(1)


def telemetry_group(name: str = "telemetry", *, help: str = HELP) -> TelemetryGroup:  # noqa: A002
    """Commands with which people see, allow, refuse and delete what is recorded about them.

        cli.add_command(telemetry_group())

    They work below any instrumented group, speak in the application's name, and are themselves
    never recorded. Exit codes: 0 it is done, 1 it is not and stderr says why, 2 the command line
    was wrong.

    Args:
        name: what the group is called below the application.
        help: its line in the application's help.
    """
    return TelemetryGroup(name, help)
