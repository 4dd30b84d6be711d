"""Click's own test suite, with every `Command` in it made an instrumented root.

    pytest -m slow tests/contract/upstream             four versions of Click
    pytest -m slow tests/contract/upstream -k newest   the newest alone

It asks a package index for Click's sdist, which has the tests, and runs them bare and with us in
one environment: that a test fails does not matter, that it ends otherwise than bare does.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .suites import BARE, HIDDEN, LEFT_OUT, NEWEST, SHOWN, Mode, Project, Suite

pytestmark = [pytest.mark.contract, pytest.mark.slow]

# Click 8.1 to 8.3 parametrize with iterators, which pytest 9 warns of; warnings fail their tests.
OLDER = ("pytest<9",)

# These race with the pager that they kill; see https://github.com/pallets/click/pull/3499.
STEADY = ("-k", "not test_echo_via_pager")

CLICKS = [
    pytest.param(Project("click", "8.1.8", OLDER), 340, id="8.1.8"),
    pytest.param(Project("click", "8.2.1", OLDER, STEADY), 370, id="8.2.1"),
    pytest.param(Project("click", "8.3.1", OLDER), 800, id="8.3.1"),
    pytest.param(Project("click", NEWEST, ("pytest",)), 1_000, id=NEWEST),
]
"""Versions of Click, each with as many runs of a leaf as its suite has at the least."""

GetSuite = Callable[[Project], Suite]


@pytest.mark.parametrize(("click", "runs"), CLICKS)
def test_as_many_tests_of_click_pass_as_without_us(
    suite_of: GetSuite, click: Project, runs: int
) -> None:
    """Nothing that Click promises of its commands is different for an instrumented one."""
    suite = suite_of(click)
    bare, instrumented = suite.run(BARE), suite.run(LEFT_OUT)
    assert bare.passed > 600
    assert instrumented.unlike(bare) == []
    assert instrumented.paired >= runs
    assert instrumented.unpaired == 0


@pytest.mark.parametrize(("click", "runs"), CLICKS)
def test_a_hidden_flag_shows_in_a_description_of_a_command_and_nowhere_else(
    suite_of: GetSuite, click: Project, runs: int
) -> None:
    """`--no-telemetry` is one of the command's parameters, and `to_info_dict` describes it."""
    suite = suite_of(click)
    instrumented = suite.run(HIDDEN)
    different = instrumented.unlike(suite.run(BARE))
    elsewhere = [test for test in different if test.file != "tests/test_info_dict.py"]
    assert elsewhere == []
    assert len(different) > len(elsewhere)
    assert instrumented.paired >= runs
    assert instrumented.unpaired == 0


@pytest.mark.parametrize(("click", "runs"), CLICKS)
def test_a_flag_that_shows_changes_what_names_it_and_nothing_else(
    suite_of: GetSuite, click: Project, runs: int
) -> None:
    """Help, completion and `to_info_dict` have one row more; a command does what it did."""
    suite = suite_of(click)
    instrumented = suite.run(SHOWN)
    different = instrumented.unlike(suite.run(BARE))
    unexplained = [test for test in different if "no-telemetry" not in test.text]
    assert unexplained == []
    assert len(different) > len(unexplained)
    assert instrumented.paired >= runs
    assert instrumented.unpaired == 0


@pytest.mark.parametrize("broken", ["returns", "exits"])
@pytest.mark.parametrize(("click", "runs"), CLICKS)
def test_a_hook_that_is_broken_on_purpose_is_caught(
    suite_of: GetSuite, click: Project, runs: int, broken: str
) -> None:
    """The comparison sees a hook that drops what commands return, or swallows their exits."""
    suite = suite_of(click)
    instrumented = suite.run(Mode("left-out", broken))
    assert instrumented.unlike(suite.run(BARE)) != []
    assert instrumented.paired >= runs - 10
