"""Signals, and memory that runs out: a process ends as it would without the library."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ..harness.faults import inject, needs_strace, ours, traced
from ..harness.processes import Cli, Home
from ..harness.sameness import program, same, seen
from ..harness.senders import wait_for_end, wait_until
from ..harness.server import Server
from ..harness.terminal import Terminal

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform != "linux", reason="signals, /proc and limits of Linux"),
]

MakeCli = Callable[..., Cli]


def outcomes(server: Server, tracks: int) -> list[str]:
    """The outcomes of the runs that arrived, as soon as there are so many events."""
    arrived = server.wait_for(tracks)
    return [m["properties"]["outcome"] for m in arrived if m["event"] == "Command Completed"]


@pytest.mark.sample(1)
@pytest.mark.parametrize("end", ["os.kill(os.getpid(), 15)", "os.kill(os.getpid(), 1)"])
def test_signal_that_ends_the_process_makes_its_run_unfinished(
    end: str, make: MakeCli, server: Server, make_cli: MakeCli
) -> None:
    """SIGTERM and SIGHUP: the library installs no handler."""
    number = int(end.split()[-1].rstrip(")"))
    cli = make(f"signal.signal({number}, signal.SIG_DFL); {end}", head="import signal")
    assert same(cli).returncode == -number
    healthy = make_cli(program(), "healthy.py")
    seen(healthy, cli.environ)
    assert outcomes(server, 4) == ["unfinished", "success"]


def test_signal_that_the_application_handles_is_its_own(make: MakeCli, server: Server) -> None:
    """Its handler runs, and its exit status is recorded."""
    cli = make(
        "signal.signal(15, lambda *_: sys.exit(7)); os.kill(os.getpid(), 15)", head="import signal"
    )
    assert same(cli).returncode == 7
    assert outcomes(server, 2) == ["failure"]


def test_handler_that_tracks_amid_another_event_loses_nothing(
    make: MakeCli, server: Server, home: Home
) -> None:
    """A timer that fires all the time, in our code too: each event once, in sequence."""
    cli = make(
        """
        track("Warmed", {"up": True})
        signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
        for number in range(100): track("Exported", {"number": number})
        signal.setitimer(signal.ITIMER_REAL, 0)
        track("Counted", {"alarms": min(len(count), 80)})
        """,
        head="""
        import signal
        count = []
        def ring(*_):
            count.append(1)
            if len(count) <= 80: track("Alarm Rung")
        """,
    )
    assert same(cli).returncode == 0
    server.wait_for(104)
    wait_for_end(home)
    arrived = [m for m in server.messages if m["type"] == "track"]
    names = [m["event"] for m in arrived]
    (counted,) = [m["properties"] for m in arrived if m["event"] == "Counted"]
    assert names.count("Exported") == 100
    assert names.count("Alarm Rung") == counted["alarms"]
    assert [m["properties"]["sequence"] for m in arrived] == list(range(1, len(arrived) + 1))


def test_interrupt_in_a_terminal_is_a_cancelled_command(
    make: MakeCli, server: Server, home: Home
) -> None:
    """Ctrl-C once: Abort, as without the library."""
    cli = make("click.echo('waiting'); time.sleep(60)", head="import time")
    terminal = Terminal(cli.command("go"), cli.env(), home.path)
    terminal.wait_for("waiting")
    terminal.interrupt("Aborted!")
    assert terminal.close() == 1
    assert outcomes(server, 2) == ["cancelled"]


@pytest.mark.sample(1)
@needs_strace
@pytest.mark.parametrize(
    "step", [8, pytest.param(2, marks=pytest.mark.extended)], ids=["some calls", "more calls"]
)
@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
def test_interrupt_in_our_code_shows_nothing_of_ours(
    twice: bool, step: int, make: MakeCli, server: Server, home: Home
) -> None:
    """At any moment, the first or a second one: Aborted! and no traceback."""
    cli = make("raise KeyboardInterrupt" if twice else "")
    seen(cli)
    server.wait_for(2)
    wait_for_end(home)
    calls = ours(traced(cli, "go").calls, home.path)
    first = [call.name for call in calls].index("write") if twice else 0
    ends = set()
    for call in calls[first::step]:
        ran = traced(cli, "go", options=inject(call, "SIGINT"))
        ends.add((ran.returncode, ran.stderr.removeprefix("err\n")))
    assert ends <= {(1, "\nAborted!\n"), (1, "Aborted!\n"), (0, "")}
    assert (1, "\nAborted!\n") in ends or (1, "Aborted!\n") in ends


@pytest.mark.sample(2)
@pytest.mark.parametrize("output", ["| head -1", "> /dev/full", "2> /dev/full", ">&- 2>&-", "<&-"])
def test_output_that_cannot_be_written(output: str, make: MakeCli) -> None:
    """A reader that has gone, a full device, closed streams."""
    cli = make("for number in range(20000): click.echo('line')")
    shell = ("bash", "-c", f'"$@" {output}; echo "${{PIPESTATUS[0]}}" >> "$HOME/status"', "sh")
    same(cli, wrapper=shell)
    statuses = (cli.home.path / "status").read_text().split()
    assert len(statuses) == 2
    assert statuses[0] == statuses[1]


@pytest.mark.sample(2)
@pytest.mark.parametrize("spare", [0, 50, 100, 300, 600, 1000, 2000, 4000])
def test_memory_that_runs_out_costs_our_events_alone(spare: int, make: MakeCli, home: Home) -> None:
    """The limit applies from before the command begins until it does."""
    cli = make(
        """
        resource.setrlimit(resource.RLIMIT_AS, before)
        """,
        group=f"""
        pages = int(open("/proc/self/statm").read().split()[0])
        most = pages * resource.getpagesize() + {spare} * 1024
        resource.setrlimit(resource.RLIMIT_AS, (most, before[1]))
        """,
        head="import resource\nbefore = resource.getrlimit(resource.RLIMIT_AS)",
    )
    assert same(cli).returncode == 0


@pytest.mark.extended
@needs_strace
def test_command_that_is_stopped_during_a_write_delays_no_other(
    make: MakeCli, server: Server, home: Home, tmp_path: Path
) -> None:
    """It holds only its own file; once it continues, it is recorded like any other."""
    cli = make()
    seen(cli)
    server.wait_for(2)
    wait_for_end(home)
    calls = ours(traced(cli, "go").calls, home.path)
    server.wait_for(4)
    wait_for_end(home)
    write = next(call for call in calls if call.name == "write")
    log = tmp_path / "log"
    stopped = subprocess.Popen(
        ["strace", "-o", str(log), *inject(write, "SIGSTOP"), "--", *cli.command("go")],
        env=cli.env({"PYTHONHASHSEED": "0"}),
        cwd=home.path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: log.exists() and "--- stopped by SIGSTOP ---" in log.read_text())
        assert len(home.spooled()) == 1
        assert seen(cli).returncode == 0
        assert outcomes(server, 6) == ["success"] * 3
        wait_for_end(home)
        assert len(home.spooled()) == 1
        children = Path(f"/proc/{stopped.pid}/task/{stopped.pid}/children").read_text()
        os.kill(int(children), signal.SIGCONT)
        assert stopped.wait(60) == 0
    finally:
        stopped.kill()
        stopped.wait()
    assert outcomes(server, 8) == ["success"] * 4
