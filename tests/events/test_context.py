"""Properties of every event: as declared, then as they become known."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from click_telemetry import current, instrument, set_context, track
from click_telemetry._events.properties import CONTEXT_BYTES
from click_telemetry._events.scope import take_dropped
from click_telemetry._foreground.options import DeclarationError
from click_telemetry._reader import BASE_PROPERTIES, RESERVED_PROPERTIES
from click_telemetry._recorder import encode
from click_telemetry.testing import RecordingClient

from ..harness.processes import Cli, Home
from ..harness.production import at_a_prompt
from ..harness.stories import run

AN_OWN = BASE_PROPERTIES | RESERVED_PROPERTIES


def application(
    client: RecordingClient, callback: Callable[[], Any], app: str = "acme", **options: Any
) -> click.Group:
    group = click.Group("cli", commands={"go": click.Command("go", callback=callback)})
    return instrument(group, app=app, client=client, **options)


def own_events(client: RecordingClient) -> list[tuple[str, dict[str, Any]]]:
    """Each event with the application's own properties."""
    return [
        (
            event["event"].removeprefix("Command "),
            {k: v for k, v in event["properties"].items() if k not in AN_OWN},
        )
        for event in client.events
    ]


def of(client: RecordingClient, name: str) -> list[Any]:
    return [event["properties"].get(name) for event in client.events]


# properties= ------------------------------------------------------------------------


def test_declared_properties_are_on_every_event(recording_client: RecordingClient) -> None:
    """A value or a function, called once; None is left out, a failure is left out and counted."""
    called: list[str] = []

    def action() -> str:
        called.append("action")
        return "ci"

    def organization() -> str:
        raise LookupError("no configuration")

    cli = application(
        recording_client,
        lambda: track("Plan Changed", {"plan": "pro"}),
        properties={
            "team_name": "factory",
            "action": action,
            "organization_id": lambda: None,
            "tenant": None,
            "region": organization,
        },
    )
    assert called == []
    run(cli, "go")
    both = {"team_name": "factory", "action": "ci"}
    assert own_events(recording_client) == [
        ("Invoked", both),
        ("Plan Changed", {**both, "plan": "pro"}),
        ("Completed", both),
    ]
    assert of(recording_client, "dropped") == [1, None, None]
    assert called == ["action"]


def test_property_is_there_only_when_its_variable_is_set(
    home: Home, make_cli: Callable[..., Cli]
) -> None:
    """As an organization that a CI system names, in real processes."""
    cli = make_cli(
        """
import os, click
from click_telemetry import instrumented_group

@instrumented_group(
    app="acme", version="1", properties={"organization_id": lambda: os.environ.get("ACME_ORG")}
)
@click.group()
def cli(): pass

@cli.command()
def go(): pass

cli()
"""
    )
    log = {"ACME_TELEMETRY": "log"}
    assert "organization_id" not in cli.run("go", env=log).stderr
    named = cli.run("go", env={**log, "ACME_ORG": "5f2b"}).stderr
    assert named.count('"organization_id":"5f2b"') == 2


# set_context ------------------------------------------------------------------------


def test_what_is_set_is_on_every_later_event(recording_client: RecordingClient) -> None:
    """As it becomes known: first the agent, then the cloud; None takes it back."""

    def go() -> None:
        track("Picker Shown")
        set_context(agent="claude")
        track("Agent Selected")
        set_context(cloud="hetzner", agent=None)
        track("Cloud Selected")
        set_context(cloud="fly", region=None)

    run(application(recording_client, go), "go")
    assert own_events(recording_client) == [
        ("Invoked", {}),
        ("Picker Shown", {}),
        ("Agent Selected", {"agent": "claude"}),
        ("Cloud Selected", {"cloud": "hetzner"}),
        ("Completed", {"cloud": "fly"}),
    ]
    assert of(recording_client, "dropped") == [None] * 5


