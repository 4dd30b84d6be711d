"""What an application says from anywhere: it finds the invocation it belongs to, or is counted."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner

from click_telemetry import current, instrument, track
from click_telemetry.events.active import ACTIVE, LIVE, SILENT, speaker
from click_telemetry.testing import RecordingClient

from ..privacy.racing import environment, python

if TYPE_CHECKING:
    from click_telemetry.events.active import Speaker


class Voice:
    """Somebody who speaks, and keeps what was said."""

    session_id = None
    settings = None

    def __init__(self) -> None:
        self.said: list[tuple[object, Mapping[Any, Any] | None]] = []

    def track(self, name: object, properties: Mapping[Any, Any] | None, place: Any = None) -> None:
        self.said.append((name, properties))

    def act(self, do: Any) -> None:
        self.said.append(("act", None))

    def now_speaking(self) -> Speaker:
        return self


class Hoarse(Voice):
    """Somebody whose own code fails."""

    def track(self, name: object, properties: Mapping[Any, Any] | None, place: Any = None) -> None:
        raise RuntimeError("no")


@pytest.fixture(autouse=True)
def nothing_astray() -> Iterator[None]:
    LIVE.take_strays()
    yield
    assert LIVE.only() is None
    LIVE.take_strays()


def in_a_bare_thread(function: Any) -> Any:
    """What a function gives in a thread that knows no context."""
    given: list[Any] = []
    thread = threading.Thread(target=lambda: given.append(function()))
    thread.start()
    thread.join()
    return given[0]


@pytest.fixture
def live() -> Iterator[Voice]:
    """The process's only live root."""
    voice = Voice()
    LIVE.enter(voice)
    yield voice
    LIVE.leave(voice)


def test_outside_any_command_an_event_is_counted() -> None:
    """A module that tracks while it is imported costs nothing but a count."""
    track("Plan Changed", {"plan": "pro"})
    track("Plan Changed")
    assert LIVE.take_strays() == 2
    assert LIVE.take_strays() == 0


def test_the_context_s_voice_is_heard_first(live: Voice) -> None:
    """Inside a command its own run speaks, whatever else is alive."""
    mine = Voice()
    token = ACTIVE.set(mine)
    track("Plan Changed", {"plan": "pro"})
    ACTIVE.reset(token)
    track("Plan Changed")
    assert mine.said == [("Plan Changed", {"plan": "pro"})]
    assert live.said == [("Plan Changed", None)]


def test_a_bare_thread_finds_the_only_live_command(live: Voice) -> None:
    """A thread that Python starts without a context speaks for the command that runs."""
    in_a_bare_thread(lambda: track("Row Read", {"n": 1}))
    assert in_a_bare_thread(speaker) is live
    assert live.said == [("Row Read", {"n": 1})]
    assert LIVE.take_strays() == 0


def test_between_two_live_commands_nobody_guesses(live: Voice) -> None:
    """With two at a time a bare thread's event is dropped and counted, not given to the wrong."""
    other = Voice()
    LIVE.enter(other)
    in_a_bare_thread(lambda: track("Row Read"))
    assert in_a_bare_thread(speaker) is None
    LIVE.leave(other)
    in_a_bare_thread(lambda: track("Row Read"))
    assert (live.said, other.said) == ([("Row Read", None)], [])
    assert LIVE.take_strays() == 1


def test_a_copied_context_keeps_its_voice(live: Voice) -> None:
    """A task or an executor that copies the context speaks for the command it came from."""
    mine = Voice()
    token = ACTIVE.set(mine)
    context = copy_context()
    ACTIVE.reset(token)
    in_a_bare_thread(lambda: context.run(track, "Row Read"))
    assert (mine.said, live.said) == ([("Row Read", None)], [])


def test_a_handle_keeps_the_voice_that_it_was_made_with(live: Voice) -> None:
    """What I pass to a thread speaks for the command that passed it."""
    handle = current()
    other = Voice()
    LIVE.enter(other)
    in_a_bare_thread(lambda: handle.track("Row Read", {"n": 1}))
    LIVE.leave(other)
    handle.track("Row Read")
    assert live.said == [("Row Read", {"n": 1}), ("Row Read", None)]


