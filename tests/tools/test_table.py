"""The table, on terminals and pipes of every sort."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from click_telemetry._tools.table import EventTable, rows

from .messages import Message, pair, track

pytestmark = pytest.mark.usefixtures("utc")


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


def test_how_it_ended_stands_below_where_it_is_news() -> None:
    """A failure has a line of its own, since an error's class needs the room."""
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


def test_an_event_within_a_command_does_not_say_the_command_again() -> None:
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


def test_wide_characters_keep_the_columns_straight() -> None:
    """A name in Chinese takes two columns for a character, and nothing moves."""
    lines = printed([*pair("demo 部署"), track("Plan Changed", "demo deploy", sequence=3)])
    assert lines[3:] == [
        "12:00:00.123  2  Command Completed  demo 部署              0     12 ms",
        "12:00:00.123  3  Plan Changed       demo deploy",
    ]


def test_invocations_are_apart() -> None:
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
def test_nothing_is_said_by_colour_alone(outcome: str) -> None:
    """Under NO_COLOR a terminal shows no colour, and an outcome is still there as a word."""
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


def test_foreign_text_is_shown_and_not_obeyed() -> None:
    """Neither an escape sequence nor rich's markup in a message changes the terminal."""
    evil = "\x1b[2J[red]x[/red] :smile: \u202e"
    message = track(evil, evil, evil, note=evil)
    message["properties"][evil] = 1
    text = "\n".join(printed([message], width=200, force_terminal=True, no_color=True))
    assert "\x1b[2J" not in text
    assert "\u202e" not in text
    assert text.count("\\x1b[2J[red]x[/red] :smile: \\u202e") == 5


@pytest.mark.parametrize("width", [1, 20, 40, 60, 79])
def test_a_narrow_terminal_gets_a_table_still(width: int) -> None:
    """However narrow the terminal, every word is there."""
    text = "".join(printed(pair("demo deploy", "dry_run"), width=width))
    assert "".join(text.split()).count("12:00:00.123") == 2