def test_what_is_set_before_the_command_is_remembered(recording_client: RecordingClient) -> None:
    """In a group's callback, in the order of what is tracked there."""

    @click.group()
    def cli() -> None:
        track("Config Read")
        set_context(agent="claude")
        track("Signed In")

    @cli.command()
    def go() -> None: ...

    run(instrument(cli, app="acme", client=recording_client), "go")
    agent = {"agent": "claude"}
    assert own_events(recording_client) == [
        ("Config Read", {}),
        ("Signed In", agent),
        ("Invoked", agent),
        ("Completed", agent),
    ]


def test_another_invocation_knows_nothing_of_it(recording_client: RecordingClient) -> None:
    """Neither the one inside nor the next one."""
    inner = RecordingClient()

    def go() -> None:
        set_context(agent="claude")
        application(inner, lambda: set_context(cloud="fly"), "inner").main(
            ["go"], standalone_mode=False
        )

    cli = application(recording_client, go)
    run(cli, "go")
    run(cli, "go", "--help")
    run(application(recording_client, lambda: None), "go")
    assert own_events(recording_client) == [
        ("Invoked", {}),
        ("Completed", {"agent": "claude"}),
        ("Invoked", {}),
        ("Completed", {}),
    ]
    assert own_events(inner) == [("Invoked", {}), ("Completed", {"cloud": "fly"})]


