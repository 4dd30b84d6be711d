"""The command path and the flags: what the developer declared, never what the user typed."""

from __future__ import annotations

import os
from typing import Any

import click
import pytest
from click.testing import CliRunner

from click_telemetry import instrument, instrumented_group
from click_telemetry.testing import RecordingClient

from ..harness.stories import pair, run, story


def instrumented(client: RecordingClient, group: click.Group | None = None) -> click.Group:
    return instrument(group if group is not None else click.Group("cli"), app="acme", client=client)


def command(name: str | None = "deploy", *params: click.Parameter) -> click.Command:
    return click.Command(name, params=list(params), callback=lambda **_: None)


def test_path_begins_with_the_configured_name(recording_client: RecordingClient) -> None:
    """What the program was started as can be a path with a person's name (rule 25)."""
    cli = instrumented(recording_client)
    cli.add_command(command())
    CliRunner().invoke(cli, ["deploy"], prog_name="/home/jane/bin/cli")
    assert story(recording_client) == pair("acme deploy")


def test_path_has_no_arguments_of_groups(recording_client: RecordingClient) -> None:
    """Click's own command path carries the groups' argument metavars (rule 25)."""
    cli = instrumented(recording_client)
    group = click.Group("apps", params=[click.Argument(["app_id"])], callback=lambda app_id: None)
    group.add_command(command("show"))
    cli.add_command(group)
    run(cli, "apps", "shop-4711", "show")
    assert story(recording_client) == pair("acme apps show")


class Aliases(click.Group):
    """Takes prefixes of names."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = [name for name in self.commands if name.startswith(cmd_name)]
        return self.commands[found[0]] if len(found) == 1 else None


def test_abbreviation_becomes_the_registered_name(recording_client: RecordingClient) -> None:
    """`dep` is recorded as `deploy` (rule 26)."""
    cli = instrumented(recording_client, Aliases("cli"))
    cli.add_command(command("deploy"))
    run(cli, "dep")
    assert story(recording_client) == pair("acme deploy")


def test_alias_becomes_the_registered_name(recording_client: RecordingClient) -> None:
    """A command registered under a key other than its name is recorded by its key (rule 26)."""
    cli = instrumented(recording_client)
    cli.add_command(command("deploy"), "ship")
    run(cli, "ship")
    assert story(recording_client) == pair("acme ship")


class Lazy(click.Group):
    """Makes a new object at each look-up, as plugin loaders do."""

    listed: tuple[str, ...] = ()
    own_name: str | None = None

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return command(self.own_name or cmd_name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.listed)


@pytest.mark.parametrize(
    ("listed", "own_name", "segment"),
    [
        (("db",), None, "db"),
        (("db",), "database", "db"),
        (("database",), "database", "database"),
        ((), "database", "<dynamic>"),
        ((), None, "<dynamic>"),
    ],
    ids=[
        "typed name is listed",
        "typed name is listed, and the command has another",
        "command's name is listed",
        "neither is listed",
        "created from the typed name",
    ],
)
def test_command_in_no_registry_is_reported_by_a_name_that_its_group_lists(
    listed: tuple[str, ...], own_name: str | None, segment: str, recording_client: RecordingClient
) -> None:
    """A typed name leaves the machine only if the group lists it (rule 26)."""
    group = Lazy("cli")
    group.listed, group.own_name = listed, own_name
    run(instrumented(recording_client, group), "db")
    assert story(recording_client) == pair(f"acme {segment}")


def test_options_of_a_dynamic_command_are_not_reported(recording_client: RecordingClient) -> None:
    """No group declares the command, so its options may be a person's words too (rule 26)."""

    class Reading(click.Group):
        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
            return command(cmd_name, click.Option([f"--{cmd_name}-name"]))

    cli = instrumented(recording_client, Reading("cli", params=[click.Option(["--profile"])]))
    run(cli, "--profile", "p", "jane", "--jane-name", "x")
    assert story(recording_client) == pair("acme <dynamic>", "profile")


def test_listing_is_asked_for_only_at_the_last(recording_client: RecordingClient) -> None:
    """Some groups load the user's code to list their commands (rules 26, 33)."""

    class Shy(click.Group):
        def list_commands(self, ctx: click.Context) -> list[str]:
            raise AssertionError("asked")

    cli = instrumented(recording_client, Shy("cli"))
    cli.add_command(command())
    run(cli, "deploy")
    assert story(recording_client) == pair("acme deploy")


def test_command_is_looked_up_once(recording_client: RecordingClient) -> None:
    """Some groups print at each look-up (rule 33)."""

    class Talking(click.Group):
        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
            click.echo("looked up")
            return super().get_command(ctx, cmd_name)

    cli = instrumented(recording_client, Talking("cli"))
    cli.add_command(command())
    assert run(cli, "deploy").output == "looked up\n"


