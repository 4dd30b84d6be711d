"""Two hundred commands at a time: everything arrives once, from one ID, by one sender at a time."""

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
    pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc"),
]

AT_A_TIME = 25
"""Processes that are alive together; more would only wait for the processor."""


class Watch:
    """Looks all the time who holds a sender's lock in a home.

    Attributes:
        started: the processes that were seen to be senders, by their pid.
        most: how many at a time.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.started: set[int] = set()
        self.most = 0

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.05):
            alive = {pid for pid in lock_holders(self._home) if is_sender(pid)}
            self.started |= alive
            self.most = max(self.most, len(alive))


def is_sender(pid: int) -> bool:
    """Whether a process sleeps before it is a sender, or is one already; no foreground is."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"-I" in words


def run_many(cli: Cli, count: int) -> None:
    """Run a command many times, many at a time."""
    line = 'seq $0 | xargs -P $1 -I{} -- "${@:2}" > "$HOME/said" 2> "$HOME/errors"'
    subprocess.run(
        ["bash", "-c", line, str(count), str(AT_A_TIME), *cli.command("deploy")],
        env=cli.env(),
        cwd=cli.home.path,
        check=True,
        timeout=600,
    )
    assert (cli.home.path / "errors").read_text() == ""
    assert (cli.home.path / "said").read_text() == "deployed\n" * count


@pytest.mark.parametrize(
    ("rounds", "count"), [(2, 30), pytest.param(10, 200, marks=pytest.mark.slow)]
)
def test_parallel_runs_all_arrive_from_one_id_by_one_sender(
    rounds: int, count: int, cli: Cli, server: Server, home: Home
) -> None:
    """Nobody sees anything of it (rows 28, 29 and 38)."""
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
    with Watch(home) as watch:
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
    # Each holds the lock for a second at least, before it works; whoever comes then starts none.
    assert 1 <= len(watch.started) <= min(1 + took, pairs / 4)
