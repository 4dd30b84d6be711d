"""The notice in real processes: once, on a terminal, before anything is recorded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable

import pytest

from ..harness.processes import APP, WITH_COMMANDS, Cli, Home
from ..harness.senders import sender_processes, wait_until
from ..harness.server import Server
from ..harness.terminal import Terminal, run_in_terminal

if sys.platform != "win32":
    import pty

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal"),
]

SOURCE = WITH_COMMANDS.replace(", notice=False", "")
LAST = "Nothing was recorded this time."
HOST = "ACME_TELEMETRY_HOST"


@pytest.fixture
def acme(make_cli: Callable[..., Cli], server: Server) -> Cli:
    """The small application with the telemetry commands and a notice."""
    made = make_cli(SOURCE)
    made.environ["ACME_TELEMETRY_HOST"] = server.url
    return made


def test_the_notice_is_read_in_five_seconds(acme: Cli, home: Home) -> None:
    """What is recorded, who receives it, how to opt out, how to see it."""
    assert run_in_terminal(acme, "deploy").replace("\r\n", "\n") == (
        "acme records how it is used, to improve it: each command with the names of its\n"
        "options, time, duration, exit code and kind of error; system, versions, whether\n"
        "a person or a script runs it, how sending works, and a random ID. acme may add\n"
        "more, such as your choice from a fixed list. All of it is sent to\n"
        f"{acme.environ[HOST][7:]}.\n"
        "  To opt out: acme.py telemetry disable (for one run: --no-telemetry)\n"
        "  To see it:  acme.py telemetry show\n"
        "Nothing was recorded this time.\n"
        "\n"
        "deployed\n"
    )


@pytest.mark.parametrize(
    ("options", "shown", "not_shown"),
    [
        (", no_telemetry_option=False", "DO_NOT_TRACK=1", "--no-telemetry"),
        ("", "ACME_TELEMETRY=log", "telemetry show"),
        (', notice_url="https://acme.example/x"', "Read more:  https://acme.example/x", "status"),
    ],
)
def test_the_notice_names_what_the_application_has(
    make_cli: Callable[..., Cli], home: Home, options: str, shown: str, not_shown: str
) -> None:
    """No option that was left out, no commands that were not added."""
    cli = make_cli(APP.replace(", notice=False", options))
    shown_text = run_in_terminal(cli, "deploy")
    assert shown in shown_text
    assert not_shown not in shown_text


def test_the_notice_names_the_commands_without_a_look_up(
    make_cli: Callable[..., Cli], home: Home
) -> None:
    """Below another group too; a lazy group is not asked for its commands (rule 33)."""
    below = """
class Lazy(click.Group):
    def get_command(self, ctx, name): print("LOOKED", name)
    def list_commands(self, ctx): print("LOOKED"); return ["x"]
