"""The command `click-telemetry`: each of its commands is imported when it is looked up."""

from __future__ import annotations

from importlib import import_module

import rich_click as click

from .. import __version__

COMMANDS = {
    "doctor": "._doctor.command:doctor",
    "watch": "watch_command:watch",
    "plan": "._plan.command:plan",
    "report": "._report.command:report",
    "check": "._kit.command:check",
}
"""Module and name of each command, in the order of the help; the module is relative to this one."""


class ToolGroup(click.RichGroup):
    """The group; what one command needs is not loaded for another."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the help."""
        return [*COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command, or None if there is none of that name."""
        module, _, name = COMMANDS.get(cmd_name, "").partition(":")
        if not module:
            return None
        command: click.Command = getattr(import_module(f".{module}", __package__), name)
        return command


@click.group(cls=ToolGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="click-telemetry")
def cli() -> None:
    """Check what an application that is instrumented with click_telemetry sends."""
