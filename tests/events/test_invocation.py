"""One run of a root command, as its events: in order, whole, and nothing in it raises."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from click_telemetry.events import (
    BASE_PROPERTIES,
    COMMAND_COMPLETED,
    COMMAND_INVOKED,
    RESERVED_PROPERTIES,
)
from click_telemetry.events.active import LIVE
from click_telemetry.events.context import APPLICATION_BYTES
from click_telemetry.events.invocation import OWN_EVENTS, Invocation
from click_telemetry.events.message import completion_id
from click_telemetry.events.run import Run
from click_telemetry.events.text import encode
from click_telemetry.privacy.settings import DeclarationError, Settings
from click_telemetry.testing import RecordingClient

from ..privacy.racing import environment, python

AN_ID = "8b6f1f1e-0f6c-4f0e-9d6e-6a1c5f0b2a77"
SEGMENT_LIMIT = 32 * 1024
"""Bytes; Segment refuses a larger message."""

ENDED: dict[str, Any] = {"exit_code": 0, "succeeded": True, "outcome": "success"}


@pytest.fixture(autouse=True)
def nothing_astray() -> None:
    LIVE.take_strays()


def invocation(
    client: Any = None, properties: Mapping[str, Any] | None = None, **options: Any
) -> tuple[Invocation, RecordingClient]:
    """An invocation of `acme`, and the client that keeps what it records."""
    recording = RecordingClient()
    declared = {"app": "acme", "version": "2.1.0", "properties": properties}
    settings = Settings("acme", "", declared)
    given_ = client if client is not None else recording
    return Invocation(settings, given_, AN_ID, options.pop("environ", {}), **options), recording


def tracked(name: Any, properties: dict[str, Any], at: float) -> Callable[[Run], None]:
    """What a root keeps of an event until its first leaf begins."""
    return lambda run: run.invocation.track(name, properties, run, at)


def of(client: RecordingClient, name: str) -> list[Any]:
    """One property of every event, in order; None where it is missing."""
    return [event["properties"].get(name) for event in client.events]


def names(client: RecordingClient) -> list[str]:
    return [event["event"] for event in client.events]


# The pair ------------------------------------------------------------------------------------


def test_a_run_is_a_pair_of_events() -> None:
    """Invoked when it begins, Completed when it ends, with what surrounds them."""
    root, client = invocation()
    run = root.start("acme deploy", ["dry_run", "region"])
    run.finish({**ENDED, "duration_ms": 12})
    root.close()
    first, second = client.events
    assert (first["event"], second["event"]) == (COMMAND_INVOKED, COMMAND_COMPLETED)
    base = {name: value for name, value in first["properties"].items() if name != "sequence"}
    assert set(base) == BASE_PROPERTIES - {"sequence", "dropped"}
    assert base["command"] == "acme deploy"
    assert base["flags"] == ["dry_run", "region"]
    assert base["version"] == "2.1.0"
    assert second["properties"] == {**base, **ENDED, "sequence": 2, "duration_ms": 12}


def test_every_message_is_of_one_installation() -> None:
    """The anonymous ID and nothing else says where events come from."""
    root, client = invocation()
    root.start("acme", []).finish(ENDED)
    assert {message["anonymousId"] for message in client.messages} == {AN_ID}
    assert {message["type"] for message in client.messages} == {"track"}
    stamp = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
    assert all(stamp.fullmatch(str(message["timestamp"])) for message in client.messages)


def test_ids_are_random_and_each_of_its_kind() -> None:
    """An invocation, its runs and its messages are told apart."""
    root, client = invocation()
    for _ in range(3):
        run = root.start("acme", [])
        run.track("Plan Changed", None)
        run.finish(ENDED)
    assert len(set(of(client, "invocation_id"))) == 1
    assert len(set(of(client, "run_id"))) == 3
    ids = {str(message["messageId"]) for message in client.messages}
    assert len(ids) == 9
    assert all(UUID(one).version == 4 for one in ids | set(of(client, "run_id")))


def test_a_run_ends_once() -> None:
    """However often it is said, there is one Completed, under its own ID."""
    root, client = invocation()
    run = root.start("acme", [])
    for code in (0, 1, 2):
        run.finish({**ENDED, "exit_code": code})
    assert names(client) == [COMMAND_INVOKED, COMMAND_COMPLETED]
    assert client.events[1]["properties"]["exit_code"] == 0
    assert client.messages[1]["messageId"] == completion_id(run.run_id)


def test_runs_may_lie_in_one_another() -> None:
    """A command that invokes another has two pairs, each with its own command."""
    root, client = invocation()
    outer = root.start("acme all", [])
    inner = root.start("acme one", ["x"])
    inner.track("Step Done", None)
    inner.finish(ENDED)
    outer.track("All Done", None)
    outer.finish(ENDED)
    assert of(client, "sequence") == [1, 2, 3, 4, 5, 6]
    assert of(client, "command") == ["acme all", *["acme one"] * 3, *["acme all"] * 2]
    assert outer.now_speaking() is outer


def test_a_session_is_the_enclosing_one_else_the_environment_s_else_new() -> None:
    """Commands that started one another belong together."""
    handed = {"CLICK_TELEMETRY_SESSION_ID": AN_ID}
    assert invocation(session_id="outer", environ=handed)[0].session_id == "outer"
    assert invocation(environ=handed)[0].session_id == AN_ID
    new = {invocation()[0].session_id for _ in range(5)}
    assert len(new) == 5
    root, client = invocation(environ=handed)
    run = root.start("acme", [])
    assert of(client, "session_id") == [AN_ID]
    assert run.session_id == AN_ID


# The application's own events ----------------------------------------------------------------


def test_an_event_of_my_own_has_its_properties_and_the_run_s() -> None:
    """What I track is said as I declared it, in the run that it belongs to."""
    root, client = invocation()
    run = root.start("acme deploy", ["dry_run"])
    run.track("Plan Changed", {"plan": "pro", "seats": 5})
    event = client.events[1]
    assert event["event"] == "Plan Changed"
    base = {**client.events[0]["properties"], "sequence": 2}
    assert event["properties"] == {**base, "plan": "pro", "seats": 5}


BASES = st.sampled_from(sorted(BASE_PROPERTIES))


@given(st.dictionaries(BASES, st.none() | st.booleans() | st.integers(0, 9) | st.text()))
def test_base_properties_cannot_be_overridden(own: dict[str, Any]) -> None:
    """What every event carries is ours to say, whatever a call site passes (row 67)."""
    root, client = invocation()
    run = root.start("acme", ["x"])
    run.track("Plan Changed", {**own, "plan": "pro"})
    run.finish({**own, "exit_code": 7})
    base = client.events[0]["properties"]
    assert client.events[1]["properties"] == {**base, "sequence": 2, "plan": "pro"}
    assert client.events[2]["properties"] == {**base, "sequence": 3, "exit_code": 7}


def test_a_count_of_losses_is_ours_to_say() -> None:
    """`dropped` is what was dropped, and is there only when something was."""
    root, client = invocation()
    run = root.start("acme", [])
    run.track("Plan Changed", {"dropped": 99})
    run.track("Plan Changed", {"dropped": 99, "large": 10**5000})
    assert of(client, "dropped") == [None, None, 1]


def test_the_application_s_properties_win_over_an_event_s() -> None:
    """What I declare for all events is the same on all of them."""
    root, client = invocation(properties={"team": "factory"})
    run = root.start("acme", [])
    run.track("Plan Changed", {"team": "mine", "plan": "pro"})
    assert of(client, "team") == ["factory", "factory"]
    assert of(client, "plan") == [None, "pro"]


@pytest.mark.parametrize("name", [None, "", 42, b"Plan Changed", "x" * 129, object(), ["a"]])
def test_an_event_without_a_usable_name_is_dropped_and_counted(name: Any) -> None:
    """A mistake costs the event and not the command; the next event says so."""
    root, client = invocation()
    run = root.start("acme", [])
    run.track(name, {"plan": "pro"})
    run.track("Plan Changed", None)
    assert names(client) == [COMMAND_INVOKED, "Plan Changed"]
    assert of(client, "dropped") == [None, 1]
    assert of(client, "sequence") == [1, 2]


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
    """The event is recorded without them, and the loss is counted (row 66)."""
    root, client = invocation()
    run = root.start("acme", [])
    run.track("Plan Changed", properties)
    run.track("Plan Changed", {"a": 1, "b": 10**5000, "c": "x" * 5000})
    run.finish(ENDED)
    assert of(client, "dropped") == [None, 1, 2, None]
    assert of(client, "a") == [None, None, 1, None]


def test_what_was_tracked_before_the_first_leaf_comes_first() -> None:
    """A group's own events keep their order and their time, and are of the leaf's run."""
    root, client = invocation()
    waiting = [
        tracked("Config Read", {"n": 1}, 1000.0),
        tracked(None, {}, 1000.5),
        tracked("Logged In", {}, 1001.0),
    ]
    root.start("acme deploy", ["x"], waiting)
    assert names(client) == ["Config Read", "Logged In", COMMAND_INVOKED]
    assert of(client, "sequence") == [1, 2, 3]
    assert of(client, "command") == ["acme deploy"] * 3
    assert of(client, "dropped") == [None, 1, None]
    assert [message["timestamp"] for message in client.messages][:2] == [
        "1970-01-01T00:16:40.000Z",
        "1970-01-01T00:16:41.000Z",
    ]


def test_what_was_lost_before_an_invocation_is_reported_on_its_first_event() -> None:
    """A count that came from outside is said once."""
    root, client = invocation(lost=3)
    root.start("acme", []).finish(ENDED)
    assert of(client, "dropped") == [3, None]


# The bound -----------------------------------------------------------------------------------


def test_my_events_are_bounded_and_the_pair_always_fits() -> None:
    """Ten thousand events in a loop are two hundred, the pair, and a count (row 68)."""
    root, client = invocation()
    run = root.start("acme", [])
    for n in range(10_000):
        run.track("Row Read", {"n": n})
    run.finish(ENDED)
    root.start("acme again", []).finish(ENDED)
    assert names(client) == [
        COMMAND_INVOKED,
        *["Row Read"] * OWN_EVENTS,
        *[COMMAND_COMPLETED, COMMAND_INVOKED, COMMAND_COMPLETED],
    ]
    assert of(client, "n")[1:201] == list(range(200))
    assert of(client, "dropped")[200:] == [None, 10_000 - OWN_EVENTS, None, None]
    assert of(client, "sequence") == list(range(1, OWN_EVENTS + 5))


def test_the_bound_starts_anew_with_each_publication() -> None:
    """A command that runs for days may say two hundred things in each file."""

    class Publishing(RecordingClient):
        publication = 0

    client = Publishing()
    root, _ = invocation(client)
    run = root.start("acme serve", [])
    for publication in range(3):
        client.publication = publication
        for _ in range(OWN_EVENTS + 10):
            run.track("Request Served", None)
    assert names(client).count("Request Served") == 3 * OWN_EVENTS
    assert [count for count in of(client, "dropped") if count] == [10, 10]
    assert root.dropped == 10


def test_a_server_that_says_too_much_is_heard_again_after_the_next_publication() -> None:
    """The client is asked to publish by the very events that find no room."""

    class Due(RecordingClient):
        publication = 0
        asked = 0

        def publish_if_due(self) -> None:
            self.asked += 1
            if self.asked == 30:
                self.publication += 1

    client = Due()
    root, _ = invocation(client)
    run = root.start("acme serve", [])
    for _ in range(OWN_EVENTS + 50):
        run.track("Request Served", None)
    assert client.asked == 30
    assert names(client).count("Request Served") == OWN_EVENTS + 21
    assert [count for count in of(client, "dropped") if count] == [29]


def test_properties_cost_nothing_once_the_bound_is_reached() -> None:
    """Beyond it not even the values are looked at."""
    looked: list[int] = []

    class Watched(dict[str, int]):
        def items(self) -> Any:
            looked.append(1)
            return super().items()

    root, _ = invocation()
    run = root.start("acme", [])
    for _ in range(OWN_EVENTS + 50):
        run.track("Row Read", Watched())
    assert len(looked) == OWN_EVENTS


# Threads -------------------------------------------------------------------------------------


def together(count: int, work: Callable[[int], None]) -> None:
    barrier = threading.Barrier(count)

    def begin(n: int) -> None:
        barrier.wait()
        work(n)

    threads = [threading.Thread(target=begin, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_fifty_threads_have_one_sequence_without_gap_or_twin() -> None:
    """Below the bound nothing is lost, and the order recorded is the sequence (row 35)."""
    root, client = invocation()
    run = root.start("acme", [])

    def work(n: int) -> None:
        for i in range(3):
            run.track("Row Read", {"n": n, "i": i})

    together(50, work)
    run.finish(ENDED)
    assert of(client, "sequence") == list(range(1, 153))
    said: dict[int, list[int]] = {n: [] for n in range(50)}
    for event in client.events[1:-1]:
        said[event["properties"]["n"]].append(event["properties"]["i"])
    assert said == {n: [0, 1, 2] for n in range(50)}
    assert of(client, "dropped") == [None] * 152


def test_fifty_threads_are_bounded_together_and_every_loss_is_counted() -> None:
    """Recorded and dropped are as many as were said, to the last one (row 35)."""
    root, client = invocation()
    run = root.start("acme", [])

    def work(n: int) -> None:
        for _ in range(10):
            run.track("Row Read", {"n": n, "large": 10**5000})
            run.track(None, None)

    together(50, work)
    run.finish(ENDED)
    assert names(client).count("Row Read") == OWN_EVENTS
    lost = 50 * 10 - OWN_EVENTS  # beyond the bound
    lost += OWN_EVENTS  # a property of each that was recorded
    lost += 50 * 10  # without a name
    assert sum(count or 0 for count in of(client, "dropped")) == lost


def test_fifty_threads_with_runs_of_their_own_are_told_apart() -> None:
    """Each thread's command has its pair, and its own events between the two."""
    root, client = invocation()

    def work(n: int) -> None:
        run = root.start(f"acme {n}", [])
        run.track("Row Read", None)
        run.finish(ENDED)

    together(50, work)
    assert of(client, "sequence") == list(range(1, 151))
    runs: dict[str, list[str]] = {}
    for event in client.events:
        runs.setdefault(event["properties"]["run_id"], []).append(event["event"])
    assert list(runs.values()) == [[COMMAND_INVOKED, "Row Read", COMMAND_COMPLETED]] * 50


