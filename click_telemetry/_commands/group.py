"""`telemetry_group`: the commands that an application adds with one line. They are never recorded.

An application pays for one object. Each command is made when it is looked up, and its module is
loaded when it runs.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from .._instrument import KEY, CommandState, scope_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    _Made = TypeVar("_Made", bound=Callable[..., "TelemetryGroup"])

HELP = "Shows, disables, enables and deletes telemetry."


# The commands -------------------------------------------------------------------------------------


class CommandText(NamedTuple):
    """What the help shows of a command.

    Attributes:
        help: of its own page.
        short_help: its line in the group's help; None for the first sentence of `help`.
        options: flag, parameter and help of each.
    """

    help: str
    short_help: str | None = None
    options: tuple[tuple[str, str, str], ...] = ()


_COMMANDS = {
    "status": CommandText(
        "Shows whether telemetry is on, what is queued, what was sent and the last error.",
        "Shows whether telemetry is on, the queue and the last error.",
        (
            ("--why", "why", "List every switch, its value, and the one that decides."),
            ("--json", "as_json", "Print everything as one JSON object."),
        ),
    ),
    "enable": CommandText("Enables telemetry. Any other opt-out still takes precedence."),
    "disable": CommandText("Disables telemetry, and deletes the ID and the queue."),
    "show": CommandText(
        "Shows the queued messages, exactly as they would be sent.",
        options=(("--json", "as_json", "Print each message as one line of JSON."),),
    ),
    "flush": CommandText(
        "Sends the queued messages now, and waits for the result.\n\n"
        "The exit status is 0 if every queued message was delivered."
    ),
    "purge": CommandText("Deletes the ID and the queue. The saved setting is kept."),
    "reset-id": CommandText("Replaces the anonymous ID by a new one."),
}

NAMES = tuple(_COMMANDS)
"""In the order of the help."""


def _run(context: click.Context, /, **options: bool) -> None:
    """Run the command that the context names."""
    # Not before a command runs: an application that adds the group pays for this module alone.
    from . import changes, reports

    run: dict[str | None, Callable[..., None]] = {
        "status": reports.status,
        "enable": changes.enable,
        "disable": changes.disable,
        "show": reports.show,
        "flush": changes.flush,
        "purge": changes.purge,
        "reset-id": changes.reset_id,
    }
    run[context.command.name](context, **options)


# The group ----------------------------------------------------------------------------------------


class TelemetryCommand(click.Command):
    """One of the commands."""

    def get_help(self, ctx: click.Context) -> str:
        """The help page, in rich-click's style where the application has it."""
        return _rich_help(self, ctx) or super().get_help(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options without `--no-telemetry`: nothing is recorded of these commands anyway."""
        _format_options(self, ctx, formatter)


class TelemetryGroup(click.Group):
    """The group; a command is made when it is looked up."""

    is_telemetry_group = True

    def __init__(self, name: str, help: str) -> None:  # noqa: A002
        super().__init__(name, help=help)
        state = CommandState()
        state.excluded = True
        self.__dict__[KEY] = state

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Parse the group's own arguments."""
        with _ending_as_click(parent):
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was named."""
        with _ending_as_click(ctx.parent):
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the help."""
        return [*NAMES]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command, or None if there is none of that name."""
        if cmd_name not in self.commands and cmd_name in _COMMANDS:
            self.commands[cmd_name] = _make_command(cmd_name)
        return self.commands.get(cmd_name)

    def get_help(self, ctx: click.Context) -> str:
        """As `TelemetryCommand.get_help`."""
        return _rich_help(self, ctx) or super().get_help(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """As `TelemetryCommand.format_options`; then the commands."""
        _format_options(self, ctx, formatter)
        self.format_commands(ctx, formatter)

    @property
    def registered_commands(self) -> Any:
        """What Typer asks a sub-application for.

        Raises:
            MisplacedAttribute: this is none; the message names the fix.
        """
        from .._foreground.options import MisplacedAttribute  # only for a mistake

        raise MisplacedAttribute(
            "telemetry_group() is a Click group, which add_typer() cannot take: add it to the "
            "application's group, with typer.Typer(cls=…), as docs/frameworks.md shows for Typer"
        )


class _Function:
    """`telemetry_group` itself, which is easily passed on without its parentheses."""

    def __init__(self, function: Callable[..., TelemetryGroup]) -> None:
        update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> TelemetryGroup:
        function: Any = self.__dict__["__wrapped__"]
        return function(*args, **kwargs)  # type: ignore[no-any-return]

    def __getattr__(self, name: str) -> Any:
        """Click asks a command for its name, its callback and more."""
        if name.startswith("__"):
            raise AttributeError(name)
        from .._foreground.options import MisplacedAttribute  # only for a mistake

        raise MisplacedAttribute(
            "telemetry_group makes the commands: write cli.add_command(telemetry_group()), with "
            "its parentheses"
        )


def _checked(function: _Made) -> _Made:
    made: Any = _Function(function)
    return made  # type: ignore[no-any-return]


@_checked
def telemetry_group(name: str = "telemetry", *, help: str = HELP) -> TelemetryGroup:  # noqa: A002
    """Commands that show, enable, disable and delete what is recorded of the person who runs them.

        cli.add_command(telemetry_group())

    They work below any instrumented group, use the application's name, and are never recorded.
    Exit codes: 0 success; 1 failure, explained on stderr; 2 wrong usage.

    Args:
        name: of the group, below the application.
        help: its line in the application's help.
    """
    return TelemetryGroup(name, help)


def _make_command(name: str) -> click.Command:
    text = _COMMANDS[name]
    return TelemetryCommand(
        name,
        callback=click.pass_context(_run),
        params=[
            click.Option([flag, parameter], is_flag=True, help=shown)
            for flag, parameter, shown in text.options
        ],
        help=text.help,
        short_help=text.short_help,
    )


def _format_options(
    command: click.Command, ctx: click.Context, formatter: click.HelpFormatter
) -> None:
    params = command.get_params(ctx)
    flag = scope_of(ctx).option
    rows = [param.get_help_record(ctx) for param in params if param is not flag]
    with formatter.section("Options"):
        formatter.write_dl([row for row in rows if row is not None])


def _rich_help(command: click.Command, context: click.Context) -> str | None:
    """The help page by rich-click, if the application's root uses it."""
    kinds = type(context.find_root().command).__mro__
    if not any(kind.__module__.partition(".")[0] == "rich_click" for kind in kinds):
        return None
    return _rich_page(command, context)


def _rich_page(command: click.Command, context: click.Context) -> str:
    """The help page as rich-click prints it, of a copy without `--no-telemetry`; it never runs."""
    import rich_click  # an extra; the application has imported it

    class Group(rich_click.RichGroup):
        def list_commands(self, ctx: click.Context) -> list[str]:
            return [*self.commands]  # in the given order

    flag = scope_of(context).option
    params = [param for param in command.get_params(context) if param is not flag]
    page: click.Command
    if isinstance(command, click.Group):
        commands: dict[str, click.Command] = {
            name: rich_click.RichCommand(**_texts(found))
            for name in command.list_commands(context)
            if (found := command.get_command(context, name)) is not None
        }
        page = Group(commands=commands, params=params, **_texts(command))
    else:
        page = rich_click.RichCommand(params=params, **_texts(command))
    return page.get_help(
        rich_click.RichContext(page, info_name=context.info_name, parent=context.parent)
    )


def _texts(command: click.Command) -> dict[str, Any]:
    return {
        "name": command.name,
        "help": command.help,
        "short_help": command.short_help,
        "epilog": command.epilog,
        "add_help_option": False,  # it is among the parameters already
    }


@contextmanager
def _ending_as_click(parent: object) -> Iterator[None]:
    """End as Click does, below an application that contains its own copy of Click.

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
