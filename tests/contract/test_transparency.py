"""Strict modes of Python report nothing of ours, and our files and frames stay invisible."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from ..harness.processes import Cli, Home
from ..harness.server import Server

pytestmark = pytest.mark.contract


def run_with(cli: Cli, *options: str, args: tuple[str, ...] = ("deploy",)) -> tuple[str, str, int]:
    run = subprocess.run(
        [sys.executable, *options, str(cli.script), *args],
        env=cli.env(),
        capture_output=True,
        text=True,
        timeout=60,
        cwd=cli.home.path,
        check=False,
    )
    return run.stdout, run.stderr, run.returncode


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    "options",
    [("-X", "dev"), ("-W", "error"), ("-O",), ("-OO",), ("-X", "dev", "-W", "error"), ("-B",)],
    ids=" ".join,
)
def test_strict_interpreters_report_nothing_of_ours(
    options: tuple[str, ...], cli: Cli, server: Server
) -> None:
    """No resource warning, no deprecated name of Click's, no assertion with an effect (rule 8)."""
    assert run_with(cli, *options) == ("deployed\n", "", 0)
    assert [track["event"] for track in server.wait_for(2)] == [
        "Command Invoked",
        "Command Completed",
    ]


def test_strict_interpreters_report_nothing_of_ours_where_a_command_fails(
    cli: Cli, server: Server
) -> None:
    """The application's own traceback is the only output."""
    out, err, code = run_with(cli, "-X", "dev", "-W", "error", args=("fail",))
    assert (out, code) == ("", 1)
    assert err.splitlines()[-1] == "RuntimeError: secret"
    assert "click_telemetry" not in err
    completed = server.wait_for(2)[1]
    assert completed["properties"]["error_class"] == "RuntimeError"


@pytest.mark.sample(2)
@pytest.mark.parametrize("redirection", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", "> /dev/full"])
def test_closed_and_full_standard_streams_are_as_without_us(
    redirection: str, cli: Cli, server: Server, make_cli: Callable[..., Cli], home: Home
) -> None:
    """Our own files never land on the numbers of the streams (rows 6, 72)."""
    bare = make_cli(cli.script.read_text().replace("@instrumented_group", "#"), name="bare.py")
    seen = []
    for application in (bare, cli):
        line = f'"$@" {redirection}'
        command = ["sh", "-c", line, "sh", *application.command("deploy")]
        run = subprocess.run(
            command, env=application.env(), capture_output=True, timeout=60, check=False
        )
        seen.append((run.returncode, run.stdout, run.stderr.replace(b"acme.py", b"bare.py")))
    assert seen[1] == seen[0]
    assert len(server.wait_for(2)) == 2


def test_reader_that_goes_away_is_as_without_us(cli: Cli, server: Server) -> None:
    """`| head -1` ends the command as a broken pipe does (row 6)."""
    line = '"$@" --help | head -c 1; echo; echo "${PIPESTATUS[0]}"'
    run = subprocess.run(
        ["bash", "-c", line, "sh", *cli.command("deploy")],
        env=cli.env(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.stderr == ""
    assert server.requests == []
