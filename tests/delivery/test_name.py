"""What a spool file's name says, and how long a file may wait."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from click_telemetry.delivery.sender.name import (
    DATE_ANEW,
    DROP,
    KEEP,
    KEPT,
    OPEN,
    FileName,
    parse,
    verdict,
)

NOW = 1_700_000_000.0
DAY = 24 * 3600.0
YEAR = 365 * DAY

NAMES = st.builds(
    FileName,
    st.integers(0, 10**20 - 1),
    st.from_regex(r"[0-9a-z]{1,32}", fullmatch=True),
    st.integers(0, 10**9 - 1),
    st.none() | st.integers(0, 10**12 - 1),
    st.booleans(),
)


@settings(deadline=None)
@given(NAMES)
def test_name_is_read_as_it_was_written(name: FileName) -> None:
    """Nothing that is remembered in it gets lost."""
    found = parse(str(name))
    assert found is not None
    assert str(found) == str(name)
    assert (found.begun, found.tail, found.lost, found.tried, found.whole) == (
        name.begun,
        name.tail,
        name.lost,
        name.tried,
        name.whole,
    )


@pytest.mark.parametrize(
    "name",
    [
        "01700000000000000000-0123456789abcdef.jsonl",
        "01700000000000000000-0123456789abcdef.whole.jsonl",
        "01700000000000000000-0123456789abcdef.lost-3.tried-1700000000.whole.jsonl",
    ],
)
def test_name_of_ours_is_known(name: str) -> None:
    """As writers and senders make them."""
    assert str(parse(name)) == name


@pytest.mark.parametrize(
    "name",
    [
        *("", ".jsonl", "1.jsonl", "readme.txt", "lock", "standing.json", "not-before"),
        "01700000000000000000-0123456789abcdef.jsonl.bak",
        "01700000000000000000-0123456789abcdef.jsonl\n",
        "01700000000000000000-0123456789ABCDEF.jsonl",
        "01700000000000000000-0123456789abcdef.tried-1.lost-1.jsonl",
        "\u0660700000000000000000-0123456789abcdef.jsonl",
        "../01700000000000000000-0123456789abcdef.jsonl",
    ],
)
def test_any_other_name_is_foreign(name: str) -> None:
    """What is not named as ours is not ours to touch (row 19)."""
    assert parse(name) is None


def file(age: float = 0.0, tried: float | None = None) -> FileName:
    return FileName(
        int((NOW - age) * 1e9), "0" * 16, tried=None if tried is None else int(NOW - tried)
    )


@pytest.mark.parametrize(
    ("name", "written", "expected"),
    [
        (file(), 0.0, KEEP),
        (file(KEPT - 60), KEPT - 60, KEEP),
        (file(KEPT + 60), KEPT + 60, DROP),
        (file(30 * DAY), 30 * DAY, DROP),
        # A program that ran for weeks wrote its last event just now.
        (file(30 * DAY), 1.0, KEEP),
        # An attempt that may have arrived (row 56).
        (file(DAY, tried=OPEN - 60), DAY, KEEP),
        (file(DAY, tried=OPEN + 60), DAY, DROP),
        (file(0.0, tried=6 * DAY), 0.0, DROP),
        # A clock that was, or is, ten years off: it neither purges early nor keeps for ever.
        (file(10 * YEAR), 10 * YEAR, DATE_ANEW),
        (file(-10 * YEAR), -10 * YEAR, DATE_ANEW),
        (file(-2 * DAY), -2 * DAY, DATE_ANEW),
        (file(60), 10 * YEAR, KEEP),
        (file(8 * DAY), 10 * YEAR, DROP),
        (file(8 * DAY), -10 * YEAR, DROP),
        (file(10 * YEAR), 60.0, KEEP),
        (file(60, tried=-10 * YEAR), 60.0, DATE_ANEW),
        (file(60, tried=10 * YEAR), 60.0, DATE_ANEW),
        # A clock that is set a little.
        (file(-60), -60.0, KEEP),
    ],
)
def test_file_waits_a_week_by_a_clock_that_can_be_believed(
    name: FileName, written: float, expected: str
) -> None:
    """Seven days, twenty hours after an open attempt (rows 24, 56)."""
    assert verdict(name, NOW - written, NOW) == expected


def test_file_that_is_dated_anew_ages_from_then_on() -> None:
    """With its bytes and their date as they were: every try says the same."""
    wrong = NOW - 10 * YEAR
    name = FileName(int(wrong * 1e9), "0" * 16, lost=3, tried=int(wrong))
    again = name.begun_at(NOW)
    assert (again.tail, again.lost, again.tried) == (name.tail, 3, int(NOW))
    assert verdict(again, wrong, NOW) == KEEP
    assert verdict(again, wrong, NOW + OPEN + 60) == DROP
    never_tried = FileName(int(wrong * 1e9), "0" * 16).begun_at(NOW)
    assert never_tried.tried is None
    assert verdict(never_tried, wrong, NOW + KEPT - 60) == KEEP
    assert verdict(never_tried, wrong, NOW + KEPT + 60) == DROP


@settings(deadline=None)
@given(NAMES, st.floats(-1e12, 1e12), st.floats(0, 1e12))
def test_any_clock_gives_a_verdict(name: FileName, written: float, now: float) -> None:
    """And never two years of waiting: what is not believed is dated anew."""
    assert verdict(name, written, now) in (KEEP, DROP, DATE_ANEW)
