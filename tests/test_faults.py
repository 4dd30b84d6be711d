"""Every row of the fault matrix names tests that exist, and every citation of a row has its row."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from .harness.processes import REPOSITORY

TESTS = REPOSITORY / "tests"
FAULTS = (REPOSITORY / "docs" / "faults.md").read_text(encoding="utf-8")
ROWS = {
    int(cells[1]): cells[4]
    for line in FAULTS.splitlines()
    if re.match(r"\| \d+ \|", line) and (cells := re.split(r"(?<!\\)\|", line))
}
LETTERS = set(
    re.findall(
        r"^\| ([A-F]\d+) \|",
        (REPOSITORY / "docs" / "reference-systems.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
)

NAMED = re.compile(r"`((?:\w+/)*test_\w+\.py)(?:::(\w+))?`")
CITED = re.compile(r"\(rows? (\w[\w, ]*)\)")


@cache
def defined_in(path: str) -> frozenset[str]:
    """The test functions of a file, at its top and in its classes, and those classes."""
    found = set()
    for node in ast.walk(ast.parse((TESTS / path).read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
    return frozenset(name for name in found if name.lower().startswith("test"))


def cited() -> set[str]:
    """Every row that a test's file cites; `A9 to A16` is the first and the last of several."""
    found = set()
    for path in TESTS.rglob("*.py"):
        if path.name != "test_faults.py":
            for rows in CITED.findall(path.read_text(encoding="utf-8")):
                found.update(re.split(r", | to ", rows))
    return found


def test_the_rows_are_numbered_from_one() -> None:
    """A citation such as `(row 75)` is of one row."""
    numbers = re.findall(r"^\| (\d+) \|", FAULTS, re.MULTILINE)
    assert numbers == [str(number) for number in range(1, len(numbers) + 1)]


@pytest.mark.parametrize("row", ROWS)
def test_a_row_names_tests_that_exist(row: int) -> None:
    """By their file below `tests/`, and the function or the class in it."""
    named = NAMED.findall(ROWS[row])
    assert named, f"row {row} names no test"
    assert ROWS[row].count("`") == 2 * len(named), f"row {row} names something else than a test"
    for path, name in named:
        assert (TESTS / path).is_file(), f"row {row}: there is no {path}"
        assert not name or name in defined_in(path), f"row {row}: there is no {name} in {path}"


def test_every_cited_row_exists() -> None:
    """A number is a row of the fault matrix, a letter one of the reference systems."""
    rows = cited()
    assert {"75", "A12"} <= rows
    assert rows - {str(number) for number in ROWS} - LETTERS == set()
