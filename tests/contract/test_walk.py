"""Each system call of a run on our files fails once with each error, and once kills the process.

The command behaves the same, and everything that was written arrives, in full and once.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from click_telemetry._reader import COMPLETED_ID, INVOCATION_ID, derived_id
from click_telemetry._sender.queue import compose

from ..harness.faults import KILL, Call, Traced, inject, needs_strace, ours, traced, written
from ..harness.processes import Cli, Home
from ..harness.senders import is_alive, wait_until
from ..harness.server import Server

pytestmark = [pytest.mark.contract, needs_strace]

SOURCE = """
import os
import click
from click_telemetry import instrument, track

if "PUBLISHING" in os.environ:
    from click_telemetry import _spool
    _spool.PUBLISH_AFTER = 0  # every fact is followed by what a server does every five seconds

@click.group()
def cli(): pass

@cli.command()
@click.pass_context
def go(ctx):
    click.echo("out")
    track("Exported", {"rows": 1})
    click.echo("err", err=True)
    ctx.exit(3)

if "BARE" not in os.environ:
    instrument(cli, app="acme", version="2.1.0", write_key="key", notice=False)

if __name__ == "__main__":
    cli()
"""

ERRORS = ("EIO", "ENOSPC", "EACCES", "EROFS", "EMFILE")
SCENARIOS = ("first", "later", "publishing")
"""An empty home; one that was used before; a program that publishes while it runs."""

SHORT = [("first", KILL, 6), ("later", "EIO", 3), ("publishing", KILL, 11)]
WHOLE = [(scenario, fault, 1) for scenario in SCENARIOS for fault in (*ERRORS, KILL)]


class Walk:
    """Runs of one scenario, each in a home of its own.

    Args:
        scenario: one of `SCENARIOS`.
        room: where the homes are made.
        server: where everything is delivered.

    Attributes:
        excluded: the invocations without a fault: they listed the calls, or missed one.
    """

    def __init__(self, scenario: str, room: Path, server: Server) -> None:
        self._room = room
        self._server = server
        self._environ = {"ACME_TELEMETRY_HOST": server.url}
        if scenario == "publishing":
            self._environ["PUBLISHING"] = "1"
        self._used: Home | None = None
        self.excluded: set[str] = set()
        if scenario != "first":
            self._used = Home(room / "home-used")
            self.cli(self._used).run("go")
            self.settle([self._used])

    def home(self, name: str) -> Home:
        """A home in which the scenario begins."""
        home = Home(self._room / f"home-{name}")
        del home.environ["ACME_TELEMETRY_DELAY"]  # it would be another path than a user's
        if self._used is not None:
            shutil.copytree(self._used.path, home.path, dirs_exist_ok=True)
        return home

    def cli(self, home: Home) -> Cli:
        """The application in a home."""
        made = Cli(self._room / "acme.py", home, SOURCE)
        made.environ.update(self._environ)
        return made

    def calls(self, name: str = "whole") -> list[Call]:
        """The calls on our files in a run without faults."""
        home = self.home(name)
        ran = traced(self.cli(home), "go")
        assert (ran.stdout, ran.stderr, ran.returncode) == ("out\n", "err\n", 3)
        self.excluded |= invocations(ran)
        self.settle([home])
        return ours(ran.calls, home.path)

    def faulty(self, position: int, call: Call, fault: str) -> tuple[Home, Traced]:
        """A run in which that very call has a fault."""
        for attempt in range(5):
            home = self.home(f"{position}-{attempt}")
            ran = traced(self.cli(home), "go", options=inject(call, fault))
            seen = ours(ran.calls, home.path)
            if fault == KILL:
                hit = len(seen) == position + 1 and seen[-1].name == call.name
            else:
                hit = any(found.injected and found.name == call.name for found in seen)
            if hit:
                return home, ran
            self.excluded |= invocations(ran)
            # Python opens other files if a module of ours was compiled meanwhile.
            call = self.calls(f"whole-{position}-{attempt}")[position]
        raise AssertionError(f"{call} did not occur again: the run differs each time")

    def settle(self, homes: list[Home]) -> None:
        """Wait until nothing is queued in any home and no sender is alive."""
        for home in homes:
            wait_until(lambda home=home: not home.spooled(), timeout=90)  # type: ignore[misc]
            for lock in home.state().glob("spool/*/lock"):
                wait_until(lambda lock=lock: not is_alive(lock))  # type: ignore[misc]


def digits_of(ran: Traced) -> set[str]:
    """The hexadecimal digits of the invocations that a run wrote."""
    return {name.split("-")[1] for name in written(ran.calls)}


def invocations(ran: Traced) -> set[str]:
    """The IDs of the invocations that a run wrote."""
    return {derived_id(digits, INVOCATION_ID) for digits in digits_of(ran)}


def composed(ran: Traced) -> list[dict[str, Any]]:
    """The messages of what a run wrote, without those that a sender adds."""
    return [
        message
        for name, content in sorted(written(ran.calls).items())
        for message in compose(name, content, writer_gone=False).messages
    ]


def bare(walk: Walk) -> tuple[str, str, int]:
    """What the user sees without the library."""
    ran: subprocess.CompletedProcess[str] = walk.cli(walk.home("bare")).run("go", env={"BARE": "1"})
    return ran.stdout, ran.stderr, ran.returncode


def tracks(server: Server) -> Iterator[dict[str, Any]]:
    """Every track message that was accepted, repetitions included."""
    for request in server.accepted:
        yield from (m for m in request.batch if m["type"] == "track")


@pytest.mark.extended
@pytest.mark.parametrize(
    ("scenario", "fault", "step"),
    [*SHORT, *(pytest.param(*each, marks=pytest.mark.slow) for each in WHOLE)],
)
def test_fault_at_any_call_changes_no_command_and_loses_nothing_that_was_written(
    scenario: str, fault: str, step: int, tmp_path: Path, server: Server
) -> None:
    """Same output, same status; exactly what was written arrives, once."""
    walk = Walk(scenario, tmp_path, server)
    seen_bare = bare(walk)
    calls = walk.calls()
    assert len(calls) >= 20
    before = len(list(tracks(server)))
    differing: list[tuple[Call, object]] = []
    promised: dict[str, dict[str, Any]] = {}
    ended_by_sender: set[str] = set()
    homes = []
    for position, call in list(enumerate(calls))[::step]:
        home, ran = walk.faulty(position, call, fault)
        homes.append(home)
        seen = (ran.stdout, ran.stderr, ran.returncode)
        if fault != KILL and seen != seen_bare:
            differing.append((call, seen))
        messages = composed(ran)
        promised.update({message["messageId"]: message for message in messages})
        if fault == KILL:
            ended_by_sender |= {derived_id(digits, COMPLETED_ID, 1) for digits in digits_of(ran)}
        elif messages and messages[-1]["event"] != "Command Completed":
            differing.append((call, "its end was not written"))
        assert walk.cli(home).run("go").returncode == 3
    walk.settle(homes)
    sys.stdout.write(
        f"{scenario}, {fault}: {len(homes)} of {len(calls)} calls, {len(promised)} written\n"
    )
    assert differing == []

    arrived = list(tracks(server))[before:]
    counts = Counter(message["messageId"] for message in arrived)
    assert {ID: counts[ID] for ID in promised if counts[ID] != 1} == {}
    assert [m for m in arrived if promised.get(m["messageId"], m) != m] == []
    healthy: dict[str, list[str]] = {}
    for message in arrived:
        if message["messageId"] in promised:
            continue
        if message["messageId"] in ended_by_sender:
            assert message["properties"]["outcome"] == "unfinished"
            continue
        invocation = message["properties"]["invocation_id"]
        if invocation in walk.excluded:
            continue
        healthy.setdefault(invocation, []).append(message["event"])
    pair = ["Command Invoked", "Exported", "Command Completed"]
    assert list(healthy.values()) == [pair] * len(homes)
