"""A command that replaces its process by another program: what was recorded before is delivered."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from click_telemetry._sender.queue import compose

from ..harness.processes import Cli, Home
from ..harness.server import Server

pytestmark = pytest.mark.contract

EXEC = """
import os, sys
import click
from click_telemetry import flow, identify, instrumented_group, set_context, track, track_command

@instrumented_group(app="acme", version="1", write_key="key", notice=False)
@click.group()
def cli(): pass

@cli.command()
def shell():
    set_context(cloud="fly")
    identify("user-42")
    track("Terminal Opened", {"shell": "sh"})
    with track_command("attach", source="repl"), flow("Spawn", steps=("agent",)) as f:
        f.step("agent")
        sys.stdout.flush()
        os.{exec}

@cli.command()
def status(): pass

cli()
"""

EXECS = [
    "execv('/bin/sh', ['sh', '-c', 'echo taken over; exit 6'])",
    "execve('/bin/sh', ['sh', '-c', 'echo taken over; exit 6'], {})",
    "execlp('sh', 'sh', '-c', 'echo taken over; exit 6')",
]


@pytest.mark.sample(1)
@pytest.mark.skipif(os.name != "posix", reason="exec is POSIX's")
@pytest.mark.parametrize("call", EXECS, ids=[call.partition("(")[0] for call in EXECS])
def test_events_before_exec_reach_the_spool(
    call: str, make_cli: Callable[..., Cli], server: Server, home: Home
) -> None:
    """The next command's sender delivers what was recorded before `exec` (row C9)."""
    cli = make_cli(EXEC.replace("{exec}", call))
    cli.environ["ACME_TELEMETRY_HOST"] = server.url
    done = cli.run("shell")
    assert (done.stdout, done.stderr, done.returncode) == ("taken over\n", "", 6)
    (file,) = home.spooled()
    spooled = compose(file.name, file.read_bytes(), writer_gone=False).messages
    assert [message.get("event", message["type"]) for message in spooled] == [
        *("Command Invoked", "identify", "Terminal Opened", "Command Invoked"),
        "Spawn Started",
    ]
    assert server.messages == []
    cli.run("status")
    server.wait_for(8)
    delivered = [
        (
            message["event"],
            message["properties"]["command"],
            message["properties"].get("outcome"),
            message["properties"].get("cloud"),
            message.get("userId"),
        )
        for message in server.messages
        if message["type"] == "track"
    ]
    assert delivered == [
        ("Command Invoked", "acme shell", None, None, None),
        ("Terminal Opened", "acme shell", None, "fly", "user-42"),
        ("Command Invoked", "acme attach", None, "fly", "user-42"),
        ("Spawn Started", "acme attach", None, "fly", "user-42"),
        ("Command Completed", "acme shell", "unfinished", None, "user-42"),
        ("Command Completed", "acme attach", "unfinished", "fly", "user-42"),
        ("Command Invoked", "acme status", None, None, None),
        ("Command Completed", "acme status", "success", None, None),
    ]
