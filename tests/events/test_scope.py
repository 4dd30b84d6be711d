"""Which invocation code belongs to: it is found, or what is recorded there is counted."""

from __future__ import annotations

import contextvars
import subprocess
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import click
import pytest

from click_telemetry import Event, current, instrument, track, track_warning
from click_telemetry._events.scope import (
    NOOP,
    SCOPE,
    UNATTRIBUTED,
    Recorder,
    count_dropped,
    current_recorder,
    current_scope,
    enter,
    is_in_run,
    leave,
    session_id,
    take_dropped,
)
from click_telemetry._foreground.options import DeclarationError
from click_telemetry._instrument import SCOPES
from click_telemetry.testing import RecordingClient

from ..harness.flows import Keeping, at_a_prompt, command, in_production
from ..harness.interpreter import environment, python
from ..harness.recording import Recording, entered, in_a_thread, in_threads
from ..harness.stories import run


@pytest.fixture(autouse=True)
def no_unattributed_events() -> Iterator[None]:
    take_dropped()
    yield
    assert SCOPES == []
    take_dropped()


def own_names(recording: Recording) -> list[str]:
    """The names of what was recorded between the two events of each command."""
    return [name for name in recording.sink.names if not name.startswith("Command ")]


# Which scope ---------------------------------------------------------------------------------


def test_outside_any_command_an_event_is_counted() -> None:
    """A module that tracks while it is imported costs nothing but a count."""
    track("Plan Changed", {"plan": "pro"})
    track("Plan Changed")
    assert take_dropped() == 2
    assert take_dropped() == 0


def test_the_context_s_command_comes_first() -> None:
    """A command inside another has its own events."""
    outer, inner = Recording("outer"), Recording("inner")
    with outer.running():
        track("Before")
        with inner.running():
            track("Inside")
        track("After")
    assert (own_names(outer), own_names(inner)) == (["Before", "After"], ["Inside"])


def test_a_thread_without_a_context_is_part_of_the_only_command() -> None:
    """Threads that Python starts have no context of their own."""
    recording = Recording()
    with recording.running():
        in_a_thread(lambda: track("Row Read", {"n": 1}))
    assert own_names(recording) == ["Row Read"]
    assert take_dropped() == 0


def test_a_command_that_began_before_this_module_was_imported_is_found() -> None:
    """Then no context variable was set; the thread's own scope is the innermost."""
    outer, inner = Recording("outer"), Recording("inner")
    with outer.running(), inner.running():
        context = contextvars.copy_context()
        context.run(SCOPE.set, None)
        context.run(track, "Row Read")
    assert (own_names(outer), own_names(inner)) == ([], ["Row Read"])


def test_between_two_invocations_a_thread_belongs_to_none() -> None:
    """Its event is dropped and counted, rather than recorded for the wrong one."""
    first, second = Recording("first"), Recording("second")
    with first.running():
        with second.running():
            in_a_thread(lambda: track("Row Read"))
            assert in_a_thread(current_scope) is None
        in_a_thread(lambda: track("Row Read"))
    assert (own_names(first), own_names(second)) == (["Row Read"], [])
    assert take_dropped() == 1


def test_a_thread_that_runs_with_an_opted_out_command_records_nothing() -> None:
    """It may be part of that; it is not counted either."""
    recording, off = Recording(), Recording("off").scope()
    off.opted_out = "flag"
    with recording.running(), entered(off):
        in_a_thread(lambda: track("Row Read"))
        assert in_a_thread(current_scope) is off
    assert own_names(recording) == []
    assert take_dropped() == 0


@pytest.mark.parametrize("how", ["opted_out", "excluded", "off", "failed"])
def test_where_nothing_is_recorded_nothing_goes_to_another(how: str) -> None:
    """An excluded command, an opt-out, a run that is off, a begin that failed."""
    outer, inner = Recording("outer"), Recording("inner")
    scope = inner.scope()
    scope.decided = True
    scope.is_leaf = how == "failed"
    scope.opted_out = "flag" if how == "opted_out" else ""
    scope.excluded = how == "excluded"
    with outer.running(), entered(scope):
        track("Row Read")
        assert current_recorder() is NOOP
        current().track("Row Read")
        assert not scope.deferred
    assert own_names(outer) == []
    assert take_dropped() == 0


