"""The commands and flags of a plan are those that can be recorded, and no command is run."""

from __future__ import annotations

import sys

import pytest

from click_telemetry._plan.collect import load
from click_telemetry._plan.tree import CannotLoad, Tree

from ..harness.planned import Applications


def flags(tree: Tree) -> dict[str, list[str]]:
    """The flags of each command."""
    return {path: sorted(command.flags) for path, command in tree.commands.items()}


def test_commands_have_the_flags_of_all_levels(applications: Applications) -> None:
    """An on/off option has both of its names; `--help` and `--version` are never recorded."""
    plan = applications.plan(
        """
        cli.params = [click.Option(["--color/--no-color"]), click.Option(["-v", "--verbose"])]
        cli = click.version_option("1")(cli)

        @cli.group(invoke_without_command=True)
        @click.option("--as-json", "as_json", is_flag=True)
        def db(as_json): pass

        @db.command()
        @click.argument("name")
        @click.option("--no-wait", "wait", flag_value=False, is_flag=True, default=True)
        @click.option("--to", type=click.Choice(["a", "b"]))
        def migrate(name, wait, to): pass
        """
    )
    root = ["color", "no_color", "verbose"]
    assert flags(plan.tree) == {
        "acme db": sorted([*root, "as_json"]),
        "acme db migrate": sorted([*root, "as_json", "no_wait", "to"]),
    }


def test_names_are_those_of_the_registry(applications: Applications) -> None:
    """An alias of a command is reported under the command's own name, and chains under each."""
    plan = applications.plan(
        """
        @cli.group(chain=True)
        def pipeline(): pass

        @pipeline.command()
        def lint(): pass

        @cli.command()
        def deploy(): pass

        cli.add_command(deploy, "push")
        cli.add_command(click.Command("own", callback=deploy.callback), "one")
        """
    )
    assert list(flags(plan.tree)) == ["acme deploy", "acme one", "acme pipeline lint"]


def test_what_is_excluded_is_listed_apart(applications: Applications) -> None:
    """By the command or its function, with all that is below; the telemetry commands too."""
    plan = applications.plan(
        """
        @exclude
        @cli.group()
        def secret(): pass

        @secret.command()
        def inner(): pass

        @cli.command()
        @exclude
        def receiver(): pass

        @cli.command(hidden=True)
        def shown(): pass

        cli.add_command(telemetry_group())
        """
    )
    assert plan.tree.excluded == ["acme receiver", "acme secret"]
    assert list(flags(plan.tree)) == ["acme shown"]
    assert plan.tree.telemetry == "acme telemetry"


LAZY = """
from importlib import import_module

class Lazy(click.Group):
    def list_commands(self, ctx): return ["broken", "gone", "leaving", "works"]

    def get_command(self, ctx, name):
        if name == "gone": return None
        return import_module(f"{__package__}.{name}").command

@cli.group(cls=Lazy)
def lazy(): pass
"""
COMMAND = "import click\ncommand = click.Command('x', callback=lambda: None)\n"


def test_a_lazy_command_that_cannot_be_loaded_is_listed_with_the_reason(
    applications: Applications,
) -> None:
    """The others are loaded; below such a group a name may be unknown."""
    plan = applications.plan(
        LAZY, works=COMMAND, broken="import missing_module", leaving="raise SystemExit(3)"
    )
    assert plan.tree.unloadable == {
        "acme lazy broken": "ModuleNotFoundError: No module named 'missing_module'",
        "acme lazy gone": "LookupError: the group lists it, and has no such command",
        "acme lazy leaving": "SystemExit: 3",
    }
    assert plan.problems == plan.tree.unloadable
    assert plan.tree.open_groups == {"acme lazy": ("<dynamic>", "<plugin>")}
    assert list(flags(plan.tree)) == ["acme lazy works"]


