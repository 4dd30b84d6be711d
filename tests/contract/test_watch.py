"""`click-telemetry watch` shows which events arrived, or why none did."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ..harness.processes import Home
from ..harness.setups import SETUPS, SOURCE
from ..harness.terminal import Terminal

pytestmark = pytest.mark.contract

BIN = Path(sys.executable).parent

APP = """
import os, signal, sys
import click
from click_telemetry import exclude, instrumented_group, track

@instrumented_group(app="acme", version="2.1.0", write_key="key")
@click.group()
@click.option("--signed-out", is_flag=True)
def cli(signed_out):
    if signed_out:
        raise click.ClickException("sign in first")

@cli.command()
def change():
    track("Plan Changed", {"plan": "pro", "note": "[red]\\x1b[2J"})

@cli.command()
def die():
    os.kill(os.getpid(), signal.SIGKILL)

@cli.command()
def wait():
    import time
    click.echo("waiting")
    time.sleep(60)

@exclude
@cli.command()
def hidden(): pass

@cli.command()
@click.argument("command", nargs=-1)
def start(command):
    import subprocess
    subprocess.run(command)

@cli.command()
def environment():
    click.echo(os.environ["CLICK_TELEMETRY_WATCH"])
    click.echo(os.environ["CLICK_TELEMETRY_WATCH_STATE"])
    click.echo(oct(os.stat(os.environ["CLICK_TELEMETRY_WATCH_STATE"]).st_mode))

cli()
"""

PLAIN = """
import click

@click.command()
def hello():
    click.echo("hello")

hello()
"""


class Watch:
    """Runs `click-telemetry watch` in an empty home, with a temporary directory of its own."""

    def __init__(self, home: Home, directory: Path) -> None:
        self.home = home
        self.directory = directory
        self.temporary = directory / "tmp"
        self.temporary.mkdir()
        self.environ = {
            **home.environ,
            "PATH": f"{BIN}{os.pathsep}{home.environ['PATH']}",
            "TMPDIR": str(self.temporary),
            "TZ": "UTC0",
        }

    def script(self, source: str, name: str = "acme.py") -> list[str]:
        """The command line of an application written for a test."""
        path = self.directory / name
        path.write_text(source, encoding="utf-8")
        return [sys.executable, str(path)]

    def command(self, *args: str) -> list[str]:
        """The whole command line."""
        return [str(BIN / "click-telemetry"), "watch", *args]

    def run(
        self, *args: str, env: dict[str, str] | None = None, without: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        environ = {**self.environ, **(env or {})}
        return subprocess.run(
            self.command(*args),
            env={name: value for name, value in environ.items() if name not in without},
            input="",
            capture_output=True,
            text=True,
            timeout=60,
            cwd=self.home.path,
            check=False,
        )

    def messages(self, *args: str, **kwargs: Any) -> list[dict[str, Any]]:
        """The messages that `--json` prints."""
        return [
            json.loads(line) for line in self.run("--json", *args, **kwargs).stdout.splitlines()
        ]

    def in_background(self, command: str, then: str) -> str:
        """A line for the shell: a command in the background, and once it has begun, another."""
        output = self.directory / "output"
        # The loop ends with the command, which may be killed before it prints anything.
        begun = f"until test -s {output} || ! kill -0 $!; do sleep 0.05; done"
        return f"{command} > {output} & {begun}; {then}"

    def left(self) -> list[str]:
        """What is left in the temporary directory."""
        return sorted(os.listdir(self.temporary))


@pytest.fixture
def watch(home: Home, tmp_path: Path) -> Iterator[Watch]:
    """The home and the temporary directory are unchanged after each test."""
    watch = Watch(home, tmp_path)
    yield watch
    assert watch.left() == []
    assert [name for name in home.files() if name not in _ALLOWED] == []


_ALLOWED = (".config", ".config/demo", ".config/demo/telemetry.json")
"""A saved setting that a test wrote."""


def table(output: str) -> list[str]:
    """The lines below the table's header, with each time as it is written."""
    lines = output.partition("\n\nOutside watch:")[0].partition("\n\nFlows\n")[0].splitlines()
    (head,) = [number for number, line in enumerate(lines) if set(line) == {"─"}]
    return [re.sub(r"\d\d:\d\d:\d\d\.\d{3}", "HH:MM:SS.mmm", line) for line in lines[head + 1 :]]