def test_a_thread_keeps_the_innermost_run_that_it_found() -> None:
    """Of a group whose commands invoke one another."""
    recording = Recording()
    with recording.group(), recording.leaf("acme all"):
        with recording.leaf("acme one"):
            handle = in_a_thread(current)
            handle.track("In One")
        handle.track("Still In One")
        in_a_thread(lambda: track("In All"))
    commands = {e["event"]: e["properties"]["command"] for e in recording.sink.events}
    assert commands["In One"] == commands["Still In One"] == "acme one"
    assert commands["In All"] == "acme all"


def test_a_group_s_events_after_a_command_belong_to_the_latest() -> None:
    """A result callback is part of the invocation, and of no run that goes on."""
    recording = Recording()
    with recording.group():
        track("Before")
        with recording.leaf("acme one"):
            pass
        with recording.leaf("acme two"):
            pass
        track("After")
    found = {e["event"]: e["properties"]["command"] for e in recording.sink.events}
    assert (found["Before"], found["After"]) == ("acme one", "acme two")


def test_whether_a_context_is_in_a_run() -> None:
    """The foreground asks, for a thread that runs with an opted-out command."""
    recording = Recording()
    assert not is_in_run()
    with recording.group():
        assert not is_in_run()
        with recording.leaf() as scope:
            assert is_in_run()
            assert not in_a_thread(is_in_run)
            context = contextvars.copy_context()
            assert scope.run is not None
        assert not context.run(is_in_run)


def test_a_context_that_was_entered_elsewhere_is_left_quietly() -> None:
    """A command that is resumed in another context never had our value there."""
    recording = Recording()
    scope = recording.root
    contextvars.copy_context().run(enter, scope)
    with pytest.raises(ValueError, match="Token"):
        SCOPE.reset(scope.token)
    leave(scope)


# Handles -------------------------------------------------------------------------------------


def test_a_copied_context_keeps_its_command() -> None:
    """A task or an executor that copies the context is part of the command it came from."""
    recording = Recording()
    with recording.running():
        context = contextvars.copy_context()
        in_a_thread(lambda: context.run(track, "Row Read"))
    assert own_names(recording) == ["Row Read"]
    context.run(track, "Too Late")
    assert take_dropped() == 1


def test_a_handle_records_where_it_was_made() -> None:
    """What is passed to a thread belongs to the command that passed it."""
    first, second = Recording("first"), Recording("second")
    with first.running():
        handle = current()
        with second.running():
            in_a_thread(lambda: handle.track("Row Read", {"n": 1}))
        handle.track("Row Read")
    assert own_names(first) == ["Row Read", "Row Read"]
    assert own_names(second) == []


def test_a_handle_of_a_group_waits_for_the_command() -> None:
    """It is made before the first command, and used by a thread later."""
    recording = Recording()
    with recording.group():
        handle = current()
        handle.track("Early")
        with recording.leaf():
            in_a_thread(lambda: handle.track("Late"))
    assert recording.sink.names == ["Early", "Command Invoked", "Late", "Command Completed"]


def test_where_nothing_runs_a_handle_does_nothing() -> None:
    """`current()` never returns None."""
    handle = current()
    handle.track("Row Read", {"n": 1})
    handle.reset()
    assert handle.packages == ("__main__", ())
    assert not handle.is_recording
    assert take_dropped() == 0
    UNATTRIBUTED.track("Row Read")
    UNATTRIBUTED.reset()
    assert take_dropped() == 2


def test_after_the_end_an_event_is_counted() -> None:
    """A handle may outlive its invocation."""
    recording = Recording()
    with recording.running():
        handle = current()
    handle.track("Late")
    handle.reset()
    assert own_names(recording) == []
    assert take_dropped() == 2


