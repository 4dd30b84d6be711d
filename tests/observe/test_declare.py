"""What an application writes: every way to instrument, and every mistake with its fix."""

from __future__ import annotations

import functools
from functools import update_wrapper
from typing import Any

import click
import pytest

from click_telemetry import (
    DeclarationError,
    InstrumentedGroup,
    exclude,
    instrument,
    instrumented_group,
    telemetry_group,
)
from click_telemetry.testing import RecordingClient

from ..harness.rich import rich_classes
from ..harness.stories import pair, run, story


def with_deploy(group: click.Group) -> click.Group:
    group.add_command(click.Command("deploy", callback=lambda: None))
    return group


def test_decorator_makes_a_group_of_a_function(recording_client: RecordingClient) -> None:
    """On a function the decorator makes the group, and passes Click's options on."""

    @instrumented_group(app="acme", client=recording_client, help="Runs things.")
    def cli() -> None: ...

    assert isinstance(cli, InstrumentedGroup)
    assert (cli.name, cli.help) == ("cli", "Runs things.")
    run(with_deploy(cli), "deploy")
    assert story(recording_client) == pair("acme deploy")


def test_decorator_makes_a_group_bare() -> None:
    """It works bare on a function too; the application's name is its package's."""

    @instrumented_group
    def cli() -> None: ...

    assert isinstance(cli, InstrumentedGroup)


@pytest.mark.parametrize("kind", [click.Group, *rich_classes("RichGroup"), InstrumentedGroup])
def test_decorator_takes_an_existing_group_of_any_class(
    kind: type[click.Group], recording_client: RecordingClient
) -> None:
    """On a group it instruments that very object, whatever its class."""
    group = with_deploy(kind("cli"))
    assert instrumented_group(app="acme", client=recording_client)(group) is group
    assert type(group) is kind
    run(group, "deploy")
    assert story(recording_client) == pair("acme deploy")


def test_decorator_makes_a_group_of_the_class_that_is_asked_for(
    recording_client: RecordingClient,
) -> None:
    """`cls=` goes on to Click."""
    rich_click = pytest.importorskip("rich_click")

    @instrumented_group(cls=rich_click.RichGroup, app="acme", client=recording_client)
    def cli() -> None: ...

    assert type(cli) is rich_click.RichGroup
    run(with_deploy(cli), "deploy")
    assert story(recording_client) == pair("acme deploy")


def test_group_class_instruments_itself(recording_client: RecordingClient) -> None:
    """`cls=InstrumentedGroup` takes the options as `telemetry`."""
    options = {"app": "acme", "client": recording_client}

    @click.group(cls=InstrumentedGroup, telemetry=options)
    def cli() -> None: ...

    run(with_deploy(cli), "deploy")
    assert story(recording_client) == pair("acme deploy")


def test_subclass_that_overrides_invoke_does_not_slip_past(
    recording_client: RecordingClient,
) -> None:
    """A subclass with an `invoke` of its own is observed all the same."""

    class Own(InstrumentedGroup):
        def invoke(self, ctx: click.Context) -> Any:
            return "own" if super().invoke(ctx) is None else "?"

    cli = with_deploy(Own("cli", telemetry={"app": "acme", "client": recording_client}))
    assert cli.main(["deploy"], standalone_mode=False) == "own"
    assert story(recording_client) == pair("acme deploy")


def test_one_command_application_is_instrumented_with_instrument(
    recording_client: RecordingClient,
) -> None:
    """`instrument` takes the single command of an application without sub-commands."""

    @click.command()
    @click.option("--verbose", is_flag=True)
    def hello(verbose: bool) -> None: ...

    assert instrument(hello, app="acme", client=recording_client) is hello
    run(hello, "--verbose")
    assert story(recording_client) == pair("acme", "verbose")


def test_instrumenting_twice_gives_one_pair(recording_client: RecordingClient) -> None:
    """Stacked declarations add up, and each command is still recorded once."""
    options = {"app": "acme"}

    @instrumented_group
    @instrumented_group(client=recording_client)
    @click.group(cls=InstrumentedGroup, telemetry=options)
    def cli() -> None: ...

    run(with_deploy(cli), "deploy")
    assert story(recording_client) == pair("acme deploy")


def test_callback_without_a_name_can_be_instrumented(recording_client: RecordingClient) -> None:
    """A partial has no `__name__` and no `__module__` of its own (rule 34)."""
    cli = click.Group("tool", callback=functools.partial(lambda: None))
    instrument(cli, app="acme", client=recording_client)
    run(with_deploy(cli), "deploy")
    assert story(recording_client) == pair("acme deploy")


def test_excluded_function_excludes_the_command_that_is_made_of_it(
    recording_client: RecordingClient,
) -> None:
    """`@exclude` may stand below the command's decorator, and on a function of Typer's."""
    cli = instrument(click.Group("cli"), app="acme", client=recording_client)

    @cli.command()
    @exclude
    @click.pass_context
    def below(context: click.Context) -> None: ...

    @exclude
    def function() -> None: ...

    def wrapper() -> None: ...

    cli.add_command(click.Command("wrapped", callback=update_wrapper(wrapper, function)))
    run(cli, "below")
    run(cli, "wrapped")
    assert recording_client.events == []


def test_excluded_command_and_what_is_below_it_are_not_recorded(
    recording_client: RecordingClient,
) -> None:
    """`@exclude` leaves a command or a whole group out."""

    @instrumented_group(app="acme", client=recording_client)
    def cli() -> None: ...

    @exclude
    @cli.command()
    def receiver() -> None: ...

    @exclude
    @cli.group()
    def internal() -> None: ...

    @internal.command()
    def poke() -> None: ...

    assert run(cli, "receiver").exit_code == 0
    assert run(cli, "internal", "poke").exit_code == 0
    assert story(recording_client) == []


