"""Each promise of the pages on consent and on privacy names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from click_telemetry._commands.group import NAMES
from click_telemetry._plan.model import health_event
from click_telemetry._reader import BASE_PROPERTIES, COMPLETED_PROPERTIES

from .harness.processes import REPOSITORY

PAGES = (REPOSITORY / "docs" / "consent.md", REPOSITORY / "docs" / "privacy.md")
LINK = re.compile(r"\[`(test_\w+)`\]\(([^)]+)\)")


def section(page: Path, heading: str) -> str:
    """A section's text, up to the next heading."""
    text = page.read_text(encoding="utf-8")
    return re.split(r"^#+ ", text.split(f"# {heading}\n", 1)[1], flags=re.MULTILINE)[0]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_named_test_exists(page: Path) -> None:
    """A promise is not linked to a test that was renamed or removed."""
    named = LINK.findall(page.read_text(encoding="utf-8"))
    assert len(named) >= 7
    missing = [
        name
        for name, target in named
        if f"\ndef {name}(" not in (page.parent / target).read_text(encoding="utf-8")
    ]
    assert missing == []


def test_every_promise_names_a_test() -> None:
    """No promise is without a test."""
    rows = [row for row in section(PAGES[0], "What may be promised").splitlines() if "|" in row][2:]
    items = section(PAGES[1], "Promises, and the tests that keep them").split("\n- ")[1:]
    assert len(rows) >= 7
    assert len(items) >= 10
    assert [promise for promise in (*rows, *items) if not LINK.search(promise)] == []


def test_the_page_lists_every_property() -> None:
    """The page lists exactly the properties of a command's events, and of the daily report."""
    listed = set(re.findall(r"`(\w+)`", section(PAGES[1], "What is recorded")))
    of_health = {one.name for one in health_event(None).properties}
    assert listed - {"TimeoutError"} == BASE_PROPERTIES | COMPLETED_PROPERTIES | of_health


def test_every_telemetry_command_is_documented() -> None:
    """The README and the page on consent name each command of the group."""
    for path in ("README.md", "docs/consent.md"):
        text = (REPOSITORY / path).read_text(encoding="utf-8")
        assert [name for name in NAMES if not re.search(rf"`(acme telemetry )?{name}`", text)] == []
