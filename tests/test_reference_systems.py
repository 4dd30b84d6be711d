"""Every row of the reference systems names the test that shows it, and that test exists."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from .harness.processes import REPOSITORY

DOCUMENT = (REPOSITORY / "docs" / "reference-systems.md").read_text(encoding="utf-8")
ROWS = {
    cells[1].strip(): cells[3].strip()
    for line in DOCUMENT.splitlines()
    if re.match(r"\| [A-F]\d+ \|", line) and (cells := line.split("|"))
}
COUNTS = {"A": 19, "B": 8, "C": 9, "D": 7, "E": 8, "F": 14}

NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


@cache
def defined_in(path: str) -> frozenset[str]:
    """The tests that a file defines at its top."""
    tree = ast.parse((REPOSITORY / path).read_text(encoding="utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in tree.body if isinstance(node, functions))


def test_every_row_is_there_once() -> None:
    """In the order of the systems, none left out."""
    expected = [f"{system}{n}" for system, last in COUNTS.items() for n in range(1, last + 1)]
    found = re.findall(r"^\| ([A-F]\d+) \|", DOCUMENT, re.MULTILINE)
    assert found == expected


@pytest.mark.parametrize("row", ROWS)
def test_a_row_names_tests_that_exist(row: str) -> None:
    """By file and name, as pytest takes them."""
    claim = ROWS[row]
    named = NAMED.findall(claim)
    assert named, f"{row} names no test"
    assert claim.count("::") == len(named), f"{row} names something else than a test"
    for path, name in named:
        assert (REPOSITORY / path).is_file(), f"{row}: there is no {path}"
        assert name in defined_in(path), f"{row}: there is no {name} in {path}"
