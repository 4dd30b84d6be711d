"""Programs that Click allows and that an instrumentation can break."""

from __future__ import annotations

import copy
from typing import Any, Literal

import click
import pytest
from click.testing import CliRunner

from click_telemetry import DeclarationError, instrument
from click_telemetry.testing import RecordingClient

from ..harness.stories import pair, run, story


def instrumented(client: RecordingClient, group: click.Group | None = None) -> Any:
    return instrument(group if group is not None else click.Group("cli"), app="acme", client=client)


class ByHand(click.Command):
    """Parses by hand, though it declares parameters."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.params = {"rest": tuple(args)}
        ctx.args = []
        return []


class OwnContext(click.Command):
    """Makes its context itself, and calls no `parse_args`."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **_: Any
    ) -> click.Context:
        context = click.Context(self, info_name=info_name, parent=parent)
        context.params = {"rest": tuple(args)}
        return context


@pytest.mark.parametrize("kind", [ByHand, OwnContext])
def test_literal_flag_opts_out_where_a_command_parses_by_hand(
    recording_client: RecordingClient, kind: type[click.Command]
) -> None:
    """Recording nothing is better than recording a run against a user's opt-out (rule 42)."""
    cli = instrumented(recording_client)
    seen: list[Any] = []
    option = click.Option(["--name"])
    cli.add_command(kind("go", params=[option], callback=lambda rest: seen.append(rest)))
    for args in (["x", "--no-telemetry"], ["--no-telemetry"], ["x", "--", "--no-telemetry"]):
        run(cli, "go", *args)
    assert seen == [("x", "--no-telemetry"), ("--no-telemetry",), ("x", "--", "--no-telemetry")]
    assert story(recording_client) == pair("acme go")  # after `--` it is data


def test_parameters_may_come_from_an_iterator(recording_client: RecordingClient) -> None:
    """A generator can be read once: the command keeps its options (rule 43)."""

    class Generated(click.Command):
        def get_params(self, ctx: click.Context) -> Any:
            return (parameter for parameter in super().get_params(ctx))

    cli = instrumented(recording_client)
    seen: list[Any] = []
    option = click.Option(["--name"])
    cli.add_command(Generated("go", params=[option], callback=lambda name: seen.append(name)))
    run(cli, "go", "--name", "x")
    assert seen == ["x"]
    assert story(recording_client) == pair("acme go", "name")
    assert "--no-telemetry" in CliRunner().invoke(cli, ["go", "--help"]).output


def test_asynchronous_commands_are_refused_at_the_declaration() -> None:
    """A hook would report every command of asyncclick as unfinished (rule 45)."""

    class Asynchronous(click.Command):
        async def invoke(self, ctx: click.Context) -> Any:
            return None

    with pytest.raises(DeclarationError, match=r"asyncio\.run"):
        instrument(Asynchronous("go"), app="acme")


def test_command_is_cloned_by_its_attributes(recording_client: RecordingClient) -> None:
    """The hooks do not look like arguments of a command's class (rule 48)."""
    cli = instrumented(recording_client)
    cli.add_command(click.Command("go", params=[click.Option(["--name"])], callback=lambda name: 1))
    run(cli, "go")
    command = cli.commands["go"]
    by_items = {k: v for k, v in vars(command).items() if not k.startswith("_")}
    by_names = {k: getattr(command, k) for k in vars(command) if not k.startswith("_")}
    for attributes in (by_items, by_names):
        clone = type(command)(**attributes)
        assert [parameter.name for parameter in clone.params] == ["name"]
    assert "invoke" not in list(vars(command))


def test_copies_of_a_hooked_command_run_their_own_callback(
    recording_client: RecordingClient,
) -> None:
    """Shallow copies, and copies of copies, stay instrumented (rule 3)."""
    cli = instrumented(recording_client)
    cli.add_command(click.Command("go", callback=lambda: "original"))
    run(cli, "go")
    recording_client.clear()
    for clone in (copy.copy(cli), copy.copy(copy.copy(cli))):
        clone.commands = {"go": click.Command("go", callback=lambda: "clone")}
        assert clone.main(["go"], standalone_mode=False) == "clone"
        assert story(recording_client) == pair("acme go")
        recording_client.clear()


class HostileMeta(type):
    """A metaclass whose look-ups raise."""

    @property
    def __mro__(cls) -> Any:
        raise RuntimeError("mro")


class Closed:
    """A callback such as an unbound proxy: its attributes cannot be listed."""

    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        raise RuntimeError("dict")

    def __call__(self) -> str:
        return "closed"


def test_callback_without_readable_attributes_is_recorded(
    recording_client: RecordingClient,
) -> None:
    """An exclusion is looked up on functions alone (rule 49)."""
    cli = instrumented(recording_client)
    cli.add_command(click.Command("go", callback=Closed()))
    assert cli.main(["go"], standalone_mode=False) == "closed"
    assert story(recording_client) == pair("acme go")


