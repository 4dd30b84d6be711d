"""Threads, tasks and nesting: every event finds its own invocation, and no other."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from typing import Any

import click
import pytest

from click_telemetry import current, exclude, instrument, track
from click_telemetry.testing import RecordingClient

from ..harness.stories import pair, run, story


def application(client: RecordingClient, app: str, callback: Callable[[], Any]) -> click.Group:
    group = click.Group("cli", commands={"go": click.Command("go", callback=callback)})
    return instrument(group, app=app, client=client)


def sequences(client: RecordingClient) -> list[int]:
    return [event["properties"]["sequence"] for event in client.events]


def in_threads(count: int, work: Callable[[int], None]) -> None:
    threads = [threading.Thread(target=work, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_fifty_threads_give_a_sequence_without_gap_or_twin(
    recording_client: RecordingClient,
) -> None:
    """`track` from plain threads finds the process's only live invocation."""
    run(
        application(
            recording_client, "acme", lambda: in_threads(50, lambda n: track("Done", {"n": n}))
        ),
        "go",
    )
    assert sequences(recording_client) == list(range(1, 53))
    found = [event["properties"]["n"] for event in recording_client.events[1:-1]]
    assert sorted(found) == list(range(50))
    assert {event["properties"]["command"] for event in recording_client.events} == {"acme go"}


def test_handle_is_passed_on_to_a_thread(recording_client: RecordingClient) -> None:
    """`current()` names the invocation where two are alive."""
    other = RecordingClient()

    def outer() -> None:
        handle = current()

        def inner() -> None:
            thread = threading.Thread(target=lambda: handle.track("From Outer"))
            thread.start()
            thread.join()
            in_threads(1, lambda n: track("From Nowhere"))

        application(other, "inner", inner).main(["go"], standalone_mode=False)

    run(application(recording_client, "outer", outer), "go")
    assert [entry[0] for entry in story(recording_client)] == [
        "Command Invoked",
        "From Outer",
        "Command Completed",
    ]
    assert story(other) == pair("inner go")


def test_tasks_find_the_command_that_started_them(recording_client: RecordingClient) -> None:
    """As do callbacks in a thread pool that copies the context."""

    async def work() -> None:
        async def one(n: int) -> None:
            await asyncio.sleep(0)
            track("Task Done", {"n": n})

        await asyncio.gather(*(one(n) for n in range(5)))
        await asyncio.to_thread(track, "Thread Done")

    run(application(recording_client, "acme", lambda: asyncio.run(work())), "go")
    names = [entry[0] for entry in story(recording_client)]
    assert names[1:-1] == ["Task Done"] * 5 + ["Thread Done"]


def test_two_applications_in_two_threads_never_meet() -> None:
    """Each thread's events are its own application's."""
    clients = {app: RecordingClient() for app in ("one", "two")}
    ready = threading.Barrier(2)

    def use(app: str) -> None:
        def go() -> None:
            ready.wait()
            for n in range(20):
                track(f"{app} did", {"n": n})
            ready.wait()

        with application(clients[app], app, go).make_context("cli", ["go"]) as context:
            context.command.invoke(context)

    threads = [threading.Thread(target=use, args=(app,)) for app in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for app, client in clients.items():
        assert [entry[0] for entry in story(client)][1:-1] == [f"{app} did"] * 20
        assert sequences(client) == list(range(1, 23))


def test_sessions_in_one_process_end_on_their_own(recording_client: RecordingClient) -> None:
    """If one closes, the other drops nothing."""
    other = RecordingClient()

    def outer() -> None:
        track("Before")
        for _ in range(2):
            application(other, "inner", lambda: track("Inside")).main(["go"], standalone_mode=False)
        track("After")

    run(application(recording_client, "outer", outer), "go")
    names = [entry[0] for entry in story(recording_client)]
    assert names == ["Command Invoked", "Before", "After", "Command Completed"]
    assert [entry[0] for entry in story(other)][1::3] == ["Inside", "Inside"]


def test_opted_out_command_inside_a_recorded_one_records_nothing(
    recording_client: RecordingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An application that is off does not speak through the one that runs it."""
    monkeypatch.setenv("INNER_NO_TELEMETRY", "1")
    inner = application(RecordingClient(), "inner", lambda: track("Inside"))

    def outer() -> None:
        inner.main(["go"], standalone_mode=False)

    run(application(recording_client, "outer", outer), "go")
    assert story(recording_client) == pair("outer go")


def test_excluded_command_inside_a_recorded_group_records_nothing(
    recording_client: RecordingClient,
) -> None:
    """Whatever it tracks, from whatever thread's context."""
    group = application(recording_client, "acme", lambda: None)
    hidden = click.Command("hidden", callback=lambda: track("Inside"))
    group.add_command(exclude(hidden))
    run(group, "hidden")
    assert story(recording_client) == []


def test_event_after_the_end_is_dropped(recording_client: RecordingClient) -> None:
    """A handle may outlive its invocation; what is tracked with it is not recorded."""
    handles: list[Any] = []
    run(application(recording_client, "acme", lambda: handles.append(current())), "go")
    handles[0].track("Late")
    track("Later")
    assert story(recording_client) == pair("acme go")


def test_events_in_a_copied_context_belong_to_its_command(
    recording_client: RecordingClient,
) -> None:
    """`copy_context().run` is how frameworks carry a context on."""

    def go() -> None:
        context = contextvars.copy_context()
        in_threads(1, lambda n: context.run(track, "Carried"))

    run(application(recording_client, "acme", go), "go")
    assert [entry[0] for entry in story(recording_client)][1] == "Carried"
