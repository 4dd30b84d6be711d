"""Help pages by rich-click for commands of plain Click, drawn from a likeness that never runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rich_click

from ..observe.flag import DESTINATION

if TYPE_CHECKING:
    import click


def help_page(command: click.Command, context: click.Context) -> str:
    """A command's help as rich-click prints it, in the style of the application above it.

    Without `--no-telemetry`: nothing is recorded about these commands anyway.
    """
    likeness: rich_click.RichCommand = _likeness(
        command, [one for one in command.get_params(context) if one.name != DESTINATION]
    )
    if hasattr(command, "list_commands"):
        commands: dict[str, click.Command] = {
            name: _likeness(found, [])
            for name in command.list_commands(context)
            if (found := command.get_command(context, name)) is not None  # type: ignore[attr-defined]
        }
        likeness = _InOrder(
            name=command.name, commands=commands, params=likeness.params, **_said(command)
        )
    return likeness.get_help(
        rich_click.RichContext(likeness, info_name=context.info_name, parent=context.parent)
    )


class _InOrder(rich_click.RichGroup):
    """A group that lists its commands as they come."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.commands]


def _likeness(command: click.Command, params: list[click.Parameter]) -> rich_click.RichCommand:
    return rich_click.RichCommand(command.name, params=params, **_said(command))


def _said(command: click.Command) -> dict[str, Any]:
    return {"help": command.help, "epilog": command.epilog, "add_help_option": False}
