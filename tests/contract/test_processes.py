"""Processes that fork, vanish or live on: one pair for each command."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable

import pytest

from ..harness.processes import Cli, Home
from ..harness.sameness import program, same, seen
from ..harness.senders import wait_for_end, wait_until
from ..harness.server import Server

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform != "linux", reason="fork, exec and /proc"),
]

MakeCli = Callable[..., Cli]

INVOKED, COMPLETED = "Command Invoked", "Command Completed"


def arrived(server: Server, tracks: int) -> list[tuple[str, str | None]]:
    """The events that arrived and their outcomes, as soon as there are so many."""
    return [(m["event"], m["properties"].get("outcome")) for m in server.wait_for(tracks)]


VANISHING = {
    "_exit": ("sys.stdout.flush(); os._exit(5)", 5),
    "exec": ("sys.stdout.flush(); os.execv('/bin/sh', ['sh', '-c', 'exit 6'])", 6),
    "segmentation fault": ("import ctypes; ctypes.string_at(0)", -11),
    "abort": ("os.abort()", -6),
    "SIGKILL": ("os.kill(os.getpid(), 9)", -9),
}


@pytest.mark.sample(1)
@pytest.mark.parametrize(("body", "status"), VANISHING.values(), ids=VANISHING)
def test_process_that_vanishes_is_unfinished_once(
    body: str, status: int, make: MakeCli, make_cli: MakeCli, server: Server, home: Home
) -> None:
    """Its events arrive with the next sender, and a later one adds nothing."""
    cli = make(f"track('Exported')\n{body}")
    assert same(cli).returncode == status
    healthy = make_cli(program(), "healthy.py")
    seen(healthy, cli.environ)
    arrived(server, 5)
    wait_for_end(home)
    seen(healthy, cli.environ)
    assert arrived(server, 7) == [
        (INVOKED, None),
        ("Exported", None),
        (COMPLETED, "unfinished"),
        (INVOKED, None),
        (COMPLETED, "success"),
        (INVOKED, None),
        (COMPLETED, "success"),
    ]


FORKING = {
    "child that ends as the command does": """
        child = os.fork()
        track("By Parent" if child else "By Child")
        if not child: sys.stdout = open(os.devnull, "w")
        else: os.waitpid(child, 0)
        """,
    "child that fails": """
        child = os.fork()
        if not child: os.dup2(os.open(os.devnull, os.O_WRONLY), 2); raise RuntimeError("child")
        os.waitpid(child, 0)
        track("By Parent")
        """,
    "many children": """
        for _ in range(5):
            child = os.fork()
            if not child: track("By Child"); os._exit(0)
            os.waitpid(child, 0)
        track("By Parent")
        """,
    "child in a thread": """
        def work():
            child = os.fork()
            if not child: track("By Child"); os._exit(0)
            os.waitpid(child, 0)
        thread = threading.Thread(target=work); thread.start(); thread.join()
        track("By Parent")
        """,
}


@pytest.mark.sample(1)
@pytest.mark.parametrize("body", FORKING.values(), ids=FORKING)
def test_command_that_forks_is_recorded_once(body: str, make: MakeCli, server: Server) -> None:
    """The process that began it records; its children do not."""
    cli = make(body, head="import threading, warnings; warnings.simplefilter('ignore')")
    assert same(cli).returncode == 0
    assert arrived(server, 3) == [(INVOKED, None), ("By Parent", None), (COMPLETED, "success")]


@pytest.mark.sample(1)
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_worker_processes_record_nothing(method: str, make: MakeCli, server: Server) -> None:
    """Neither when they import the program again, nor when they work."""
    cli = make(
        f"""
        import multiprocessing
        with multiprocessing.get_context({method!r}).Pool(2) as pool:
            click.echo(sum(pool.map(work, range(10))))
        track("By Parent")
        """,
        head="""
        import warnings
        warnings.simplefilter("ignore")
        def work(number):
            track("By Child")
            return number
        """,
    )
    found = same(cli)
    assert found == (0, b"out\n45\n", b"err\n")
    assert arrived(server, 3) == [(INVOKED, None), ("By Parent", None), (COMPLETED, "success")]


def test_parent_s_end_frees_its_file_though_a_child_lives_on(
    make: MakeCli, server: Server, home: Home
) -> None:
    """A daemon that was forked while the file was open does not delay delivery."""
    cli = make(
        """
        child = os.fork()
        if not child:
            for number in (0, 1, 2): os.dup2(os.open(os.devnull, os.O_RDWR), number)
            time.sleep(60); track("By Child"); os._exit(0)
        click.echo(child)
        """,
        head="import time",
    )
    child = int(seen(cli).stdout.split()[1])
    try:
        assert arrived(server, 2) == [(INVOKED, None), (COMPLETED, "success")]
        wait_until(lambda: home.spooled() == [])
        os.kill(child, 0)  # it lives still
    finally:
        os.kill(child, signal.SIGKILL)


def test_daemon_keeps_no_file_and_records_what_it_runs(
    make: MakeCli, make_cli: MakeCli, server: Server, home: Home
) -> None:
    """The command that started it is unfinished; what it runs is its own (row 104)."""
    cli = make(
        """
        if os.fork(): os._exit(0)
        for number in (0, 1, 2): os.dup2(os.open(os.devnull, os.O_RDWR), number)
        track("By Daemon")
        work.main([], standalone_mode=False)
        open("daemon", "w").write(str(os.getpid()))
        time.sleep(60)
        """,
        head="""
        import time
        work = click.Command("work", callback=lambda: track("By Work"))
        instrument(work, app="acme", version="2.1.0", write_key="key", notice=False)
        """,
    )
    assert seen(cli).returncode == 0
    number = home.path / "daemon"
    wait_until(lambda: number.exists() and number.read_text() != "")
    daemon = int(number.read_text())
    try:
        healthy = make_cli(program(), "healthy.py")
        seen(healthy, cli.environ)
        assert Counter(arrived(server, 7)) == {
            (INVOKED, None): 3,
            ("By Work", None): 1,
            (COMPLETED, "success"): 2,
            (COMPLETED, "unfinished"): 1,
        }
        wait_until(lambda: home.spooled() == [])
        assert [m for m in server.messages if m.get("properties", {}).get("dropped")] == []
        os.kill(daemon, 0)  # it lives still
    finally:
        os.kill(daemon, signal.SIGKILL)


def test_hundred_invocations_leave_no_zombie_and_no_descriptor(
    make_cli: MakeCli, server: Server
) -> None:
    """A program that runs one command after the other has the same descriptors throughout."""
    cli = make_cli(
        """
        import os
        import click
        from click_telemetry import instrument

        cli = click.Group("cli", commands={"go": click.Command("go", callback=lambda: None)})
        instrument(cli, app="acme", write_key="key", notice=False)

        def state():
            children = open(f"/proc/self/task/{os.getpid()}/children").read().split()
            return len(os.listdir("/proc/self/fd")), children

        states = []
        for _ in range(100):
            cli.main(["go"], standalone_mode=False)
            states.append(state())
        assert states == states[:1] * 100, states
        try:
            os.wait()
        except ChildProcessError:
            click.echo(states[0][1])
        """
    )
    ran = cli.run(env={"ACME_TELEMETRY_HOST": server.url})
    assert (ran.stdout, ran.stderr, ran.returncode) == ("[]\n", "", 0)
    assert len(server.wait_for(200, timeout=60)) == 200


def test_sender_is_detached_without_a_shell_too(make_cli: MakeCli, server: Server) -> None:
    """No `/bin/sh`, as in the smallest containers: no zombie, and no child for `os.wait`."""
    cli = make_cli(
        """
        import os
        import click
        from click_telemetry import instrument
        from click_telemetry import _launcher

        _launcher.SHELL = "/nonexistent/sh"
        cli = click.Group("cli", commands={"go": click.Command("go", callback=lambda: None)})
        instrument(cli, app="acme", write_key="key", notice=False)
        for _ in range(3):
            cli.main(["go"], standalone_mode=False)
        try:
            print("child", os.wait())
        except ChildProcessError:
            print("no child")
        """
    )
    ran = cli.run(env={"ACME_TELEMETRY_HOST": server.url})
    assert (ran.stdout, ran.stderr, ran.returncode) == ("no child\n", "", 0)
    assert len(server.wait_for(6)) == 6
    assert len(server.requests) <= 2


@pytest.mark.sample(1)
@pytest.mark.parametrize("handler", ["SIG_IGN", "lambda *_: None", "reap"])
def test_application_that_reaps_every_child_is_not_disturbed(
    handler: str, make: MakeCli, server: Server
) -> None:
    """The command ends in the same way, though its handler may reap our child."""
    cli = make(
        f"signal.signal(signal.SIGCHLD, {handler.replace('SIG_IGN', 'signal.SIG_IGN')})",
        head="""
        import signal
        def reap(*_):
            try:
                while os.waitpid(-1, os.WNOHANG) != (0, 0): pass
            except ChildProcessError: pass
        """,
    )
    assert same(cli).returncode == 0
    assert arrived(server, 2) == [(INVOKED, None), (COMPLETED, "success")]
