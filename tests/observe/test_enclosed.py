"""An opt-out on a command line applies to everything that the command starts in its process."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ..harness.processes import Cli

pytestmark = pytest.mark.contract

MakeCli = Callable[..., Cli]

SOURCE = """
import asyncio, os, sys, threading
import click
from click.testing import CliRunner
from click_telemetry import instrument, instrumented_group{imports}

@instrumented_group(app="acme", version="2.1.0", write_key="key", notice=False)
@click.group()
def cli():
    pass

@cli.command()
def migrate():
    click.echo("migrated")

@click.command()
def other():
    click.echo("other")

instrument(other, app="other", version="1.0.0", write_key="key", notice=False)

def nested():
    cli.main(["migrate"], standalone_mode=False)

def in_runner():
    print(CliRunner().invoke(cli, ["migrate"]).output, end="")

def in_thread():
    thread = threading.Thread(target=nested)
    thread.start()
    thread.join()

def in_child():
    child = os.fork()
    if child == 0:
        nested()
        os._exit(0)
    os.waitpid(child, 0)

def in_task():
    asyncio.run(asyncio.to_thread(nested))

def in_other_application():
    other.main([], standalone_mode=False)

@cli.command()
@click.argument("how")
def up(how):
    globals()[how]()
    click.echo("up")

if __name__ == "__main__":
    cli()
"""

WAYS = ("nested", "in_runner", "in_thread", "in_child", "in_task", "in_other_application")


@pytest.mark.sample(4)
@pytest.mark.parametrize("tracks", [False, True], ids=["plain", "with track"])
@pytest.mark.parametrize("how", WAYS)
def test_opt_out_applies_to_what_the_command_starts(
    make_cli: MakeCli, how: str, tracks: bool
) -> None:
    """`acme up --no-telemetry` records nothing, whatever `up` runs (rule 41)."""
    cli = make_cli(SOURCE.replace("{imports}", ", track" if tracks else ""))
    ran = cli.run("up", how, "--no-telemetry")
    assert (ran.returncode, ran.stderr, ran.stdout.splitlines()[-1]) == (0, "", "up")
    assert cli.home.files() == []


@pytest.mark.parametrize("how", [way for way in WAYS if way != "in_runner"])
def test_without_an_opt_out_the_nested_command_is_recorded(make_cli: MakeCli, how: str) -> None:
    """The control: the same ways record, each in its own invocation."""
    cli = make_cli(SOURCE.replace("{imports}", ""))
    cli.environ["CLICK_TELEMETRY_SENDER"] = "1"  # no sender empties the spool
    assert cli.run("up", how).returncode == 0
    files = [*cli.home.spooled(), *cli.home.spooled("other")]
    assert len(files) == 2


@pytest.mark.parametrize("name", ["DO_NOT_TRACK", "ACME_NO_TELEMETRY"])
def test_variable_of_one_application_covers_the_other_inside_it(
    make_cli: MakeCli, name: str
) -> None:
    """A person's opt-out of the outer command holds for the application that it runs."""
    cli = make_cli(SOURCE.replace("{imports}", ""))
    assert cli.run("up", "in_other_application", env={name: "1"}).returncode == 0
    assert cli.home.files() == []


def test_opt_out_ends_with_its_command(make_cli: MakeCli) -> None:
    """What the program runs after an opted-out command is decided anew."""
    source = SOURCE.replace("{imports}", "").replace(
        "    cli()\n",
        '    cli.main(["up", "nested", "--no-telemetry"], standalone_mode=False)\n'
        '    cli.main(["migrate"], standalone_mode=False)\n',
    )
    cli = make_cli(source)
    cli.environ["CLICK_TELEMETRY_SENDER"] = "1"
    assert cli.run().returncode == 0
    assert len(cli.home.spooled()) == 1


UNDECIDED = """
import sys, threading
import click
from click_telemetry import child_env, exclude, instrument

def in_thread(call):
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()

def work():
    call = lambda: other.main([], standalone_mode=False)
    in_thread(call) if "in a thread" in sys.argv else call()
    print(child_env({}))

@click.group()
def cli(): pass

@exclude
@cli.command()
@click.argument("how")
def excluded(how): work()

@cli.group()
@click.argument("how")
def group(how): work()

@group.command()
def leaf(): pass

@click.command()
def other(): pass

for command in (cli, other):
    instrument(command, app="acme" if command is cli else "other", write_key="key", notice=False)
cli()
"""
"""Commands of `acme` about which nothing is decided before they run `other`."""


@pytest.mark.sample(4)
@pytest.mark.parametrize("how", ["directly", "in a thread"])
@pytest.mark.parametrize("words", [("excluded",), ("group", "leaf")], ids=["excluded", "group"])
@pytest.mark.parametrize(
    ("setting", "recorded"),
    [
        ('{"enabled": false}', {"acme": 0, "other": 0}),
        ('{"enabled": "false"', {"acme": 0, "other": 0}),
        ('{"enabled": true}', {"acme": 1, "other": 1}),
    ],
)
def test_saved_opt_out_applies_before_anything_is_decided(
    make_cli: MakeCli, setting: str, recorded: dict[str, int], words: tuple[str, ...], how: str
) -> None:
    """An excluded command, or a group's callback, starts another application or a process."""
    cli = make_cli(UNDECIDED)
    cli.environ["CLICK_TELEMETRY_SENDER"] = "1"
    cli.home.choice().parent.mkdir(parents=True)
    cli.home.choice().write_text(setting)
    ran = cli.run(words[0], how, *words[1:])
    assert (ran.returncode, ran.stderr) == (0, "")
    found = {app: len(cli.home.spooled(app)) for app in recorded}
    assert found == {**recorded, "acme": recorded["acme"] * (words[0] == "group")}
    assert ("CLICK_TELEMETRY_OFF" in ran.stdout) is (recorded["other"] == 0)
