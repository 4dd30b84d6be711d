"""Commands do not wait for delivery, and it loses nothing: real processes, a real server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable

import pytest

from click_telemetry._sender.state import SenderState

from ..harness.processes import Cli, Home
from ..harness.queue import messages_of
from ..harness.senders import (
    due_now,
    is_alive,
    lock_of,
    sender_processes,
    wait_for_end,
    wait_until,
)
from ..harness.server import Reply, Request, Server

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform != "linux", reason="inspects /proc and file locks"),
]

PAIR = [("Command Invoked", "acme deploy"), ("Command Completed", "acme deploy")]


@pytest.mark.usefixtures("default_delay")
def test_command_does_not_wait_for_the_sender(cli: Cli, server: Server, home: Home) -> None:
    """The prompt is back while the sender still sleeps, and the command's pipes are closed."""
    cli.run("deploy")  # compiles the modules
    server.wait_for(2)
    wait_for_end(home)
    run = cli.run("deploy")
    assert (run.stdout, run.returncode) == ("deployed\n", 0)
    assert is_alive(lock_of(home))
    assert len(server.wait_for(4)) == 4


@pytest.mark.usefixtures("default_delay")
def test_burst_of_commands_joins_one_request(cli: Cli, server: Server, home: Home) -> None:
    """While one sender sleeps, no command starts another."""
    for _ in range(5):
        cli.run("deploy")
    tracks = server.wait_for(10)
    wait_for_end(home)
    assert server.events == PAIR * 5
    assert len({track["anonymousId"] for track in tracks}) == 1
    assert len(server.requests) <= 4


@pytest.mark.extended
def test_one_identify_for_one_id(cli: Cli, server: Server, home: Home) -> None:
    """The sender composes it, once, without traits."""
    for wanted in (2, 4):
        cli.run("deploy")
        server.wait_for(wanted)
        wait_for_end(home)
    (identify,) = [m for r in server.requests for m in r.batch if m["type"] == "identify"]
    assert identify["traits"] == {}
    assert identify["anonymousId"] == (home.state() / "id").read_text().strip()


def test_refused_request_keeps_everything_for_later(cli: Cli, server: Server, home: Home) -> None:
    """After a failure the next sender that is due delivers everything."""
    answers = [Reply(503)]

    def reply(request: Request) -> Reply:
        return answers.pop() if answers else Reply()

    server.reply = reply
    cli.run("deploy")
    wait_until(lambda: len(server.requests) == 1)
    wait_for_end(home)
    assert len(home.spooled()) == 1
    cli.run("deploy")
    wait_for_end(home)  # one run in a hundred starts a sender that only trims
    assert len(server.requests) == 1, "a failure postpones the next sender"
    due_now(home)
    cli.run("deploy")
    server.wait_for(6)
    wait_for_end(home)
    assert server.events == PAIR * 3
    assert home.spooled() == []


def test_closed_port_keeps_everything(home: Home, make_cli: Callable[..., Cli]) -> None:
    """No server listens: no output, no wait, nothing lost."""
    made = make_cli()
    run = made.run("deploy", env={"ACME_TELEMETRY_HOST": "http://127.0.0.1:9"})
    assert (run.stdout, run.stderr, run.returncode) == ("deployed\n", "", 0)
    wait_for_end(home)
    (file,) = home.spooled()
    assert [message["event"] for message in messages_of(file)] == [event for event, _ in PAIR]
    state = SenderState(str(file.parent))
    assert (state.failures, state.last_error) == (1, "ConnectionError")


def test_killed_command_is_unfinished(cli: Cli, server: Server, home: Home) -> None:
    """After SIGKILL the next sender completes its run."""
    process = cli.start("wait")
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    process.kill()
    process.communicate()
    assert len(home.spooled()) == 1
    cli.run("deploy")
    arrived = {
        (m["event"], m["properties"]["command"], m["properties"].get("outcome"))
        for m in server.wait_for(4)
    }
    assert arrived == {
        ("Command Invoked", "acme wait", None),
        ("Command Completed", "acme wait", "unfinished"),
        ("Command Invoked", "acme deploy", None),
        ("Command Completed", "acme deploy", "success"),
    }
    (ended,) = [m for m in server.wait_for(4) if m["properties"].get("outcome") == "unfinished"]
    assert "duration_ms" not in ended["properties"]
    assert ended["properties"]["succeeded"] is False


def test_living_command_is_not_unfinished(cli: Cli, server: Server, home: Home) -> None:
    """A stopped command holds the lock of its file, too."""
    process = cli.start("wait")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGSTOP)
    try:
        cli.run("deploy")
        server.wait_for(2)
        wait_for_end(home)
        assert server.events == PAIR
        assert len(home.spooled()) == 1
    finally:
        process.kill()
        process.communicate()


@pytest.mark.extended
def test_sender_killed_after_the_server_accepted_sends_the_same_again(
    cli: Cli, server: Server, home: Home
) -> None:
    """Nothing is lost, and repeated messages do not differ."""
    server.reply = Reply(delay=1.0)
    cli.run("deploy")
    wait_until(lambda: len(server.requests) == 1)
    for pid in sender_processes(home):
        os.kill(pid, signal.SIGKILL)
    wait_for_end(home)
    assert len(home.spooled()) == 1
    server.reply = Reply()
    cli.run("deploy")
    wait_until(lambda: home.spooled() == [])
    wait_for_end(home)
    first = {m["messageId"]: m for m in server.requests[0].batch}
    for request in server.requests[1:]:
        for message in request.batch:
            assert first.get(message["messageId"], message) == message
    assert server.events == PAIR * 2


