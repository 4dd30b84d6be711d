"""Delivery before the command's end: for machines that end with it, or allow no child."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from click_telemetry._sender.transports.adapter import READ_TIMEOUT

from ..harness.layouts import BASE, zip_packages
from ..harness.processes import APP, Cli, Home
from ..harness.senders import due_now, marked, marked_senders, sender_processes, wait_until
from ..harness.server import Reply, Server
from ..harness.terminal import Terminal

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform == "win32", reason="starts a child with posix_spawn"),
]

PAIR = [("Command Invoked", "acme deploy"), ("Command Completed", "acme deploy")]
LONGER = APP.replace("notice=False", "notice=False, flush_timeout=3")
INLINE = LONGER.replace("notice=False", 'notice=False, delivery="inline"')
FROZEN = "import sys; sys.frozen = True\n"
NO_EXECUTABLE = 'import sys; sys.executable = ""\n'
UNKNOWN_EXECUTABLE = "import sys; sys.executable = None\n"
EMBEDDED = 'import sys; sys.executable = "/usr/bin/true"\n'
NO_CHILD = [
    pytest.param(FROZEN, id="frozen"),
    pytest.param(FROZEN + "import os; del os.fork\n", id="frozen, and no fork"),
    pytest.param(NO_EXECUTABLE, id="empty executable"),
    pytest.param(UNKNOWN_EXECUTABLE, id="no executable"),
    pytest.param(EMBEDDED, id="embedded in another program"),
]
NO_FORK = FROZEN + "import os; del os.fork\n"
EVERYWHERE = [
    pytest.param("", id="in a child"),
    pytest.param(FROZEN, id="in the process"),
    pytest.param(NO_FORK, id="in the process, without fork"),
]


@pytest.fixture
def make(make_cli: Callable[..., Cli], server: Server) -> Callable[[str], Cli]:
    """Writes an application that sends to the server."""

    def made(source: str) -> Cli:
        cli = make_cli(source)
        cli.environ.update(marked(cli.home), ACME_TELEMETRY_HOST=server.url)
        return cli

    return made


def deploy_until_delivered(cli: Cli, server: Server, most: int = 8) -> int:
    """Run the command until nothing is queued, repeatedly on a busy machine. Gives how often."""
    for times in range(1, most + 1):
        run = cli.run("deploy")
        assert (run.stdout, run.stderr, run.returncode) == ("deployed\n", "", 0)
        assert sender_processes(cli.home) == marked_senders(cli.home) == []
        if cli.home.spooled() == []:
            return times
    raise AssertionError(f"not delivered in {most} runs, but {server.events}")


@pytest.mark.sample(1)
@pytest.mark.parametrize("before", EVERYWHERE)
def test_events_are_accepted_when_the_command_ends(
    before: str, make: Callable[[str], Cli], server: Server
) -> None:
    """No process stays behind; what took too long is delivered once, by the next run."""
    times = deploy_until_delivered(make(before + INLINE), server)
    assert server.events == PAIR * times


@pytest.mark.sample(1)
@pytest.mark.parametrize("before", NO_CHILD)
def test_no_child_is_started_where_none_can_run(
    before: str, make: Callable[[str], Cli], server: Server
) -> None:
    """The executable is the application itself, or another program (row 75)."""
    counted = before + textwrap.dedent(
        """
        import os
        def refuse(event, args):
            if event in ("os.posix_spawn", "os.exec", "subprocess.Popen", "os.system"):
                os.write(2, f"started {event} {args}\\n".encode())
        sys.addaudithook(refuse)
        """
    )
    times = deploy_until_delivered(make(counted + LONGER), server)
    assert server.events == PAIR * times


def test_process_that_delivers_itself_is_unchanged_afterwards(
    make: Callable[[str], Cli], server: Server
) -> None:
    """A program that continues has no thread, handler, variable, filter or descriptor of ours."""
    source = """
    import sys; sys.frozen = True
    import os; del os.fork
    import logging, os, signal, threading, warnings, click
    from click_telemetry import instrument
    cli = click.Group("cli", commands={"go": click.Command("go", callback=lambda: None)})
    instrument(cli, app="acme", write_key="key", notice=False, flush_timeout=3)

    def state():
        return (
            [thread.name for thread in threading.enumerate()],
            [signal.getsignal(number) for number in signal.valid_signals()],
            dict(os.environ), list(warnings.filters), signal.setitimer(signal.ITIMER_REAL, 0),
            list(logging.root.handlers), [list(logger.filters) for logger in noisy],
            sys.excepthook, sys.stderr, os.getcwd(), len(os.listdir("/dev/fd")),
        )

    noisy = [logging.getLogger(name) for name in ("urllib3.connectionpool", "segment")]
    before = state()
    for _ in range(5):
        cli.main(["go"], standalone_mode=False)
        print([(was, found) for was, found in zip(before, state()) if was != found])
    """
    cli = make(source)
    run = subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", str(cli.script)],
        env=cli.env({"HTTP_PROXY": "http://127.0.0.1:9", "no_proxy": ""}),
        cwd=cli.home.path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (run.stdout, run.stderr) == ("[]\n" * 5, "")
    assert server.events[:2] == [(name, "acme go") for name, _ in PAIR]


def test_application_s_own_segment_client_is_unchanged(
    make: Callable[[str], Cli], server: Server
) -> None:
    """Delivery in the process changes neither its session nor its log."""
    source = """
    import sys; sys.frozen = True
    import os; del os.fork
    import logging
    import segment.analytics.request as own
    logging.basicConfig(level="DEBUG", stream=sys.stdout, format="%(message)s")
    before = dict(vars(own._session), adapters=dict(own._session.adapters))
    """ + textwrap.indent(LONGER.replace("cli()\n", ""), "    ")
    source = textwrap.dedent(source).replace('if __name__ == "__main__":\n', "")
    source += textwrap.dedent(
        """
        cli.main(["deploy"], standalone_mode=False)
        print(before == dict(vars(own._session), adapters=dict(own._session.adapters)))
        """
    )
    server.reply = Reply(500)
    cli = make(source)
    run = cli.run()
    assert (run.stdout, run.stderr) == ("deployed\nTrue\n", "")
    assert len(server.requests) == 1


@pytest.mark.sample(0)
@pytest.mark.parametrize("before", EVERYWHERE)
def test_server_that_never_responds_delays_the_command_by_the_timeout_at_most(
    before: str, make: Callable[[str], Cli], server: Server, home: Home
) -> None:
    """What is not accepted by then stays queued, and is delivered once by a later run."""
    cli = make(before + INLINE.replace("flush_timeout=3", "flush_timeout=0.5"))
    server.reply = Reply(silent=True)
    for _ in range(2):
        began = time.monotonic()
        run = cli.run("deploy")
        took = time.monotonic() - began
        assert (run.stdout, run.stderr, run.returncode) == ("deployed\n", "", 0)
        assert took < READ_TIMEOUT / 2, "the request's own timeout"
    assert len(home.spooled()) == 2
    assert sender_processes(home) == marked_senders(home) == []
    server.reply = Reply()
    cli.script.write_text(before + INLINE)
    due_now(home)
    times = deploy_until_delivered(cli, server)
    assert server.events == PAIR * (2 + times)


@pytest.mark.sample(1)
@pytest.mark.parametrize("before", EVERYWHERE)
@pytest.mark.parametrize("seconds", [0.001, 0.05, 0.15])
def test_timeout_at_any_moment_changes_no_status(
    seconds: float, before: str, make: Callable[[str], Cli], server: Server, home: Home
) -> None:
    """While importing, connecting, waiting: the process ends as it would without us."""
    server.reply = Reply(delay=0.1)
    cli = make(before + INLINE.replace("flush_timeout=3", f"flush_timeout={seconds}"))
    for _ in range(3):
        run = cli.run("deploy")
        assert (run.stdout, run.stderr, run.returncode) == ("deployed\n", "", 0)
    assert sender_processes(home) == marked_senders(home) == []


@pytest.mark.extended
def test_program_that_continues_has_no_thread_left_after_the_timeout(
    make: Callable[[str], Cli], server: Server
) -> None:
    """On expiry the connection is shut down, and the thread ends."""
    cli = make(
        """
        import sys; sys.frozen = True
        import os; del os.fork
        import threading, time, click
        from click_telemetry import instrument
        cli = click.Group("cli", commands={"go": click.Command("go", callback=lambda: None)})
        instrument(cli, app="acme", write_key="key", notice=False, flush_timeout=3)
        for _ in range(2):
            cli.main(["go"], standalone_mode=False)
            for _ in range(500):
                if threading.active_count() == 1: break
                time.sleep(0.02)
            print(threading.enumerate())
        """
    )
    server.reply = Reply(silent=True)
    run = cli.run()
    assert [line.count("<") for line in run.stdout.splitlines()] == [1, 1], run.stdout
    assert run.stderr == ""
    assert len(server.requests) == 2


@pytest.mark.sample(2)
@pytest.mark.parametrize("before", EVERYWHERE)
@pytest.mark.parametrize("status", [200, 500])
def test_status_of_a_failing_command_is_its_own(
    status: int, before: str, make: Callable[[str], Cli], server: Server
) -> None:
    """Delivery changes neither output nor status, whether or not it succeeds."""
    server.reply = Reply(status)
    run = make(before + INLINE).run("fail")
    assert (run.stdout, run.returncode) == ("", 1)
    assert run.stderr.splitlines()[-1] == "RuntimeError: secret"
    assert "click_telemetry" not in run.stderr


def start_until_it_waits(cli: Cli, command: str, server: Server) -> subprocess.Popen[str]:
    """Start a command, until one is in its request.

    On a busy machine the timeout may be over before the client is loaded: then it starts another.
    """
    for _ in range(5):
        process = cli.start(command)
        while not server.requests and process.poll() is None:
            time.sleep(0.01)
        if server.requests:
            return process
        process.communicate()
        for path in cli.home.spooled():
            path.unlink()
        due_now(cli.home)
    raise AssertionError("no request within the timeout, five times")


@pytest.mark.sample(1)
@pytest.mark.parametrize("before", EVERYWHERE)
@pytest.mark.parametrize(("command", "status"), [("deploy", 0), ("fail", 1)])
def test_ctrl_c_during_the_wait_ends_the_wait(
    command: str, status: int, before: str, make: Callable[[str], Cli], server: Server, home: Home
) -> None:
    """And nothing else: the command has ended, and its status is unchanged."""
    server.reply = Reply(silent=True)
    cli = make(before + INLINE)
    process = start_until_it_waits(cli, command, server)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == status
    assert "KeyboardInterrupt" not in stderr
    assert (stderr == "") == (status == 0)
    assert len(home.spooled()) == 1
    wait_until(lambda: sender_processes(home) == [])


def test_ctrl_c_at_a_terminal_does_not_reach_the_child(
    make: Callable[[str], Cli], server: Server, home: Home
) -> None:
    """The child has its own session; we end it, not the terminal."""
    server.reply = Reply(silent=True)
    cli = make(INLINE)
    terminal = Terminal(cli.command("deploy"), cli.env(), home.path)
    wait_until(lambda: len(server.requests) == 1)
    terminal.type("\x03")
    assert terminal.close() == 0
    assert "Traceback" not in terminal.shown
    assert sender_processes(home) == []


@pytest.mark.sample(1)
@pytest.mark.parametrize("before", EVERYWHERE)
def test_signal_that_the_application_handles_is_its_own(
    before: str, make: Callable[[str], Cli], server: Server
) -> None:
    """An exception of a handler ends the wait, and reaches the application."""
    handled = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
    server.reply = Reply(silent=True)
    cli = make(before + handled + INLINE)
    process = start_until_it_waits(cli, "deploy", server)
    process.terminate()
    _, stderr = process.communicate(timeout=30)
    assert (process.returncode, stderr) == (7, "")
    wait_until(lambda: sender_processes(cli.home) == [])


@pytest.mark.parametrize("reaping", ["signal.SIG_IGN", "lambda *_: os.waitpid(-1, os.WNOHANG)"])
def test_program_that_reaps_every_child_is_unaffected(
    reaping: str, make: Callable[[str], Cli], server: Server
) -> None:
    """The program may have reaped ours."""
    source = f"import os, signal\nsignal.signal(signal.SIGCHLD, {reaping})\n" + INLINE
    times = deploy_until_delivered(make(source), server)
    assert server.events == PAIR * times


@pytest.mark.extended
def test_zipapp_delivers_from_its_zip(server: Server, home: Home, tmp_path: Path) -> None:
    """One file with all packages, as `python -m zipapp` makes it (row 75)."""
    archive = tmp_path / "acme.pyz"
    zip_packages(archive, main=LONGER)
    cli = Packed([BASE, "-I", "-W", "error", str(archive)], home, server)
    times = deploy_until_delivered(cli, server)
    assert server.events == PAIR * times


@pytest.mark.extended
def test_application_with_packages_in_a_zip_delivers(
    server: Server, home: Home, tmp_path: Path
) -> None:
    """As a PEX that is not unpacked: a script, and a zip of packages on `sys.path`."""
    archive = tmp_path / "packages.zip"
    zip_packages(archive)
    script = tmp_path / "acme.py"
    script.write_text(f"import sys; sys.path.insert(0, {str(archive)!r})\n{LONGER}")
    cli = Packed([BASE, "-I", str(script)], home, server)
    times = deploy_until_delivered(cli, server)
    assert server.events == PAIR * times


class Packed(Cli):
    """An application with its own command line."""

    def __init__(self, line: list[str], home: Home, server: Server) -> None:
        self.home = home
        self.environ = {"ACME_TELEMETRY_HOST": server.url}
        self._line = line

    def command(self, *args: str) -> list[str]:
        """The command line."""
        return [*self._line, *args]


def can_unshare() -> bool:
    """Whether a process can be the first of a namespace here, as in a container."""
    if shutil.which("unshare") is None:
        return False
    tried = subprocess.run(
        ["unshare", "--pid", "--fork", "--kill-child", "true"], check=False, capture_output=True
    )
    return tried.returncode == 0


@pytest.mark.skipif(not can_unshare(), reason="no unshare, or it may not make a PID namespace")
def test_first_process_of_a_container_delivers_before_its_end(
    make: Callable[[str], Cli], server: Server, home: Home
) -> None:
    """A process that it leaves behind would be killed with the container."""
    source = LONGER.replace('click.echo("deployed")', "import os; click.echo(os.getpid())")
    cli = make(source)
    for times in range(1, 9):  # noqa: B007
        run = subprocess.run(
            ["unshare", "--pid", "--fork", "--kill-child", *cli.command("deploy")],
            env=cli.env(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (run.stdout, run.stderr, run.returncode) == ("1\n", "", 0)
        if home.spooled() == []:
            break
    assert server.events == PAIR * times


def test_sender_s_own_environment_starts_no_sender(
    make: Callable[[str], Cli], server: Server, home: Home
) -> None:
    """An application that runs in a sender's environment records, and delivers nothing."""
    for before in ("", FROZEN):
        run = make(before + INLINE).run("deploy", env={"CLICK_TELEMETRY_SENDER": "1"})
        assert (run.stdout, run.stderr, run.returncode) == ("deployed\n", "", 0)
    assert server.requests == []
    assert len(home.spooled()) == 2


def test_command_that_runs_at_exit_is_delivered_then_or_by_the_next_run(
    make: Callable[[str], Cli], home: Home
) -> None:
    """Python 3.12 starts neither a thread nor a process at exit; nothing is lost (row 69)."""
    source = FROZEN + LONGER.replace(
        "    cli()\n",
        "    import atexit; atexit.register(lambda: cli.main(['deploy'], standalone_mode=False))\n",
    )
    run = make(source).run()
    assert (run.stdout, run.stderr, run.returncode) == ("deployed\n", "", 0)
    assert len(home.spooled()) == (1 if sys.version_info[:2] == (3, 12) else 0)
