"""Resources from run to run: counted in one small file, never named, forgotten with the rest."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from click_telemetry.identifiers import is_random_id

from ..harness.processes import Cli, Home
from ..harness.senders import wait_for_end
from ..harness.server import Server

pytestmark = pytest.mark.contract

SOURCE = """
import click
from click_telemetry import instrumented_group, resource, telemetry_group

@instrumented_group(app="acme", version="1", write_key="key", notice=False)
@click.group()
def cli(): pass

@cli.command()
@click.argument("name")
def create(name): resource("Machine", name).created(region="eu")

@cli.command()
@click.argument("name")
def connect(name): resource("Machine", name).connected()

@cli.command()
@click.argument("name")
def delete(name): resource("Machine", name).deleted()

cli.add_command(telemetry_group())
cli()
"""

NAME = "my-secret-project"


@pytest.fixture
def acme(make_cli: Callable[..., Cli], server: Server) -> Cli:
    """An application that makes machines."""
    made = make_cli(SOURCE)
    made.environ["ACME_TELEMETRY_HOST"] = server.url
    return made


def own(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Name and properties of the machines' events."""
    keys = ("resource_id", "connect_count", "lifetime_hours", "region")
    return [
        {
            "event": message["event"],
            **{key: message["properties"][key] for key in keys if key in message["properties"]},
        }
        for message in messages
        if message.get("event", "").startswith("Machine ")
    ]


def logged(cli: Cli, *args: str) -> list[dict[str, Any]]:
    """The same of a run in log mode."""
    done = cli.run(*args, env={"ACME_TELEMETRY": "log"})
    return own([json.loads(line) for line in done.stderr.splitlines()])


def test_a_life_over_four_runs(acme: Cli, server: Server, home: Home) -> None:
    """Created, connected to twice, deleted: one ID, which nobody can lead back (row C4)."""
    for command in ("create", "connect", "connect"):
        assert acme.run(command, NAME).stderr == ""
    state = home.state() / "resources.json"
    (kept,) = json.loads(state.read_text()).values()
    assert kept["connect_count"] == 2
    assert acme.run("delete", NAME).stderr == ""
    told = own(server.wait_for(12))
    one = {"resource_id": kept["telemetry_id"]}
    assert told == [
        {"event": "Machine Created", **one, "region": "eu"},
        {"event": "Machine Connected", **one, "connect_count": 1},
        {"event": "Machine Connected", **one, "connect_count": 2},
        {"event": "Machine Deleted", **one, "connect_count": 2, "lifetime_hours": 0.0},
    ]
    assert is_random_id(kept["telemetry_id"])
    assert json.loads(state.read_text()) == {}
    wait_for_end(home)
    for path in home.path.rglob("*"):
        assert not path.is_file() or NAME.encode() not in path.read_bytes()
    assert NAME not in json.dumps(server.messages)


def test_log_mode_knows_the_count_and_changes_nothing(
    acme: Cli, server: Server, home: Home
) -> None:
    """Each message as it would be sent; not a byte is written for it."""
    acme.run("connect", NAME)
    wait_for_end(home)
    before = {path: path.stat().st_mtime_ns for path in home.path.rglob("*")}
    for _ in range(2):
        assert [one["connect_count"] for one in logged(acme, "connect", NAME)] == [2]
    assert {path: path.stat().st_mtime_ns for path in home.path.rglob("*")} == before
    (kept,) = json.loads((home.state() / "resources.json").read_text()).values()
    assert logged(acme, "delete", NAME)[0]["resource_id"] == kept["telemetry_id"]


@pytest.mark.parametrize(
    ("args", "env"),
    [((), {"DO_NOT_TRACK": "1"}), (("--no-telemetry",), {}), ((), {"CI": "1"})],
    ids=["variable", "flag", "CI"],
)
def test_off_writes_nothing(
    args: tuple[str, ...], env: dict[str, str], acme: Cli, home: Home
) -> None:
    """Neither the file nor its lock."""
    assert acme.run(*args, "connect", NAME, env=env).returncode == 0
    assert home.files() == []


def test_purging_forgets_the_resources_too(acme: Cli, server: Server, home: Home) -> None:
    """They lie in the folder that is deleted; the next connection is the first, of another ID."""
    acme.run("connect", NAME)
    wait_for_end(home)
    (kept,) = json.loads((home.state() / "resources.json").read_text()).values()
    purged = acme.run("telemetry", "purge")
    assert purged.returncode == 0, purged.stdout + purged.stderr
    assert not home.state().exists()
    (anew,) = logged(acme, "connect", NAME)
    assert anew["connect_count"] == 1
    assert anew["resource_id"] != kept["telemetry_id"]


def test_watching_leaves_the_person_s_records_alone(acme: Cli, home: Home) -> None:
    """A watched run counts in the watcher's own folder (row 102)."""
    watch = [str(Path(sys.executable).with_name("click-telemetry")), "watch", "--json", "--"]
    done = subprocess.run(
        [*watch, *acme.command("connect", NAME)],
        env={**acme.env(), "TMPDIR": str(home.path.parent)},
        capture_output=True,
        text=True,
        timeout=60,
        cwd=home.path,
        check=False,
    )
    told = own([json.loads(line) for line in done.stdout.splitlines()])
    assert [one["connect_count"] for one in told] == [1]
    assert home.files() == []