def test_hostile_look_ups_cost_nothing_but_events(recording_client: RecordingClient) -> None:
    """A metaclass's `__mro__`, a callback's `__module__`, a `__dict__` property (rule 49)."""

    class Hostile(click.Command, metaclass=HostileMeta):
        pass

    class Closed(click.Command):
        @property
        def __dict__(self) -> Any:  # type: ignore[override]
            raise RuntimeError("dict")

    class Named:
        __module__ = 7  # type: ignore[assignment]

        def __call__(self) -> str:
            return "named"

    cli = instrumented(recording_client)
    cli.add_command(Hostile("one", callback=lambda: "one"))
    cli.add_command(click.Command("three", callback=Named()))
    assert cli.main(["one"], standalone_mode=False) == "one"
    assert cli.main(["three"], standalone_mode=False) == "named"
    assert story(recording_client) == [*pair("acme one"), *pair("acme <plugin>")]
    single = instrument(click.Command("x", callback=Named()), app="acme", client=recording_client)
    assert single.main([], standalone_mode=False) == "named"
    try:
        cli.add_command(Closed("two", callback=lambda: "two"))
    except RuntimeError:
        return  # this Click reads the property itself
    bare = click.Group("bare", commands={"two": Closed("two", callback=lambda: "two")})
    try:
        expected: Any = bare.main(["two"], standalone_mode=False)
    except RuntimeError as error:
        expected = str(error)
    try:
        found: Any = cli.main(["two"], standalone_mode=False)
    except RuntimeError as error:
        found = str(error)
    assert found == expected


LAZY: dict[str, str] = {"foo": "foo.cli", "bar": "bar.cli"}


class LazyGroup(click.Group):
    """As in Click's documentation, with commands that are made here instead of imported."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *LAZY])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in LAZY:
            return click.Command(LAZY[cmd_name].partition(".")[2], callback=lambda: None)
        return super().get_command(ctx, cmd_name)


class CachingLazyGroup(LazyGroup):
    """Keeps what it has loaded among its commands."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = super().get_command(ctx, cmd_name)
        if found is not None:
            self.commands[cmd_name] = found
        return found


@pytest.mark.parametrize("kind", [LazyGroup, CachingLazyGroup])
def test_lazy_command_has_the_name_that_its_group_lists(
    recording_client: RecordingClient, kind: type[click.Group]
) -> None:
    """Not the name of its function, which is `cli` in every module."""
    cli = instrumented(recording_client, kind("cli"))
    for name in ("foo", "bar", "foo"):
        run(cli, name)
    assert story(recording_client) == [
        event for name in ("foo", "bar", "foo") for event in pair(f"acme {name}")
    ]


def test_commands_of_a_collection_have_their_own_names(recording_client: RecordingClient) -> None:
    """Two commands named `cli` in two sources are two commands."""
    sources = [
        click.Group(commands={name: click.Command("cli", callback=lambda: None)}) for name in "ab"
    ]
    cli = instrumented(recording_client, click.CommandCollection("cli", sources=sources))
    for name in "ab":
        run(cli, name)
    assert story(recording_client) == [*pair("acme a"), *pair("acme b")]


Spelling = Literal["same", "lower", "dashes", "prefix", "suffix", "registered"]


class AnyWord(click.Group):
    """Makes a command of any word."""

    spelling: Spelling = "same"

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = {
            "same": cmd_name,
            "lower": cmd_name.lower(),
            "dashes": cmd_name.replace("_", "-"),
            "prefix": f"run-{cmd_name}",
            "suffix": f"{cmd_name}-task",
            "registered": cmd_name,
        }[self.spelling]
        made = click.Command(name, params=[click.Option(["--secret-flag"], is_flag=True)])
        made.callback = lambda secret_flag: None
        if self.spelling == "registered":
            self.add_command(made, cmd_name)
        return made


@pytest.mark.parametrize("spelling", ["same", "lower", "dashes", "prefix", "suffix", "registered"])
def test_commands_made_of_any_word_are_dynamic(
    recording_client: RecordingClient, spelling: Spelling
) -> None:
    """What a person typed does not leave, in any spelling, nor the options that it got."""
    cli = instrumented(recording_client, AnyWord("cli"))
    cli.spelling = spelling
    for _ in range(2):
        run(cli, "My_Secret", "--secret-flag")
    assert "ecret" not in repr(recording_client.messages)
    assert story(recording_client)[0][1] == "acme <dynamic>"