def test_an_event_amid_an_event_is_no_deadlock() -> None:
    """A signal handler, or a value's own code, may track while another event is recorded."""

    class Talkative(RecordingClient):
        def record(self, message: dict[str, Any], /) -> None:
            super().record(message)
            if message["event"] == "Outer Said":
                run.track("Inner Said", None)

    client = Talkative()
    root, _ = invocation(client)
    run = root.start("acme", [])
    run.track("Outer Said", None)
    assert names(client) == [COMMAND_INVOKED, "Outer Said", "Inner Said"]
    assert of(client, "sequence") == [1, 2, 3]


def test_a_value_may_wait_for_another_thread_s_event() -> None:
    """No lock of ours is held while somebody else's code runs."""
    root, client = invocation()
    run = root.start("acme", [])

    class Waiting(dict[str, int]):
        def items(self) -> Any:
            other = threading.Thread(target=run.track, args=("Inner Said", None), daemon=True)
            other.start()
            other.join(10)
            return {"waited": not other.is_alive()}.items()

    run.track("Outer Said", Waiting())
    assert names(client) == [COMMAND_INVOKED, "Inner Said", "Outer Said"]
    assert client.events[2]["properties"]["waited"] is True


def test_a_client_that_is_slow_to_close_keeps_no_thread_waiting() -> None:
    """`track` never waits, not even for the last delivery."""
    closing = threading.Event()
    done = threading.Event()

    class Slow(RecordingClient):
        def close(self) -> None:
            closing.set()
            done.wait(10)

    root, _ = invocation(Slow())
    run = root.start("acme", [])
    closer = threading.Thread(target=root.close)
    closer.start()
    closing.wait(10)
    started = monotonic()
    run.track("Too Late", None)
    assert monotonic() - started < 5
    done.set()
    closer.join()


