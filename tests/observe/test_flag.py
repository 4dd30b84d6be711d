"""`--no-telemetry` on any command: where it counts, and that nothing else changes."""

from __future__ import annotations

from typing import Any

import click
import pytest

from click_telemetry import instrument, instrumented_group
from click_telemetry.testing import RecordingClient

from ..harness.stories import pair, run, story

FLAG = "--no-telemetry"


@pytest.fixture
def cli(recording_client: RecordingClient) -> click.Group:
    """Three levels."""

    @instrumented_group(app="acme", client=recording_client)
    @click.option("--profile")
    def cli(profile: str) -> None: ...

    @cli.group()
    def db() -> None: ...

    @db.command()
    @click.option("--msg")
    @click.argument("rest", nargs=-1)
    def migrate(msg: str, rest: tuple[str, ...]) -> None:
        click.echo(f"{msg} {rest}")

    return cli


@pytest.mark.parametrize(
    "line",
    [
        f"{FLAG} db migrate",
        f"--profile x {FLAG} db migrate",
        f"db {FLAG} migrate",
        f"db migrate {FLAG}",
        f"db migrate --msg m {FLAG} a b",
        f"db migrate a {FLAG}",
    ],
)
def test_flag_opts_out_from_every_position(
    line: str, cli: click.Group, recording_client: RecordingClient
) -> None:
    """Before, between or after the commands (rule 27)."""
    found = run(cli, *line.split())
    assert (found.exit_code, story(recording_client)) == (0, [])
    assert FLAG not in found.output


@pytest.mark.parametrize(
    ("line", "output"),
    [
        (f"db migrate --msg {FLAG}", f"{FLAG} ()\n"),
        (f"db migrate -- {FLAG}", f"None ('{FLAG}',)\n"),
    ],
)
def test_flag_as_a_value_or_after_the_separator_is_data(
    line: str, output: str, cli: click.Group, recording_client: RecordingClient
) -> None:
    """It is parsed, not scanned for (rule 28)."""
    found = run(cli, *line.split())
    assert (found.output, found.exit_code) == (output, 0)
    assert [event[0] for event in story(recording_client)] == [
        "Command Invoked",
        "Command Completed",
    ]


def test_flag_is_shown_in_help(cli: click.Group) -> None:
    """One row, on every command, before `--help` (rule 27)."""
    for line in ((), ("db",), ("db", "migrate")):
        rows = run(cli, *line, "--help").output.splitlines()
        position = next(n for n, row in enumerate(rows) if FLAG in row)
        assert "--help" in rows[position + 1]


def test_flag_is_before_the_first_of_two_help_options(recording_client: RecordingClient) -> None:
    """And before one that has another name, or is not the last (rule 27)."""

    @click.command(add_help_option=False)
    @click.help_option("-h", help="Short.")
    @click.help_option("--help", help="Long.")
    @click.option("--name")
    def two(name: str | None) -> None: ...

    @click.command(add_help_option=False)
    @click.option("--name")
    @click.help_option("--hilfe")
    @click.option("--last")
    def renamed(name: str | None, last: str | None) -> None: ...

    for command in (two, renamed):
        instrument(command, app="acme", client=recording_client)
        names = [p.opts[0] for p in command.get_params(click.Context(command))]
        shown = [name for name in names if name != "--help" or command is two]
        place = shown.index(FLAG)
        assert shown[place + 1] in ("-h", "--hilfe")
        info = command.to_info_dict(click.Context(command))
        assert {"no_telemetry"} <= {param["name"] for param in info["params"]}


def test_flag_is_shown_in_rich_help(recording_client: RecordingClient) -> None:
    """rich-click's panels have it too (rule 27)."""
    rich_click = pytest.importorskip("rich_click")
    cli = rich_click.RichGroup(name="cli", callback=lambda: None)
    cli.add_command(rich_click.RichCommand(name="go"))
    instrument(cli, app="acme", client=recording_client)
    assert FLAG in run(cli, "--help").output
    assert FLAG in run(cli, "go", "--help").output


def test_flag_is_completed(cli: click.Group) -> None:
    """The shell offers it (rule 27)."""
    environ = {"_CLI_COMPLETE": "bash_complete", "COMP_WORDS": "cli db --no", "COMP_CWORD": "2"}
    assert FLAG in run(cli, env=environ, prog_name="cli").output


def test_parameters_of_a_command_are_untouched(cli: click.Group) -> None:
    """The option is injected on a copy (rule 27)."""
    migrate = cli.commands["db"].commands["migrate"]  # type: ignore[attr-defined]
    before = list(migrate.params)
    run(cli, "db", "migrate")
    assert migrate.params == before


def test_flag_has_no_variable_of_its_own(
    cli: click.Group, recording_client: RecordingClient
) -> None:
    """`auto_envvar_prefix` does not reach it (rule 27)."""
    run(cli, "db", "migrate", auto_envvar_prefix="ACME", env={"ACME_NO_TELEMETRY": "0"})
    assert story(recording_client) == pair("acme db migrate")