def story(messages: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Event, command, and for the end its exit code and outcome."""
    found: list[tuple[Any, ...]] = []
    for message in messages:
        own = message["properties"]
        entry: tuple[Any, ...] = (message["event"], own["command"])
        found.append(
            (*entry, own.get("exit_code"), own["outcome"]) if "outcome" in own else entry,
        )
    return found


def test_a_commands_two_events_are_shown(watch: Watch) -> None:
    """The README's first command ends with a table of the events that arrived."""
    run = watch.run("--", "demo-cli", "deploy", "--region", "eu", "--dry-run")
    assert run.returncode == 0
    assert run.stderr == ""
    assert run.stdout.startswith("Deploying to eu (dry run)…\n")
    assert "\n2 events arrived from demo through spool, sender and HTTP.\n" in run.stdout
    invoked, completed = table(run.stdout)
    assert invoked == "HH:MM:SS.mmm  1  Command Invoked    demo deploy  dry_run, region"
    assert re.fullmatch(
        r"HH:MM:SS.mmm  2  Command Completed  demo deploy  dry_run, region     0  +\d+ ms",
        completed,
    )
    *lines, outside = run.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert outside.startswith("Outside watch: demo would send nothing, since ")
    assert "\x1b" not in run.stdout


@pytest.mark.extended
def test_the_separator_is_optional(watch: Watch) -> None:
    """All words after the command's name belong to the command, also options."""
    run = watch.run("demo-cli", "deploy", "--region", "eu", "--dry-run")
    assert run.returncode == 0
    assert len(table(run.stdout)) == 2


@pytest.mark.extended
def test_a_separator_of_the_commands_own_is_kept(watch: Watch) -> None:
    """`--` after the command's name belongs to the command."""
    run = watch.run("--", "demo-cli", "run", "--", "ls", "--json")
    assert run.stdout.startswith("Would run:\n  ls\n  --json\n")


def test_json_is_two_lines_and_nothing_else(watch: Watch) -> None:
    """With --json standard output holds the messages alone; the command's own goes to stderr."""
    run = watch.run("--json", "--", "demo-cli", "deploy", "--region", "eu", "--dry-run")
    assert run.returncode == 0
    assert run.stdout.isascii()
    lines = run.stdout.splitlines()
    messages = [json.loads(line) for line in lines]
    assert [json.dumps(message, separators=(",", ":")) for message in messages] == lines
    assert story(messages) == [
        ("Command Invoked", "demo deploy"),
        ("Command Completed", "demo deploy", 0, "success"),
    ]
    assert [message["properties"]["flags"] for message in messages] == [["dry_run", "region"]] * 2
    assert {"messageId", "anonymousId", "timestamp", "context"} <= messages[0].keys()
    assert run.stderr.startswith("Deploying to eu (dry run)…\n")
    assert "2 events arrived from demo" in run.stderr


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("args", "code", "error"),
    [
        (("--how", "exception"), 1, "RuntimeError"),
        (("--how", "click"), 1, "click.exceptions.ClickException"),
        (("--how", "exit", "--code", "7"), 7, None),
        (("--how", "sysexit", "--code", "3"), 3, None),
    ],
)
def test_a_failing_command_keeps_its_exit_code(
    watch: Watch, args: tuple[str, ...], code: int, error: str | None
) -> None:
    """A command that fails ends as it would alone, and the table shows its error class."""
    run = watch.run("--", "demo-cli", "fail", *args)
    assert run.returncode == code
    completed, ending = table(run.stdout)[1:]
    assert re.search(rf" {code}  +\d+ ms$", completed)
    assert ending == " " * 17 + ("failure" if error is None else f"failure: {error}")


