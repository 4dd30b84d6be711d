"""One rule for names, tried on the ways in which applications find and make their commands.

Only names that the code declares are reported; a word that a person typed, or has in a file,
is `<dynamic>`, and a command of another package `<plugin>`.
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import TYPE_CHECKING, Any

import click
import pytest

from click_telemetry import instrument

from ..harness.stories import pair, run, story

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from click_telemetry.testing import RecordingClient


def words(client: RecordingClient) -> list[str]:
    """The command paths that were reported, once for each pair."""
    return [command for _, command, *_ in story(client)[::2]]


def command(name: str, module: str = __name__) -> click.Command:
    """A command whose callback is a function of a module."""

    def callback() -> None:
        """It does nothing."""

    callback.__module__ = module
    return click.Command(name, callback=callback)


class LazyGroup(click.Group):
    """The class of Click's documentation ("Complex Applications"), word for word but for types."""

    def __init__(
        self, *args: Any, lazy_subcommands: dict[str, str] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        # lazy_subcommands is a map of the form:
        #
        #   {command-name} -> {module-name}.{command-object-name}
        #
        self.lazy_subcommands = lazy_subcommands or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        base = super().list_commands(ctx)
        lazy = sorted(self.lazy_subcommands.keys())
        return base + lazy

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self.lazy_subcommands:
            return self._lazy_load(cmd_name)
        return super().get_command(ctx, cmd_name)

    def _lazy_load(self, cmd_name: str) -> click.Command:
        # lazily loading a command, first get the module name and attribute name
        import_path = self.lazy_subcommands[cmd_name]
        modname, cmd_object_name = import_path.rsplit(".", 1)
        # do the import
        mod = importlib.import_module(modname)
        # get the Command object from that module
        cmd_object = getattr(mod, cmd_object_name)
        # check the result to make debugging easier
        if not isinstance(cmd_object, click.Command):
            raise ValueError(
                f"Lazy loading of {import_path} failed by returning a non-command object"
            )
        return cmd_object


@pytest.fixture
def modules() -> Iterator[Callable[..., types.ModuleType]]:
    """Makes modules of an application that can be imported for the time of a test."""
    made: list[str] = []

    def make(name: str, **contents: Any) -> types.ModuleType:
        module = sys.modules[name] = types.ModuleType(name)
        module.__file__ = f"/{name}.py"
        module.__dict__.update(contents)
        made.append(name)
        return module

    yield make
    for name in made:
        del sys.modules[name]


def test_lazy_group_of_clicks_documentation(
    recording_client: RecordingClient, modules: Callable[..., types.ModuleType]
) -> None:
    """Both commands are functions called `cli`; the group lists them as `foo` and `bar`."""
    modules("acme_foo", cli=command("cli"))
    bar = LazyGroup("cli", lazy_subcommands={"baz": "acme_baz.cli"}, callback=None)
    modules("acme_bar", cli=bar)
    modules("acme_baz", cli=command("cli"))
    lazy = {"foo": "acme_foo.cli", "bar": "acme_bar.cli"}
    cli = instrument(LazyGroup("main", lazy_subcommands=lazy), app="acme", client=recording_client)
    run(cli, "foo")
    run(cli, "bar", "baz")
    assert words(recording_client) == ["acme foo", "acme bar baz"]


def test_two_commands_called_cli_in_a_collection(recording_client: RecordingClient) -> None:
    """Click's CommandCollection merges groups."""
    first, second = click.Group("first"), click.Group("second")
    first.add_command(command("cli"), "db")
    second.add_command(command("cli"), "web")
    collection = click.CommandCollection("cli", sources=[first, second])
    cli = instrument(collection, app="acme", client=recording_client)
    run(cli, "db")
    run(cli, "web")
    assert words(recording_client) == ["acme db", "acme web"]


class EntryPoints(click.Group):
    """Loads plugins by entry point, as click-plugins and others do."""

    plugins: dict[str, click.Command] = {}  # noqa: RUF012

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *self.plugins])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return self.plugins.get(cmd_name) or super().get_command(ctx, cmd_name)


def test_plugins_by_entry_point(recording_client: RecordingClient) -> None:
    """The application's own plugin is named; another package's is not."""
    group = EntryPoints("cli")
    group.plugins = {"own": command("cli"), "theirs": command("cli", "someones_plugin")}
    cli = instrument(group, app="acme", client=recording_client)
    run(cli, "own")
    run(cli, "theirs")
    assert words(recording_client) == ["acme own", "acme <plugin>"]


class RegistersOnLookUp(click.Group):
    """Registers a command when it is asked for it, under the name that was typed."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.commands:
            self.add_command(command("task"), cmd_name)
        return super().get_command(ctx, cmd_name)


def test_group_that_registers_what_was_typed(recording_client: RecordingClient) -> None:
    """At the first look-up and at every later one."""
    cli = instrument(RegistersOnLookUp("cli"), app="acme", client=recording_client)
    for _ in range(3):
        run(cli, "janes-task")
    assert words(recording_client) == ["acme <dynamic>"] * 3


class Aliases(click.Group):
    """Registers a command once more under each alias of a person's file."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for alias, name in {"janes-word": "deploy", "second": "deploy"}.items():
            if alias not in self.commands:
                self.add_command(self.commands[name], alias)
        return super().get_command(ctx, cmd_name)


def test_aliases_from_a_persons_file(recording_client: RecordingClient) -> None:
    """The command's own name is reported, whichever alias was typed."""
    cli = instrument(Aliases("cli"), app="acme", client=recording_client)
    cli.add_command(command("deploy"))
    for typed in ("janes-word", "second", "deploy", "janes-word"):
        run(cli, typed)
    assert words(recording_client) == ["acme deploy"] * 4


@pytest.mark.parametrize(
    "spelling",
    [
        lambda word: word,
        str.lower,
        lambda word: word.replace("-", "_"),
        lambda word: f"run-{word}",
        lambda word: f"{word}-task",
        lambda word: word[::-1],
    ],
    ids=["as typed", "lower case", "underscores", "prefix", "suffix", "reversed"],
)
@pytest.mark.parametrize("registers", [True, False])
def test_group_that_makes_commands_from_any_word(
    spelling: Callable[[str], str], registers: bool, recording_client: RecordingClient
) -> None:
    """However it spells the word, the word stays here."""

    class Any_(click.Group):
        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
            made = command(spelling(cmd_name))
            if registers:
                self.add_command(made)
            return made

    cli = instrument(Any_("cli"), app="acme", client=recording_client)
    for _ in range(2):
        run(cli, "Jane-Doe")
    assert words(recording_client) == ["acme <dynamic>"] * 2


def test_flag_of_a_dynamic_command_stays_here_too(recording_client: RecordingClient) -> None:
    """Its options may be made from a person's words."""

    class Reads(click.Group):
        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
            made = command(cmd_name)
            made.params.append(click.Option([f"--{cmd_name}"], expose_value=False))
            return made

    cli = instrument(Reads("cli"), app="acme", client=recording_client)
    run(cli, "jane", "--jane", "x")
    assert story(recording_client) == pair("acme <dynamic>")