def test_lazy_group_stays_lazy(recording_client: RecordingClient) -> None:
    """Only the command that is run is ever made."""
    made: list[str] = []

    class Loader(click.Group):
        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
            made.append(cmd_name)
            return command(cmd_name)

        def list_commands(self, ctx: click.Context) -> list[str]:
            return [f"command-{n}" for n in range(1000)]

    run(instrumented(recording_client, Loader("cli")), "command-7")
    assert made == ["command-7"]
    assert story(recording_client) == pair("acme command-7")


def test_flags_are_names_of_what_was_typed(
    recording_client: RecordingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every kind of typed option counts; one that is off by its negative form (rules 9, 10)."""
    cli = instrumented(recording_client)
    cli.add_command(
        command(
            "deploy",
            click.Option(["--dry-run/--no-dry-run"]),
            click.Option(["-v", "--verbose"], count=True),
            click.Option(["-m", "--message"], multiple=True),
            click.Option(["--region"], default="eu"),
            click.Option(["--tag"], is_flag=False, flag_value="latest"),
            click.Option(["--secret"], expose_value=False),
            click.Option(["--inner"], hidden=True),
            click.Option(["--early"], is_eager=True),
            click.Option(["--token"], envvar="ACME_TOKEN"),
            click.Option(["--name"], prompt=True),
            click.Option(["--size"]),
            click.Option(["--unused"]),
            click.Argument(["target"]),
        )
    )
    monkeypatch.setenv("ACME_TOKEN", "hunter2")
    typed = "--no-dry-run -vv -m a -m b --region eu --tag --secret s --inner i --early e prod"
    run(cli, "deploy", *typed.split(), input="jane\n", default_map={"deploy": {"size": "xl"}})
    flags = ["early", "inner", "message", "no_dry_run", "region", "secret", "tag", "verbose"]
    assert story(recording_client) == pair("acme deploy", *flags)


@pytest.mark.parametrize(
    ("typed", "flag"), [("--no-reload", "no_reload"), ("--reload", "reload"), ("--fast", "build")]
)
def test_flags_that_share_a_name_are_recorded_as_the_one_that_was_typed(
    typed: str, flag: str, recording_client: RecordingClient
) -> None:
    """`--no-reload` and `--reload` may be two options, one for each value (rule 10)."""
    cli = instrumented(recording_client)
    cli.add_command(
        command(
            "serve",
            click.Option(["--no-reload", "reload"], flag_value=False, type=bool),
            click.Option(["--reload", "reload"], flag_value=True, type=bool, default=True),
            click.Option(["--fast", "build"], flag_value="fast"),
            click.Option(["--slow", "build"], flag_value="slow"),
        )
    )
    assert run(cli, "serve", typed).exit_code == 0
    assert story(recording_client) == pair("acme serve", flag)


def test_flags_of_every_group_above_are_recorded(recording_client: RecordingClient) -> None:
    """`acme --profile p db --force migrate --step 2` has three flags (rule 11)."""
    cli = instrumented(recording_client, click.Group("cli", params=[click.Option(["--profile"])]))
    group = click.Group("db", params=[click.Option(["--force"], is_flag=True)])
    group.add_command(command("migrate", click.Option(["--step"])))
    cli.add_command(group)
    run(cli, *["--profile", "p", "db", "--force", "migrate", "--step", "2"])
    assert story(recording_client) == pair("acme db migrate", "force", "profile", "step")


def test_parameters_added_at_run_time_are_recorded(recording_client: RecordingClient) -> None:
    """A class may add options when it is asked for them (rule 36)."""

    class Adding(click.Command):
        def get_params(self, ctx: click.Context) -> list[click.Parameter]:
            return [*super().get_params(ctx), click.Option(["--extra"], expose_value=False)]

    cli = instrumented(recording_client)
    cli.add_command(Adding("deploy", callback=lambda: None))
    assert run(cli, "deploy", "--extra", "x").exit_code == 0
    assert story(recording_client) == pair("acme deploy", "extra")


def test_command_shared_with_a_plain_tree_stays_plain_there(
    recording_client: RecordingClient,
) -> None:
    """Without an instrumented root above there are no events and no flag (rule 1)."""
    shared = command()
    cli = instrumented(recording_client)
    cli.add_command(shared)
    plain = click.Group("plain", commands={"deploy": shared})
    run(cli, "deploy")
    recording_client.clear()
    assert run(plain, "deploy").exit_code == 0
    assert run(plain, "deploy", "--no-telemetry").exit_code == 2
    assert "--no-telemetry" not in run(plain, "deploy", "--help").output
    assert story(recording_client) == []


def test_two_roots_record_each_with_its_own_name() -> None:
    """Two instrumented trees that share a command never meet (rules 1, 40)."""
    one, two = RecordingClient(), RecordingClient()
    shared = command()
    first = instrumented_group(app="one", client=one)(click.Group("x", commands={"go": shared}))
    second = instrumented_group(app="two", client=two)(click.Group("x", commands={"go": shared}))
    environ: dict[str, Any] = {name: None for name in os.environ if "TELEMETRY" in name}
    for group in (first, second, first):
        run(group, "go", env=environ)
    assert story(one) == pair("one go") * 2
    assert story(two) == pair("two go")