def test_no_dropped_event_is_missed_between_threads() -> None:
    """Nor while the count is taken."""
    taken: list[int] = []

    def work(number: int) -> None:
        for _ in range(1000):
            if number:
                count_dropped()
            else:
                taken.append(take_dropped())

    in_threads(11, work)
    assert sum(taken) + take_dropped() == 10_000


class Broken(Recorder):
    """A recorder whose own code fails."""

    def __init__(self) -> None:
        pass


def test_no_fault_of_ours_reaches_the_application() -> None:
    """It is counted."""
    Broken().track("Row Read")
    assert take_dropped() == 1


@pytest.mark.parametrize("is_double", [True, False])
def test_a_mistake_raises_where_the_client_is_a_test_double(is_double: bool) -> None:
    """Any class can be my test double, and any other client never raises."""
    client = Keeping()
    client.test_double = is_double
    cli = command(lambda: track_warning("No code!"), client, notice=False)
    with in_production(), pytest.raises(DeclarationError) if is_double else nullcontext():
        cli.main(["go"], standalone_mode=False)
    assert len(client.recording.events) == 3


# Sessions ------------------------------------------------------------------------------------


class PlanChanged(Event):
    """Of no property."""


@pytest.mark.parametrize("name", ["Invoice Exported", "Plan Changed"])
def test_a_declared_name_is_tracked_in_a_test(name: str, recording_client: RecordingClient) -> None:
    """By itself, or by a class."""
    cli = command(lambda: track(name), recording_client, events=("Invoice Exported", PlanChanged))
    run(cli, "go")
    assert [event["event"] for event in recording_client.events][1:-1] == [name]


def test_a_name_that_is_not_declared_raises_in_a_test(recording_client: RecordingClient) -> None:
    """The message names the fix; a class is a declaration itself."""

    def body() -> None:
        track(PlanChanged())
        with pytest.raises(DeclarationError, match=r"track\('Typo'\): .* add the name there, or"):
            track("Typo")

    result = run(command(body, recording_client, events=("Invoice Exported",)), "go")
    assert result.exception is None
    assert [event["event"] for event in recording_client.events][1:-1] == ["Plan Changed"]


def test_a_name_that_is_not_declared_is_recorded_where_no_test_runs() -> None:
    """A mistake costs no command and no event."""
    assert at_a_prompt(lambda: track("Typo"), events=()) == [("Typo", {})]


def test_a_session_is_inherited_or_new() -> None:
    """From the environment; commands inside one another have the outer one's."""
    new, inherited, inner = Recording(), Recording(session="outer"), Recording("inner")
    with new.running():
        assert session_id(new.root) == new.sink.of("session_id")[0]
    with inherited.running():
        assert session_id(inherited.root) == "outer"
        with inner.running():
            pass
    assert inner.sink.of("session_id") == ["outer", "outer"]
    assert session_id(Recording().root) is None


# Through the hooks ---------------------------------------------------------------------------


class Unaskable(dict[str, Any]):
    """Properties that cannot even be asked whether there are any."""

    def __bool__(self) -> bool:
        raise RuntimeError("ambiguous")

    def __len__(self) -> int:
        raise RuntimeError("ambiguous")

    def items(self) -> Any:
        raise RuntimeError("ambiguous")


def application(client: RecordingClient, callback: Any) -> Any:
    """An application of one command."""
    return instrument(click.Command("acme", callback=callback), app="acme", client=client)


def dropped(client: RecordingClient) -> list[tuple[str, Any]]:
    """Each event, with what it reports."""
    return [(event["event"], event["properties"].get("dropped")) for event in client.events]


def test_unattributed_events_are_reported_by_the_next_invocation(
    recording_client: RecordingClient,
) -> None:
    """What found no command is counted, and the next command's first event reports it."""
    track("Too Early")
    track("Too Early")
    cli = application(recording_client, lambda: track("Plan Changed"))
    run(cli)
    run(cli)
    pair = [("Plan Changed", None), ("Command Completed", None)]
    assert dropped(recording_client) == [
        ("Command Invoked", 2),
        *pair,
        ("Command Invoked", None),
        *pair,
    ]