@pytest.mark.extended
def test_ctrl_c_in_a_prompt_is_cancelled(watch: Watch) -> None:
    """Ctrl-C at a question ends the command, and the watcher shows that it was cancelled."""
    terminal = Terminal(
        watch.command("--", "demo-cli", "apps", "create"), watch.environ, watch.home.path
    )
    terminal.wait_for("Name")
    terminal.interrupt("Aborted")
    status = terminal.close()
    assert "Traceback" not in terminal.shown
    shown = re.sub(r"\x1b\[[0-9;]*m", "", terminal.shown).replace("\r", "")
    assert status == 1
    assert "cancelled: " in table(shown)[-1]
    assert re.search(r"Command Completed +demo apps create +1 +[\d.]+ m?s$", table(shown)[-2])


@pytest.mark.extended
def test_no_color_holds_on_a_terminal(watch: Watch) -> None:
    """Under NO_COLOR a terminal gets no colour, and the same text."""
    command = watch.command("--", "demo-cli", "fail", "--how", "click")
    shown = []
    for environ in ({}, {"NO_COLOR": "1"}):
        terminal = Terminal(command, {**watch.environ, **environ}, watch.home.path)
        assert terminal.close() == 1
        shown.append(terminal.shown.partition("events arrived")[2])
    assert "\x1b[31mfailure" in shown[0]
    assert not re.search(r"\x1b\[3\d", shown[1])
    assert "failure: click.exceptions.ClickException" in shown[1]


@pytest.mark.extended
def test_a_chain_gives_a_pair_for_each_command(watch: Watch) -> None:
    """Commands that follow one another in one line are shown one by one."""
    run = watch.run("--", "demo-cli", "pipeline", "lint", "test", "build")
    assert run.returncode == 0
    lines = table(run.stdout)
    assert [line.split()[1] for line in lines] == ["1", "2", "3", "4", "5", "6"]
    commands = ["lint", "lint", "test", "test", "build", "build"]
    for line, command in zip(lines, commands, strict=True):
        assert f"demo pipeline {command}" in line


@pytest.mark.extended
def test_a_lazy_group_is_seen(watch: Watch) -> None:
    """A command that is imported when it is named is shown like any other."""
    assert story(watch.messages("--", "demo-cli", "db", "migrate", "--dry-run")) == [
        ("Command Invoked", "demo db migrate"),
        ("Command Completed", "demo db migrate", 0, "success"),
    ]


@pytest.mark.extended
def test_a_command_killed_while_it_runs_is_unfinished(watch: Watch) -> None:
    """After SIGKILL the watcher ends with 137, and the run is shown as unfinished."""
    run = watch.run("--", *watch.script(APP), "die")
    assert run.returncode == 137
    invoked, completed, *ending = table(run.stdout)
    assert completed == "HH:MM:SS.mmm  2  Command Completed  acme die"
    assert invoked == "HH:MM:SS.mmm  1  Command Invoked    acme die"
    assert ending[0].startswith(" " * 17 + "unfinished: its process ended")


@pytest.mark.extended
def test_a_command_that_execs_another_program_is_unfinished(watch: Watch) -> None:
    """A command that calls exec has no end."""
    run = watch.run("--", "demo-cli", "db", "shell", "--exec")
    assert run.returncode == 0
    assert "unfinished" in table(run.stdout)[2]