# A client that fails -------------------------------------------------------------------------


class Failing(RecordingClient):
    """Fails as often as it is told to."""

    def __init__(self, times: int, error: type[BaseException] = OSError) -> None:
        super().__init__()
        self.times = times
        self.error = error

    def record(self, message: dict[str, Any], /) -> None:
        if self.times:
            self.times -= 1
            raise self.error("no room")
        super().record(message)


@pytest.mark.parametrize("error", [OSError, ValueError, MemoryError, RecursionError, KeyError])
def test_a_client_that_raises_is_not_noticed_and_its_loss_is_counted(
    error: type[BaseException],
) -> None:
    """A full disk costs events, never the command; the next one that fits says how many."""
    client = Failing(3, error)
    root, _ = invocation(client)
    run = root.start("acme", [])
    run.track("One", None)
    run.track("Two", None)
    run.track("Three", None)
    run.finish(ENDED)
    assert names(client) == ["Three", COMMAND_COMPLETED]
    assert of(client, "dropped") == [3, None]
    assert of(client, "sequence") == [4, 5]


def test_a_count_that_could_not_be_said_is_said_later() -> None:
    """The count survives the failure of the event that carried it."""
    client = Failing(0)
    root, _ = invocation(client)
    run = root.start("acme", [])
    run.track(None, None)
    client.times = 1
    run.track("One", None)
    run.track("Two", None)
    run.finish(ENDED)
    assert of(client, "dropped") == [None, 2, None]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_is_the_command_s(error: type[BaseException]) -> None:
    """Ctrl-C while an event is recorded is not swallowed (row 5)."""
    root, _ = invocation(Failing(1, error))
    with pytest.raises(error):
        root.start("acme", [])
    run = root.start("acme", [])
    run.finish(ENDED)


