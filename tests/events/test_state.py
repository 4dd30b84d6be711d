"""What an invocation keeps for an application's own events: bounded, in order, nothing raises."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from click_telemetry import DeclarationError
from click_telemetry._events.commands import track_command
from click_telemetry._events.context import identify, set_context
from click_telemetry._events.properties import CONTEXT_BYTES
from click_telemetry._events.scope import Recorder, take_dropped, track
from click_telemetry._events.state import (
    DURING,
    ENDS,
    MAX_OWN_EVENTS,
    PUBLISH_AFTER,
    STARTS,
    EventQuota,
    Slot,
    Value,
)
from click_telemetry._reader import BASE_PROPERTIES, COMMAND_COMPLETED, COMMAND_INVOKED
from click_telemetry._recorder import Invocation, encode

from ..harness.interpreter import environment, python
from ..harness.recording import FactSink, Recording, in_threads

SEGMENT_LIMIT = 32 * 1024
"""Bytes; Segment refuses a larger message."""


@pytest.fixture(autouse=True)
def no_unattributed_events() -> None:
    take_dropped()


def recording(
    sink: FactSink | None = None, properties: Mapping[str, Any] | None = None, **options: Any
) -> tuple[Recording, FactSink]:
    """An application, and the sink that keeps what it records."""
    made = Recording(sink=sink, properties=properties, **options)
    return made, made.sink


# The pair ------------------------------------------------------------------------------------


def test_a_run_is_a_pair_of_events() -> None:
    """Invoked when it begins, Completed when it ends, with what surrounds them."""
    root, sink = recording()
    run = root.begin("acme deploy", ["dry_run", "region"])
    run.end()
    root.invocation.close()
    first, second = sink.events
    assert (first["event"], second["event"]) == (COMMAND_INVOKED, COMMAND_COMPLETED)
    base = {name: value for name, value in first["properties"].items() if name != "sequence"}
    assert set(base) == BASE_PROPERTIES - {"sequence", "dropped", "sample_rate"}
    assert base["command"] == "acme deploy"
    assert base["flags"] == ["dry_run", "region"]
    assert base["version"] == "2.1.0"
    ended = {"exit_code": 0, "succeeded": True, "outcome": "success", "duration_ms": 12}
    assert second["properties"] == {**base, **ended, "sequence": 2}


# The application's own events ----------------------------------------------------------------


def test_an_event_of_my_own_has_its_properties_and_the_run_s() -> None:
    """What I track is recorded as I passed it, in the run that it belongs to."""
    root, sink = recording()
    run = root.begin("acme deploy", ["dry_run"])
    run.track("Plan Changed", {"plan": "pro", "seats": 5})
    event = sink.events[1]
    assert event["event"] == "Plan Changed"
    base = {**sink.events[0]["properties"], "sequence": 2}
    assert event["properties"] == {**base, "plan": "pro", "seats": 5}


BASES = st.sampled_from(sorted(BASE_PROPERTIES))


@pytest.mark.extended
@given(st.dictionaries(BASES, st.none() | st.booleans() | st.integers(0, 9) | st.text()))
def test_base_properties_cannot_be_overridden(own: dict[str, Any]) -> None:
    """What every event has cannot be set by a call, which raises in my tests."""
    root, sink = recording()
    run = root.begin("acme", ["x"])
    with contextlib.ExitStack() as stack:
        if own:
            stack.enter_context(pytest.raises(DeclarationError, match="for example to 'app_"))
        run.track("Plan Changed", {**own, "plan": "pro"})
    run.end(exit=7)
    base = sink.events[0]["properties"]
    assert sink.events[1]["properties"] == {**base, "sequence": 2, "plan": "pro"}
    assert sink.of("exit_code") == [None, None, 7]


def test_an_application_cannot_set_dropped() -> None:
    """`dropped` is what was dropped, and is there only when something was."""
    root, sink = recording()
    run = root.begin("acme", [])
    for own in ({"dropped": 99}, {"dropped": 99, "large": 10**5000}):
        with pytest.raises(DeclarationError, match="'app_dropped'"):
            run.track("Plan Changed", own)
    assert sink.of("dropped") == [None, None, 1]


def test_the_application_s_properties_win_over_an_event_s() -> None:
    """What I declare for all events is the same on all of them."""
    root, sink = recording(properties={"team": "factory"})
    run = root.begin("acme", [])
    run.track("Plan Changed", {"team": "mine", "plan": "pro"})
    assert sink.of("team") == ["factory", "factory"]
    assert sink.of("plan") == [None, "pro"]


@pytest.mark.parametrize("name", [None, "", 42, b"Plan Changed", "x" * 129, object(), ["a"]])
def test_an_event_without_a_usable_name_is_dropped_and_counted(name: Any) -> None:
    """A mistake costs the event and not the command; the next event reports it."""
    root, sink = recording()
    run = root.begin("acme", [])
    run.track(name, {"plan": "pro"})
    run.track("Plan Changed", None)
    assert sink.names == [COMMAND_INVOKED, "Plan Changed"]
    assert sink.of("dropped") == [None, 1]
    assert sink.of("sequence") == [1, 2]


class Unaskable(dict[str, Any]):
    """Properties that cannot even be asked whether they are any."""

    def __bool__(self) -> bool:
        raise RuntimeError("ambiguous")

    def __len__(self) -> int:
        raise RuntimeError("ambiguous")

    def items(self) -> Any:
        raise RuntimeError("ambiguous")


@pytest.mark.parametrize("properties", [Unaskable(), 42, "text", [1], object()])
def test_properties_that_are_none_cost_themselves(properties: Any) -> None:
    """The event is recorded without them, and the loss is counted."""
    root, sink = recording()
    run = root.begin("acme", [])
    run.track("Plan Changed", properties)
    run.track("Plan Changed", {"a": 1, "b": 10**5000, "c": "x" * 5000})
    run.end()
    assert sink.of("dropped") == [None, 1, 2, None]
    assert sink.of("a") == [None, None, 1, None]


def test_events_dropped_before_an_invocation_are_reported_on_its_first_event() -> None:
    """A count that came from outside is reported once."""
    root, sink = recording(dropped=3)
    root.begin("acme", []).end()
    assert sink.of("dropped") == [3, None]


# The bound -----------------------------------------------------------------------------------


def test_my_events_are_bounded_and_the_pair_always_fits() -> None:
    """Ten thousand events in a loop are two hundred, the pair, and a count."""
    root, sink = recording()
    run = root.begin("acme", [])
    for n in range(10_000):
        run.track("Row Read", {"n": n})
    run.end()
    root.begin("acme again", []).end()
    assert sink.names == [
        COMMAND_INVOKED,
        *["Row Read"] * MAX_OWN_EVENTS,
        *[COMMAND_COMPLETED, COMMAND_INVOKED, COMMAND_COMPLETED],
    ]
    assert sink.of("n")[1:201] == list(range(200))
    assert sink.of("dropped")[200:] == [None, 10_000 - MAX_OWN_EVENTS, None, None]
    assert sink.of("sequence") == list(range(1, MAX_OWN_EVENTS + 5))


def test_properties_cost_nothing_once_the_bound_is_reached() -> None:
    """Beyond it not even the values are looked at."""
    looked: list[int] = []

    class Watched(dict[str, int]):
        def items(self) -> Any:
            looked.append(1)
            return super().items()

    root, _ = recording()
    run = root.begin("acme", [])
    for _ in range(MAX_OWN_EVENTS + 50):
        run.track("Row Read", Watched())
    assert len(looked) == MAX_OWN_EVENTS


# Threads -------------------------------------------------------------------------------------


def test_fifty_threads_have_one_sequence_without_gap_or_twin() -> None:
    """Below the bound nothing is dropped, and the order recorded is the sequence."""
    root, sink = recording()
    run = root.begin("acme", [])

    def work(n: int) -> None:
        for i in range(3):
            run.track("Row Read", {"n": n, "i": i})

    in_threads(50, work)
    run.end()
    assert sink.of("sequence") == list(range(1, 153))
    recorded: dict[int, list[int]] = {n: [] for n in range(50)}
    for event in sink.events[1:-1]:
        recorded[event["properties"]["n"]].append(event["properties"]["i"])
    assert recorded == {n: [0, 1, 2] for n in range(50)}
    assert sink.of("dropped") == [None] * 152


def test_fifty_threads_are_bounded_together_and_every_loss_is_counted() -> None:
    """Recorded and dropped are as many as were tracked, to the last one."""
    root, sink = recording()
    run = root.begin("acme", [])

    def work(n: int) -> None:
        for _ in range(10):
            run.track("Row Read", {"n": n, "large": 10**5000})
            run.track(None, None)

    in_threads(50, work)
    run.end()
    assert sink.names.count("Row Read") == MAX_OWN_EVENTS
    dropped = 50 * 10 - MAX_OWN_EVENTS  # beyond the bound
    dropped += MAX_OWN_EVENTS  # a property of each that was recorded
    dropped += 50 * 10  # without a name
    assert sum(count or 0 for count in sink.of("dropped")) == dropped


def test_fifty_threads_with_runs_of_their_own_are_not_confused() -> None:
    """Each thread's command has its pair, and its own events between the two."""
    root, sink = recording()
    root.open()

    def work(n: int) -> None:
        run = root.begin(f"acme {n}", [])
        run.track("Row Read", None)
        run.end()

    in_threads(50, work)
    assert sink.of("sequence") == list(range(1, 151))
    runs: dict[str, list[str]] = {}
    for event in sink.events:
        runs.setdefault(event["properties"]["run_id"], []).append(event["event"])
    assert list(runs.values()) == [[COMMAND_INVOKED, "Row Read", COMMAND_COMPLETED]] * 50