@pytest.mark.extended
def test_a_signal_that_ends_the_watcher_ends_the_command(watch: Watch) -> None:
    """SIGTERM to the watcher is passed on, and what arrived is shown all the same."""
    process = subprocess.Popen(
        watch.command("--", *watch.script(APP), "wait"),
        env=watch.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=watch.home.path,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    process.terminate()
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert "unfinished" in output
    assert errors == ""


@pytest.mark.extended
def test_an_event_of_the_applications_own_is_shown_with_its_properties(watch: Watch) -> None:
    """What the application tracks is between the pair, and cannot control the terminal."""
    run = watch.run("--", *watch.script(APP), "change")
    _, event, own, completed = table(run.stdout)
    assert event.endswith("  2  Plan Changed")
    assert own == " " * 17 + "plan=pro, note=[red]\\x1b[2J"
    assert "  3  Command Completed" in completed


@pytest.mark.extended
def test_two_applications_are_distinguished(watch: Watch) -> None:
    """A command that runs another instrumented application's shows both, one after the other."""
    run = watch.run("--", *watch.script(APP), "start", "demo-cli", "status")
    assert run.returncode == 0
    assert "4 events arrived from acme and demo through" in run.stdout
    assert [" ".join(line.split()[2:6]) for line in table(run.stdout)] == [
        "Command Invoked acme start",
        "Command Completed acme start",
        "",
        "Command Invoked demo status",
        "Command Completed demo status",
    ]


@pytest.mark.extended
def test_an_opt_out_of_one_of_two_applications_is_shown_below_the_table(watch: Watch) -> None:
    """One application sent events, the other was opted out: both are shown."""
    script = watch.script(APP)
    run = watch.run("--", *script, "start", "demo-cli", "status", env={"DEMO_NO_TELEMETRY": "1"})
    assert run.returncode == 0
    assert "2 events arrived from acme through" in run.stdout
    *_, reason, _, acme, demo = run.stdout.splitlines()
    assert reason.startswith("demo recorded nothing: DEMO_NO_TELEMETRY opts out")
    assert acme.startswith("Outside watch: acme would send nothing, since the notice ")
    assert demo.startswith("Outside watch: demo would send nothing, since DEMO_NO_TELEMETRY=1 ")


@pytest.mark.extended
def test_a_process_that_outlives_the_command_is_waited_for(watch: Watch) -> None:
    """What a background process sends within the time is shown too."""
    run = watch.run("--", "sh", "-c", watch.in_background("demo-cli wait --seconds 3", "exit 3"))
    assert run.returncode == 3
    assert len(table(run.stdout)) == 2
    assert "Waiting up to 10 s" in run.stderr


@pytest.mark.extended
def test_ctrl_c_ends_the_wait_for_such_a_process(watch: Watch) -> None:
    """Ctrl-C ends the wait of ten seconds; what did not arrive is reported."""
    line = watch.in_background("demo-cli wait --seconds 60", "exit 0")
    terminal = Terminal(watch.command("--", "sh", "-c", line), watch.environ, watch.home.path)
    terminal.wait_for("Ctrl-C ends the wait")
    terminal.interrupt("a process that is still running writes 1 file")
    assert terminal.close() == 1
    assert "Traceback" not in terminal.shown


@pytest.mark.extended
def test_a_run_in_ci_or_below_a_test_is_watched(watch: Watch) -> None:
    """Watch overrides circumstances: CI, a test suite, a notice that was not shown."""
    messages = watch.messages(
        "--", "demo-cli", "status", env={"CI": "true", "PYTEST_VERSION": "8.0"}
    )
    assert len(messages) == 2
    assert messages[0]["properties"]["is_ci"] is True


@pytest.mark.extended
def test_a_watched_run_has_a_temporary_id(watch: Watch) -> None:
    """The user's own ID is neither read nor created: two runs have two IDs."""
    ids = {watch.messages("--", "demo-cli", "status")[0]["anonymousId"] for _ in range(2)}
    assert len(ids) == 2


@pytest.mark.extended
def test_the_child_gets_a_receiver_and_a_private_directory(watch: Watch) -> None:
    """The state of a watched run is private, and deleted afterwards."""
    run = watch.run("--", *watch.script(APP), "environment")
    address, state, mode = run.stdout.splitlines()[:3]
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", address)
    assert Path(state).parent == watch.temporary.resolve()
    assert mode == "0o40700"
    assert not Path(state).exists()


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("args", "env", "cause", "fix"),
    [
        (("--no-telemetry", "deploy"), {}, "--no-telemetry was given", "Omit it"),
        (("deploy", "--no-telemetry"), {}, "--no-telemetry was given", "Omit it"),
        (("deploy",), {"DO_NOT_TRACK": "1"}, "DO_NOT_TRACK opts out", "Unset DO_NOT_TRACK"),
        (("deploy",), {"NO_ANALYTICS": "1"}, "NO_ANALYTICS opts out", "Unset NO_ANALYTICS"),
        (
            ("deploy",),
            {"DEMO_NO_TELEMETRY": "yes"},
            "DEMO_NO_TELEMETRY opts out",
            "Unset DEMO_NO_TELEMETRY",
        ),
        (("deploy",), {"DEMO_TELEMETRY": ""}, "DEMO_TELEMETRY opts out", "Unset DEMO_TELEMETRY"),
        (("deploy",), {"DEMO_TELEMETRY": "log"}, "printed its events on", "unset DEMO_TELEMETRY"),
        (("--help",), {}, "demo is instrumented, but no command", "Watch a command that runs"),
        (("deploy", "--help"), {}, "demo is instrumented, but no command", "Watch a command"),
        (("--version",), {}, "demo is instrumented, but no command", "Watch a command"),
    ],
)
def test_when_nothing_arrived_the_reason_is_shown(
    watch: Watch, args: tuple[str, ...], env: dict[str, str], cause: str, fix: str
) -> None:
    """A command that succeeded and sent nothing ends with 1, the reason and what to do."""
    run = watch.run("--", "demo-cli", *args, env=env)
    assert run.returncode == 1
    assert "\nNo event arrived.\n" in f"\n{run.stderr}"
    reason = run.stderr.splitlines()[-3]
    assert cause in reason
    assert fix in reason
    assert "arrived" not in run.stdout


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ('{"enabled": false}\n', "disabled by a saved setting"),
        ('{"enabled": "false"}', "the saved setting cannot be read, so telemetry stays off"),
    ],
)
def test_a_saved_setting_applies_under_watch(
    watch: Watch, home: Home, content: str, cause: str
) -> None:
    """The saved setting is read and applies, and its fix is shown."""
    setting = home.choice("demo")
    setting.parent.mkdir(parents=True)
    setting.write_text(content)
    run = watch.run("--", "demo-cli", "deploy")
    assert run.returncode == 1
    assert cause in run.stderr
    assert "`telemetry enable`" in run.stderr
    assert setting.read_text() == content


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("args", "code", "cause"),
    [
        (("hidden",), 1, "exclude"),
        (("--signed-out", "change"), 1, "a group's own callback may have ended it"),
        (("change", "--no-such-option"), 2, "its command line is wrong (exit status 2)"),
    ],
)
def test_a_command_that_is_not_recorded_is_explained(
    watch: Watch, args: tuple[str, ...], code: int, cause: str
) -> None:
    """Excluded, ended by its group, wrong usage: each has its own message."""
    run = watch.run("--", *watch.script(APP), *args)
    assert run.returncode == code
    assert cause in run.stderr.splitlines()[-3]


