"""`telemetry_group`: the commands that an application adds with one line.

It costs the application an object: what a command does, and rich-click, are loaded when one runs or
shows its help. Nothing below it is ever recorded.
"""

from __future__ import annotations

import click

from ..observe.state import mark

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
