"""What a command hands over to the sender: its file, the lock, and nothing else of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from ..harness.processes import Cli, Home
from ..harness.queue import Queue
from ..harness.senders import holders, is_alive, open_files, sender_processes, wait_until
from ..harness.server import Reply, Server
from ..harness.terminal import Terminal

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform != "linux", reason="inspects /proc and file locks"),
]

FORKS = """
import ctypes, os, time, click
from click_telemetry import instrumented_group

@instrumented_group(app="acme", write_key="key", notice=False)
@click.group()
def cli(): pass

@cli.command()
def serve():
    if FORK() == 0:
        time.sleep(60)
        os._exit(0)
    click.echo("serving")
    time.sleep(60)

cli()
"""


def killed_parent(made: Cli, server: Server, home: Home) -> tuple[Queue, Path, int]:
    """The queue, the file and the living child of a command that was killed."""
    process = made.start("serve", env={"ACME_TELEMETRY_HOST": server.url})
    assert process.stdout is not None
    assert process.stdout.readline() == "serving\n"
    (file,) = home.spooled()
    (child,) = map(
        int, Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    )
    process.kill()
    process.wait()
    process.stdout.close()
    assert process.stderr is not None
    process.stderr.close()
    return Queue(file.parent, server.url), file, child


def outcomes(server: Server) -> list[str | None]:
    """The outcomes of the messages that arrived."""
    return [message["properties"].get("outcome") for message in server.messages]


def test_file_of_a_killed_parent_is_unfinished_though_its_forked_child_lives(
    make_cli: Callable[..., Cli], server: Server, home: Home
) -> None:
    """The child closed its copy when it was forked, and it writes nothing."""
    made = make_cli(FORKS.replace("FORK", "os.fork"))
    queue, file, child = killed_parent(made, server, home)
    try:
        wait_until(lambda: child not in holders(file))
        assert queue.send() == 0
        assert (outcomes(server), home.spooled()) == ([None, "unfinished"], [])
    finally:
        os.kill(child, signal.SIGKILL)


def test_file_that_a_child_of_foreign_code_holds_is_not_unfinished(
    make_cli: Callable[..., Cli], server: Server, home: Home
) -> None:
    """A fork by a C library runs no handler of Python: the file waits for that child too."""
    made = make_cli(FORKS.replace("FORK", "ctypes.CDLL(None).fork"))
    queue, file, child = killed_parent(made, server, home)
    assert holders(file) == [child]
    assert queue.send() == 0
    assert (server.requests, home.spooled()) == ([], [file])
    os.kill(child, signal.SIGKILL)
    wait_until(lambda: not is_alive(file))
    assert queue.send() == 0
    assert outcomes(server) == [None, "unfinished"]


def test_sender_keeps_nothing_of_the_command(cli: Cli, server: Server, home: Home) -> None:
    """Neither descriptors, nor streams, nor directory, nor session."""
    server.reply = Reply(delay=20.0)
    own = home.path / "own"
    own.write_text("")
    line = f'exec 7<"{own}" 8>>"{own}" 17<"{own}"; cd "{home.path}"; "$@"'
    subprocess.run(
        ["bash", "-c", line, "sh", *cli.command("deploy")], env=cli.env(), check=True, timeout=30
    )
    wait_until(lambda: len(server.requests) == 1)
    (file,) = home.spooled()
    (pid,) = sender_processes(home)
    try:
        found = open_files(pid)
        kinds = Counter(
            "socket" if path.startswith("socket:") else path.removeprefix(str(file.parent))
            for path in found.values()
        )
        assert kinds == {"/dev/null": 3, "/lock": 1, "/" + file.name: 1, "socket": 1}
        assert all(int(n) >= 10 for n, path in found.items() if path.startswith(str(home.path)))
        assert os.readlink(f"/proc/{pid}/cwd") == "/"
        assert os.getsid(pid) != os.getsid(0)
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        assert stat[4] == "0", "no controlling terminal"
    finally:
        os.kill(pid, signal.SIGKILL)


@pytest.mark.extended
@pytest.mark.usefixtures("default_delay")
def test_terminal_that_is_closed_does_not_end_the_sender(
    cli: Cli, server: Server, home: Home
) -> None:
    """The window closes right after the command."""
    terminal = Terminal(cli.command("deploy"), cli.env(), home.path)
    assert terminal.close() == 0
    assert server.messages == []
    assert len(server.wait_for(2)) == 2