def test_where_nothing_runs_a_handle_is_silent() -> None:
    """`current()` never gives None; what is said through it goes nowhere."""
    current().track("Row Read", {"n": 1})
    SILENT.track("Row Read", None)
    assert SILENT.now_speaking() is SILENT
    assert SILENT.session_id is None
    assert LIVE.take_strays() == 0


def test_an_excluded_command_is_silent_though_another_is_live(live: Voice) -> None:
    """Where nothing is recorded, what I track goes to nobody else."""
    token = ACTIVE.set(SILENT)
    track("Row Read")
    current().track("Row Read")
    ACTIVE.reset(token)
    assert live.said == []
    assert LIVE.take_strays() == 0


@pytest.mark.parametrize("through", [track, lambda name: current().track(name)])
def test_no_fault_of_ours_reaches_the_application(through: Any) -> None:
    """`track` never raises: what went wrong inside is counted."""
    token = ACTIVE.set(Hoarse())
    through("Row Read")
    ACTIVE.reset(token)
    assert LIVE.take_strays() == 1


class Unaskable(dict[str, Any]):
    """Properties that cannot even be asked whether they are any."""

    def __bool__(self) -> bool:
        raise RuntimeError("ambiguous")

    def __len__(self) -> int:
        raise RuntimeError("ambiguous")

    def items(self) -> Any:
        raise RuntimeError("ambiguous")


def application(client: RecordingClient, callback: Any) -> Any:
    """A one-command application."""
    return instrument(click.Command("acme", callback=callback), app="acme", client=client)


def told(client: RecordingClient) -> list[tuple[str, Any]]:
    return [(event["event"], event["properties"].get("dropped")) for event in client.events]


def test_strays_are_reported_by_the_next_invocation(recording_client: RecordingClient) -> None:
    """What found no command is counted, and the next command says so on its first event."""
    track("Too Early")
    track("Too Early")
    cli = application(recording_client, lambda: track("Plan Changed"))
    CliRunner().invoke(cli)
    CliRunner().invoke(cli)
    pair = [("Plan Changed", None), ("Command Completed", None)]
    assert told(recording_client) == [
        ("Command Invoked", 2),
        *pair,
        ("Command Invoked", None),
        *pair,
    ]


def test_what_came_after_the_end_is_reported_too(recording_client: RecordingClient) -> None:
    """A thread that outlived its command is counted, and speaks for no other."""
    handles = []
    cli = application(recording_client, lambda: handles.append(current()))
    CliRunner().invoke(cli)
    handles[0].track("Too Late")
    CliRunner().invoke(cli)
    handles[0].track("Too Late")
    assert told(recording_client) == [
        ("Command Invoked", None),
        ("Command Completed", None),
        ("Command Invoked", 1),
        ("Command Completed", None),
    ]


def test_properties_that_cannot_be_asked_are_no_error(recording_client: RecordingClient) -> None:
    """A table or an array in the wrong place costs its event's properties (row 66)."""
    cli = application(recording_client, lambda: track("Plan Changed", Unaskable()))
    result = CliRunner().invoke(cli)
    assert result.exception is None
    assert told(recording_client) == [
        ("Command Invoked", None),
        ("Plan Changed", 1),
        ("Command Completed", None),
    ]


def test_a_call_site_never_wins_over_what_every_event_carries(
    recording_client: RecordingClient,
) -> None:
    """Neither the order, nor the command, nor the IDs can be set from a call (row A3)."""
    forged = {"sequence": 99, "command": "rm", "invocation_id": "x", "run_id": "x", "is_ci": 1}
    cli = application(recording_client, lambda: track("Plan Changed", {**forged, "plan": "pro"}))
    CliRunner().invoke(cli)
    invoked, changed, _ = (event["properties"] for event in recording_client.events)
    assert changed == {**invoked, "sequence": 2, "plan": "pro"}


def test_a_program_that_tracks_nothing_loads_nothing_for_it() -> None:
    """Importing `track` costs no context variable; using it costs one."""
    source = """
from click_telemetry import current, track
print("click_telemetry.events.active" in sys.modules)
track("Plan Changed", {"plan": "pro"})
current().track("Plan Changed")
print(sorted({name.partition(".")[0] for name in sys.modules} - sys.stdlib_module_names))
"""
    done = subprocess.run(
        python(source), env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n['__main__', 'click_telemetry']\n"
