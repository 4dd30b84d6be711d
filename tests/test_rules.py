"""Every rule of how Click behaves has a test that names it."""

from __future__ import annotations

import re

from .harness.processes import REPOSITORY

DOCUMENT = (REPOSITORY / "docs" / "click.md").read_text(encoding="utf-8")
RULES = [int(number) for number in re.findall(r"^(\d+)\. ", DOCUMENT, re.MULTILINE)]


def test_the_rules_are_numbered_from_one() -> None:
    """A citation such as `(rule 7)` is of one rule."""
    assert list(range(1, len(RULES) + 1)) == RULES
    assert len(RULES) >= 50


def test_every_rule_is_named_by_a_test() -> None:
    """A docstring cites the rule, as `(rule 7)` or `(rules 9, 10)`."""
    named: set[int] = set()
    for path in (REPOSITORY / "tests").rglob("test_*.py"):
        if path.name == "test_rules.py":
            continue
        for numbers in re.findall(r"\(rules? ([\d, ]+)\)", path.read_text(encoding="utf-8")):
            named.update(int(number) for number in numbers.split(","))
    assert sorted(set(RULES) - named) == []
    assert sorted(named - set(RULES)) == []