def test_a_value_may_wait_for_another_thread_s_event() -> None:
    """No lock of ours is held while the application's code runs."""
    root, sink = recording()
    run = root.begin("acme", [])

    class Waiting(dict[str, int]):
        def items(self) -> Any:
            other = threading.Thread(target=run.track, args=("Inner Recorded", None), daemon=True)
            other.start()
            other.join(10)
            return {"waited": not other.is_alive()}.items()

    run.track("Outer Recorded", Waiting())
    assert sink.names == [COMMAND_INVOKED, "Inner Recorded", "Outer Recorded"]
    assert sink.events[2]["properties"]["waited"] is True


def test_after_the_end_nothing_is_recorded_and_the_loss_is_passed_on() -> None:
    """What comes too late is counted, and the next invocation reports it."""
    root, sink = recording()
    run = root.begin("acme", [])
    root.invocation.close()
    run.track("Too Late", {"plan": "pro"})
    run.end()
    assert sink.names == [COMMAND_INVOKED]
    assert take_dropped() == 2


# The application's properties ----------------------------------------------------------------


def test_a_function_for_a_property_is_called_once() -> None:
    """However many events there are, whoever is asked is asked once."""
    called: list[int] = []

    def team() -> str:
        called.append(1)
        return "factory"

    root, sink = recording(properties={"team": team, "tier": 2})
    assert called == []
    run = root.begin("acme", [])
    run.track("Config Read")
    run.track("Plan Changed", None)
    run.end()
    root.begin("acme", []).end()
    assert called == [1]
    assert sink.of("team") == ["factory"] * 6
    assert sink.of("tier") == [2] * 6