@pytest.mark.extended
def test_an_application_that_is_not_instrumented_is_reported(watch: Watch) -> None:
    """A Click application without telemetry runs unchanged; then the possible causes are listed."""
    run = watch.run("--", *watch.script(PLAIN, "plain.py"))
    assert (run.stdout, run.returncode) == ("hello\n", 1)
    assert "No instrumented application was found in" in run.stderr
    assert "another Python environment" in run.stderr


@pytest.mark.extended
def test_a_run_that_cannot_store_its_events_is_reported(watch: Watch) -> None:
    """Without HOME nothing is stored, and the message names HOME."""
    run = watch.run("--", "demo-cli", "deploy", without=("HOME",))
    assert run.returncode == 1
    assert "demo recorded events, and could not store them: set HOME" in run.stderr


@pytest.mark.extended
def test_json_prints_nothing_on_stdout_if_no_event_arrived(watch: Watch) -> None:
    """A program that reads standard output gets messages only."""
    run = watch.run("--json", "--", "demo-cli", "--version")
    assert (run.stdout, run.returncode) == ("", 1)
    assert "No event arrived." in run.stderr


@pytest.mark.extended
def test_a_failing_command_without_events_keeps_its_exit_code(watch: Watch) -> None:
    """Only a success without events becomes 1."""
    assert watch.run("--", "sh", "-c", "exit 9").returncode == 9


@pytest.mark.sample(1)
@pytest.mark.parametrize(("name", "code"), [("no-such-command", 127), (".", 126)])
def test_a_command_that_cannot_be_started_names_the_fix(watch: Watch, name: str, code: int) -> None:
    """The exit status is a shell's, and the message names the fix."""
    run = watch.run("--", name, "--flag")
    assert run.returncode == code
    assert run.stdout == ""
    assert name in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.extended
