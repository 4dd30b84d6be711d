"""The notice in whole processes: once, on a terminal, before anything is recorded."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections import Counter
from collections.abc import Callable

import pytest

from ..harness.processes import APP, Cli, Home
from ..harness.senders import sender_processes, wait_until
from ..harness.server import Server
from ..harness.terminal import Terminal
from .test_person import on_terminal
from .test_telemetry_commands import WITH_GROUP

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal"),
]

POLITE = WITH_GROUP.replace(", notice=False", "")
LAST = "Nothing was recorded this time."


@pytest.fixture
def polite(make_cli: Callable[..., Cli], server: Server) -> Cli:
    """The small application with the telemetry commands, which tells people first."""
    made = make_cli(POLITE)
    made.environ["ACME_TELEMETRY_HOST"] = server.url
    return made


def test_the_notice_is_read_in_five_seconds(polite: Cli, home: Home) -> None:
    """What, what never, how to say no, where to see more: on the screen as it stands here."""
    assert on_terminal(polite, home, "deploy").replace("\r\n", "\n") == (
        "acme records which of its commands are used, to improve it: their names, the\n"
        "names of their flags and how they end. Never a value, an argument, a path or a\n"
        "message.\n"
        "  Say no:   acme.py telemetry disable (for one run: --no-telemetry)\n"
        "  See more: acme.py telemetry status\n"
        "Nothing was recorded this time.\n"
        "deployed\n"
    )


@pytest.mark.parametrize(
    ("options", "shown", "not_shown"),
    [
        (", no_telemetry_option=False", "DO_NOT_TRACK=1", "--no-telemetry"),
        ("", "ACME_TELEMETRY=log", "telemetry status"),
    ],
)
def test_the_notice_names_what_the_application_has(
    make_cli: Callable[..., Cli], home: Home, options: str, shown: str, not_shown: str
) -> None:
    """No flag that was left out, no commands that were not added."""
    cli = make_cli(APP.replace(", notice=False", options))
    said = on_terminal(cli, home, "deploy")
    assert shown in said
    assert not_shown not in said


def test_the_notice_finds_the_commands_where_they_are_and_looks_nothing_up(
    make_cli: Callable[..., Cli], home: Home
) -> None:
    """Below another group too; a group that loads its commands late is not asked (rule 33)."""
    below = """
class Lazy(click.Group):
    def get_command(self, ctx, name): print("LOOKED", name)
    def list_commands(self, ctx): print("LOOKED"); return ["x"]
