"""From a spool file's bytes to the messages that may be sent."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from click_telemetry.delivery.sender.content import length, messages
from click_telemetry.events import COMMAND_COMPLETED, COMMAND_INVOKED
from click_telemetry.events.message import completion_id

RUN = "5c871acc-8255-4e5a-84e5-9c79b8f0db98"


def line(event: str, sequence: int = 1, run: str = RUN, **own: Any) -> bytes:
    properties = {"run_id": run, "sequence": sequence, "command": "acme go", **own}
    message = {
        "type": "track",
        "event": event,
        "messageId": f"{event}-{sequence}",
        "anonymousId": "a",
        "properties": properties,
    }
    return json.dumps(message).encode() + b"\n"


def names(content: bytes) -> list[str]:
    return [message["event"] for message in messages(content, 1_700_000_000.0)]


def test_whole_lines_are_messages() -> None:
    """In the order in which they were written."""
    content = line(COMMAND_INVOKED) + line("Exported", 2) + line(COMMAND_COMPLETED, 3)
    assert names(content) == [COMMAND_INVOKED, "Exported", COMMAND_COMPLETED]


def test_torn_last_line_is_dropped() -> None:
    """What was not written whole is not delivered (row 1)."""
    whole = line(COMMAND_INVOKED) + line(COMMAND_COMPLETED, 2)
    for cut in range(len(line(COMMAND_INVOKED)), len(whole)):
        assert names(whole[:cut])[0] == COMMAND_INVOKED
        assert messages(whole[:cut], 0.0)[-1]["properties"]["outcome"] == "unfinished"
    assert "outcome" not in messages(whole, 0.0)[-1]["properties"]


@pytest.mark.parametrize(
    "torn", [b'{"type":"track","ev', b"\0" * 512, b"\xff\xfe{}", b"[]", b'"x"', b"#{", b"{}"]
)
def test_line_that_says_nothing_costs_its_neighbours_nothing(torn: bytes) -> None:
    """Zeros after a power loss, a short write, bad UTF-8 (rows 14, 18)."""
    content = line("First") + torn + b"\n" + line("Second", 2)
    assert names(content) == ["First", "Second"]


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
def test_number_that_is_no_json_never_leaves(number: bytes) -> None:
    """The Segment client would send it, and a server could not read the request (row 61)."""
    content = line("Exported", n=0).replace(b'"n": 0', b'"n": ' + number) + line("Second", 2)
    assert names(content) == ["Second"]


def test_run_without_its_end_gets_one() -> None:
    """Its process vanished: the next sequence, the last write's time, no duration."""
    _, ended = messages(line(COMMAND_INVOKED, 4, flags=["x"], dropped=2), 1_700_000_000.25)
    assert ended == {
        "type": "track",
        "event": COMMAND_COMPLETED,
        "messageId": completion_id(RUN),
        "anonymousId": "a",
        "timestamp": "2023-11-14T22:13:20.250Z",
        "properties": {
            "run_id": RUN,
            "sequence": 5,
            "command": "acme go",
            "flags": ["x"],
            "succeeded": False,
            "outcome": "unfinished",
        },
    }


def test_every_open_run_gets_its_end() -> None:
    """A chain that was killed in a nested run, say."""
    other = "0b5c1a3e-8255-4e5a-84e5-9c79b8f0db98"
    content = line(COMMAND_INVOKED, 1) + line(COMMAND_INVOKED, 2, other)
    ends = messages(content, 0.0)[2:]
    assert [end["properties"]["sequence"] for end in ends] == [3, 4]
    assert {end["properties"]["run_id"] for end in ends} == {RUN, other}


def test_run_that_has_ended_gets_no_second_end() -> None:
    """Whatever else was open in the same file."""
    other = "0b5c1a3e-8255-4e5a-84e5-9c79b8f0db98"
    content = line(COMMAND_INVOKED, 1) + line(COMMAND_INVOKED, 2, other)
    content += line(COMMAND_COMPLETED, 3, succeeded=True)
    assert [(m["event"], m["properties"]["run_id"]) for m in messages(content, 0.0)] == [
        (COMMAND_INVOKED, RUN),
        (COMMAND_INVOKED, other),
        (COMMAND_COMPLETED, RUN),
        (COMMAND_COMPLETED, other),
    ]


def test_continued_file_ends_nothing() -> None:
    """Its writer goes on in the next file."""
    assert names(line(COMMAND_INVOKED) + b'#{"continued":true}\n') == [COMMAND_INVOKED]


def test_runs_of_an_earlier_file_are_ended_by_the_last() -> None:
    """The note at its head carries them."""
    head = json.loads(line(COMMAND_INVOKED, 1))
    note = b"#" + json.dumps({"open": [head], "sequence": 7}).encode() + b"\n"
    (ended,) = messages(note, 0.0)
    assert (ended["event"], ended["properties"]["sequence"]) == (COMMAND_COMPLETED, 8)
    assert names(note + line(COMMAND_COMPLETED, 8)) == [COMMAND_COMPLETED]


def test_run_that_two_files_tell_of_is_ended_in_the_same_words() -> None:
    """Killed between two files of a series: each of them says it, with one message ID."""
    head = json.loads(line(COMMAND_INVOKED, 1))
    before = line(COMMAND_INVOKED, 1) + line("Exported", 2)
    note = {"open": [head], "sequence": 2, "at": 1_700_000_000.5}
    after = b"#" + json.dumps(note).encode() + b"\n"
    assert messages(before, 1_700_000_000.5)[-1] == messages(after, 1_700_000_009.0)[-1]


def test_end_of_the_calendar_is_told_by_a_file_system_without_harm() -> None:
    """A date that no calendar has (row 24)."""
    for date in (-1e18, 1e18):
        assert messages(line(COMMAND_INVOKED), date)[-1]["properties"]["outcome"] == "unfinished"


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_read_without_harm(content: bytes) -> None:
    """Truncated, zeroed, not UTF-8, not ours (row 18)."""
    assert messages(content + b"\n", 0.0) == []


@settings(deadline=None)
@given(st.lists(st.sampled_from([line(COMMAND_INVOKED), line("X", 2)]) | st.binary(max_size=40)))
def test_good_lines_are_found_among_any_others(parts: list[bytes]) -> None:
    """Never more of them than there are, and none changed."""
    good = [part for part in parts if part.endswith(b"}\n")]
    found = messages(b"\n".join(parts) + b"\n", 0.0)
    said = [m for m in found if m["properties"].get("outcome") != "unfinished"]
    assert len(said) <= len(good)
    assert all(json.dumps(m).encode() + b"\n" in good for m in said)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(10**4290),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(
                ["type", "event", "messageId", "anonymousId", "properties", "open", "sequence"]
            ),
            inner,
        )
    ),
    max_leaves=12,
)
LIKE_OURS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["track", "identify"]),
        "messageId": st.text(),
        "anonymousId": st.text(),
        "event": st.sampled_from([COMMAND_INVOKED, COMMAND_COMPLETED, "X"]) | JSON,
        "properties": st.fixed_dictionaries({"run_id": st.just(RUN) | JSON, "sequence": JSON}),
        "traits": st.dictionaries(st.text(), JSON),
    }
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(JSON | LIKE_OURS | st.fixed_dictionaries({"open": st.lists(LIKE_OURS)}), st.booleans())
def test_any_json_is_read_without_harm(found: Any, note: bool) -> None:
    """Well-formed and still not ours; what is taken from it can be sent."""
    content = (b"#" if note else b"") + json.dumps(found).encode() + b"\n"
    for message in messages(content, 0.0):
        assert length(message) == len(json.dumps(message, allow_nan=False))
