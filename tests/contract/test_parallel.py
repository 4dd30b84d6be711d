"""Commands in parallel: everything arrives once, with one ID, by one sender at a time."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from ..harness.processes import Cli, Home
from ..harness.senders import lock_holders, wait_for_end, wait_until
from ..harness.server import Reply, Request, Server

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform != "linux", reason="inspects /proc"),
]

AT_A_TIME = 25
"""Processes that run in parallel; more would only wait for the processor."""


class LockMonitor:
    """Polls which processes hold a sender's lock in a home.

    Attributes:
        started: the IDs of the processes that were seen to be senders.
        most: how many of them at a time.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)
        self.started: set[int] = set()
        self.most = 0

    def __enter__(self) -> LockMonitor:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _poll(self) -> None:
        while not self._over.wait(0.05):
            alive = self._senders()
            if len(alive) > 1:  # One may just have ended, or be the shell's child before its exec.
                alive &= self._senders()
            self.started |= alive
            self.most = max(self.most, len(alive))

    def _senders(self) -> set[int]:
        return {pid for pid in lock_holders(self._home) if is_sender(pid)}


def is_sender(pid: int) -> bool:
    """Whether a process is a sender, or sleeps before it becomes one; no command is."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"-I" in words


def run_many(cli: Cli, count: int) -> None:
    """Run a command many times, many at a time."""
    line = 'seq $0 | xargs -P $1 -I{} -- "${@:2}" > "$HOME/output" 2> "$HOME/errors"'
    subprocess.run(
        ["bash", "-c", line, str(count), str(AT_A_TIME), *cli.command("deploy")],
        env=cli.env(),
        cwd=cli.home.path,
        check=True,
        timeout=600,
    )
    assert (cli.home.path / "errors").read_text() == ""
    assert (cli.home.path / "output").read_text() == "deployed\n" * count


@pytest.mark.extended
@pytest.mark.usefixtures("default_delay")
@pytest.mark.parametrize(
    ("rounds", "count"), [(2, 30), pytest.param(10, 200, marks=pytest.mark.slow)]
)
def test_parallel_runs_all_arrive_with_one_id_by_one_sender(
    rounds: int, count: int, cli: Cli, server: Server, home: Home
) -> None:
    """No output of a command differs."""
    answering = [0, 0]
    guard = threading.Lock()

    def reply(request: Request) -> Reply:
        with guard:
            answering[0] += 1
            answering[1] = max(answering)
        try:
            server.stopping.wait(0.05)
        finally:
            with guard:
                answering[0] -= 1
        return Reply()

    server.reply = reply
    pairs = rounds * count
    began = time.monotonic()
    with LockMonitor(home) as watch:
        for _ in range(rounds):
            run_many(cli, count)
        server.wait_for(2 * pairs, timeout=120)
        wait_until(lambda: home.spooled() == [])
        wait_for_end(home)
    took = time.monotonic() - began
    tracks = [m for r in server.accepted for m in r.batch if m["type"] == "track"]
    sys.stdout.write(
        f"{pairs} runs in {took:.0f} s: {len(watch.started)} senders started, "
        f"{watch.most} at a time, {len(server.accepted)} requests\n"
    )
    assert Counter(m["event"] for m in tracks) == {
        "Command Invoked": pairs,
        "Command Completed": pairs,
    }
    assert len({m["messageId"] for m in tracks}) == 2 * pairs
    assert len({m["properties"]["run_id"] for m in tracks}) == pairs
    assert {m["properties"].get("outcome") for m in tracks} == {None, "success"}
    assert {m["anonymousId"] for m in tracks} == {(home.state() / "id").read_text().strip()}
    assert [m["type"] for r in server.accepted for m in r.batch].count("identify") == 1
    assert answering[1] == 1, "two requests at a time"
    assert watch.most == 1
    # Each holds the lock for at least a second before it delivers; no command starts one then.
    assert 1 <= len(watch.started) <= min(1 + took, pairs / 4)