def test_a_client_that_cannot_be_closed_is_not_noticed() -> None:
    """The end of my command is not held up by the end of a client."""

    class Stuck(RecordingClient):
        closed = 0

        def close(self) -> None:
            self.closed += 1
            raise RuntimeError("no")

    client = Stuck()
    root, _ = invocation(client)
    root.start("acme", []).finish(ENDED)
    root.close()
    root.close()
    assert client.closed == 1


def test_after_the_end_nothing_is_recorded_and_the_loss_is_passed_on() -> None:
    """What comes too late is counted, and the next invocation reports it."""
    root, client = invocation()
    run = root.start("acme", [])
    root.close()
    run.track("Too Late", {"plan": "pro"})
    run.finish(ENDED)
    assert names(client) == [COMMAND_INVOKED]
    assert LIVE.take_strays() == 2


def test_a_client_may_do_what_it_likes_with_a_message() -> None:
    """A message belongs to its client: emptying one changes no other."""

    class Greedy(RecordingClient):
        def record(self, message: dict[str, Any], /) -> None:
            super().record(json.loads(encode(message)))
            message["context"]["app"].clear()
            message["properties"]["flags"].clear()
            message["properties"]["team"]["names"].clear()
            message["properties"].clear()

    client = Greedy()
    root, _ = invocation(client, properties={"team": {"names": ["a"]}})
    run = root.start("acme", ["x"])
    run.track("Plan Changed", None)
    run.finish(ENDED)
    assert run.flags == ["x"]
    assert of(client, "flags") == [["x"]] * 3
    assert of(client, "team") == [{"names": ["a"]}] * 3
    contexts = [message["context"] for message in client.messages]
    assert contexts == [contexts[0]] * 3
    assert encode(contexts[2]).count("2.1.0") == 1