@pytest.mark.parametrize("choice", ["hidden", False])
def test_row_can_be_hidden_and_the_flag_left_out(
    choice: Any, recording_client: RecordingClient
) -> None:
    """`no_telemetry_option` decides (rule 32)."""
    command = instrument(
        click.Command("x"), app="acme", client=recording_client, no_telemetry_option=choice
    )
    assert FLAG not in run(command, "--help").output
    assert run(command, FLAG).exit_code == (0 if choice == "hidden" else 2)
    assert story(recording_client) == []


def test_pass_through_command_gets_the_token_too(recording_client: RecordingClient) -> None:
    """A command that passes on what it does not know is opted out, and passes it on (rule 29)."""

    @instrumented_group(app="acme", client=recording_client)
    def cli() -> None: ...

    @cli.command(name="exec", context_settings={"ignore_unknown_options": True})
    @click.argument("rest", nargs=-1, type=click.UNPROCESSED)
    def execute(rest: tuple[str, ...]) -> None:
        click.echo(" ".join(rest))

    assert run(cli, "exec", "ls", FLAG, "-l").output == f"ls {FLAG} -l\n"
    assert story(recording_client) == []
    assert run(cli, "exec", "ls", "--", FLAG).output == f"ls {FLAG}\n"
    assert story(recording_client) == pair("acme exec")


def test_hand_written_parser_gets_the_token_too(recording_client: RecordingClient) -> None:
    """A command that parses by hand, without parameters, is scanned and left alone (rule 29)."""

    class ByHand(click.Command):
        def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
            ctx.args = args
            return args

    command = ByHand("x", callback=lambda: click.echo(click.get_current_context().args))
    instrument(command, app="acme", client=recording_client)
    assert run(command, "a", FLAG).output == f"['a', '{FLAG}']\n"
    assert story(recording_client) == []


class DefaultCommand(click.Group):
    """A group whose first unknown word goes to its default command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or args[0] not in self.commands:
            args = ["show", *args]
        return super().parse_args(ctx, args)


def test_flag_before_a_default_command_is_not_its_argument(
    recording_client: RecordingClient,
) -> None:
    """`app --no-telemetry file` still goes to the default command (rule 30)."""
    cli = DefaultCommand("cli")
    show = click.Command("show", params=[click.Argument(["name"])])
    show.callback = lambda name: click.echo(f"showing {name}")
    cli.add_command(show)
    instrument(cli, app="acme", client=recording_client)
    for line in ((FLAG, "a"), (FLAG, "show", "a"), ("show", FLAG, "a")):
        assert run(cli, *line).output == "showing a\n"
    assert story(recording_client) == []
    assert run(cli, "a").output == "showing a\n"
    assert story(recording_client) == pair("acme show")


@pytest.mark.parametrize("group", [True, False])
def test_flag_alone_shows_help_where_nothing_does(
    group: bool, recording_client: RecordingClient
) -> None:
    """`no_args_is_help` is asked before the flag is seen (rule 30)."""
    command: click.Command = click.Group("x") if group else click.Command("x", no_args_is_help=True)
    instrument(command, app="acme", client=recording_client)
    alone, bare = run(command, FLAG), run(command)
    assert (alone.output, alone.exit_code) == (bare.output, bare.exit_code)
    assert "Usage" in bare.output


@pytest.mark.parametrize(
    ("declaration", "line", "recorded"),
    [
        (FLAG, FLAG, False),
        (FLAG, "", True),
        ("--telemetry/--no-telemetry", FLAG, False),
        ("--telemetry/--no-telemetry", "--telemetry", True),
    ],
)
@pytest.mark.parametrize("exposed", [True, False])
def test_flag_of_the_applications_own_is_kept_and_opts_out(
    declaration: str,
    line: str,
    recorded: bool,
    exposed: bool,
    recording_client: RecordingClient,
) -> None:
    """An application that declares the flag itself keeps it; set to off it counts (rule 31)."""
    option = click.Option(
        [declaration, "own"] if declaration == FLAG else [declaration],
        is_flag=True,
        default="/" in declaration,
        expose_value=exposed,
    )
    seen: list[dict[str, Any]] = []
    command = click.Command("x", params=[option], callback=lambda **kwargs: seen.append(kwargs))
    instrument(command, app="acme", client=recording_client)
    if not exposed and line == "--telemetry":
        recorded = False  # typed, and its value unknown: the cautious answer
    assert run(command, *line.split()).exit_code == 0
    assert bool(story(recording_client)) is recorded
    assert list(seen[0]) == ([option.name] if exposed else [])


def test_parameter_called_no_telemetry_is_the_applications(
    recording_client: RecordingClient,
) -> None:
    """Our destination is private (rule 27)."""
    seen: list[Any] = []
    command = click.Command(
        "x",
        params=[click.Option(["--quiet", "no_telemetry"], is_flag=True)],
        callback=lambda no_telemetry: seen.append(no_telemetry),
    )
    instrument(command, app="acme", client=recording_client)
    run(command, "--quiet")
    run(command, "--quiet", FLAG)
    assert seen == [True, True]
    assert story(recording_client) == pair("acme", "no_telemetry")
