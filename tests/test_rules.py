"""Every rule of how Click behaves has a test that names it."""

from __future__ import annotations

import re

from .harness.processes import REPOSITORY

RULES = range(1, 41)


def test_every_rule_is_named_by_a_test() -> None:
    """Rules 1 to 40: a docstring says `(rule 7)` or `(rules 9, 10)`."""
    named: set[int] = set()
    for path in (REPOSITORY / "tests").rglob("test_*.py"):
        if path.name == "test_rules.py":
            continue
        for numbers in re.findall(r"\(rules? ([\d, ]+)\)", path.read_text(encoding="utf-8")):
            named.update(int(number) for number in numbers.split(","))
    assert sorted(set(RULES) - named) == []
