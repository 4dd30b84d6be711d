"""rich-click's own test suite, as far as its sdist carries it, with every command instrumented.

    pytest -m slow tests/contract/upstream -k rich_click

It asks a package index for rich-click's sdist. That leaves the suite's `conftest.py` out, and
`rich_click_fixtures` stands in; tests that start a program of their own run it without us.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .suites import BARE, HERE, HIDDEN, LEFT_OUT, NEWEST, SHOWN, Mode, Project, Suite

pytestmark = [pytest.mark.contract, pytest.mark.slow]

ALSO = ("inline-snapshot", "jsonschema", "packaging", "pytest<9", "typer>=0.15,<0.26")
ARGUMENTS = ("-o", "addopts=", "--inline-snapshot=disable")
FIXTURES = HERE / "rich_click_fixtures.py"

RICH_CLICKS = [
    pytest.param(Project("rich-click", NEWEST, (click, *ALSO), ARGUMENTS, FIXTURES), id=name)
    for click, name in (("click==8.1.8", "click-8.1.8"), ("click", NEWEST))
]

RUNS = 40
"""Of a leaf, as many as the suite has in process at the least."""

GetSuite = Callable[[Project], Suite]


@pytest.mark.parametrize("rich_click", RICH_CLICKS)
def test_as_many_tests_of_rich_click_pass_as_without_us(
    suite_of: GetSuite, rich_click: Project
) -> None:
    """Nothing that rich-click promises of its commands is different for an instrumented one."""
    suite = suite_of(rich_click)
    bare, instrumented = suite.run(BARE), suite.run(LEFT_OUT)
    assert bare.passed > 50
    assert instrumented.unlike(bare) == []
    assert instrumented.paired >= RUNS
    assert instrumented.unpaired == 0


@pytest.mark.parametrize("rich_click", RICH_CLICKS)
def test_a_hidden_flag_shows_nowhere_in_rich_clicks_suite(
    suite_of: GetSuite, rich_click: Project
) -> None:
    """The panels of the help are the same when the row of `--no-telemetry` is hidden."""
    suite = suite_of(rich_click)
    instrumented = suite.run(HIDDEN)
    assert instrumented.unlike(suite.run(BARE)) == []
    assert instrumented.paired >= RUNS


@pytest.mark.parametrize("rich_click", RICH_CLICKS)
def test_a_flag_that_shows_changes_the_panels_that_name_it_and_nothing_else(
    suite_of: GetSuite, rich_click: Project
) -> None:
    """The panel of options has one row more; a command does what it did."""
    suite = suite_of(rich_click)
    instrumented = suite.run(SHOWN)
    different = instrumented.unlike(suite.run(BARE))
    unexplained = [test for test in different if "no-telemetry" not in test.text]
    assert unexplained == []
    assert len(different) > len(unexplained)
    assert instrumented.paired >= RUNS


@pytest.mark.parametrize("rich_click", RICH_CLICKS)
def test_a_hook_that_swallows_exits_is_caught(suite_of: GetSuite, rich_click: Project) -> None:
    """The comparison sees it; what commands return, this suite never looks at."""
    suite = suite_of(rich_click)
    instrumented = suite.run(Mode("left-out", "exits"))
    assert instrumented.unlike(suite.run(BARE)) != []
