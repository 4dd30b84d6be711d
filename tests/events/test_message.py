"""The Segment message: what Segment's specification asks for, and nothing about the machine."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

import click_telemetry
from click_telemetry.events.message import completion_id, context, timestamp, track_message

UUIDS = st.uuids(version=4).map(str)


def test_a_message_has_what_segment_s_specification_asks_for() -> None:
    """A `track` call as Segment documents it, and not a key more."""
    made = track_message(
        "Plan Changed",
        {"plan": "pro"},
        anonymous_id="8b6f1f1e-0f6c-4f0e-9d6e-6a1c5f0b2a77",
        context=context("acme", "2.1.0"),
        at=1_769_817_600.1239,
        message_id="3b0c9a0e-7f9b-4d1e-8a55-0a4b7d9a1c11",
    )
    os_name = made["context"]["os"]["name"]  # type: ignore[call-overload, index]
    assert made == {
        "type": "track",
        "event": "Plan Changed",
        "properties": {"plan": "pro"},
        "messageId": "3b0c9a0e-7f9b-4d1e-8a55-0a4b7d9a1c11",
        "anonymousId": "8b6f1f1e-0f6c-4f0e-9d6e-6a1c5f0b2a77",
        "timestamp": "2026-01-31T00:00:00.123Z",
        "context": {
            "app": {"name": "acme", "version": "2.1.0"},
            "os": {"name": os_name},
            "library": {"name": "click_telemetry", "version": click_telemetry.__version__},
        },
    }


def test_the_context_carries_no_address_and_no_machine() -> None:
    """Segment fills in an IP where a context has none; ours never has one of its own."""
    found = context("acme", None)
    assert set(found) == {"app", "os", "library"}
    assert found["app"] == {"name": "acme", "version": None}
    assert set(found["os"]) == {"name"}  # type: ignore[arg-type]


def test_a_version_is_text_for_every_reader() -> None:
    """A version with a control character is sent without it."""
    assert context("acme", "2.1\0")["app"] == {"name": "acme", "version": "2.1\ufffd"}


def test_every_message_has_an_id_of_its_own() -> None:
    """A receiver tells repetitions by it."""
    found = [
        track_message("A", {}, anonymous_id="a", context={}, at=0.0)["messageId"] for _ in range(99)
    ]
    assert len(set(found)) == 99
    assert all(UUID(str(one)).version == 4 for one in found)


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (0.0009, "1970-01-01T00:00:00.000Z"),
        (0.001, "1970-01-01T00:00:00.001Z"),
        (1_769_817_599.9999, "2026-01-30T23:59:59.999Z"),
        (-1.5, "1969-12-31T23:59:58.500Z"),
        (253_402_300_799.0, "9999-12-31T23:59:59.000Z"),
    ],
)
def test_a_time_is_utc_in_milliseconds(at: float, said: str) -> None:
    """ISO 8601 as Segment takes it."""
    assert timestamp(at) == said


@given(st.floats(0, 4_000_000_000))
def test_a_time_says_when_it_was_to_the_millisecond(at: float) -> None:
    """No time zone of mine, no daylight saving, no rounding up into the future."""
    said = timestamp(at)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", said)
    read = datetime.fromisoformat(said.replace("Z", "+00:00"))
    assert read.tzinfo == timezone.utc
    assert -0.001 < read.timestamp() - at <= 0.000_001


@given(UUIDS)
def test_a_completion_s_id_is_the_same_whoever_says_it(run_id: str) -> None:
    """The run, or a later sender for it: a run cannot end twice."""
    found = completion_id(run_id)
    assert found == completion_id(run_id)
    assert found == str(UUID(found))
    assert UUID(found).version == 4
    assert found != run_id
    assert completion_id(found) == run_id


@given(st.lists(UUIDS, unique=True, min_size=2))
def test_two_runs_have_two_completions(run_ids: list[str]) -> None:
    """No run's end is taken for another's, nor for its run."""
    found = {completion_id(run_id) for run_id in run_ids}
    assert len(found) == len(run_ids)


def test_a_completion_s_id_is_a_contract() -> None:
    """What one version began, another may end: the rule never changes."""
    assert completion_id("00000000-0000-4000-8000-000000000000") == (
        "636f6d70-6c65-4000-8074-656400000001"
    )
    assert completion_id(str(uuid4())) != completion_id(str(uuid4()))
