"""Delivery before the command's end: for machines that go away with it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import pytest

from ..harness.processes import APP, Cli, Home
from ..harness.senders import is_alive, lock_of, sender_processes
from ..harness.server import Reply, Server

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform == "win32", reason="starts a child with posix_spawn"),
]


@pytest.fixture
def inline(make_cli: Callable[..., Cli], server: Server) -> Cli:
    """The small application, delivering inline, with all the time that it may take."""
    made = make_cli(APP.replace("notice=False", 'notice=False, delivery="inline", flush_timeout=3'))
    made.environ["ACME_TELEMETRY_HOST"] = server.url
    return made


def test_events_are_accepted_when_the_command_ends(inline: Cli, server: Server, home: Home) -> None:
    """Nobody is left behind to deliver them later."""
    run = inline.run("deploy", "--dry-run")
    assert (run.stdout, run.stderr, run.returncode) == ("deployed\n", "", 0)
    assert server.events == [
        ("Command Invoked", "acme deploy"),
        ("Command Completed", "acme deploy"),
    ]
    assert home.spooled() == []
    assert sender_processes(home) == []


def test_server_that_never_answers_holds_the_command_no_longer_than_it_may(
    make_cli: Callable[..., Cli], server: Server, home: Home
) -> None:
    """What is not accepted by then stays for the next invocation, and the child is gone."""
    made = make_cli(APP.replace("notice=False", 'notice=False, delivery="inline"'))
    made.environ["ACME_TELEMETRY_HOST"] = server.url
    server.reply = Reply(silent=True)
    made.run("deploy")
    began = time.monotonic()
    assert made.run("deploy").returncode == 0
    assert time.monotonic() - began < 5
    assert len(home.spooled()) == 2
    assert not is_alive(lock_of(home))
    assert sender_processes(home) == []


def test_status_of_a_failing_command_is_its_own(inline: Cli, server: Server) -> None:
    """Delivery changes neither output nor status."""
    run = inline.run("fail")
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1] == "RuntimeError: secret"
    assert server.messages[-1]["properties"]["exit_code"] == 1