cli.add_command(Lazy("lazy"))
config = click.Group("config")
cli.add_command(config)
config.add_command(telemetry_group("privacy"))
"""
    cli = make_cli(POLITE.replace("cli.add_command(telemetry_group())", below))
    said = on_terminal(cli, home, "deploy")
    assert "Say no:   acme.py config privacy disable" in said
    assert "LOOKED" not in said


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('notice="We count commands.\\nNo: acme telemetry disable"', True),
        ("notice=False", False),
    ],
)
def test_the_application_s_own_words_or_none(
    make_cli: Callable[..., Cli], server: Server, home: Home, text: str, shown: bool
) -> None:
    """Its text stands in the place of ours; without a notice the first run is recorded."""
    cli = make_cli(WITH_GROUP.replace("notice=False", text))
    cli.environ["ACME_TELEMETRY_HOST"] = server.url
    said = on_terminal(cli, home, "deploy").replace("\r\n", "\n")
    own = "We count commands.\nNo: acme telemetry disable\n" if shown else ""
    assert said == own + "deployed\n"
    assert bool(home.spooled() or server.requests) is not shown


def test_opt_in_asks_nobody_and_records_nobody(make_cli: Callable[..., Cli], home: Home) -> None:
    """Without a yes there is nothing to tell."""
    cli = make_cli(POLITE.replace('write_key="key"', 'write_key="key", consent="opt-in"'))
    for _ in range(2):
        assert on_terminal(cli, home, "deploy") == "deployed\r\n"
    assert home.files() == []


NOT_HERE: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "--help": (("--help",), {}),
    "help of a command": (("deploy", "--help"), {}),
    "no command": ((), {}),
    "a mistake": (("deplyo",), {}),
    "completion": ((), {"_ACME_PY_COMPLETE": "bash_complete", "COMP_WORDS": "acme.py ",
                        "COMP_CWORD": "1"}),
    "CI": (("deploy",), {"CI": "1"}),
    "a test run": (("deploy",), {"PYTEST_VERSION": "8"}),
    "the flag": (("deploy", "--no-telemetry"), {}),
    "a variable": (("deploy",), {"DO_NOT_TRACK": "1"}),
    "log mode": (("deploy",), {"ACME_TELEMETRY": "log"}),
    "a telemetry command": (("telemetry", "status"), {}),
    "an odd HOME": (("deploy",), {"HOME": ""}),
}  # fmt: skip


def test_the_notice_is_not_shown_where_nothing_would_be_recorded(polite: Cli, home: Home) -> None:
    """Not in help, completion, CI, tests, after a no, or where it cannot be kept."""
    for name, (words, environ) in NOT_HERE.items():
        terminal = Terminal(polite.command(*words), polite.env(environ), home.path)
        terminal.close()
        assert LAST not in terminal.shown, name
        assert home.files() == [], name


def test_the_notice_is_never_on_stdout(polite: Cli, home: Home) -> None:
    """`acme deploy > file`: the file holds what it always held, the terminal is told."""
    master, slave = pty.openpty()
    run = subprocess.run(
        polite.command("deploy"),
        env=polite.env(),
        stdout=subprocess.PIPE,
        stderr=slave,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=True,
    )
    os.close(slave)
    assert run.stdout == b"deployed\n"
    assert LAST.encode() in os.read(master, 4096)
    os.close(master)
    assert home.spooled() == []


def test_the_notice_stays_away_after_a_no_and_comes_back_after_a_purge(
    polite: Cli, home: Home
) -> None:
    """Who has refused is left alone; who has had everything forgotten is told anew."""
    assert LAST in on_terminal(polite, home, "deploy")
    on_terminal(polite, home, "telemetry", "disable")
    assert on_terminal(polite, home, "deploy") == "deployed\r\n"
    on_terminal(polite, home, "telemetry", "enable")
    on_terminal(polite, home, "telemetry", "purge")
    home.choice().unlink()
    assert LAST in on_terminal(polite, home, "deploy")


def test_50_first_runs_at_once_show_one_notice(polite: Cli, home: Home) -> None:
    """Fifty terminals, fifty processes, one notice."""
    terminals = [Terminal(polite.command("deploy"), polite.env(), home.path) for _ in range(50)]
    ends = Counter(terminal.close(120) for terminal in terminals)
    assert ends == {0: 50}
    assert sum(LAST in terminal.shown for terminal in terminals) == 1
    assert all(terminal.shown.endswith("deployed\r\n") for terminal in terminals)
    others = [terminal.shown for terminal in terminals if LAST not in terminal.shown]
    assert others == ["deployed\r\n"] * 49


@pytest.mark.parametrize("runs", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_parallel_first_runs_agree_on_one_id(
    make_cli: Callable[..., Cli], server: Server, home: Home, runs: int
) -> None:
    """One ID, one identify, and each run's pair of events (rows 28, 38)."""
    cli = make_cli(APP)
    cli.environ["ACME_TELEMETRY_HOST"] = server.url
    started = [cli.start("deploy") for _ in range(runs)]
    assert Counter(one.communicate(timeout=300)[0] for one in started) == {"deployed\n": runs}
    tracks = server.wait_for(2 * runs, timeout=120)
    assert len(tracks) == 2 * runs
    stored = (home.state() / "id").read_text().strip()
    assert {message["anonymousId"] for message in server.messages} == {stored}
    assert sum(message["type"] == "identify" for message in server.messages) == 1
    wait_until(lambda: sender_processes(home) == [])


def test_an_invalid_id_is_made_anew_once(
    make_cli: Callable[..., Cli], server: Server, home: Home
) -> None:
    """Whatever stands there: one new ID for all who come, and it stays (row 82)."""
    cli = make_cli(WITH_GROUP)
    cli.environ["ACME_TELEMETRY_HOST"] = server.url
    home.state().mkdir(parents=True, mode=0o700)
    (home.state() / "id").write_text("host-4711\n")
    started = [cli.start("deploy") for _ in range(10)]
    for one in started:
        one.communicate(timeout=60)
    found = {message["anonymousId"] for message in server.wait_for(20)}
    assert found == {(home.state() / "id").read_text().strip()}
    said = json.loads(cli.run("telemetry", "status", "--json").stdout)
    assert {said["anonymous_id"]} == found
