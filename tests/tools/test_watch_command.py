"""The command `watch`: its usage, and what applications report to the receiver, from both sides."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from click_telemetry import __version__
from click_telemetry._foreground.sinks import (
    ADDRESS_VARIABLE,
    DECISIONS,
    STATE_VARIABLE,
    report,
)
from click_telemetry._recorder import OFF, WATCH
from click_telemetry._tools.child import private_state
from click_telemetry._tools.cli import cli
from click_telemetry._tools.explanation import DecisionReport, Evidence
from click_telemetry._tools.watch_command import decision_reports, print_result


def test_it_prints_its_version() -> None:
    """`click-telemetry --version` gives the library's version."""
    result = CliRunner().invoke(cli, ["--version"])
    assert (result.exit_code, result.output) == (0, f"click-telemetry, version {__version__}\n")


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_its_help_names_its_commands(flag: str) -> None:
    """The help page lists `watch`."""
    result = CliRunner().invoke(cli, [flag])
    assert result.exit_code == 0
    assert "watch" in result.output


@pytest.mark.parametrize("args", [[], ["--"], ["--json"]])
def test_watching_nothing_names_the_fix(args: list[str]) -> None:
    """Without a command there is a usage error with an example."""
    result = CliRunner().invoke(cli, ["watch", *args])
    assert result.exit_code == 2
    assert "click-telemetry watch -- demo-cli deploy" in " ".join(result.output.split())


def test_an_unknown_option_before_the_command_is_an_error() -> None:
    """A typing error in our own option is not taken for the command."""
    result = CliRunner().invoke(cli, ["watch", "--jsn", "true"])
    assert result.exit_code == 2
    assert "--jsn" in result.output


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The state directory of a watched run, in its environment."""
    monkeypatch.setenv(ADDRESS_VARIABLE, "http://127.0.0.1:9")
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path))
    return str(tmp_path)


def test_reports_are_read_in_their_order(state: str) -> None:
    """Of each application the receiver knows what was decided, and why."""
    expected = [
        DecisionReport("acme", False),
        DecisionReport("acme", True, OFF, "variable", "DO_NOT_TRACK"),
        DecisionReport("beta", False),
        DecisionReport("beta", True, WATCH),
    ]
    assert decision_reports(state) == []
    known: set[Path] = set()
    for second, one in enumerate(expected):
        if one.decided:
            report(one.app, one.reason, one.detail, one.mode)
        else:
            report(one.app, None)
        (written,) = {*Path(state, DECISIONS).iterdir()} - known
        os.utime(written, (second, second))
        known.add(written)
    assert decision_reports(state) == expected


def test_a_run_that_outlives_the_receiver_creates_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """When the receiver's directory is deleted, no application creates it again."""
    monkeypatch.setenv(ADDRESS_VARIABLE, "http://127.0.0.1:9")
    with private_state("watch") as state:
        monkeypatch.setenv(STATE_VARIABLE, state)
    report("acme", "", mode=WATCH)
    assert not os.path.lexists(state)


def test_without_a_receiver_nothing_is_reported(
    state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ordinary run writes no report, even if a directory is given."""
    monkeypatch.delenv(ADDRESS_VARIABLE)
    report("acme", "", mode=WATCH)
    assert os.listdir(state) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"null",
        b'{"app": "acme"}',
        b'{"decided": true}',
        b"\xff",
        b"[" * 50_000,
        b'{"app": "acme", "decided": true, "x": "' + b"x" * 1024 * 1024 + b'"}',
    ],
    ids=range(10),
)
def test_a_file_that_is_no_report_is_skipped(state: str, content: bytes) -> None:
    """A torn or foreign file among the reports is not shown as a reason."""
    report("acme", None)
    Path(state, DECISIONS, "junk.json").write_bytes(content)
    Path(state, DECISIONS, "directory.json").mkdir()
    os.mkfifo(Path(state, DECISIONS, "fifo.json"))
    assert decision_reports(state) == [DecisionReport("acme", False)]


def test_the_state_is_private_and_temporary() -> None:
    """No other user can read a watched run, and nothing of it stays."""
    with private_state("watch") as state:
        assert os.stat(state).st_mode & 0o777 == 0o700
        Path(state, "acme").mkdir()
    assert not os.path.lexists(state)


@pytest.mark.parametrize(("terminal", "lines"), [("1", 3), ("0", 1)], ids=["terminal", "pipe"])
def test_the_last_line_is_wrapped_at_words_in_a_terminal_alone(
    terminal: str,
    lines: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A person reads whole words; a script finds one line."""
    monkeypatch.setenv("TTY_COMPATIBLE", terminal)
    monkeypatch.setenv("COLUMNS", "60")
    sentence = "Outside watch: acme would send nothing, since " + "one two three four " * 6
    print_result([], Evidence(["acme"], 0, outside=[sentence.strip()]), table=False)
    shown = capsys.readouterr().err.splitlines()
    assert " ".join(line.strip() for line in shown[-lines:]) == sentence.strip()
    assert shown[-lines].startswith("Outside watch: ")
