"""The table of what arrived: messages as rows, and rows on terminals and pipes of every sort."""

from __future__ import annotations

import io
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from click_telemetry._tools.table import (
    EventTable,
    Row,
    apps,
    format_clock,
    format_duration,
    in_order,
    rows,
)

from ..harness.messages import Message, pair, track

pytestmark = pytest.mark.usefixtures("utc")

# Messages as rows ---------------------------------------------------------------------------------


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
def test_an_outcome_other_than_success_is_shown(
    own: dict[str, Any], expected: tuple[str, str, str]
) -> None:
    """Failure, Ctrl-C and a killed process are named, with the error's class."""
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


def test_dropped_events_are_shown() -> None:
    """The count of dropped events is in the table too."""
    assert rows([track("One", dropped=4)])[0].own == "dropped=4"


def test_rows_are_sorted_by_invocation_then_by_sequence() -> None:
    """Two concurrent commands are shown one after the other, each in its own order."""
    early = pair("acme a", invocation="z", at="2026-03-01T12:00:00.000Z", first=1)
    early += pair("acme b", invocation="z", at="2026-03-01T12:00:09.000Z", first=3)
    early += [track("Late", "acme b", invocation="z", at="2026-03-01T12:00:09.000Z", sequence=11)]
    late = pair("beta c", invocation="a", at="2026-03-01T12:00:05.000Z")
    shuffled = [*early, *late]
    random.Random(7).shuffle(shuffled)
    assert in_order(shuffled) == [*early, *late]


def test_identify_is_a_row_only_when_it_names_a_user() -> None:
    """The identify of an anonymous ID is not shown; a user's is."""
    anonymous: Message = {"type": "identify", "anonymousId": "x", "traits": {"plan": "pro"}}
    named = {**anonymous, "userId": "ada"}
    assert rows([anonymous]) == []
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
    assert format_duration(milliseconds) == shown


def test_a_time_is_local(tokyo: None) -> None:
    """Times are local; what is not a time is shown as it is."""
    assert format_clock("2026-03-01T20:15:03.007Z") == "05:15:03.007"
    assert format_clock("2026-03-01T20:15:03.007999+02:00") == "03:15:03.007"
    assert format_clock("\x1b[31m") == "\\x1b[31m"
    assert format_clock("0001-01-01T00:00:00Z") != ""
    assert format_clock(7) == ""


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


@settings(suppress_health_check=[HealthCheck.too_slow])  # its first text is slow
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
def test_any_message_gives_a_printable_row(messages: list[Message]) -> None:
    """Whatever a client sends gives a row of printable text or no row, and never an error."""
    apps(messages)
    for row in rows(messages):
        assert all(cell.isprintable() for cell in row[1:])


# Rows as lines ------------------------------------------------------------------------------------


