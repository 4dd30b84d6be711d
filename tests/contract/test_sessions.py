"""Several applications in one process, with real delivery: each is delivered as its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ..harness.processes import Cli, Home
from ..harness.senders import wait_for_end
from ..harness.server import Server

pytestmark = pytest.mark.contract

SOURCE = """
import sys, threading
import click
from click_telemetry import child_env, identify, instrument, resource, set_context, track

ready = threading.Barrier(2, timeout=60)
ended = threading.Event()

def application(name, go):
    group = click.Group(name, commands={"go": click.Command("go", callback=go)})
    return instrument(group, app=name, version="1", write_key="key", notice=False)

def short():
    ready.wait()
    set_context(session="short")
    identify("zoe-1")
    track("Short Event", {"n": 0})
    ready.wait()

def long():
    ready.wait()
    set_context(session="long")
    for n in range(50):
        track("Long Event", {"n": n})
    ready.wait()
    ended.wait(60)  # the other invocation has ended, and was handed over
    for n in range(50, 100):
        track("Long Event", {"n": n})
    resource("Machine", "8b6f1f1e-0f6c-4f0e-9d6e-6a1c5f0b2a77").connected()

def use(name, go):
    application(name, go).main(["go"], standalone_mode=False)
    if name == "short":
        ended.set()

threads = [threading.Thread(target=use, args=(go.__name__, go)) for go in (short, long)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


@pytest.mark.extended
def test_two_sessions_at_once_are_delivered_each_as_its_own(
    make_cli: Callable[..., Cli], server: Server, home: Home
) -> None:
    """In two threads of one process: its context, its user, its file, its end (row D5)."""
    cli = make_cli(SOURCE)
    cli.environ.update({"SHORT_TELEMETRY_HOST": server.url, "LONG_TELEMETRY_HOST": server.url})
    done = cli.run()
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
    server.wait_for(3 + 103)
    wait_for_end(home, "long")
    tracks = [message for message in server.messages if message["type"] == "track"]
    events: dict[str, list[dict[str, Any]]] = {"short go": [], "long go": []}
    for message in tracks:
        events[message["properties"]["command"]].append(message)
    assert [message["event"] for message in events["short go"]] == [
        *("Command Invoked", "Short Event", "Command Completed")
    ]
    assert [message["event"] for message in events["long go"]] == [
        *("Command Invoked", *["Long Event"] * 100, "Machine Connected", "Command Completed")
    ]
    for command, session, user in (("short go", "short", "zoe-1"), ("long go", "long", None)):
        numbers = [message["properties"]["sequence"] for message in events[command]]
        assert numbers == list(range(1, len(numbers) + 1))
        assert {message["properties"].get("session") for message in events[command][1:]} == {
            session
        }
        assert {message.get("userId") for message in events[command][1:]} == {user}
        assert not any("dropped" in message["properties"] for message in events[command])
        for name in ("invocation_id", "session_id"):
            assert len({message["properties"][name] for message in events[command]}) == 1
    assert not home.spooled("long")
    assert not home.spooled("short")


OFF = """
import asyncio, os, sys, threading
import click
import click_telemetry
from click_telemetry import *

class Touched:
    def load(self, kind, id): raise SystemExit("the store was read")
    def save(self, kind, id, record): raise SystemExit("the store was written")

@instrumented_group(app="acme", version="1", write_key="key", notice=False)
@click.group()
def cli(): record()

@cli.command()
def go():
    record()
    thread = threading.Thread(target=record)
    thread.start()
    thread.join()
    asyncio.run(later())
    used = set("Event child_env current flow identify resource set_context track track_command "
        "track_error track_warning".split())
    known = {"Client", "CustomCommand", "DeclarationError", "EventPlan", "EventProperty", "Flow",
        "FlowDefinition", "FlowPlan", "InstrumentedGroup", "Recorder", "Resource", "Store",
        "Timed", "exclude", "instrument", "instrumented_group", "telemetry_group", *used}
    assert set(click_telemetry.__all__) == known, set(click_telemetry.__all__) ^ known
    click.echo("done")

async def later(): record()

class PlanChanged(Event):
    "An account moves to another plan."
    plan: bool

def record():
    with flow("Application Create", steps=("terms",)) as f:
        f.step("terms")
        f.complete()
    track(PlanChanged(plan=True))
    track("Plan Changed", {"plan": "pro"})
    set_context(agent="claude", sequence=1)
    identify("user-42", {"plan": "pro"})
    identify("zoe@example.com")
    identify(None)
    machine = resource("Machine", "box", store=Touched())
    machine.created()
    machine.connected()
    machine.deleted()
    resource("Machine", "box").connected()
    with track_command("review", source="skill"):
        track_error(ValueError("secret"))
        track_warning("old_config")
        track_warning("no code at all")
    assert set(child_env({"A": "1"})) <= {"A", "CLICK_TELEMETRY_OFF"}
    handle = current()
    handle.track("Plan Changed")
    handle.reset()

cli()
"""


@pytest.mark.parametrize(
    ("args", "env"),
    [
        ((), {"DO_NOT_TRACK": "1"}),
        (("--no-telemetry",), {}),
        ((), {"CI": "1"}),
        ((), {"HOME": ""}),
    ],
    ids=["variable", "flag", "CI", "no home"],
)
def test_every_entry_point_works_and_does_nothing_when_off(
    args: tuple[str, ...], env: dict[str, str], make_cli: Callable[..., Cli], home: Home
) -> None:
    """In callbacks, threads and tasks of a real process: no byte, no output, no store (row A2)."""
    cli = make_cli(OFF)
    done = cli.run(*args, "go", env=env)
    assert (done.stdout, done.stderr, done.returncode) == ("done\n", "", 0)
    assert home.files() == []