@pytest.mark.extended
@pytest.mark.usefixtures("default_delay")
def test_sender_holds_the_lock_that_it_inherited(cli: Cli, server: Server, home: Home) -> None:
    """The lock is held while it sleeps and delivers, and free after its end or a kill."""
    cli.run("deploy")
    lock = lock_of(home)
    assert is_alive(lock)
    for pid in sender_processes(home):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(lock))
    cli.run("deploy")
    server.wait_for(4)
    wait_for_end(home)


def test_sender_gets_nothing_that_others_can_read(cli: Cli, server: Server, home: Home) -> None:
    """Neither its command line nor its environment contains the command's secrets."""
    secrets = {"ACME_SECRET": "canary-4711", "AWS_SECRET_ACCESS_KEY": "canary-0815"}
    server.reply = Reply(delay=3.0)
    cli.run("deploy", env={**secrets, "HTTPS_PROXY": "http://127.0.0.1:9"})
    wait_until(lambda: len(server.requests) == 1)
    (pid,) = sender_processes(home)
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        line = file.read()
    with open(f"/proc/{pid}/environ", "rb") as file:
        environ = dict(pair.split(b"=", 1) for pair in file.read().split(b"\0") if pair)
    assert b"canary" not in line
    assert b"key" not in line.replace(b"keys", b"")
    assert set(environ) == {b"PATH", b"NETRC", b"CLICK_TELEMETRY_SENDER", b"HTTPS_PROXY"}
    streams = [os.readlink(f"/proc/{pid}/fd/{n}") for n in (0, 1, 2)]
    assert streams == ["/dev/null"] * 3
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    assert os.getsid(pid) != os.getsid(0)


@pytest.mark.extended
@pytest.mark.usefixtures("default_delay")
def test_inherited_descriptor_is_not_kept_open(cli: Cli, server: Server, home: Home) -> None:
    """The lock of `( flock 9; cmd ) 9>lock` is free when the command has ended."""
    lock = home.path / "own-lock"
    line = f'exec 9>"{lock}"; flock 9; "$@"'
    subprocess.run(
        ["bash", "-c", line, "sh", *cli.command("deploy")], env=cli.env(), check=True, timeout=30
    )
    assert is_alive(lock_of(home))
    assert not is_alive(lock)
    server.wait_for(2)


def test_program_that_continues_never_waits_for_our_child(
    server: Server, home: Home, make_cli: Callable[..., Cli]
) -> None:
    """The application's own `os.wait()` finds no child, and no zombie is left."""
    made = make_cli(
        """
        import os, click
        from click_telemetry import instrument
        cli = click.Group("cli")
        cli.add_command(click.Command("go", callback=lambda: None))
        instrument(cli, app="acme", write_key="key", notice=False)
        for _ in range(3):
            try:
                cli.main(["go"])
            except SystemExit:
                pass
            try:
                print("child", os.wait())
            except ChildProcessError:
                print("no child")
        """
    )
    run = made.run(env={"ACME_TELEMETRY_HOST": server.url})
    assert run.stdout == "no child\n" * 3
    assert len(server.wait_for(6)) == 6


@pytest.mark.extended
@pytest.mark.usefixtures("default_delay")
def test_disabling_stops_what_is_queued(cli: Cli, server: Server, home: Home) -> None:
    """The sender reads the saved setting right before it sends."""
    cli.run("deploy")
    home.choice().parent.mkdir(parents=True)
    home.choice().write_text('{"enabled": false}')
    wait_for_end(home)
    assert server.requests == []
    assert len(home.spooled()) == 1


@pytest.mark.sample(1)
@pytest.mark.parametrize("trap", ["requests.py", "sitecustomize.py", "segment/__init__.py"])
def test_module_planted_in_the_cwd_or_on_the_path_is_not_executed(
    trap: str, cli: Cli, server: Server, home: Home
) -> None:
    """The sender imports from installed packages alone."""
    planted = home.path / "planted"
    ran = planted / "ran"
    source = f"""
    import os
    if "CLICK_TELEMETRY_SENDER" in os.environ:
        open({str(ran)!r}, "w")
    """
    for place in (home.path, planted):
        (place / trap).parent.mkdir(parents=True, exist_ok=True)
        (place / trap).write_text(textwrap.dedent(source))
    cli.run("deploy", env={"PYTHONPATH": str(planted)})
    server.wait_for(2)
    assert not ran.exists()


def test_destinations_are_kept_apart(cli: Cli, server: Server) -> None:
    """No run delivers what is queued for another destination."""
    other = Server()
    other.start()
    try:
        cli.run("deploy")
        cli.run("deploy", env={"ACME_TELEMETRY_HOST": other.url})
        server.wait_for(2)
        other.wait_for(2)
        time.sleep(0.2)
        assert (server.events, other.events) == (PAIR, PAIR)
    finally:
        other.stop()


def test_proxy_is_not_used_for_loopback(cli: Cli, server: Server) -> None:
    """Events for a loopback host never reach a proxy."""
    cli.run("deploy", env={"HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"})
    server.wait_for(2)
    assert server.events == PAIR