def declared(**options: Any) -> click.Group:
    """An instrumented group."""
    return instrument(click.Group("db", callback=lambda: None), **options)


@pytest.mark.parametrize("app", ["acme", None], ids=["plain", "derived"])
@pytest.mark.parametrize("depth", [1, 2])
def test_sub_group_that_declares_its_application_otherwise_is_an_error(
    app: str | None, depth: int
) -> None:
    """Its key would have no effect below the root, and no message would state that."""
    below = declared(app="tests" if app is None else app, write_key="sk_2")
    for _ in range(depth - 1):
        below = click.Group("middle", commands=[below])
    root = click.Group("cli", commands=[below], callback=lambda: None)
    options: dict[str, Any] = {} if app is None else {"app": app}
    if depth > 1:
        options["properties"] = {"team": "factory"}  # a declaration that is checked as a whole
    with pytest.raises(DeclarationError) as caught:
        instrument(root, write_key="sk_1", **options)
    assert "the sub-command 'db' declares write_key" in str(caught.value)
    assert "remove the declaration of 'db'" in str(caught.value)
    assert "sk_" not in str(caught.value)


@pytest.mark.parametrize(
    "below",
    [
        declared(app="other", write_key="sk_2"),
        declared(app="acme"),
        declared(app="acme", write_key="sk_1"),
        telemetry_group(),
        exclude(click.Command("db")),
    ],
    ids=["an application of its own", "no option", "the same option", "our group", "excluded"],
)
def test_other_commands_below_a_root_are_no_mistake(below: click.Command) -> None:
    """A mounted application runs alone, too, with its own declaration."""
    root = click.Group("cli", commands=[below, click.Command("x")], callback=lambda: None)
    assert instrument(root, app="acme", write_key="sk_1") is root


def a_function() -> None: ...


async def a_coroutine_function() -> None: ...


def untyped(thing: Any) -> Any:
    """What a caller without a type checker sees."""
    return thing


MISTAKES: list[tuple[str, Any, str]] = [
    ("a path as name", lambda: instrument(click.Group("x"), app="../x"), "app='x'"),
    (
        "a coroutine function",
        lambda: instrumented_group(app="x")(a_coroutine_function),
        "calls asyncio.run()",
    ),
    ("an empty name", lambda: instrument(click.Group("x"), app=""), "is empty"),
    ("a NUL in the name", lambda: instrument(click.Group("x"), app="a\0b"), "app='a-b'"),
    ("a device's name", lambda: instrument(click.Group("x"), app="CON"), "reserved on Windows"),
    (
        "a name that is no string",
        lambda: untyped(instrument)(click.Group("x"), app=1),
        'app="acme"',
    ),
    (
        "a write key that is no string",
        lambda: untyped(instrument)(click.Group("x"), write_key=7),
        "string",
    ),
    (
        "a property key that is none",
        lambda: untyped(instrument)(click.Group("x"), properties={1: 2}),
        "key",
    ),
    ("a base property", lambda: instrument(click.Group("x"), properties={"flags": 1}), "rename"),
    (
        "an unknown option",
        lambda: untyped(instrument)(click.Group("x"), wite_key="k"),
        "'write_key'",
    ),
    (
        "the same on a function",
        lambda: untyped(instrumented_group)(wite_key="k")(a_function),
        "'write_key'",
    ),
    ("the same on a group", lambda: untyped(instrumented_group)(ap="k")(click.Group("x")), "'app'"),
    ("a plain function", lambda: instrument(a_function), "@click.command()"),
    ("a class", lambda: instrument(click.Group), "pass an instance"),
    ("a number", lambda: instrument(3), "not int"),
    ("no command", lambda: untyped(instrument)(app="acme"), "@instrumented_group(app=…)"),
    (
        "options of telemetry beside it",
        lambda: InstrumentedGroup("x", app="acme"),
        "telemetry={'app': …}",
    ),
    (
        "telemetry_group without parentheses",
        lambda: untyped(click.Group("x")).add_command(telemetry_group),
        "cli.add_command(telemetry_group())",
    ),
    ("a name instead of a keyword", lambda: untyped(instrumented_group)("acme"), '(app="acme")'),
    ("a single command", lambda: instrumented_group(click.Command("x")), "instrument(command"),
    ("exclude on a class", lambda: exclude(click.Command), "above the function"),
    ("exclude on a name", lambda: exclude("deploy"), "above the function"),
    ("options by position", lambda: untyped(InstrumentedGroup)("x", telemetry=["app"]), "by name"),
    (
        "an option that is no string",
        lambda: untyped(InstrumentedGroup)("x", telemetry={1: 2}),
        "by name",
    ),
    ("http", lambda: instrument(click.Group("x"), host="http://example.com"), "https"),
    (
        "a client class",
        lambda: untyped(instrument)(click.Group("x"), client=RecordingClient),
        "instance",
    ),
]


@pytest.mark.parametrize(
    ("mistake", "fix"),
    [(mistake, fix) for _, mistake, fix in MISTAKES],
    ids=[name for name, _, _ in MISTAKES],
)
def test_mistake_in_a_declaration_names_its_fix(mistake: Any, fix: str) -> None:
    """What cannot work raises at import, with a message that names the fix."""
    with pytest.raises(DeclarationError) as raised:
        mistake()
    assert fix in str(raised.value)
    assert isinstance(raised.value, TypeError)
    assert isinstance(raised.value, ValueError)


def test_other_errors_of_clicks_stay_its_own() -> None:
    """A TypeError that is not about an option of ours is not rewritten."""
    with pytest.raises(TypeError) as raised:
        untyped(instrumented_group)(cls=int)(a_function)
    assert not isinstance(raised.value, DeclarationError)