# A forked child ------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_records_nothing(tmp_path: Any) -> None:
    """The parent says what happened; its child has no part in it (rows 33, 103)."""
    source = """
import os
from click_telemetry.events.invocation import Invocation
from click_telemetry.privacy.settings import Settings
class Client:
    closed = 0
    def __init__(self): self.names = []
    def record(self, message): self.names.append(message["event"])
    def close(self): self.closed += 1
client = Client()
invocation = Invocation(Settings("acme", "", {}), client, "id", {})
run = invocation.start("acme", [])
invocation._lock.acquire()  # as another thread may hold it at that moment
import threading
def in_child():
    run.track("Child Said", {"a": 1})
    run.track(None, None)
    run.finish({})
    invocation.start("acme child", [])
    invocation.close()
    return f"{client.names} {client.closed} {invocation.dropped}"
reading, writing = os.pipe()
child = os.fork()
if not child:
    said = []
    thread = threading.Thread(target=lambda: said.append(in_child()), daemon=True)
    thread.start()
    thread.join(10)
    os.write(writing, repr(said).encode())
    os._exit(0)
os.waitpid(child, 0)
print(os.read(reading, 1000).decode())
invocation._lock.release()
run.finish({})
invocation.close()
print(client.names, client.closed, invocation.dropped)
"""
    done = subprocess.run(
        python(source), env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        """["['Command Invoked'] 0 0"]""",
        "['Command Invoked', 'Command Completed'] 1 0",
    ]