def test_user_s_alias_is_not_reported(recording_client: RecordingClient) -> None:
    """A second registration under a name from a user's file: the command's own name is reported."""
    command = click.Command("deploy", callback=lambda: None)
    cli = instrumented(recording_client)
    cli.add_command(command, "my-alias")
    cli.add_command(command)
    run(cli, "my-alias")
    assert story(recording_client) == pair("acme deploy")


def chain(client: RecordingClient, *params: click.Parameter) -> Any:
    """A chain of two commands with an argument each."""
    cli = instrumented(client, click.Group("cli", chain=True, callback=lambda: None))
    for name in ("one", "two"):
        parameters = [click.Argument(["where"]), click.Option(["--dry-run"], is_flag=True), *params]
        cli.add_command(click.Command(name, params=parameters, callback=lambda **_: None))
    return cli


@pytest.mark.parametrize(
    "args",
    [
        ["one", "a", "--no-telemetry"],
        ["one", "a", "--no-telemetry", "two", "b"],
        ["one", "a", "two", "b", "--no-telemetry"],
        ["one", "--no-telemetry", "a", "two", "b"],
        ["--no-telemetry", "one", "a"],
        ["one", "a", "two", "--no-telemetry", "b"],
    ],
)
def test_flag_is_recognised_anywhere_in_a_chain(
    recording_client: RecordingClient, args: list[str]
) -> None:
    """After a command's argument too, where the next command's name is expected."""
    result = CliRunner().invoke(chain(recording_client), args)
    assert (result.exit_code, result.output) == (0, "")
    assert recording_client.messages == []


def test_chain_without_the_flag_is_recorded(recording_client: RecordingClient) -> None:
    """The control: one pair for each command."""
    result = CliRunner().invoke(chain(recording_client), ["one", "a", "two", "--dry-run", "b"])
    assert result.exit_code == 0
    assert [name for name, *_ in story(recording_client)] == [
        "Command Invoked",
        "Command Completed",
    ] * 2


@pytest.mark.parametrize(
    ("option", "args", "flag"),
    [
        (click.Option(["--color/--no-color"], default=True), ["--no-color"], "no_color"),
        (click.Option(["--color/--no-color"], default=True), ["--color"], "color"),
        (click.Option(["--prompt/--no-prompt", "-p/-P"]), ["-P"], "no_prompt"),
        (
            click.Option(["--no-cache", "cache"], flag_value=False, default=True),
            ["--no-cache"],
            "no_cache",
        ),
        (click.Option(["--color/--no-color"], expose_value=False), ["--no-color"], "color"),
        (click.Option(["--color/--no-color"], callback=lambda *_: 7), ["--no-color"], "color"),
    ],
)
def test_negative_form_is_reported_by_its_name(
    recording_client: RecordingClient, option: click.Option, args: list[str], flag: str
) -> None:
    """`--no-color` is `no_color`; where the value cannot be read, the positive name (rule 10)."""
    cli = instrumented(recording_client)
    cli.add_command(click.Command("go", params=[copy.copy(option)], callback=lambda **_: None))
    run(cli, "go", *args)
    assert story(recording_client) == pair("acme go", flag)


@pytest.fixture
def two_helps() -> click.Command:
    """A command with two help options."""

    def show(ctx: click.Context, *_: Any) -> None:
        return None

    return click.Command(
        "go",
        params=[
            click.Option(["--name"]),
            click.Option(
                ["--help"], is_flag=True, is_eager=True, expose_value=False, callback=show
            ),
            click.Option(["--help-all"], is_flag=True, is_eager=True, expose_value=False),
            click.Option(["--last"]),
        ],
        callback=lambda **_: None,
        add_help_option=False,
    )


def test_option_stands_before_the_first_help_option(
    recording_client: RecordingClient, two_helps: click.Command
) -> None:
    """With two of them, and where they are not the last; its name is a plain one."""
    cli = instrumented(recording_client)
    cli.add_command(two_helps)
    run(cli, "go")
    context = click.Context(cli)
    info = cli.get_command(context, "go").to_info_dict(click.Context(two_helps, parent=context))
    assert [one["name"] for one in info["params"]] == [
        "name",
        "no_telemetry",
        "help",
        "help_all",
        "last",
    ]


def test_application_s_own_parameter_of_that_name_is_left_alone(
    recording_client: RecordingClient,
) -> None:
    """An application may use `no_telemetry` for something else."""
    seen: list[Any] = []
    option = click.Option(["--quiet", "no_telemetry"], is_flag=True)
    cli = instrumented(recording_client)
    cli.add_command(
        click.Command(
            "go", params=[option], callback=lambda no_telemetry: seen.append(no_telemetry)
        )
    )
    run(cli, "go", "--quiet")
    assert (seen, len(recording_client.events)) == ([True], 2)
    run(cli, "go", "--no-telemetry")
    assert (seen, len(recording_client.events)) == ([True, False], 2)
