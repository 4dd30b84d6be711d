"""Programs at random: what an independent witness saw is recorded, and nothing is after an opt-out.

The witness patches `click.Command.invoke` (`harness.generated_program`); a program's plan gives the
command's path, the flags and what is opted out (`harness.program_plans`).
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from click_telemetry._instrument import OPTED_OUT, SCOPES
from click_telemetry._reader import compose
from click_telemetry.testing import RecordingClient

from .harness.generated_program import SCRIPT, Plan, Program, Record
from .harness.processes import Cli, Home
from .harness.program_plans import (
    CIRCUMSTANCES,
    SETTINGS,
    VARIABLES,
    expected_pairs,
    expected_ticks,
    pairs,
    programs,
    recorded,
    ticks,
)
from .harness.queue import Queue
from .harness.senders import drain, end_senders
from .harness.server import Server

contract = pytest.mark.contract

WITHOUT_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
"""A program is made of a seed: a smaller number gives no smaller program."""

STARTING = [
    (os, "posix_spawn"),
    (os, "fork"),
    (subprocess, "Popen"),
    (socket.socket, "connect"),
]


def environment(plan: Plan, home: Home) -> dict[str, str]:
    """What a plan's opt-out needs: variables, or a saved setting."""
    off = plan["off"]
    if off in SETTINGS:
        home.choice().parent.mkdir(parents=True)
        home.choice().write_text(SETTINGS[off])
    if off in CIRCUMSTANCES:
        return CIRCUMSTANCES[off][0]
    return {off: VARIABLES[off]} if off in VARIABLES else {}


def run_here(plan: Plan) -> tuple[list[Record], list[dict[str, Any]]]:
    """Run a program in this process: the leaves that ran, and the messages that were recorded."""
    witnessed: list[Record] = []
    client = RecordingClient()
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        home = Home(Path(directory, "home"))
        state = Path(directory, "state")
        state.mkdir(mode=0o700)
        environ = {**home.environ, **environment(plan, home)}
        before = home.digest()
        if plan["spool"]:
            environ["CLICK_TELEMETRY_WATCH"] = "http://127.0.0.1:9"
            environ["CLICK_TELEMETRY_WATCH_STATE"] = str(state)
        starts = [stack.enter_context(mock.patch.object(*target)) for target in STARTING]
        stack.enter_context(mock.patch.dict(os.environ, environ, clear=True))
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        program = Program(plan, witnessed.append)
        stack.enter_context(program.observed())
        program.instrument({} if plan["spool"] else {"client": client}, tracks=plan["tracks"])
        with contextlib.suppress(BaseException):
            program.run(0)
        assert [start.called for start in starts] == [False] * len(starts)
        assert home.digest() == before
        files = sorted(state.rglob("*.facts"))
        composed = [compose(path.name, path.read_bytes(), writer_gone=True) for path in files]
        messages = [message for part in composed for message in part.messages]
        assert not any(part.lost for part in composed)
        if not recorded(plan, witnessed, sends=False):
            assert [path for path in state.rglob("*") if "decisions" not in path.parts] == []
    assert SCOPES == OPTED_OUT == []
    return witnessed, [*client.messages, *messages]


def check(plan: Plan, records: list[Record], messages: list[dict[str, Any]]) -> None:
    """Exactly the pairs and the own events of the recorded leaves."""
    assert pairs(messages) == expected_pairs(records)
    assert ticks(messages) == expected_ticks(plan, records)


@settings(
    deadline=None,
    max_examples=200,
    phases=WITHOUT_SHRINKING,
    suppress_health_check=list(HealthCheck),
)
@given(programs())
def test_what_ran_is_recorded_and_nothing_is_after_an_opt_out(plan: Plan) -> None:
    """In this process: any tree, opt-out, nesting, thread and ending."""
    witnessed, messages = run_here(plan)
    check(plan, recorded(plan, witnessed, sends=False), messages)


# In processes of their own ------------------------------------------------------------------------


def run_in_process(plan: Plan) -> None:
    """Run a program as a script against a server, and check what arrives and what it did."""
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        server = Server()
        server.start()
        stack.callback(server.stop)
        home = Home(Path(directory, "home"))
        stack.callback(end_senders, home)
        cli = Cli(Path(directory, "acme.py"), home, SCRIPT)
        cli.environ = {
            **environment(plan, home),
            "PLAN": directory,
            "ACME_TELEMETRY_HOST": server.url,
            "OTHER_TELEMETRY_HOST": server.url,
            "OTHER_TELEMETRY_DELAY": "0",
        }
        Path(directory, "plan.json").write_text(json.dumps(plan))
        before = home.digest()
        ended = cli.run("0")
        witnessed = lines_in(Path(directory, "witnessed"))
        own = [record for record in witnessed if record["line"] == 0]
        if own:
            assert ended.returncode == own[-1]["code"], ended.stderr
        records = recorded(plan, witnessed, sends=True)
        effects = Path(directory, "effects").read_text()
        assert "socket" not in effects
        if not records:
            assert effects == ""
            assert home.digest() == before
            assert server.connections == 0
            return
        assert ".facts" in effects
        for spool in home.path.glob(".local/state/*/telemetry/spool/*"):
            drain(Queue(spool, server.url), home)
        check(plan, records, server.messages)
        sent = [message for request in server.accepted for message in request.batch]
        assert len(sent) == len(server.messages)


def lines_in(path: Path) -> list[Record]:
    """The records in a file, which may be missing."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@contract
@settings(
    deadline=None,
    max_examples=6,
    phases=WITHOUT_SHRINKING,
    suppress_health_check=list(HealthCheck),
)
@given(programs(processes=True))
def test_what_ran_in_processes_arrives_and_nothing_does_after_an_opt_out(plan: Plan) -> None:
    """With forks, workers and child processes: a real server gets each pair once."""
    run_in_process(plan)


@contract
@pytest.mark.extended
@settings(
    deadline=None,
    max_examples=30,
    phases=WITHOUT_SHRINKING,
    suppress_health_check=list(HealthCheck),
)
@given(programs(processes=True))
def test_more_programs_in_processes(plan: Plan) -> None:
    """The same, with more programs."""
    run_in_process(plan)
