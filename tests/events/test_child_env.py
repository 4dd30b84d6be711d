"""What a run passes on to the processes that it starts: its session, or its opt-out."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from typing import Any

import click
import pytest

from click_telemetry import child_env, exclude, instrument, track
from click_telemetry._events.scope import take_dropped
from click_telemetry._instrument import SCOPES
from click_telemetry.testing import RecordingClient

from ..harness.processes import Cli, Home
from ..harness.stories import run

SESSION = "CLICK_TELEMETRY_SESSION_ID"
OFF = "CLICK_TELEMETRY_OFF"


def application(callback: Callable[[], Any], **options: Any) -> click.Group:
    group = click.Group("cli", commands={"go": click.Command("go", callback=callback)})
    return instrument(group, app="acme", **options)


def in_a_bare_thread(function: Callable[[], Any]) -> Any:
    given: list[Any] = []
    thread = threading.Thread(target=lambda: given.append(function()))
    thread.start()
    thread.join()
    return given[0]


def handed(cli: click.Group, *args: str) -> list[dict[str, str]]:
    """What children of a command would get, from its thread and from a bare one."""
    made: list[dict[str, str]] = []

    def go() -> None:
        made.append(child_env({"A": "1"}))
        made.append(in_a_bare_thread(lambda: child_env({"A": "1"})))

    cli.commands["go"].callback = go
    assert run(cli, *args).exception is None
    return made


def test_a_child_gets_the_session_and_nothing_else(recording_client: RecordingClient) -> None:
    """A new mapping; ours, and `os.environ`, stay as they are."""
    before = dict(os.environ)
    given = {"A": "1"}
    made: list[dict[str, str]] = []

    def go() -> None:
        made.extend([child_env(), child_env(given), child_env(given)])

    run(application(go, client=recording_client), "go")
    session = recording_client.events[0]["properties"]["session_id"]
    assert made == [{**before, SESSION: session}, *[{"A": "1", SESSION: session}] * 2]
    assert made[1] is not made[2]
    assert (given, dict(os.environ)) == ({"A": "1"}, before)


def test_outside_any_command_nothing_is_added() -> None:
    """There is no session."""
    assert child_env({"A": "1"}) == {"A": "1"}
    assert child_env() == dict(os.environ)
    assert child_env() is not os.environ


def test_each_of_two_applications_hands_down_its_own(recording_client: RecordingClient) -> None:
    """The one inside has the session of the one outside: they started one another."""
    inner = RecordingClient()
    made: list[dict[str, str]] = []

    def outer() -> None:
        application(lambda: made.append(child_env({})), client=inner).main(
            ["go"], standalone_mode=False
        )

    run(application(outer, client=recording_client), "go")
    assert made == [{SESSION: recording_client.events[0]["properties"]["session_id"]}]


REFUSALS: list[tuple[str, tuple[str, ...], dict[str, str]]] = [
    ("flag on the root", ("--no-telemetry", "go"), {}),
    ("flag on the command", ("go", "--no-telemetry"), {}),
    ("variable", ("go",), {"DO_NOT_TRACK": "1"}),
    ("own variable", ("go",), {"ACME_NO_TELEMETRY": "1"}),
    ("inherited", ("go",), {OFF: "1"}),
]


@pytest.mark.parametrize(
    ("args", "env"), [(args, env) for _, args, env in REFUSALS], ids=[r[0] for r in REFUSALS]
)
def test_a_no_is_handed_down(
    args: tuple[str, ...],
    env: dict[str, str],
    recording_client: RecordingClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An opt-out of this run applies to what it starts too, from any thread."""
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    made = handed(application(lambda: None, client=recording_client), *args)
    assert made == [{"A": "1", OFF: "1"}] * 2
    assert recording_client.messages == []
    assert not SCOPES


def test_children_of_a_test_run_record_nothing(recording_client: RecordingClient) -> None:
    """What a test suite starts is a test run, though its environment may not show it."""
    made = handed(application(lambda: None, write_key="key", notice=False), "go")
    assert made == [{"A": "1", OFF: "1"}] * 2