def test_a_closed_pipe_is_no_traceback(watch: Watch) -> None:
    """`| head` may end before the table is printed."""
    reader, writer = os.pipe()
    process = subprocess.Popen(
        watch.command("--", "demo-cli", "status"),
        env=watch.environ,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        cwd=watch.home.path,
    )
    os.close(writer)
    os.close(reader)
    _, errors = process.communicate(timeout=30)
    assert process.returncode != 0
    assert "Traceback" not in errors


def test_it_does_not_wait_when_nothing_is_left(watch: Watch) -> None:
    """After a short command watch waits for no writer, and for nothing that is not delivered."""
    run = watch.run("--", "demo-cli", "status")
    assert len(table(run.stdout)) == 2
    assert "Waiting" not in run.stderr


# Outside watch ------------------------------------------------------------------------------------

SENDS_NOTHING = (
    "no-key",
    "key-none",
    "app-left-out",
    "ci",
    "opt-in",
    "notice-not-shown",
    "test-run",
)
"""Set-ups of which watch shows events, and that send none."""


@pytest.mark.parametrize("name", SENDS_NOTHING)
@pytest.mark.sample(0)
def test_a_setup_that_sends_nothing_is_not_praised(watch: Watch, name: str) -> None:
    """Two events arrived; the last line states that none would, and names the fix."""
    setup = SETUPS[name]
    script = watch.script(SOURCE.format(options=setup.options, more=setup.more))
    run = watch.run("--", *script, "deploy", env=setup.env)
    assert "3 events arrived" in run.stdout
    last = run.stdout.splitlines()[-1]
    assert last.startswith("Outside watch: ")
    assert "would send nothing, since " in last
    assert "(fix: " in last


@pytest.mark.extended
def test_a_setup_that_sends_is_stated(watch: Watch) -> None:
    """The last line names the host, also with --json, on stderr."""
    script = watch.script(APP.replace('write_key="key"', 'write_key="key", notice=False'))
    run = watch.run("--json", "--", *script, "environment")
    assert len(run.stdout.splitlines()) == 2
    assert run.stderr.splitlines()[-1] == "Outside watch: acme sends to https://api.segment.io."


@pytest.mark.extended
def test_what_is_dropped_is_listed_with_the_reason(watch: Watch) -> None:
    """Watch shows what would raise in a test; flows have a line each."""
    body = (
        'from click_telemetry import flow\n    with flow("Sign Up", steps=("name", "plan")) as f:\n'
        '        f.step("plan")\n        f.abort("cancelled")\n'
        '    track("Plan Changed", {"command": "mine", "text": "x" * 9000})'
    )
    source = APP.replace('track("Plan Changed", {"plan": "pro", "note": "[red]\\x1b[2J"})', body)
    run = watch.run("--", *watch.script(source), "change")
    assert "\nFlows\n  Sign Up: aborted at step plan, reason cancelled, after " in run.stdout
    (dropped, forged) = re.findall(r"^  - (.*)$", run.stdout, re.MULTILINE)
    assert dropped.startswith("the property 'text' is dropped: its text has 9,000 of at most")
    assert forged.startswith("track('Plan Changed'): every event has the property 'command'")


@pytest.mark.extended
def test_what_watch_looks_up_is_no_part_of_a_duration(watch: Watch) -> None:
    """A command takes as long in the table as it takes without watch."""
    slow = 'write_key="key", host=lambda: __import__("time").sleep(0.2) or "https://a.example"'
    run = watch.run("--json", "--", *watch.script(APP.replace('write_key="key"', slow)), "change")
    began, _, ended = map(json.loads, run.stdout.splitlines())
    between = datetime.fromisoformat(ended["timestamp"][:-1]) - datetime.fromisoformat(
        began["timestamp"][:-1]
    )
    milliseconds = between.total_seconds() * 1000
    assert ended["properties"]["duration_ms"] <= milliseconds - 195  # each is rounded down
