"""The messages of recorded sessions and command lines, run again and compared one by one."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from ..golden import recorded
from ..harness.demo import own_events

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..harness.processes import Home

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform == "win32", reason="needs a terminal"),
]

ANY = "*"
ABSENT = object()

Difference = tuple[str, str, str]

# Where the messages differ from the recordings on purpose:
# (recording or ANY, event or ANY, path such as "properties.flags") to the value that is now at
# that path, or ABSENT. Each entry is also listed under Data in the changelog. Recording again
# (`python -m tests.golden.record`) makes the entries obsolete.
INTENDED_DIFFERENCES: dict[Difference, Any] = {}

NAMES = [*recorded.recorded_sessions(), *recorded.recorded_lines()]


def expected(name: str, intended: Mapping[Difference, Any]) -> list[dict[str, Any]]:
    """The messages of a recording with the intended differences."""
    messages = recorded.read(name)
    for (recording, event, path), value in intended.items():
        for message in messages:
            if recording in (ANY, name) and event in (ANY, message.get("event")):
                *parents, key = path.split(".")
                place = message
                for parent in parents:
                    place = place.setdefault(parent, {})
                if value is ABSENT:
                    place.pop(key, None)
                else:
                    place[key] = value
    return messages


def differences(message: dict[str, Any], other: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Both values at each path where two messages differ; None where there is none."""
    found: dict[str, tuple[Any, Any]] = {}
    for key in sorted(message.keys() | other.keys()):
        pair = (message.get(key), other.get(key))
        if isinstance(pair[0], dict) and isinstance(pair[1], dict):
            found |= {f"{key}.{path}": each for path, each in differences(pair[0], pair[1]).items()}
        elif pair[0] != pair[1] or (key in message) != (key in other):
            found[key] = pair
    return found


@pytest.mark.sample(1)
@pytest.mark.parametrize("name", recorded.recorded_sessions())
def test_session_arrives_as_it_was_recorded(name: str, home: Home) -> None:
    """What I type in a terminal, Ctrl-C included, is delivered as these events (row A12)."""
    session = recorded.recorded_sessions()[name]
    shown = recorded.session_output(session, home)
    lines = shown.replace("\r", "").splitlines()
    arrived = [json.loads(line) for line in lines if line.startswith('{"type":"track"')]
    assert own_events(arrived) == session.events
    assert "Traceback" not in shown
    assert_as_recorded(name, recorded.normalized(shown))


@pytest.mark.sample(1)
@pytest.mark.parametrize("name", recorded.recorded_lines())
def test_messages_are_those_of_the_recording(name: str, home: Home) -> None:
    """An update of the library does not change what I receive of a command."""
    assert_as_recorded(name, recorded.messages_of(name, home))


def assert_as_recorded(name: str, messages: list[dict[str, Any]]) -> None:
    """Messages are those of a recording, but for the intended differences."""
    wanted = expected(name, INTENDED_DIFFERENCES)
    for message, other in zip(messages, wanted, strict=False):
        assert differences(message, other) == {}, message.get("event")
    events = [
        [message.get("event", message["type"]) for message in of] for of in (messages, wanted)
    ]
    assert events[0] == events[1]


def test_every_recording_belongs_to_a_session_or_a_command_line() -> None:
    """No file outlives the session that it was recorded from."""
    assert sorted(path.stem for path in recorded.DIRECTORY.iterdir()) == sorted(NAMES)


def test_an_intended_difference_changes_only_what_it_names() -> None:
    """An entry applies to one recording and one event, or to any."""
    name = "scenario-stop"
    begin, end = expected(name, {})
    changed = expected(
        name,
        {
            (name, "Command Completed", "properties.exit_code"): 130,
            (ANY, ANY, "context.os"): ABSENT,
            ("scenario-login", ANY, "type"): "other",
        },
    )
    del begin["context"]["os"], end["context"]["os"]
    end["properties"]["exit_code"] = 130
    assert changed == [begin, end]


def test_placeholders_keep_which_ids_are_the_same() -> None:
    """Two runs of one invocation have two IDs, and the same invocation ID."""
    login = recorded.read("scenario-login")
    tracks = [message["properties"] for message in login if message["type"] == "track"]
    assert {track["run_id"] for track in tracks} == {"<run-1>", "<run-2>"}
    assert {track["invocation_id"] for track in tracks} == {"<invocation-1>"}
    assert len({message["messageId"] for message in login}) == len(login)


def test_a_difference_names_its_path_and_both_values() -> None:
    """A failure shows what to list as intended."""
    message = {"a": 1, "b": {"c": 1, "d": 2}, "e": None}
    assert differences(message, message) == {}
    other = {"a": 1, "b": {"c": 3, "f": {}}}
    assert differences(message, other) == {
        "b.c": (1, 3),
        "b.d": (2, None),
        "b.f": (None, {}),
        "e": (None, None),
    }


def test_lines_that_are_no_messages_are_ignored() -> None:
    """Output of the command between the messages does not disturb the comparison."""
    message = '{"type":"track","event":"A","messageId":"m","timestamp":"t"}'
    output = f"text\r\n{{broken\r\n[1]\r\n{message}\r\n{{}}\r\n"
    assert recorded.normalized(output) == [
        {"event": "A", "messageId": "m", "timestamp": "<timestamp>", "type": "track"}
    ]
