"""Programs at random: what an independent witness saw is recorded, and nothing is after an opt-out.

The witness patches `click.Command.invoke` (`harness.generated_program`); a program's plan gives the
command's path, the flags and what is opted out (`harness.program_plans`).
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from .harness.generated_program import SCRIPT, Plan, Record
from .harness.processes import Cli, Home
from .harness.program_plans import (
    expected_pairs,
    expected_ticks,
    pairs,
    programs,
    recorded,
    ticks,
)
from .harness.programs import WITHOUT_SHRINKING, environment, run_here
from .harness.queue import Queue
from .harness.senders import drain, end_senders
from .harness.server import Server

contract = pytest.mark.contract


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


@pytest.mark.extended
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