def printed(messages: list[Message], *, encoding: str = "utf-8", **options: Any) -> list[str]:
    """The lines that a console prints."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="\n")
    options = {"width": 80, "force_terminal": False, **options}
    console = Console(file=stream, markup=False, highlight=False, emoji=False, **options)
    console.print(EventTable(rows(messages)))
    stream.seek(0)
    return stream.read().splitlines()


def test_a_command_fits_eighty_columns() -> None:
    """A pair takes two lines of at most 80 columns, with no space at their ends."""
    lines = printed(pair("demo deploy", "dry_run", "region"))
    assert lines == [
        "time          #  event              command      flags            exit  duration",
        "─" * 80,
        "12:00:00.123  1  Command Invoked    demo deploy  dry_run, region",
        "12:00:00.123  2  Command Completed  demo deploy  dry_run, region     0     12 ms",
    ]


def test_an_outcome_other_than_success_has_a_line_below() -> None:
    """A failure has a line of its own, since the name of an error class is long."""
    ended = pair(
        "demo fail", exit_code=1, outcome="failure", error_class="demo_cli.errors.ApiError"
    )
    assert printed(ended)[2:] == [
        "12:00:00.123  1  Command Invoked    demo fail",
        "12:00:00.123  2  Command Completed  demo fail            1     12 ms",
        "                 failure: demo_cli.errors.ApiError",
    ]


def test_an_event_of_the_applications_own_has_its_properties_below() -> None:
    """Its own properties are on a line below it, folded if it is long."""
    lines = printed([track("Plan Changed", plan="pro", seats=3, why="because " * 12)])
    assert lines[2:] == [
        "12:00:00.123  1  Plan Changed  acme deploy",
        "                 plan=pro, seats=3, why=because because because because because",
        "                 because because bec…",
    ]


def test_an_event_within_a_command_does_not_repeat_the_command() -> None:
    """A flow reads as a list: its long names have the room of path and flags."""
    invoked, completed = pair("demo apps create", "accept_terms", "name", "plan", "region")
    step = track("Application Create Step Reached", step="plan", elapsed_ms=32)
    end = track("Application Create Completed", step="plan", duration_ms=44)
    for number, message in enumerate((invoked, step, end, completed), start=1):
        message["properties"]["sequence"] = number
        message["properties"]["command"] = "demo apps create"
        message["properties"]["flags"] = ["accept_terms", "name", "plan", "region"]
    assert printed([invoked, step, end, completed])[2:] == [
        "12:00:00.123  1  Command Invoked    demo apps      accept_terms,",
        "                                    create         name, plan,",
        "                                                   region",
        "12:00:00.123  2  Application Create Step Reached",
        "                 step=plan, elapsed_ms=32",
        "12:00:00.123  3  Application Create Completed                              44 ms",
        "                 step=plan",
        "12:00:00.123  4  Command Completed  demo apps      accept_terms,     0     12 ms",
        "                                    create         name, plan,",
        "                                                   region",
    ]


def test_long_cells_fold_within_their_columns() -> None:
    """A long path and many flags take more lines, and no more columns."""
    lines = printed(
        pair("demo organisations members invite", "accept_terms", "dry_run", "region", "verbose")
    )
    assert max(map(len, lines)) <= 80
    assert lines[2:] == [
        "12:00:00.123  1  Command Invoked    demo           accept_terms,",
        "                                    organisations  dry_run,",
        "                                    members        region,",
        "                                    invite         verbose",
        "12:00:00.123  2  Command Completed  demo           accept_terms,     0     12 ms",
        "                                    organisations  dry_run,",
        "                                    members        region,",
        "                                    invite         verbose",
    ]


def test_a_wide_terminal_gives_the_room_to_paths_and_flags() -> None:
    """In 120 columns a command that folds in 80 takes one line, and no column has spare width."""
    invited = pair("demo organisations members invite", "accept_terms", "dry_run", "region")
    assert printed(invited, width=120) == [
        "time          #  event              command                            "
        "flags                          exit  duration",
        "─" * 116,
        "12:00:00.123  1  Command Invoked    demo organisations members invite  "
        "accept_terms, dry_run, region",
        "12:00:00.123  2  Command Completed  demo organisations members invite  "
        "accept_terms, dry_run, region     0     12 ms",
    ]


def test_wide_characters_keep_the_columns_straight() -> None:
    """A Chinese character takes two columns, and the columns stay aligned."""
    lines = printed([*pair("demo 部署"), track("Plan Changed", "demo deploy", sequence=3)])
    assert lines[3:] == [
        "12:00:00.123  2  Command Completed  demo 部署              0     12 ms",
        "12:00:00.123  3  Plan Changed       demo deploy",
    ]


def test_an_empty_line_separates_invocations() -> None:
    """An empty line is between one invocation and the next, none within a chain."""
    messages = [
        *pair("demo a"),
        *pair("demo b", first=3),
        *pair("demo c", invocation="two", at="2026-03-01T12:00:01.000Z"),
    ]
    assert [bool(line) for line in printed(messages)[2:]] == [True] * 4 + [False] + [True] * 2


def test_a_pipe_gets_no_escape_sequence() -> None:
    """Without a terminal the table is plain text."""
    text = "\n".join(printed(pair(exit_code=1, outcome="failure")))
    assert text.replace("\n", "").isprintable()


@pytest.mark.parametrize("outcome", ["failure", "cancelled", "unfinished"])
def test_an_outcome_is_not_shown_by_colour_alone(outcome: str) -> None:
    """Under NO_COLOR a terminal shows no colour, and the outcome is still named."""
    coloured = "\n".join(printed(pair(exit_code=1, outcome=outcome), force_terminal=True))
    plain = "\n".join(
        printed(pair(exit_code=1, outcome=outcome), force_terminal=True, no_color=True)
    )
    assert any(f"\x1b[{code}m{outcome}" in coloured for code in (31, 33, 35))
    assert not any(f"\x1b[{code}m" in plain for code in range(30, 38))
    assert outcome in plain


def test_an_ascii_terminal_gets_an_ascii_rule() -> None:
    """Where the encoding has no line, the header is underlined with hyphens."""
    lines = printed(pair("demo a"), encoding="ascii")
    assert set(lines[1]) == {"-"}


def test_text_from_outside_is_escaped() -> None:
    """Neither an escape sequence nor rich's markup in a message changes the terminal."""
    evil = "\x1b[2J[red]x[/red] :smile: \u202e"
    message = track(evil, evil, evil, note=evil)
    message["properties"][evil] = 1
    text = "\n".join(printed([message], width=200, force_terminal=True, no_color=True))
    assert "\x1b[2J" not in text
    assert "\u202e" not in text
    assert text.count("\\x1b[2J[red]x[/red] :smile: \\u202e") == 5


@pytest.mark.parametrize("width", [1, 20, 40, 60, 79])
def test_a_narrow_terminal_shows_the_whole_table(width: int) -> None:
    """Every word is printed, however narrow the terminal is."""
    text = "".join(printed(pair("demo deploy", "dry_run"), width=width))
    assert "".join(text.split()).count("12:00:00.123") == 2
