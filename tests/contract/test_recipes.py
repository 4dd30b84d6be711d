"""The recipes of docs/delivery.md, each in an empty home: events arrive at a server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from ..harness.containers import CONTAINER, missing
from ..harness.pages import page
from ..harness.processes import WITH_COMMANDS, Home
from ..harness.server import Reply, Server

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform != "linux", reason="containers of Linux"),
    pytest.mark.skipif(bool(missing()), reason=missing()),
]

RECIPES = page("docs/delivery.md")
PAIR = ["Command Invoked", "Command Completed"]
INFORMED = WITH_COMMANDS.replace("notice=False", "notice=False, flush_timeout=5")
UNINFORMED = WITH_COMMANDS.replace("notice=False", "flush_timeout=5")
INLINE = INFORMED.replace("notice=False", 'notice=False, delivery="inline"')
CI = {"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_WORKFLOW": "deploy"}
"""Of a step of GitHub Actions."""


def patient(source: str) -> str:
    """A snippet with the longest timeout: the machine of the tests may be busy."""
    changed = source.replace("write_key=", "flush_timeout=5,\n    write_key=")
    assert changed != source
    return changed


class Machine(NamedTuple):
    """An empty home in which `acme` is installed.

    Attributes:
        home: the home.
        server: where the events go.
        tools: the directory of `acme`.
    """

    home: Home
    server: Server
    tools: Path

    def install(self, source: str) -> None:
        """Install the application as the command `acme`."""
        self.tools.mkdir(exist_ok=True)
        command = self.tools / "acme"
        command.write_text(f"#!{sys.executable}\n{source}", encoding="utf-8")
        command.chmod(0o755)

    def run(self, *command: str, **env: str) -> str:
        """Run a command to its end; gives what it printed."""
        path = f"{self.tools}:{os.environ['PATH']}"
        ran = subprocess.run(
            command,
            env={
                "HOME": str(self.home.path),
                "PATH": path,
                "LANG": "C.UTF-8",
                "ACME_TELEMETRY_HOST": self.server.url,
                "PYTHONDONTWRITEBYTECODE": "1",
                **env,
            },
            cwd=self.home.path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout
        return ran.stdout

    def contain(self, *command: str, **env: str) -> str:
        """The same in a container, whose first process is the command."""
        return self.run(*CONTAINER, *command, **env)


@pytest.fixture
def machine(home: Home, server: Server, tmp_path: Path) -> Machine:
    """A machine without `acme`."""
    return Machine(home, server, tmp_path / "tools")


def arrived(server: Server) -> list[str]:
    """The names of the events that are at the server now."""
    return [name for name, _ in server.events]


def test_ci(machine: Machine) -> None:
    """The snippet and the step, in a container that ends with the step's shell."""
    (step,) = RECIPES.blocks("yaml")
    line = step.rpartition("- run: ")[2].strip()
    machine.install(patient(RECIPES.snippet('ci="label"')))
    assert machine.contain("sh", "-c", f"{line}; exit", **CI) == "deployed\n"
    assert arrived(machine.server) == PAIR
    assert {event["properties"]["is_ci"] for event in machine.server.messages[1:]} == {True}
    machine.contain("sh", "-c", f"{line}; exit", **CI, DO_NOT_TRACK="1")
    assert arrived(machine.server) == PAIR


def test_container_for_one_command(machine: Machine) -> None:
    """By the saved setting; without it nothing is recorded, whatever an administrator enables."""
    machine.install(UNINFORMED)
    site = machine.home.path / "site/acme/telemetry.json"
    site.parent.mkdir(parents=True)
    site.write_text('{"enabled": true}')
    machine.contain("acme", "deploy", XDG_CONFIG_DIRS=str(site.parent.parent))
    assert machine.home.spooled() == []
    (script,) = [block for block in RECIPES.blocks("sh") if "enable" in block]
    for line in script.splitlines():
        machine.contain(*line.split())
    assert arrived(machine.server) == PAIR


@pytest.mark.extended
def test_container_for_one_command_whose_image_informs(machine: Machine) -> None:
    """`notice=False`: nothing else is needed."""
    machine.install(INFORMED)
    assert machine.contain("acme", "deploy") == "deployed\n"
    assert arrived(machine.server) == PAIR


@pytest.mark.extended
def test_state_on_a_volume(machine: Machine, tmp_path: Path) -> None:
    """What the first container could not deliver arrives with the second one, from the same ID."""
    machine.install(INFORMED)
    state = tmp_path / "volume"
    state.mkdir()
    machine.server.reply = Reply(503)
    machine.contain("acme", "deploy", XDG_STATE_HOME=str(state))
    assert len(list(state.rglob("*.facts"))) == 1
    machine.server.reply = Reply()
    before = len(machine.server.events)
    for mark in state.rglob("not-before"):
        mark.unlink()  # half a minute later
    machine.contain("acme", "deploy", XDG_STATE_HOME=str(state), HOME=str(tmp_path))
    assert arrived(machine.server)[before:] == PAIR * 2
    assert len({message["anonymousId"] for message in machine.server.messages}) == 1


def test_script_as_the_command(machine: Machine) -> None:
    """Two commands, each delivered inline before the script goes on; a short-lived container."""
    machine.install(INLINE)
    machine.contain("sh", "-c", "acme deploy; acme deploy; exit")
    assert arrived(machine.server) == PAIR * 2


@pytest.mark.extended
def test_container_that_continues(machine: Machine) -> None:
    """The detached sender delivers; only the container must go on for a moment."""
    machine.install(INFORMED)
    wait = "while ls $HOME/.local/state/acme/telemetry/spool/*/*.facts; do sleep 0.1; done"
    machine.contain("sh", "-c", f"acme deploy; {wait}")
    assert arrived(machine.server) == PAIR


def test_job_of_a_user_without_a_home(machine: Machine, tmp_path: Path) -> None:
    """In another user's home nothing is recorded; the script gives the command a home."""
    machine.install(INFORMED)
    (script,) = [block for block in RECIPES.blocks("sh") if "acme-home" in block]
    script = script.replace("/tmp/acme-home", str(tmp_path / "acme-home"))
    foreign = tmp_path / "root"
    foreign.mkdir()
    os.chown(foreign, 65534, 65534)
    machine.contain("acme", "deploy", HOME=str(foreign))
    assert list(foreign.iterdir()) == []
    machine.contain("sh", "-c", script, HOME=str(foreign))
    assert arrived(machine.server) == PAIR


READ_ONLY = 'mount --bind "$HOME" "$HOME" && mount -o remount,bind,ro "$HOME" && exec "$@"'


def test_function_with_a_read_only_home(machine: Machine, tmp_path: Path) -> None:
    """The handler delivers at each call; without its first lines nothing is recorded."""
    source = patient(RECIPES.snippet("def handler")).replace("/tmp/acme-home", str(tmp_path / "t"))
    calls = (
        f"\nimport glob\nFILES = '{tmp_path}/t/.local/state/acme/telemetry/spool/*/*.facts'\n"
        "for _ in range(2):\n    handler({}, None)\n    print(len(glob.glob(FILES)))\n"
    )
    machine.install(source + calls)
    assert machine.contain("sh", "-c", READ_ONLY, "sh", "acme") == "deployed\n0\n" * 2
    assert arrived(machine.server) == PAIR * 2
    machine.install(INFORMED)
    assert machine.contain("sh", "-c", READ_ONLY, "sh", "acme", "deploy") == "deployed\n"
    assert machine.home.files() == []
    assert arrived(machine.server) == PAIR * 2
