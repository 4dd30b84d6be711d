"""Messages as rows."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from click_telemetry._tools.table import Row, apps, duration, in_order, local_clock, rows

from .messages import Message, pair, track


def test_a_command_is_two_rows(tokyo: None) -> None:
    """A command's pair shows when, what, with which flags, and how it ended."""
    assert rows(pair("acme deploy", "dry_run", "region", duration_ms=1300)) == [
        Row(
            invocation="one",
            time="21:00:00.123",
            sequence="1",
            event="Command Invoked",
            command="acme deploy",
            flags="dry_run, region",
            exit_code="",
            duration="",
            outcome="",
            outcome_text="",
            own="",
        ),
        Row(
            invocation="one",
            time="21:00:00.123",
            sequence="2",
            event="Command Completed",
            command="acme deploy",
            flags="dry_run, region",
            exit_code="0",
            duration="1.3 s",
            outcome="",
            outcome_text="",
            own="",
        ),
    ]


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({}, ("0", "", "")),
        ({"exit_code": 1, "outcome": "failure"}, ("1", "failure", "failure")),
        (
            {"exit_code": 2, "outcome": "failure", "error_class": "click.exceptions.UsageError"},
            ("2", "failure", "failure: click.exceptions.UsageError"),
        ),
        (
            {"exit_code": 1, "outcome": "cancelled", "error_class": "KeyboardInterrupt"},
            ("1", "cancelled", "cancelled: KeyboardInterrupt"),
        ),
        (
            {
                "exit_code": 1,
                "outcome": "failure",
                "error_class": "OSError",
                "error_class_masked": True,
            },
            (
                "1",
                "failure",
                "failure: OSError (masked: its class is not the application's, see packages)",
            ),
        ),
        (
            {"exit_code": None, "duration_ms": None, "outcome": "unfinished"},
            (
                "",
                "unfinished",
                "unfinished: its process ended before the command did (killed, or replaced "
                "by exec)",
            ),
        ),
        (
            {"outcome": "success", "error_class": "click.exceptions.ClickException"},
            ("0", "", "success: click.exceptions.ClickException"),
        ),
    ],
)
def test_an_outcome_that_is_no_plain_success_is_told(
    own: dict[str, Any], expected: tuple[str, str, str]
) -> None:
    """Failure, Ctrl-C and a killed process are shown in words, with the error's class."""
    row = rows(pair(**own))[1]
    assert (row.exit_code, row.outcome, row.outcome_text) == expected


def test_an_event_of_the_applications_own_shows_its_own_properties() -> None:
    """An event shows its name and its own properties, shortened."""
    (row,) = rows(
        [
            track(
                "Plan Changed",
                plan="pro",
                seats=3,
                trial=False,
                regions=["eu", "us"],
                note=None,
                long="x" * 5000,
            )
        ]
    )
    assert row.event == "Plan Changed"
    assert row.own == (
        'plan=pro, seats=3, trial=false, regions=["eu", "us"], note=, long=' + "x" * 59 + "…"
    )


def test_an_applications_exit_code_is_a_property_like_any_other() -> None:
    """Only `Command Completed` has an exit code and an outcome of a command."""
    (row,) = rows([track("Job Finished", exit_code=3, outcome="failure", duration_ms=5)])
    assert (row.exit_code, row.outcome, row.outcome_text, row.duration) == ("", "", "", "5 ms")
    assert row.own == "exit_code=3, outcome=failure"


def test_lost_events_are_shown_where_they_are_counted() -> None:
    """The count of dropped events is in the table too."""
    assert rows([track("One", dropped=4)])[0].own == "dropped=4"


def test_rows_stand_by_invocation_then_by_sequence() -> None:
    """Two concurrent commands are shown one after the other, each in its own order."""
    early = pair("acme a", invocation="z", at="2026-03-01T12:00:00.000Z", first=1)
    early += pair("acme b", invocation="z", at="2026-03-01T12:00:09.000Z", first=3)
    early += [track("Late", "acme b", invocation="z", at="2026-03-01T12:00:09.000Z", sequence=11)]
    late = pair("beta c", invocation="a", at="2026-03-01T12:00:05.000Z")
    shuffled = [*early, *late]
    random.Random(7).shuffle(shuffled)
    assert in_order(shuffled) == [*early, *late]


def test_identify_is_a_row_only_when_it_names_a_user() -> None:
    """The one identify of an anonymous ID is no news; a user's is."""
    silent: Message = {"type": "identify", "anonymousId": "x", "traits": {"plan": "pro"}}
    named = {**silent, "userId": "ada"}
    assert rows([silent]) == []
    (row,) = rows([named])
    assert (row.event, row.own) == ("identify", "userId=ada, plan=pro")


def test_each_application_is_named_once() -> None:
    """If a command runs another application, both names are listed."""
    later = pair(app="beta", invocation="two", at="2026-03-01T12:00:01.000Z")
    messages = [*later, *pair(), {"type": "page"}, {"type": "page", "context": None}]
    assert apps(messages) == ["acme", "beta"]


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [
        (0, "0 ms"),
        (12, "12 ms"),
        (999, "999 ms"),
        (1000, "1.0 s"),
        (1349, "1.3 s"),
        (59_949, "59.9 s"),
        (59_950, "1 min 0 s"),
        (125_400, "2 min 5 s"),
        (3_599_499, "59 min 59 s"),
        (3_599_500, "1 h 0 min"),
        (7_380_000, "2 h 3 min"),
    ],
)
def test_a_duration_is_written_for_people(milliseconds: int, shown: str) -> None:
    """Large numbers have larger units."""
    assert duration(milliseconds) == shown


def test_a_time_is_local(tokyo: None) -> None:
    """Times are local; what is not a time is shown as it is."""
    assert local_clock("2026-03-01T20:15:03.007Z") == "05:15:03.007"
    assert local_clock("2026-03-01T20:15:03.007999+02:00") == "03:15:03.007"
    assert local_clock("\x1b[31m") == "\\x1b[31m"
    assert local_clock("0001-01-01T00:00:00Z") != ""
    assert local_clock(7) == ""


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_field = st.sampled_from(
    (
        *("invocation_id", "sequence", "command", "flags", "exit_code", "outcome", "error_class"),
        *("error_class_masked", "duration_ms", "dropped", "plan"),
    )
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # its first text is slow
@given(
    st.lists(
        st.fixed_dictionaries(
            {"type": st.sampled_from(("track", "identify", "page"))},
            optional={
                "event": st.sampled_from(("Command Completed", "\x1b[2J")) | st.text(min_size=1),
                "properties": st.dictionaries(_field | st.text(), _json, max_size=6) | st.none(),
                "traits": st.dictionaries(st.text(), _json, max_size=2) | st.none(),
                "context": st.dictionaries(st.just("app"), _json) | st.none(),
                "timestamp": _json,
                "messageId": _json,
                "userId": _json,
                "name": _json,
            },
        ),
        max_size=4,
    )
)
def test_no_message_is_too_odd_for_a_row(messages: list[Message]) -> None:
    """Whatever a client sends, it becomes a row of printable text or no row, and never an error."""
    apps(messages)
    for row in rows(messages):
        assert all(cell.isprintable() for cell in row[1:])