def test_what_came_after_the_end_is_reported_too(recording_client: RecordingClient) -> None:
    """A thread that outlived its command is counted, and is part of no other."""
    handles = []
    cli = application(recording_client, lambda: handles.append(current()))
    run(cli)
    handles[0].track("Too Late")
    run(cli)
    handles[0].track("Too Late")
    assert dropped(recording_client) == [
        ("Command Invoked", None),
        ("Command Completed", None),
        ("Command Invoked", 1),
        ("Command Completed", None),
    ]


def test_properties_that_cannot_be_asked_are_no_error(recording_client: RecordingClient) -> None:
    """A table or an array in the wrong place costs its event's properties."""
    cli = application(recording_client, lambda: track("Plan Changed", Unaskable()))
    assert run(cli).exception is None
    assert dropped(recording_client) == [
        ("Command Invoked", None),
        ("Plan Changed", 1),
        ("Command Completed", None),
    ]


def test_a_call_site_never_replaces_what_every_event_has(
    recording_client: RecordingClient,
) -> None:
    """Neither the order, nor the command, nor the IDs can be set from a call."""
    forged = {"sequence": 99, "command": "rm", "invocation_id": "x", "run_id": "x", "is_ci": 1}
    cli = application(recording_client, lambda: track("Plan Changed", {**forged, "plan": "pro"}))
    run(cli)
    invoked, changed, _ = (event["properties"] for event in recording_client.events)
    assert changed == {**invoked, "sequence": 2, "plan": "pro"}


def test_an_event_amid_an_event_is_no_deadlock(recording_client: RecordingClient) -> None:
    """A signal handler may track while another event is written."""

    class Tracking(RecordingClient):
        def record(self, message: dict[str, Any], /) -> None:
            super().record(message)
            if message["event"] == "Outer":
                track("Inner")

    client = Tracking()
    run(application(client, lambda: track("Outer")))
    names = [event["event"] for event in client.events]
    assert names == ["Command Invoked", "Outer", "Inner", "Command Completed"]
    assert [event["properties"]["sequence"] for event in client.events] == [1, 2, 3, 4]


def test_a_signal_handler_s_exception_is_the_application_s(
    recording_client: RecordingClient,
) -> None:
    """What its handler raises while our code runs is raised where the application expects it."""

    class Interrupted(Exception):
        """The application's own."""

    def handler(number: int, frame: Any) -> None:
        raise Interrupted

    class Interrupting(dict[str, Any]):
        def items(self) -> Any:
            import sys

            handler(14, sys._getframe(0))

    def go() -> None:
        track("Plan Changed", Interrupting())

    assert isinstance(run(application(recording_client, go)).exception, Interrupted)


def test_a_program_that_tracks_nothing_loads_nothing_for_it() -> None:
    """Importing `track` loads a context variable, and neither values nor the scrubber."""
    source = """
from click_telemetry import current, track
track("Plan Changed", {"plan": "pro"})
current().track("Plan Changed")
print(sorted(name for name in sys.modules if name.startswith("click_telemetry.")))
print(sorted({name.partition(".")[0] for name in sys.modules} - sys.stdlib_module_names))
"""
    done = subprocess.run(
        python(source), env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "['click_telemetry._events', 'click_telemetry._events.scope', "
        "'click_telemetry._instrument']",
        "['__main__', 'click_telemetry']",
    ]


def test_commands_in_several_threads_find_their_own() -> None:
    """Threads that enter and leave scopes at once find their own."""
    recordings = [Recording(f"app{n}") for n in range(8)]

    def work(n: int) -> None:
        with recordings[n].running():
            for _ in range(20):
                track("Row Read")

    in_threads(8, work)
    assert [own_names(one) for one in recordings] == [["Row Read"] * 20] * 8