cli.add_command(Lazy("lazy"))
config = click.Group("config")
cli.add_command(config)
config.add_command(telemetry_group("privacy"))
"""
    cli = make_cli(SOURCE.replace("cli.add_command(telemetry_group())", below))
    shown_text = run_in_terminal(cli, "deploy")
    assert "To opt out: acme.py config privacy disable" in shown_text
    assert "LOOKED" not in shown_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('notice="We count commands.\\nNo: acme telemetry disable"', True),
        ("notice=False", False),
    ],
)
def test_the_application_may_replace_the_text_or_omit_the_notice(
    make_cli: Callable[..., Cli], server: Server, home: Home, text: str, shown: bool
) -> None:
    """Its own text replaces ours; without a notice the first run is recorded."""
    cli = make_cli(WITH_COMMANDS.replace("notice=False", text))
    cli.environ["ACME_TELEMETRY_HOST"] = server.url
    shown_text = run_in_terminal(cli, "deploy").replace("\r\n", "\n")
    own = "We count commands.\nNo: acme telemetry disable\n" if shown else ""
    assert shown_text == own + "deployed\n"
    assert bool(home.spooled() or server.requests) is not shown


@pytest.mark.extended
def test_opt_in_explains_once_how_to_enable_and_records_nothing(
    make_cli: Callable[..., Cli], home: Home, server: Server
) -> None:
    """Not in a pipe, not in help, once on a terminal; after that a person has enabled it or not."""
    cli = make_cli(SOURCE.replace('write_key="key"', 'write_key="key", consent="opt-in"'))
    cli.environ[HOST] = server.url
    for words in (("deploy",), ("--help",)):
        assert cli.run(*words).stderr == ""
    assert home.files() == []
    shown = run_in_terminal(cli, "deploy")
    assert shown.startswith("If you enable it, acme records how it is used")
    assert "  To enable:  acme.py telemetry enable\r\n" in shown
    assert shown.endswith("Nothing is recorded unless you enable it.\r\n\r\ndeployed\r\n")
    for _ in range(2):
        assert run_in_terminal(cli, "deploy") == "deployed\r\n"
    assert (home.state() / "notice").read_bytes() == b"offered\n"
    assert (home.spooled(), server.requests) == ([], [])
    cli.run("telemetry", "enable")
    assert run_in_terminal(cli, "deploy") == "deployed\r\n"
    assert len(server.wait_for(2)) == 2


def test_application_that_is_not_opt_in_any_more_shows_its_notice(
    make_cli: Callable[..., Cli], home: Home, server: Server
) -> None:
    """How to enable telemetry is no information that it is on."""
    asking = make_cli(SOURCE.replace('write_key="key"', 'write_key="key", consent="opt-in"'))
    run_in_terminal(asking, "deploy")
    cli = make_cli(SOURCE)
    cli.environ[HOST] = server.url
    assert cli.run("deploy").stderr == ""
    assert (home.spooled(), server.requests) == ([], [])
    assert LAST in run_in_terminal(cli, "deploy")


NOT_SHOWN: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "--help": (("--help",), {}),
    "help of a command": (("deploy", "--help"), {}),
    "no command": ((), {}),
    "an unknown command": (("deplyo",), {}),
    "completion": ((), {"_ACME_PY_COMPLETE": "bash_complete", "COMP_WORDS": "acme.py ",
                        "COMP_CWORD": "1"}),
    "CI": (("deploy",), {"CI": "1"}),
    "a test run": (("deploy",), {"PYTEST_VERSION": "8"}),
    "the option": (("deploy", "--no-telemetry"), {}),
    "a variable": (("deploy",), {"DO_NOT_TRACK": "1"}),
    "log mode": (("deploy",), {"ACME_TELEMETRY": "log"}),
    "a telemetry command": (("telemetry", "status"), {}),
    "an odd HOME": (("deploy",), {"HOME": ""}),
}  # fmt: skip


@pytest.mark.extended
def test_the_notice_is_not_shown_where_nothing_would_be_recorded(acme: Cli, home: Home) -> None:
    """Not in help, completion, CI or tests, after an opt-out, or where nothing can be stored."""
    for name, (words, environ) in NOT_SHOWN.items():
        terminal = Terminal(acme.command(*words), acme.env(environ), home.path)
        terminal.close()
        assert LAST not in terminal.shown, name
        assert home.files() == [], name


def test_the_notice_is_never_on_stdout(acme: Cli, home: Home) -> None:
    """`acme deploy > file`: the file has its usual content, the terminal shows the notice."""
    master, slave = pty.openpty()
    run = subprocess.run(
        acme.command("deploy"),
        env=acme.env(),
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


@pytest.mark.extended
def test_the_notice_is_shown_once_until_the_data_is_purged(acme: Cli, home: Home) -> None:
    """Not after an opt-out; a person who had everything deleted sees it again."""
    assert LAST in run_in_terminal(acme, "deploy")
    run_in_terminal(acme, "telemetry", "disable")
    assert run_in_terminal(acme, "deploy") == "deployed\r\n"
    run_in_terminal(acme, "telemetry", "enable")
    run_in_terminal(acme, "telemetry", "purge")
    home.choice().unlink()
    assert LAST in run_in_terminal(acme, "deploy")


@pytest.mark.extended
def test_50_first_runs_at_once_show_one_notice(acme: Cli, home: Home) -> None:
    """Fifty terminals, fifty processes, one notice."""
    terminals = [Terminal(acme.command("deploy"), acme.env(), home.path) for _ in range(50)]
    ends = Counter(terminal.close(120) for terminal in terminals)
    assert ends == {0: 50}
    assert sum(LAST in terminal.shown for terminal in terminals) == 1
    assert all(terminal.shown.endswith("deployed\r\n") for terminal in terminals)
    others = [terminal.shown for terminal in terminals if LAST not in terminal.shown]
    assert others == ["deployed\r\n"] * 49


@pytest.mark.extended
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


@pytest.mark.extended
def test_an_invalid_id_is_replaced_once(
    make_cli: Callable[..., Cli], server: Server, home: Home
) -> None:
    """Concurrent runs agree on one new ID, and it is kept (row 82)."""
    cli = make_cli(WITH_COMMANDS)
    cli.environ["ACME_TELEMETRY_HOST"] = server.url
    home.state().mkdir(parents=True, mode=0o700)
    (home.state() / "id").write_text("host-4711\n")
    started = [cli.start("deploy") for _ in range(10)]
    for one in started:
        one.communicate(timeout=60)
    found = {message["anonymousId"] for message in server.wait_for(20)}
    assert found == {(home.state() / "id").read_text().strip()}
    status = json.loads(cli.run("telemetry", "status", "--json").stdout)
    assert {status["anonymous_id"]} == found
