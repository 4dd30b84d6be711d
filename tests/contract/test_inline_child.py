"""The sender that `delivery="inline"` starts when the command begins: what it waits for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ..harness.processes import Cli, Home
from ..harness.senders import marked, marked_senders, open_files, wait_until
from ..harness.server import Server

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform != "linux", reason="inspects /proc"),
]

APP = """
import os, signal, sys, time, click
from click_telemetry import instrument

STARTED = []
sys.addaudithook(lambda event, _: STARTED.append(event) if event == "os.posix_spawn" else None)

def go():
    print("begun", flush=True)
    while not os.path.exists("go"): time.sleep(0.01)
{body}

cli = click.Group("cli", commands={{"go": click.Command("go", callback=go)}})
instrument(cli, app="acme", write_key="key", notice=False, delivery="inline", flush_timeout=5)
cli.main(["go"], standalone_mode=False)
print("started", len(STARTED), flush=True)
{after}
"""
"""It goes on when there is a file `go` in the home, and prints how many processes it started."""

INVOKED = ("Command Invoked", "acme go")
COMPLETED = ("Command Completed", "acme go")


@pytest.fixture
def make(make_cli: Callable[..., Cli], server: Server) -> Callable[..., Cli]:
    """Writes the application, with something more in its command and after it."""

    def made(body: str = "pass", after: str = "", before: str = "") -> Cli:
        source = APP.format(body=textwrap.indent(textwrap.dedent(body), "    "), after=after)
        cli = make_cli(before + source)
        cli.environ.update(marked(cli.home), ACME_TELEMETRY_HOST=server.url)
        return cli

    return made


def start(cli: Cli) -> subprocess.Popen[str]:
    """Start the application, until its command has begun."""
    process = cli.start()
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


def loaded_child(home: Home) -> int:
    """The sender, when it has loaded its client and waits for the command's end."""

    def holds_file() -> bool:
        return any(path.endswith(".facts") for pid in marked_senders(home) for path in opened(pid))

    wait_until(holds_file)
    (child,) = marked_senders(home)
    return child


def opened(pid: int) -> list[str]:
    """The paths of a process's descriptors."""
    return list(open_files(pid).values())


def go_on(process: subprocess.Popen[str], home: Home) -> str:
    """Let the command end; gives what was printed from then on."""
    (home.path / "go").touch()
    stdout, stderr = process.communicate(timeout=60)
    assert stderr == ""
    return stdout