def test_two_sessions_in_one_process_never_meet() -> None:
    """In two threads, at the same moment: each has what its own thread set."""
    clients = {app: RecordingClient() for app in ("one", "two")}
    ready = threading.Barrier(2)

    def use(app: str) -> None:
        def go() -> None:
            for n in range(20):
                ready.wait()
                set_context(session=app, n=n)
                ready.wait()
                track("Step Done")

        with application(clients[app], go, app).make_context("cli", ["go"]) as context:
            context.command.invoke(context)

    threads = [threading.Thread(target=use, args=(app,)) for app in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for app, client in clients.items():
        assert own_events(client)[1:-1] == [
            ("Step Done", {"session": app, "n": n}) for n in range(20)
        ]


def test_threads_and_tasks_of_the_invocation_have_it_too(recording_client: RecordingClient) -> None:
    """It is the invocation's, whoever of it set it."""

    async def one(n: int) -> None:
        set_context(**{f"task_{n}": n})
        await asyncio.sleep(0)

    async def all_of_them() -> None:
        await asyncio.gather(*(one(n) for n in range(3)))

    def go() -> None:
        thread = threading.Thread(target=lambda: set_context(thread=True))
        thread.start()
        thread.join()
        asyncio.run(all_of_them())

    run(application(recording_client, go), "go")
    assert own_events(recording_client)[-1][1] == {
        "thread": True,
        "task_0": 0,
        "task_1": 1,
        "task_2": 2,
    }


def test_an_event_s_own_property_wins(recording_client: RecordingClient) -> None:
    """It describes this event more exactly than its context does."""

    def go() -> None:
        set_context(agent="claude", cloud="fly")
        track("Agent Changed", {"agent": "codex"})

    run(application(recording_client, go), "go")
    assert own_events(recording_client)[1:] == [
        ("Agent Changed", {"agent": "codex", "cloud": "fly"}),
        ("Completed", {"agent": "claude", "cloud": "fly"}),
    ]


def test_it_replaces_what_was_declared(recording_client: RecordingClient) -> None:
    """What is known by now wins over what was known at the start."""
    cli = application(
        recording_client,
        lambda: set_context(plan="pro", team=None),
        properties={"plan": "free", "team": "factory"},
    )
    run(cli, "go")
    assert own_events(recording_client) == [
        ("Invoked", {"plan": "free", "team": "factory"}),
        ("Completed", {"plan": "pro"}),
    ]


@pytest.mark.parametrize("name", sorted({*RESERVED_PROPERTIES, "user_id", "anonymous_id"}))
def test_reserved_name_raises_in_a_test(name: str, recording_client: RecordingClient) -> None:
    """A name that events carry already, or that would name a user; the message names the fix."""

    def go() -> None:
        with pytest.raises(DeclarationError, match=r"rename it|write identify\(") as raised:
            set_context(**{name: "mine", "agent": "claude"})
        assert name in str(raised.value)

    assert run(application(recording_client, go), "go").exit_code == 0
    completed = recording_client.events[-1]["properties"]
    assert completed["agent"] == "claude"
    assert completed["dropped"] == 1
    assert completed.get(name) != "mine"


def test_reserved_name_is_refused_quietly_at_a_prompt(
    home: Home, make_cli: Callable[..., Cli]
) -> None:
    """There it costs the property alone, and is counted."""
    found = at_a_prompt(make_cli, "set_context(sequence=99, user_id='zoe', agent='claude')")
    invoked, completed = (message["properties"] for message in found)
    assert (invoked["sequence"], completed["sequence"]) == (1, 2)
    assert (completed["agent"], completed["dropped"]) == ("claude", 2)
    assert "user_id" not in completed


def test_what_does_not_fit_is_left_out_and_counted(recording_client: RecordingClient) -> None:
    """Every event carries it, so it is bounded; what was known and fits stays."""

    def go() -> None:
        set_context(agent="claude", long="x" * 3000)
        set_context(longer="x" * 3000)
        set_context(agent="x" * 5000, cloud="fly")
        set_context(long=None)
        set_context(longer="x" * 3000)

    run(application(recording_client, go), "go")
    assert own_events(recording_client)[-1][1] == {"cloud": "fly", "longer": "x" * 3000}
    assert of(recording_client, "dropped") == [None, 2]


@pytest.mark.extended
@settings(max_examples=50)
@given(st.lists(st.dictionaries(st.text(max_size=50), st.text(max_size=2000), max_size=20)))
def test_no_context_is_larger_than_it_may_be(calls: list[dict[str, str]]) -> None:
    """However often and whatever is set."""
    client = RecordingClient()

    def go() -> None:
        for properties in calls:
            set_context(**{f"x{name}": value for name, value in properties.items()})

    run(application(client, go, properties={"team": "factory"}), "go")
    found = own_events(client)[-1][1]
    assert len(encode(found)) <= CONTEXT_BYTES + len("{}")
    assert found["team"] == "factory"


def test_a_value_that_cannot_be_recorded_removes_the_old_one(
    recording_client: RecordingClient,
) -> None:
    """An old value would be a wrong one."""

    def go() -> None:
        set_context(plan="free", size=1, seats=2)
        set_context(plan="x" * 5000, size=float("nan"), seats=10**5000)

    run(application(recording_client, go), "go")
    assert own_events(recording_client)[-1] == ("Completed", {})
    assert of(recording_client, "dropped") == [None, 2]


def test_a_value_is_a_snapshot_and_the_message_the_client_s_own() -> None:
    """What changes later, on either side, changes no other event."""

    class Greedy(RecordingClient):
        def record(self, message: dict[str, Any], /) -> None:
            super().record({**message, "properties": {**message["properties"]}})
            message["properties"].get("tags", []).append("spoilt")

    client = Greedy()
    tags = ["a"]

    def go() -> None:
        set_context(tags=tags)
        tags.append("b")
        track("One")
        track("Two")

    run(application(client, go), "go")
    assert of(client, "tags") == [None, ["a", "spoilt"], ["a", "spoilt"], ["a", "spoilt"]]


def test_outside_any_command_it_is_counted() -> None:
    """There is no invocation that it could belong to."""
    take_dropped()
    set_context(agent="claude")
    current().reset()
    assert take_dropped() == 1


def test_where_nothing_is_recorded_it_does_nothing(
    recording_client: RecordingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Off: neither now nor in the next run, which is on."""
    cli = application(recording_client, lambda: set_context(agent="claude"))
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    assert run(cli, "go").exception is None
    monkeypatch.delenv("DO_NOT_TRACK")
    take_dropped()
    run(application(recording_client, lambda: None), "go")
    assert own_events(recording_client) == [("Invoked", {}), ("Completed", {})]