def test_a_command_of_another_package_is_a_plugin(applications: Applications) -> None:
    """Its options are not listed, and one of ours below it has its name."""
    plan = applications.plan(
        """
        def foreign(function):
            function.__module__ = "elsewhere.plugin"
            return function

        @cli.group()
        @click.option("--theirs")
        @foreign
        def plugin(theirs): pass

        @plugin.command()
        @click.option("--also-theirs")
        @foreign
        def inner(also_theirs): pass

        @plugin.command()
        @click.option("--ours")
        def own(ours): pass
        """
    )
    assert flags(plan.tree) == {"acme <plugin> <plugin>": [], "acme <plugin> own": ["ours"]}


def test_each_group_of_a_plugin_host_may_have_plugins(applications: Applications) -> None:
    """The source looks for entry points: other machines have other plugins."""
    plan = applications.plan(
        """
        from importlib.metadata import entry_points

        @cli.group()
        def db(): pass

        for one in entry_points(group="planned.plugins"):
            cli.add_command(one.load())
        """
    )
    assert plan.tree.open_groups == {"acme": ("<plugin>",), "acme db": ("<plugin>",)}


def test_a_group_that_contains_itself_ends(applications: Applications) -> None:
    """The walk has a bound."""
    plan = applications.plan("cli.add_command(cli, 'again')\ncli.command()(lambda: None)")
    assert 1 < len(plan.tree.group_flags) < 30


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("demo_cli.main", "'demo_cli.main' is not MODULE:OBJECT, such as acme.main:cli"),
        ("demo_cli.missing:cli", "demo_cli.missing cannot be imported: ModuleNotFoundError"),
        ("demo_cli.main:nothing", "demo_cli.main has no nothing: name the root command"),
        ("demo_cli.api:PLANS", "it is a tuple, and no Click command"),
        ("demo_cli.deploy:deploy", "it is not instrumented once its module is imported: write @"),
    ],
)
def test_what_is_no_application_is_explained(target: str, problem: str) -> None:
    """The message names the fix."""
    with pytest.raises(CannotLoad) as caught:
        load(target)
    assert str(caught.value).startswith(problem)


def test_modules_are_found_from_the_current_directory(
    applications: Applications, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As flask and uvicorn find them; an attribute of an object is found too."""
    name = applications.write("class App: root = cli\ncli.command('go')(lambda: None)")
    monkeypatch.setattr(sys, "path", [path for path in sys.path if "pytest-of" not in path])
    monkeypatch.chdir(applications.directory)
    assert list(load(f"{name}.main:App.root").commands) == ["acme go"]


SUBCLASS = """
import typer, typer.core
from click_telemetry import *

class Instrumented(typer.core.TyperGroup):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        instrument(self, app="acme")

cli = typer.Typer(cls=Instrumented)
"""
ITSELF = """
import typer
from click_telemetry import *

cli = instrument(typer.Typer(), app="acme")
"""


@pytest.mark.parametrize("head", [SUBCLASS, ITSELF])
def test_a_typer_application_has_a_plan(head: str, applications: Applications) -> None:
    """The group that Typer makes of it, and what its functions record."""
    pytest.importorskip("typer")
    plan = applications.plan(
        """
        users = typer.Typer()
        cli.add_typer(users, name="users")

        @cli.callback()
        def main(): pass

        @cli.command()
        def deploy(dry_run: bool = False): track("Invoice Read")

        @users.command("list")
        def list_users(as_json: bool = typer.Option(False, "--json")): pass
        """,
        head=head,
    )
    assert flags(plan.tree) == {
        "acme deploy": ["dry_run", "no_dry_run"],
        "acme users list": ["as_json"],
    }
    assert "Invoice Read" in plan.events


def test_a_typer_application_of_one_command_has_a_plan(applications: Applications) -> None:
    """Typer makes no group of it."""
    pytest.importorskip("typer")
    plan = applications.plan(
        "@cli.command()\ndef main(name: str, formal: bool = False): pass\n", head=ITSELF
    )
    assert flags(plan.tree) == {"acme": ["formal", "no_formal"]}
