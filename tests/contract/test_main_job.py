"""The main purpose: a command is run, and its two events are delivered."""

from __future__ import annotations

import pytest

from ..harness.processes import Cli, Home
from ..harness.senders import wait_for_end
from ..harness.server import Server

pytestmark = pytest.mark.contract


def test_two_events_of_a_command_are_delivered(cli: Cli, server: Server, home: Home) -> None:
    """Invoked and Completed, with the command's path, flags, exit code and duration."""
    run = cli.run("deploy", "--dry-run")
    assert (run.stdout, run.stderr, run.returncode) == ("deployed\n", "", 0)
    invoked, completed = server.wait_for(2)
    assert [invoked["event"], completed["event"]] == ["Command Invoked", "Command Completed"]
    own = {
        name: completed["properties"][name]
        for name in ("command", "flags", "exit_code", "succeeded", "outcome", "sequence")
    }
    assert own == {
        "command": "acme deploy",
        "flags": ["dry_run"],
        "exit_code": 0,
        "succeeded": True,
        "outcome": "success",
        "sequence": 2,
    }
    assert isinstance(completed["properties"]["duration_ms"], int)
    wait_for_end(home)
    assert home.spooled() == []