def test_a_property_without_a_value_is_left_out() -> None:
    """None leaves a property out, by value or by function."""
    root, sink = recording(properties={"a": None, "b": lambda: None, "c": "c", "d": False})
    root.begin("acme", [])
    properties = sink.events[0]["properties"]
    assert "a" not in properties
    assert "b" not in properties
    assert (properties["c"], properties["d"]) == ("c", False)
    assert "dropped" not in properties


def test_a_property_whose_function_fails_is_left_out_and_counted() -> None:
    """A mistake in it costs that property alone."""

    def fails() -> str:
        raise LookupError("no configuration")

    root, sink = recording(
        properties={"a": fails, "b": lambda needed: needed, "c": 10**5000, "d": "d"}
    )
    root.begin("acme", []).end()
    assert sink.of("d") == ["d", "d"]
    assert sink.of("a") == sink.of("b") == sink.of("c") == [None, None]
    assert sink.of("dropped") == [3, None]


def test_a_property_s_function_may_track() -> None:
    """It is called before anything is recorded, and without a lock."""

    def team() -> str:
        other = threading.Thread(target=lambda: track("Tracked"), daemon=True)
        other.start()
        other.join(10)
        return "stuck" if other.is_alive() else "factory"

    root, sink = recording(properties={"team": team})
    root.begin().end()
    assert sink.of("team") == ["factory", "factory"]


# Before the first command --------------------------------------------------------------------


