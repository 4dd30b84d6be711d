"""Resources over several runs: kept in one small file without names, deleted by purge."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from click_telemetry._recorder import is_random_id

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
    """An application that creates machines."""
    made = make_cli(SOURCE)
    made.environ["ACME_TELEMETRY_HOST"] = server.url
    return made


def own(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Names and properties of the events about machines."""
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
    """The same for a run in log mode."""
    done = cli.run(*args, env={"ACME_TELEMETRY": "log"})
    return own([json.loads(line) for line in done.stderr.splitlines()])


def test_a_life_over_four_runs(acme: Cli, server: Server, home: Home) -> None:
    """Created, connected twice, deleted: one random ID, without a link to the name (row C4)."""
    for command in ("create", "connect", "connect"):
        assert acme.run(command, NAME).stderr == ""
    state = home.state() / "resources.json"
    (kept,) = json.loads(state.read_text()).values()
    assert kept["connect_count"] == 2
    assert acme.run("delete", NAME).stderr == ""
    delivered = own(server.wait_for(12))
    one = {"resource_id": kept["telemetry_id"]}
    assert delivered == [
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


def test_log_mode_reads_the_count_and_writes_nothing(acme: Cli, server: Server, home: Home) -> None:
    """Each message is printed as it would be sent."""
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
    ids=["variable", "option", "CI"],
)
def test_off_writes_nothing(
    args: tuple[str, ...], env: dict[str, str], acme: Cli, home: Home
) -> None:
    """Neither the file nor its lock."""
    assert acme.run(*args, "connect", NAME, env=env).returncode == 0
    assert home.files() == []


def test_purge_deletes_the_resources_too(acme: Cli, server: Server, home: Home) -> None:
    """The next connection is the first again, with another ID."""
    acme.run("connect", NAME)
    wait_for_end(home)
    (kept,) = json.loads((home.state() / "resources.json").read_text()).values()
    purged = acme.run("telemetry", "purge")
    assert purged.returncode == 0, purged.stdout + purged.stderr
    assert not home.state().exists()
    (new,) = logged(acme, "connect", NAME)
    assert new["connect_count"] == 1
    assert new["resource_id"] != kept["telemetry_id"]


@pytest.mark.extended
def test_watching_does_not_change_the_user_s_records(acme: Cli, home: Home) -> None:
    """A watched run counts in the watcher's own directory (row 102)."""
    pytest.importorskip("rich_click")
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
    shown = own([json.loads(line) for line in done.stdout.splitlines()])
    assert [one["connect_count"] for one in shown] == [1]
    assert home.files() == []
