"""The sender is started when the process ends, or at once in a program that continues."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from ..harness.processes import APP, Cli, Home
from ..harness.senders import is_alive, lock_of, wait_until
from ..harness.server import Server

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform != "linux", reason="inspects file locks"),
]

MakeCli = Callable[..., Cli]

HEAD = APP.partition('if __name__ == "__main__":')[0]

CHILDREN = """
import os, time
def children():
    try:
        return os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return "no child"
"""

CONTINUES = (
    HEAD
    + CHILDREN
    + """
cli(["deploy"], standalone_mode=False)
print(children(), flush=True)
time.sleep(60)
"""
)
CAUGHT = (
    HEAD
    + CHILDREN
    + """
for _ in range(2):
    try:
        cli(["deploy"])
    except SystemExit:
        print(children(), flush=True)
time.sleep(60)
"""
)
THREAD = (
    HEAD
    + CHILDREN
    + """
import threading
thread = threading.Thread(target=lambda: cli(["deploy"]))
thread.start()
thread.join()
print(children(), flush=True)
time.sleep(60)
"""
)
NESTED = (
    HEAD
    + CHILDREN
    + """
@cli.command()
def twice():
    try:
        cli.main(["deploy"])
    except SystemExit:
        print(children(), flush=True)
    time.sleep(60)
cli(["twice"])
"""
)


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    ("source", "printed", "tracks"),
    [(CONTINUES, 1, 2), (CAUGHT, 2, 4), (THREAD, 1, 2), (NESTED, 1, 2)],
    ids=["embedded", "exit is caught", "thread", "nested"],
)
def test_events_of_a_program_that_continues_are_delivered_while_it_runs(
    make_cli: MakeCli, server: Server, source: str, printed: int, tracks: int
) -> None:
    """It never sees a child that is not its own."""
    cli = make_cli(source)
    cli.environ["ACME_TELEMETRY_HOST"] = server.url
    process = cli.start()
    assert process.stdout is not None
    try:
        lines = [process.stdout.readline() for _ in range(2 * printed)]
        assert lines == ["deployed\n", "no child\n"] * printed
        server.wait_for(tracks)
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate()


@pytest.mark.sample(1)
@pytest.mark.usefixtures("default_delay")
@pytest.mark.parametrize(
    "ending",
    ["", "raise SystemExit(3)", "raise KeyError", "raise KeyboardInterrupt"],
    ids=["returns", "exits", "fails", "is interrupted"],
)
def test_process_that_ends_starts_a_sender(
    make_cli: MakeCli, server: Server, home: Home, ending: str
) -> None:
    """Its events are delivered at once, however its command ended."""
    cli = make_cli(f"{HEAD}\n@cli.command()\ndef end():\n    {ending or 'pass'}\n\ncli()\n")
    cli.environ["ACME_TELEMETRY_HOST"] = server.url
    cli.run("end")
    assert is_alive(lock_of(home))
    server.wait_for(2)
    wait_until(lambda: home.spooled() == [])