# The application's properties ----------------------------------------------------------------


def test_a_function_for_a_property_is_called_once() -> None:
    """However many events there are, whoever is asked is asked once."""
    called: list[int] = []

    def team() -> str:
        called.append(1)
        return "factory"

    root, client = invocation(properties={"team": team, "tier": 2})
    assert called == []
    run = root.start("acme", [], [tracked("Config Read", {}, 0.0)])
    run.track("Plan Changed", None)
    run.finish(ENDED)
    root.start("acme", []).finish(ENDED)
    assert called == [1]
    assert of(client, "team") == ["factory"] * 6
    assert of(client, "tier") == [2] * 6


def test_a_property_without_a_value_is_left_out() -> None:
    """None says that there is nothing to say, by value or by function."""
    root, client = invocation(properties={"a": None, "b": lambda: None, "c": "c", "d": False})
    root.start("acme", [])
    properties = client.events[0]["properties"]
    assert "a" not in properties
    assert "b" not in properties
    assert (properties["c"], properties["d"]) == ("c", False)
    assert "dropped" not in properties


def test_a_property_whose_function_fails_is_left_out_and_counted() -> None:
    """A mistake in it costs that property alone."""

    def fails() -> str:
        raise LookupError("no configuration")

    root, client = invocation(
        properties={"a": fails, "b": lambda needed: needed, "c": 10**5000, "d": "d"}
    )
    root.start("acme", []).finish(ENDED)
    assert of(client, "d") == ["d", "d"]
    assert of(client, "a") == of(client, "b") == of(client, "c") == [None, None]
    assert of(client, "dropped") == [3, None]


def test_a_property_s_function_may_track() -> None:
    """It is asked before anything is said; what it says itself goes astray, and nothing hangs."""

    def team() -> str:
        other = threading.Thread(target=lambda: root.track("Said", None, Run(root, "x", [])))
        other.start()
        other.join(10)
        return "stuck" if other.is_alive() else "factory"

    root, client = invocation(properties={"team": team})
    run = root.start("acme", [])
    run.finish(ENDED)
    assert of(client, "team")[-2:] == ["factory", "factory"]


def test_base_properties_cannot_be_declared() -> None:
    """A name that every event carries is refused at import; none slips through a function."""
    for name in RESERVED_PROPERTIES:
        with pytest.raises(DeclarationError, match="events carry already"):
            invocation(properties={name: "mine"})


# The size ------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["x", "\x01", "é", "🎉", '"'])
def test_no_message_is_larger_than_segment_takes(text: str) -> None:
    """Whatever I say, with whatever I declared, fits in 32 KB."""
    declared = {f"{text}{n}": text * 1000 for n in range(50)}
    root, client = invocation(properties=declared)
    run = root.start("acme " + "x" * 200, [f"flag_{n}" for n in range(60)])
    run.track(text * 128, {f"{text * 60}{n}": text * 500 for n in range(200)})
    run.track("Nested", {"a": [{"b": [text * 300] * 30}] * 3, "c": [[], {}] * 90})
    run.finish({**ENDED, "error_class": "x" * 100})
    assert len(client.messages) == 4
    sizes = [len(encode(message)) for message in client.messages]
    assert max(sizes) <= SEGMENT_LIMIT
    assert max(sizes) > SEGMENT_LIMIT / 2
    mine = {name: value for name, value in client.events[0]["properties"].items() if text in name}
    assert 0 < len(encode({k: v for k, v in mine.items() if v == text * 1000})) <= APPLICATION_BYTES
