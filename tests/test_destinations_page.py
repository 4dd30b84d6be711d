"""docs/destinations.md is accurate: its snippets run, its tables name what exists."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from click_telemetry import destinations

from .harness.pages import page
from .harness.processes import Cli, Home
from .harness.senders import wait_until
from .harness.server import Server

PAGE = page("docs/destinations.md")
SNIPPETS = {
    block.split("click_telemetry.destinations import ")[1].split("\n")[0]: block
    for block in PAGE.blocks("python")
    if "destination=" in block
}
"""The applications on the page, by the destination that they declare."""
CLASSES = {
    name
    for name, kind in vars(destinations).items()
    if isinstance(kind, type)
    and issubclass(kind, destinations.DeclaredDestination)
    and kind is not destinations.DeclaredDestination
}

declares = pytest.mark.parametrize("name", SNIPPETS)


@pytest.fixture
def application(make_cli: Callable[..., Cli]) -> Callable[[str], Cli]:
    """Writes the application of a snippet to a script."""
    return lambda name: make_cli(SNIPPETS[name] + "\n\ncli()\n")


@declares
def test_snippet_is_a_working_application(name: str, application: Callable[[str], Cli]) -> None:
    """Log mode prints its messages, whatever the destination."""
    run = application(name).run("deploy", env={"ACME_TELEMETRY": "log"})
    assert (run.stdout, run.returncode) == ("", 0)
    events = [json.loads(line)["event"] for line in run.stderr.splitlines()]
    assert events == ["Command Invoked", "Command Completed"]


@pytest.mark.sample(1)
@declares
def test_watch_shows_the_events_of_every_destination(
    name: str, application: Callable[[str], Cli], home: Home
) -> None:
    """They arrive at its receiver, and nowhere else."""
    pytest.importorskip("rich_click")
    watch = [str(Path(sys.executable).with_name("click-telemetry")), "watch", "--json", "--"]
    cli = application(name)
    run = subprocess.run(
        [*watch, *cli.command("deploy")],
        env=cli.env(), capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    events = [json.loads(line)["event"] for line in run.stdout.splitlines()]
    assert events == ["Command Invoked", "Command Completed"]
    outside = run.stderr.splitlines()[-1]
    starts = "the sender does not start" not in outside  # of Custom, a script has no module
    assert (outside.startswith("Outside watch: "), starts) == (True, name != "Custom")
    assert home.files() == []


@pytest.mark.sample(1)
@declares
def test_doctor_examines_every_destination(name: str, application: Callable[[str], Cli]) -> None:
    """Its transport is imported as the sender imports it; a missing module is a reason."""
    pytest.importorskip("rich_click")
    doctor = [str(Path(sys.executable).with_name("click-telemetry")), "doctor", "--json", "--"]
    cli = application(name)
    run = subprocess.run(
        [*doctor, *cli.command("deploy")],
        env=cli.env(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    found = json.loads(run.stdout)
    assert ("YOUR_KEY" in run.stdout, "secret" in run.stdout) == (False, False)
    assert (found["sender"] == "starts") is (name != "Custom")
    assert found["destination"]["host"].startswith(("https://", "file://", "custom:"))


def test_status_names_the_destination(application: Callable[[str], Cli]) -> None:
    """A person sees where events go; the path of a URL, which may hold a key, is not shown."""
    source = SNIPPETS["Webhook"].replace("import instrumented_group", "import *")
    cli = application("Webhook")
    cli.script.write_text(source + "\n\ncli.add_command(telemetry_group())\ncli()\n")
    shown = cli.run("telemetry", "status", "--why", env={"ACME_TELEMETRY": "1"})
    assert "https://events.example.com" in shown.stdout
    assert "/acme" not in shown.stdout.replace("/acme/telemetry", "")
    assert "YOUR_KEY" not in shown.stdout


def test_every_destination_is_in_the_tables() -> None:
    """None is undocumented, and none is documented that does not exist."""
    first = PAGE.section("Destinations").split("| destination |")[1]
    assert set(re.findall(r"^\| `(\w+)\(", first, re.MULTILINE)) == CLASSES
    accepted = PAGE.section("What accepted means").split("| destination |")[1]
    assert set(re.findall(r"^\| (\w+) \|", accepted, re.MULTILINE)) == CLASSES


class TestCustom:
    """The worked example, as a package in a checkout that is found by PYTHONPATH alone."""

    @pytest.fixture
    def run(self, tmp_path: Path, home: Home) -> Callable[..., list[Any]]:
        """Runs the command in another directory, until events are in its database."""
        package = tmp_path / "checkout/acme"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("")
        transport = PAGE.snippet("class Transport:")
        (package / "telemetry.py").write_text(transport)
        (package / "cli.py").write_text(SNIPPETS["Custom"] + "\n\ncli()\n")

        def run(count: int = 3) -> list[Any]:
            done = subprocess.run(
                [sys.executable, "-m", "acme.cli", "deploy"],
                env={**home.environ, "PYTHONPATH": str(package.parent)},
                cwd=home.path, capture_output=True, text=True, timeout=60, check=True,
            )  # fmt: skip
            assert (done.stdout, done.stderr) == ("", "")
            database = home.path / "acme.db"

            def rows() -> list[Any]:
                try:
                    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as opened:
                        return opened.execute("select id, message from events").fetchall()
                except sqlite3.OperationalError:
                    return []

            wait_until(lambda: len(rows()) >= count)
            return rows()

        return run

    @pytest.mark.extended
    def test_events_are_in_the_database(self, run: Callable[..., list[Any]], home: Home) -> None:
        """The sender finds the package by its path, and isolates the transport all the same."""
        (home.path / "sqlite3.py").write_text("raise SystemExit('planted')")
        messages = [json.loads(message) for _, message in run()]
        assert [m.get("event", m["type"]) for m in messages] == [
            *("identify", "Command Invoked", "Command Completed"),
        ]
        wait_until(lambda: home.spooled() == [])


def test_message_of_the_page_is_one_that_arrives(
    make_cli: Callable[..., Cli], server: Server
) -> None:
    """Its keys are those of a request."""
    (shown,) = [json.loads(block) for block in PAGE.blocks("json")]
    source = SNIPPETS["Webhook"].replace('app="acme",', 'app="acme", notice=False,')
    cli = make_cli(source + "\n\ncli()\n")
    cli.run("deploy", env={"ACME_TELEMETRY_HOST": server.url})
    wait_until(lambda: len(server.requests) > 0)
    (request,) = server.requests
    assert request.body.keys() == shown.keys()
    assert shown["messages"][0].keys() <= request.body["messages"][1].keys()
    assert request.headers["X-Api-Key"] == "YOUR_KEY"