def test_deferred_values_are_written_with_the_first_begin() -> None:
    """A group's own events come first in the sequence, in one write, and are of that run."""
    root, sink = recording()
    with root.group():
        track("Config Read", {"n": 1})
        track(None, {})  # type: ignore[call-overload]
        set_context(agent="claude")
        track("Logged In")
        assert sink.writes == []
        with root.leaf("acme deploy"):
            assert len(sink.writes) == 1
    assert sink.names == ["Config Read", "Logged In", COMMAND_INVOKED, COMMAND_COMPLETED]
    assert sink.of("sequence") == [1, 2, 3, 4]
    assert sink.of("command") == ["acme deploy"] * 4
    assert sink.of("agent") == [None, "claude", "claude", "claude"]
    assert sink.of("n") == [1, None, None, None]
    assert sum(count or 0 for count in sink.of("dropped")) == 1


def test_deferred_values_are_snapshots() -> None:
    """What the application changes later changes no event."""
    root, sink = recording()
    properties: dict[str, Any] = {"tags": ["a"]}
    with root.group():
        track("Config Read", properties)
        properties["tags"].append("b")
        with root.leaf():
            pass
    assert sink.of("tags")[0] == ["a"]


def test_deferred_events_are_bounded() -> None:
    """A group's callback cannot fill the memory."""
    root, sink = recording()
    with root.group(), pytest.MonkeyPatch.context():
        for n in range(MAX_OWN_EVENTS + 50):
            track("Row Read", {"n": n})
        assert len(root.root.deferred) == MAX_OWN_EVENTS
        with root.leaf():
            pass
    assert sink.names.count("Row Read") == MAX_OWN_EVENTS
    assert sum(count or 0 for count in sink.of("dropped")) == 50


def test_a_custom_command_before_the_first_command_has_its_pair() -> None:
    """In the same write, with the sequence in which it happened."""
    root, sink = recording()
    with root.group():
        with track_command("review", source="skill"):
            track("Inside")
        open_ = track_command("watch")
        open_.__enter__()
        with root.leaf("acme go"):
            assert len(sink.writes) == 1
            track("Later")
        open_.__exit__(None, None, None)
    assert [(event["event"], event["properties"]["command"]) for event in sink.events] == [
        (COMMAND_INVOKED, "acme review"),
        ("Inside", "acme go"),
        (COMMAND_COMPLETED, "acme review"),
        (COMMAND_INVOKED, "acme watch"),
        (COMMAND_INVOKED, "acme go"),
        ("Later", "acme go"),
        (COMMAND_COMPLETED, "acme go"),
        (COMMAND_COMPLETED, "acme watch"),
    ]
    assert sink.of("sequence") == list(range(1, 9))
    assert len(set(sink.of("run_id"))) == 3


def test_a_value_that_fails_costs_itself() -> None:
    """Deferred or not, it is counted and the others are recorded."""

    class Failing(Value):
        def record(self, invocation: Invocation, run: int) -> list[dict[str, Any]]:
            raise RuntimeError

    root, sink = recording()
    with root.group():
        Recorder(root.root).record(Failing())
        track("Config Read")
        with root.leaf():
            Recorder(root.root).record(Failing())
    assert sink.names == ["Config Read", COMMAND_INVOKED, COMMAND_COMPLETED]
    assert sum(count or 0 for count in sink.of("dropped")) == 2


# The quota -----------------------------------------------------------------------------------


class Flow:
    """Something that starts and ends."""

    def abandon(self) -> None: ...


def test_a_flow_that_starts_has_room_for_its_end() -> None:
    """And one that found no room is not recorded by half."""
    quota, fits, late = EventQuota(3), Flow(), Flow()
    assert quota.reserve(Slot(fits, STARTS))
    assert quota.reserve(None)
    assert quota.full
    assert not quota.reserve(Slot(late, STARTS))
    assert not quota.reserve(Slot(late, DURING))
    assert not quota.reserve(Slot(fits, DURING))
    assert not quota.reserve(Slot(late, ENDS))
    assert quota.latest() is fits
    assert quota.reserve(Slot(fits, ENDS))
    assert not quota.reserve(Slot(fits, ENDS))
    assert quota.latest() is None


def test_a_reset_keeps_the_places_of_what_is_open() -> None:
    """A flow that goes on after a publication still has room for its end."""
    quota, flow = EventQuota(2), Flow()
    assert quota.reserve(Slot(flow, STARTS))
    quota.reset()
    assert quota.reserve(None)
    assert not quota.reserve(None)
    assert quota.reserve(Slot(flow, ENDS))