def test_a_no_ends_with_its_line(
    recording_client: RecordingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next run in the same process is its own; so is the next line of a REPL."""
    cli = application(lambda: None, client=recording_client)
    assert OFF in handed(cli, "go", "--no-telemetry")[0]
    assert [set(made) for made in handed(cli, "go")] == [{"A", SESSION}] * 2

    def fails() -> None:
        raise ValueError("x")

    cli.commands["go"].callback = fails
    run(cli, "go", "--no-telemetry")
    assert not SCOPES
    assert set(handed(cli, "go")[1]) == {"A", SESSION}


def test_thread_without_a_context_is_part_of_an_opted_out_command(
    recording_client: RecordingClient,
) -> None:
    """Its invocation is unknown: rather no session than a wrong one."""
    made: list[dict[str, str]] = []
    cli = application(lambda: made.append(in_a_bare_thread(lambda: child_env({}))))
    instrument(cli, client=RecordingClient())

    def outer() -> None:
        cli.main(["go", "--no-telemetry"], standalone_mode=False)
        made.append(in_a_bare_thread(lambda: child_env({})))

    run(application(outer, client=recording_client), "go")
    session = recording_client.events[0]["properties"]["session_id"]
    assert made == [{OFF: "1"}, {SESSION: session}]


@pytest.mark.parametrize("circumstance", ["excluded", "group's callback"])
def test_what_is_no_no_is_not_handed_down(
    circumstance: str, recording_client: RecordingClient
) -> None:
    """An excluded command, or one that has not begun, has no session to pass on."""
    made: list[dict[str, str]] = []

    @click.group()
    def cli() -> None:
        if circumstance != "excluded":
            made.append(child_env({"A": "1"}))

    @cli.command()
    def go() -> None:
        if circumstance == "excluded":
            made.append(child_env({"A": "1"}))

    if circumstance == "excluded":
        exclude(go)
    run(instrument(cli, app="acme", client=recording_client), "go")
    assert made == [{"A": "1"}]


SOURCE = """
import os, subprocess, sys, threading
import click
from click_telemetry import child_env, instrumented_group, track

@instrumented_group(app="acme", version="1", write_key="key", notice=False)
@click.group()
def cli(): pass

@cli.command()
@click.option("--thread", is_flag=True)
def parent(thread):
    def start():
        env = {"HOME": os.environ["HOME"], "PATH": os.environ["PATH"]}
        for given in (None, {**env, "ACME_TELEMETRY": "log"}):
            subprocess.run([sys.executable, __file__, "child"], env=child_env(given), check=True)
    if thread:
        started = threading.Thread(target=start)
        started.start()
        started.join()
    else:
        start()

@cli.command()
def child(): pass

cli()
"""


@pytest.mark.contract
def test_parent_and_children_are_one_session(home: Home, make_cli: Callable[..., Cli]) -> None:
    """In real processes: three invocations, one session."""
    done = make_cli(SOURCE).run("parent", env={"ACME_TELEMETRY": "log"})
    found = [json.loads(line)["properties"] for line in done.stderr.splitlines()]
    assert [one["command"].split()[1] for one in found] == ["parent", *["child"] * 4, "parent"]
    assert len({one["session_id"] for one in found}) == 1
    assert len({one["invocation_id"] for one in found}) == 3


@pytest.mark.sample(2)
@pytest.mark.contract
@pytest.mark.parametrize("thread", [(), ("--thread",)], ids=["", "thread"])
@pytest.mark.parametrize(
    ("args", "env"),
    [(("--no-telemetry",), {}), ((), {"DO_NOT_TRACK": "1"}), ((), {"PYTEST_VERSION": "8"})],
    ids=["flag", "variable", "test run"],
)
def test_children_of_an_opted_out_command_record_nothing(
    thread: tuple[str, ...],
    args: tuple[str, ...],
    env: dict[str, str],
    home: Home,
    make_cli: Callable[..., Cli],
) -> None:
    """Not a byte, whether the children's own environment has no opt-out or `log`."""
    done = make_cli(SOURCE).run(*args, "parent", *thread, env=env)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
    assert home.files() == []


@pytest.mark.contract
def test_a_stored_no_is_handed_down(home: Home, make_cli: Callable[..., Cli]) -> None:
    """To an application of another name too, which knows nothing of that choice."""
    cli = make_cli(SOURCE)
    home.choice().parent.mkdir(parents=True)
    home.choice().write_text('{"enabled": false}')
    other = SOURCE.replace('app="acme"', 'app="other"')
    (cli.script.parent / "other.py").write_text(other)
    cli.script.write_text(SOURCE.replace("__file__", repr(str(cli.script.parent / "other.py"))))
    done = cli.run("parent")
    assert (done.stderr, done.returncode) == ("", 0)
    assert not home.state("other").exists()


def test_outside_any_command_nothing_is_dropped(recording_client: RecordingClient) -> None:
    """Asking records nothing, and drops nothing."""
    take_dropped()
    child_env()
    assert take_dropped() == 0
    run(application(lambda: track("Asked", child_env()), client=recording_client), "go")
    assert len(recording_client.events) == 3