def test_sender_is_loaded_when_the_command_ends(
    make: Callable[..., Cli], home: Home, server: Server
) -> None:
    """It delivers nothing before that, and the command waits for no other process."""
    body = """
    try: print("child", os.wait())
    except ChildProcessError: print("no child")
    """
    process = start(make(body))
    child = loaded_child(home)
    stat = Path(f"/proc/{child}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    assert int(stat[1]) != process.pid, "no child of the application's"
    assert os.getsid(child) != os.getsid(process.pid)
    assert "/_ssl." in Path(f"/proc/{child}/maps").read_text(), "its client, and all it needs"
    assert server.requests == []
    assert go_on(process, home) == "no child\nstarted 1\n"
    assert server.events == [INVOKED, COMPLETED]
    assert (marked_senders(home), home.spooled()) == ([], [])


@pytest.mark.parametrize(
    "end",
    [
        "os.kill(os.getpid(), signal.SIGKILL)",
        pytest.param("os._exit(3)", marks=pytest.mark.extended),
        pytest.param("os.execv('/bin/true', ['true'])", marks=pytest.mark.extended),
        pytest.param("os.abort()", marks=pytest.mark.extended),
    ],
)
def test_sender_delivers_a_command_that_vanishes(
    end: str, make: Callable[..., Cli], home: Home, server: Server
) -> None:
    """However the process ends, its file's lock is free; the sender ends, too (row 107)."""
    process = start(make(end))
    loaded_child(home)
    (home.path / "go").touch()
    process.communicate(timeout=60)
    server.wait_for(2)
    assert server.events == [INVOKED, COMPLETED]
    assert server.messages[-1]["properties"]["outcome"] == "unfinished"
    wait_until(lambda: not marked_senders(home) and not home.spooled())


@pytest.mark.extended
def test_sender_that_died_is_replaced_at_the_end(
    make: Callable[..., Cli], home: Home, server: Server
) -> None:
    """As one is that waited for ten minutes, or that had too little memory."""
    process = start(make())
    os.kill(loaded_child(home), signal.SIGKILL)
    assert go_on(process, home) == "started 2\n"
    assert server.events == [INVOKED, COMPLETED]


def test_telemetry_that_is_disabled_during_the_command_sends_nothing(
    make: Callable[..., Cli], home: Home, server: Server
) -> None:
    """The sender checks the saved setting when the command has ended."""
    process = start(make())
    loaded_child(home)
    home.choice().parent.mkdir(parents=True)
    home.choice().write_text('{"enabled": false}')
    assert go_on(process, home) == "started 1\n"
    assert (server.requests, marked_senders(home)) == ([], [])


@pytest.mark.extended
def test_queue_that_is_deleted_during_the_command_sends_nothing(
    make: Callable[..., Cli], home: Home, server: Server
) -> None:
    """The sender has the file open, finds that it has no name, and ends."""
    cli = make("import shutil; shutil.rmtree(os.path.expanduser('~/.local'))")
    process = start(cli)
    loaded_child(home)
    assert go_on(process, home) == "started 1\n"
    assert (server.requests, home.spooled()) == ([], [])
    wait_until(lambda: marked_senders(home) == [])


def test_descriptors_that_the_command_closes_and_reuses_are_its_own(
    make: Callable[..., Cli], home: Home
) -> None:
    """We neither close nor read what has our descriptors' numbers now (row 99)."""
    body = """
    os.closerange(3, 256)
    files = [os.open("/dev/zero", os.O_RDWR) for _ in range(60)]
    """
    after = """
print(sum(path == "/dev/zero" for path in map(link, os.listdir("/dev/fd"))))
"""
    before = """
def link(number):
    try: return os.readlink("/dev/fd/" + number)
    except OSError: return ""
"""
    process = start(make(body, after, before))
    loaded_child(home)
    assert go_on(process, home) == "started 1\n60\n"
    wait_until(lambda: marked_senders(home) == [])


@pytest.mark.extended
def test_program_that_continues_keeps_neither_a_process_nor_a_descriptor(
    make: Callable[..., Cli], home: Home, server: Server
) -> None:
    """After several commands, and in a child that a command forks."""
    before = """
import os
def descriptors(): return [path for path in map(link, os.listdir("/dev/fd")) if path]
def link(number):
    try: path = os.readlink("/dev/fd/" + number)
    except OSError: return ""
    return path if "pipe" in path or "telemetry" in path else ""
begun = len(descriptors())
"""
    body = """
    child = os.fork()
    if not child: os._exit(len(descriptors()) - begun)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    after = """
for _ in range(2): cli.main(["go"], standalone_mode=False)
print(len(STARTED), len(descriptors()) - begun)
"""
    process = start(make(body, after, before))
    assert go_on(process, home) == "0\nstarted 1\nbegun\n0\nbegun\n0\n3 0\n"
    assert server.events == [INVOKED, COMPLETED] * 3
    assert marked_senders(home) == []


@pytest.mark.extended
def test_application_that_handles_sigchld_meets_no_process_before_its_end(
    make: Callable[..., Cli], home: Home, server: Server
) -> None:
    """The sender is started when the command has ended."""
    body = "print('during', len(STARTED), SEEN)"
    before = "import signal\nSEEN = []\nsignal.signal(signal.SIGCHLD, lambda *_: SEEN.append(1))\n"
    process = start(make(body, before=before))
    assert go_on(process, home) == "during 0 []\nstarted 1\n"
    assert server.events == [INVOKED, COMPLETED]


@pytest.mark.extended
def test_no_sender_is_started_while_delivery_is_postponed(
    make: Callable[..., Cli], home: Home, server: Server
) -> None:
    """Neither at the beginning nor at the end, until the time has passed."""
    cli = make("print(len(STARTED))")
    (home.path / "go").touch()
    server.stop()
    cli.run()
    assert len(home.spooled()) == 1
    runs = [cli.run().stdout for _ in range(3)]
    assert runs.count("begun\n0\nstarted 0\n") >= 2, "one in a hundred trims the queue"
    assert len(home.spooled()) == 4


@pytest.mark.extended
def test_failure_of_another_sender_during_the_command_postpones_delivery(
    make: Callable[..., Cli], home: Home, server: Server
) -> None:
    """The waiting sender makes no request when the command has ended."""
    process = start(make())
    loaded_child(home)
    (spool,) = home.state().glob("spool/*")
    (spool / "not-before").touch()
    os.utime(spool / "not-before", (time.time() + 3600,) * 2)
    assert go_on(process, home) == "started 1\n"
    assert (server.requests, len(home.spooled())) == ([], 1)
