"""The group itself: how it is added, what it costs, whose Click it runs below."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

import click_telemetry
from click_telemetry import DeclarationError, instrument, telemetry_group
from click_telemetry._commands.group import NAMES
from click_telemetry.testing import RecordingClient

from ..harness.processes import Home


def application(**options: Any) -> click.Group:
    cli = click.Group("cli", commands={"deploy": click.Command("deploy", callback=lambda: None)})
    return instrument(cli, app="acme", **options)


def test_the_commands_are_these() -> None:
    """Each has the name under which it is listed, and a help text."""
    assert set(NAMES) == {"status", "enable", "disable", "show", "flush", "purge", "reset-id"}
    context = click.Context(telemetry_group())
    for name in NAMES:
        command = telemetry_group().get_command(context, name)
        assert command is not None
        assert command.name == name
        assert command.help
    assert telemetry_group().get_command(context, "nope") is None


@pytest.mark.parametrize("line", [["telemetry", "status"], ["--help"]])
def test_group_that_was_added_without_parentheses_names_the_fix(line: list[str]) -> None:
    """With a name of my own Click takes anything, and first asks it for something when it runs."""
    cli = click.Group("cli")
    unchecked: Any = cli.add_command
    unchecked(telemetry_group, "telemetry")
    with pytest.raises(DeclarationError, match=r"add_command\(telemetry_group\(\)\)"):
        cli.main(line, standalone_mode=False)


def test_a_command_is_made_once() -> None:
    """Looking it up again gives the same object."""
    group = telemetry_group()
    context = click.Context(group)
    assert group.get_command(context, "status") is group.get_command(context, "status")


def test_the_name_and_the_help_are_the_application_s(recording_client: RecordingClient) -> None:
    """Both are arguments of `telemetry_group`."""
    cli = application(client=recording_client)
    cli.add_command(telemetry_group("privacy", help="Shows what we know of you."))
    shown = CliRunner().invoke(cli, ["--help"]).output
    assert "privacy Shows what we know of you." in " ".join(shown.split())
    assert CliRunner().invoke(cli, ["privacy", "status", "--json"]).exit_code == 0


def test_a_client_sees_nothing_of_the_telemetry_commands(
    recording_client: RecordingClient,
) -> None:
    """They are excluded, with everything below them."""
    cli = application(client=recording_client)
    cli.add_command(telemetry_group())
    for words in (["status"], ["show"], ["nope"], []):
        CliRunner().invoke(cli, ["telemetry", *words])
    assert recording_client.messages == []


def test_help_does_not_offer_the_flag_that_it_does_not_need(
    recording_client: RecordingClient,
) -> None:
    """`--no-telemetry` works there, but its help does not list it."""
    cli = application(client=recording_client)
    cli.add_command(telemetry_group())
    for words in (["telemetry", "--help"], ["telemetry", "status", "--help"]):
        shown = CliRunner().invoke(cli, words).output
        assert "--help" in shown
        assert "--no-telemetry" not in shown


def test_the_help_has_the_style_of_the_application() -> None:
    """Plain below plain Click; boxes below an application that uses rich-click."""
    rich_click = pytest.importorskip("rich_click")
    for root, boxes in ((click.Group("cli"), False), (rich_click.RichGroup(name="cli"), True)):
        cli = instrument(root, app="acme")
        cli.add_command(telemetry_group())
        for words in (["telemetry", "--help"], ["telemetry", "status", "--help"]):
            result = CliRunner().invoke(cli, words)
            assert result.exit_code == 0
            assert ("╭─ Options" in result.output) is boxes
            assert "--no-telemetry" not in result.output


def test_no_line_of_the_help_is_cut_off() -> None:
    """In 80 columns each command's purpose is shown in full."""
    cli = application()
    cli.add_command(telemetry_group())
    shown = CliRunner().invoke(cli, ["telemetry", "--help"], terminal_width=80).output
    assert "..." not in shown.partition("Commands:")[2]


def test_the_help_is_in_the_order_of_use() -> None:
    """Reading first, deleting last, and not in alphabetical order."""
    cli = application()
    cli.add_command(telemetry_group())
    shown = CliRunner().invoke(cli, ["telemetry", "--help"]).output
    places = [shown.index(f" {name} ") for name in NAMES]
    assert places == sorted(places)


def test_without_an_instrumented_application_it_names_the_fix() -> None:
    """A maintainer's mistake gets exit code 2 and the fix."""
    cli = click.Group("cli")
    cli.add_command(telemetry_group())
    result = CliRunner().invoke(cli, ["telemetry", "status"])
    assert result.exit_code == 2
    assert "put @instrumented_group above" in result.output


def test_commands_and_options_are_completed() -> None:
    """Tab completes the commands and their options."""
    from click.shell_completion import ShellComplete

    cli = application()
    cli.add_command(telemetry_group())
    complete = ShellComplete(cli, {}, "acme", "_ACME_COMPLETE")
    assert [c.value for c in complete.get_completions(["telemetry"], "")] == [*NAMES]
    assert "--why" in [c.value for c in complete.get_completions(["telemetry", "status"], "--")]


def test_the_name_of_the_program_is_escaped() -> None:
    """A link to the application with control characters in its name does not reach the terminal."""
    cli = application(write_key="key")
    cli.add_command(telemetry_group())
    for words in (["status"], ["status", "--why"]):
        shown = CliRunner().invoke(cli, ["telemetry", *words], prog_name="a\x1b[2J\u202ec").output
        assert "a\\x1b[2J\\u202ec telemetry" in shown
        assert "\x1b" not in shown


COPIED = """
import vendored
from click_telemetry import instrument, telemetry_group

cli = vendored.Group("cli")
instrument(cli, app="acme", write_key="key")
cli.add_command(telemetry_group())
cli(prog_name="acme")
"""


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    ("words", "status", "stdout", "stderr"),
    [
        (["status"], 0, "Telemetry for acme is", ""),
        (["status", "--help"], 0, "List every switch", ""),
        (["--help"], 0, "reset-id", ""),
        (["nope"], 2, "", "No such command"),
        (["status", "--nope"], 2, "", "--nope"),
        (["flush"], 1, "", "Nothing was sent"),
    ],
)
def test_in_an_application_with_its_own_copy_of_click_it_ends_as_click_does(
    words: list[str], status: int, stdout: str, stderr: str, home: Home, tmp_path: Path
) -> None:
    """As Typer has one: no traceback, and the exit code of a script (rule 7)."""
    shutil.copytree(Path(click.__file__).parent, tmp_path / "vendored")
    (tmp_path / "app.py").write_text(COPIED)
    ran = subprocess.run(
        [sys.executable, str(tmp_path / "app.py"), "telemetry", *words],
        env={
            **home.environ,
            "PYTHONPATH": os.path.dirname(os.path.dirname(click_telemetry.__file__)),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, "Traceback" in ran.stderr) == (status, False), ran.stderr
    assert stdout in ran.stdout
    assert stderr in ran.stderr
