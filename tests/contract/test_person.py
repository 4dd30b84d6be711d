"""The person at the prompt: the notice is first, opt-outs apply, what is sent can be seen."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from ..harness.processes import APP, Cli, Home
from ..harness.senders import sender_processes
from ..harness.server import Server
from ..harness.terminal import Terminal, run_in_terminal

needs_demo = pytest.mark.skipif(find_spec("rich_click") is None, reason="the demo uses rich-click")

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal"),
]

DEMO = str(Path(sys.executable).with_name("demo-cli"))


@pytest.fixture
def polite(make_cli: Callable[..., Cli], server: Server) -> Cli:
    """The small application, with the notice."""
    made = make_cli(APP.replace(", notice=False", ""))
    made.environ["ACME_TELEMETRY_HOST"] = server.url
    return made


def test_the_first_run_shows_the_notice_and_the_second_one_records(
    polite: Cli, server: Server, home: Home
) -> None:
    """Notice first: on a terminal, once, and nothing is recorded before it."""
    first = run_in_terminal(polite, "deploy")
    assert "acme records" in first
    assert "--no-telemetry" in first
    assert home.spooled() == []
    second = run_in_terminal(polite, "deploy")
    assert second == "deployed\r\n"
    assert len(server.wait_for(2)) == 2


def test_without_a_terminal_the_notice_is_not_shown_and_nothing_is_recorded(
    polite: Cli, server: Server, home: Home
) -> None:
    """A first run in a script leaves no trace, however often."""
    for _ in range(2):
        run = polite.run("deploy")
        assert (run.stdout, run.stderr, run.returncode) == ("deployed\n", "", 0)
    assert home.files() == []
    assert server.requests == []


NO = {
    "the flag": (("--no-telemetry",), {}, None),
    "DO_NOT_TRACK": ((), {"DO_NOT_TRACK": "1"}, None),
    "NO_ANALYTICS": ((), {"NO_ANALYTICS": "yes"}, None),
    "its own opt-out": ((), {"ACME_NO_TELEMETRY": "true"}, None),
    "its own variable": ((), {"ACME_TELEMETRY": "0"}, None),
    "its own variable, empty": ((), {"ACME_TELEMETRY": ""}, None),
    "a saved setting": ((), {}, '{"enabled": false}'),
    "a setting that cannot be read": ((), {}, '{"enabled": "false"'),
    "CI": ((), {"CI": "true"}, None),
    "a test run": ((), {"PYTEST_CURRENT_TEST": "x"}, None),
}


@pytest.mark.parametrize(("flags", "environ", "stored"), list(NO.values()), ids=list(NO))
@pytest.mark.parametrize("command", ["deploy", "fail"])
def test_an_opt_out_means_zero_bytes_zero_processes_zero_connections(
    flags: tuple[str, ...],
    environ: dict[str, str],
    stored: str | None,
    command: str,
    cli: Cli,
    server: Server,
    home: Home,
) -> None:
    """With each opt-out, whether the command succeeds or fails."""
    if stored is not None:
        home.choice().parent.mkdir(parents=True)
        home.choice().write_text(stored)
    before = home.digest()
    run = cli.run(command, *flags, env=environ)
    assert run.returncode == (1 if command == "fail" else 0)
    assert home.digest() == before
    assert sender_processes(home) == []
    assert server.requests == []


@pytest.mark.usefixtures("default_delay")
def test_a_variable_of_one_run_does_not_affect_what_another_one_recorded(
    cli: Cli, server: Server, home: Home
) -> None:
    """It is for that run: nothing is sent in it, and nothing is lost."""
    cli.run("deploy", env={"ACME_TELEMETRY_HOST": "http://127.0.0.1:9"})
    queued = home.spooled()
    cli.run("deploy", env={"DO_NOT_TRACK": "1"})
    assert home.spooled() == queued


def demo(home: Home, *args: str, **environ: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [DEMO, *args],
        env={**home.environ, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        cwd=home.path,
        check=False,
    )


@needs_demo
def test_log_mode_shows_each_message_and_changes_nothing_else(home: Home) -> None:
    """On stderr, one a line; stdout is the bare run's, nothing is stored, nothing started."""
    bare = demo(home, "deploy", "--region", "eu", DO_NOT_TRACK="1")
    logged = demo(home, "deploy", "--region", "eu", DEMO_TELEMETRY="log")
    assert logged.stdout == bare.stdout
    assert bare.stderr == b""
    messages = [json.loads(line) for line in logged.stderr.splitlines()]
    assert [(m["event"], m["properties"]["flags"]) for m in messages] == [
        ("Command Invoked", ["region"]),
        ("Command Completed", ["region"]),
    ]
    assert len({m["anonymousId"] for m in messages}) == 1
    assert home.files() == []
    assert sender_processes(home) == []


@needs_demo
def test_demo_stores_and_sends_nothing(home: Home) -> None:
    """It has no write key: no notice on a terminal, no file, no process, in no run."""
    for _ in range(2):
        terminal = Terminal([DEMO, "deploy", "--dry-run"], home.environ, home.path)
        assert terminal.close() == 0
        assert terminal.shown.startswith("Deploying to eu")
        assert "records" not in terminal.shown
    assert home.files() == []
    assert sender_processes(home) == []
    found = json.loads(demo(home, "telemetry", "status", "--json").stdout)
    assert (found["reason"], found["hosts"]) == ("no_destination", [])


@needs_demo
def test_lazy_group_of_the_demo_stays_lazy(home: Home) -> None:
    """Instrumented, `deploy` imports no module of the group that it does not run."""
    source = """
import sys
from demo_cli.main import cli
try:
    cli(["deploy"])
finally:
    print(sorted(name for name in sys.modules if name.startswith("demo_cli.")), file=sys.stderr)
"""
    runs = [
        subprocess.run(
            [sys.executable, "-c", source],
            env={**home.environ, **environ},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        for environ in ({"DEMO_TELEMETRY": "log"}, {"DO_NOT_TRACK": "1"})
    ]
    modules = [run.stderr.splitlines()[-1] for run in runs]
    assert modules[0] == modules[1]
    assert "demo_cli.deploy" in modules[0]
    assert "demo_cli.db" not in modules[0]
