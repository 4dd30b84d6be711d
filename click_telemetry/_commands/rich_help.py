"""Help pages in rich-click's style, below an application that uses rich-click itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rich_click

from .._instrument import scope_of

if TYPE_CHECKING:
    import click


def help_page(command: click.Command, context: click.Context) -> str:
    """A command's help as rich-click prints it, without `--no-telemetry`.

    It is rendered from a copy that is never run.
    """
    flag = scope_of(context).option
    params = [param for param in command.get_params(context) if param is not flag]
    page = _copy(command, params)
    if hasattr(command, "list_commands"):
        commands: dict[str, click.Command] = {
            name: _copy(found, [])
            for name in command.list_commands(context)
            if (found := command.get_command(context, name)) is not None  # type: ignore[attr-defined]
        }
        page = _Group(name=command.name, commands=commands, params=params, **_texts(command))
    return page.get_help(
        rich_click.RichContext(page, info_name=context.info_name, parent=context.parent)
    )


class _Group(rich_click.RichGroup):
    """A group that lists its commands in their given order."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.commands]


def _copy(command: click.Command, params: list[click.Parameter]) -> rich_click.RichCommand:
    return rich_click.RichCommand(
        command.name, params=params, short_help=command.short_help, **_texts(command)
    )


def _texts(command: click.Command) -> dict[str, Any]:
    # The help option is among the parameters already.
    return {"help": command.help, "epilog": command.epilog, "add_help_option": False}