def test_the_quota_starts_anew_with_each_publication() -> None:
    """A command that runs for days may record two hundred events in each file."""
    root, sink = recording()
    run = root.begin("acme serve")
    for publication in range(3):
        sink.publication = publication
        for _ in range(MAX_OWN_EVENTS + 10):
            run.track("Request Served")
    assert sink.names.count("Request Served") == 3 * MAX_OWN_EVENTS
    assert [count for count in sink.of("dropped") if count] == [10, 10]
    assert root.invocation.dropped == 10


def test_a_server_that_records_too_much_is_published_when_that_is_due() -> None:
    """The events that find no room ask for it, once in five seconds."""
    now = [0]

    class Publishing(FactSink):
        asked = 0

        def publish(self, invocation: Invocation) -> None:
            self.asked += 1
            self.publication += 1

    sink = Publishing()
    root, _ = recording(sink, clock=lambda: now[0])
    run = root.begin("acme serve")
    for _ in range(MAX_OWN_EVENTS + 50):
        run.track("Request Served")
    assert sink.asked == 0
    now[0] += PUBLISH_AFTER
    for _ in range(MAX_OWN_EVENTS + 50):
        run.track("Request Served")
    assert sink.asked == 1
    assert sink.names.count("Request Served") == 2 * MAX_OWN_EVENTS


def test_users_without_room_are_signed_out() -> None:
    """No event names the user before, whose place another has taken."""
    root, sink = recording()
    with root.group(), root.leaf():
        for n in range(MAX_OWN_EVENTS + 5):
            identify(n)
    users = [message.get("userId") for message in sink.messages]
    assert users == [None, *[str(n) for n in range(MAX_OWN_EVENTS)], None]
    assert sink.of("dropped") == [None, 5]


# A forked child ------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_records_nothing() -> None:
    """The parent records what happened; its child waits for no lock of ours."""
    source = """
import os, threading
from click_telemetry._events import scope as scopes
from click_telemetry._events.commands import track_command
from click_telemetry._events.context import identify, set_context
from click_telemetry._events.flow_definition import flow
from click_telemetry._events.properties import CONTEXT_BYTES
from tests.harness.recording import Recording
recording = Recording()
root = recording.invocation
with recording.group(), recording.leaf() as scope:
    started = flow("Spawn").start()
    root._lock.acquire()  # as another thread may hold them at that moment
    root.events._lock.acquire()
    scopes._lock.acquire()
    started._lock.acquire()
    def in_child():
        scopes.track("Child Tracked", {"a": 1})
        scopes.track(None)
        identify("user-42")
        set_context(agent="claude")
        started.step("one")
        started.complete()
        with track_command("review"):
            pass
        root.end_run(scope.run, {"exit": 0})
        root.close()
        return f"{len(recording.sink.facts)} {root.dropped}"
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        returned = []
        held = scope  # a thread without a context asks the registry
        thread = threading.Thread(target=lambda: returned.append(in_child()), daemon=True)
        thread.start()
        thread.join(10)
        os.write(writing, repr(returned).encode())
        os._exit(0)
    os.waitpid(child, 0)
    print(os.read(reading, 1000).decode())
    for lock in (root._lock, root.events._lock, scopes._lock, started._lock):
        lock.release()
    started.complete()
print([fact.get("event") for fact in recording.sink.facts], root.dropped)
"""
    done = subprocess.run(
        [*python("")[:1], "-c", python(source)[-1]],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        """['2 0']""",
        "[None, 'Spawn Started', 'Spawn Completed', None] 0",
    ]


# The size ------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["x", "\x01", "é", "🎉", '"'])
def test_no_message_is_larger_than_segment_takes(text: str) -> None:
    """Whatever is tracked, with whatever is declared, fits in 32 KB."""
    declared = {f"{text}{n}": text * 1000 for n in range(50)}
    root, sink = recording(properties=declared)
    run = root.begin("acme " + "x" * 200, [f"flag_{n}" for n in range(60)])
    run.track(text * 128, {f"{text * 60}{n}": text * 500 for n in range(200)})
    run.track("Nested", {"a": [{"b": [text * 300] * 30}] * 3, "c": [[], {}] * 90})
    run.end(error="x" * 100)
    assert len(sink.messages) == 4
    sizes = [len(encode(message)) for message in sink.messages]
    assert max(sizes) <= SEGMENT_LIMIT
    assert max(sizes) > SEGMENT_LIMIT / 2
    mine = {name: value for name, value in sink.events[0]["properties"].items() if text in name}
    assert 0 < len(encode({k: v for k, v in mine.items() if v == text * 1000})) <= CONTEXT_BYTES
