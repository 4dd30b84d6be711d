"""The package's structure: files, their length, and the direction of their imports.

`python -m tests.test_structure` prints the counts.
"""

from __future__ import annotations

import ast
import functools
from pathlib import Path
from typing import NamedTuple

import pytest

import click_telemetry

PACKAGE = Path(click_telemetry.__file__).parent

MAX_FILES = 64
"""Of the library itself; the packages below are counted apart."""
APART = ("_doctor", "_kit", "_plan", "_report", "_sender.transports", "destinations")
"""What only a maintainer's command loads, or the sender for one destination."""
MAX_FILES_APART = 44
MAX_LINES = 450
LONGER = {"_recorder": 999, "_instrument": 607, "_spool": 480}
"""A module costs each run 0.3 M instructions or more, whatever is in it, so the plain path has few:
`_recorder` in two, the decision and the recording, was measured at 0.5 M more for each recorded
run."""

LAYERS = (
    ("_reader", "_tracebacks", "_sender.watchdog", "_commands.terminal"),  # import none
    ("_instrument",),  # a run that is opted out
    ("_recorder", "_spool", "_launcher", "_storage"),  # a run that is recorded
    ("_foreground",),  # rare branches of the plain path
    ("destinations", "_sender.transports"),  # what an application declares, and what loads it there
    ("_scrub", "_events"),  # what an application records itself
    ("_sender",),  # the other process
    ("_commands",),  # for the person who runs the application
    ("_plan", "_report", "_kit"),  # for its maintainer
    ("_tools", "_doctor"),  # the maintainer's commands
    ("testing", "pytest_plugin", ""),
)
"""Each imports from its own layer and from those before it; the longest name decides."""


class Import(NamedTuple):
    """An import of a module of ours.

    Attributes:
        source: the importing module, without the package's name.
        target: the imported one.
        line: where.
        in_function: whether it is in a function, and so happens later or never.
        has_reason: whether a comment on its line or above it gives the reason.
    """

    source: str
    target: str
    line: int
    in_function: bool
    has_reason: bool


@functools.cache
def modules() -> dict[str, Path]:
    """Our modules by dotted name below the package; the package itself is the empty name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@functools.cache
def imports() -> tuple[Import, ...]:
    """Every import of ours, those for type checkers alone included."""
    return tuple(made for name, path in modules().items() for made in _imports_of(name, path))


def _imports_of(name: str, path: Path) -> list[Import]:
    source = path.read_text(encoding="utf-8")
    lines = source.splitlines()
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    made = []

    def visit(node: ast.AST, in_function: bool) -> None:
        inside = in_function or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        if isinstance(node, ast.ImportFrom) and node.level:
            parts = package.split(".") if package else []
            parts = parts[: len(parts) - (node.level - 1)]
            base = ".".join([*parts, *([node.module] if node.module else [])])
            text = [*lines[node.lineno - 1 : node.end_lineno], _comment_above(lines, node.lineno)]
            for alias in node.names:
                inner = f"{base}.{alias.name}" if base else alias.name
                target = inner if inner in modules() else base
                has_reason = any("#" in line for line in text)
                made.append(Import(name, target, node.lineno, inside, has_reason))
        for child in ast.iter_child_nodes(node):
            visit(child, inside)

    visit(ast.parse(source), False)
    return made


def _comment_above(lines: list[str], number: int) -> str:
    above = lines[number - 2].strip()
    return above if above.startswith("#") else ""


def layer(name: str) -> int:
    """The number of a module's layer."""
    longest = (-1, -1)
    for number, prefixes in enumerate(LAYERS):
        for prefix in prefixes:
            if name == prefix or (prefix and name.startswith(prefix + ".")):
                longest = max(longest, (len(prefix), number))
    assert longest[1] >= 0, f"{name} is in no layer"
    return longest[1]


def circles() -> list[list[str]]:
    """Groups of modules that import each other at import time or for type checkers."""
    targets: dict[str, set[str]] = {name: set() for name in modules()}
    for made in imports():
        if not made.in_function:
            targets[made.source].add(made.target)

    def reached(name: str) -> set[str]:
        seen: set[str] = set()
        left = [name]
        while left:
            new = targets[left.pop()] - seen
            seen |= new
            left += new
        return seen

    reachable = {name: reached(name) for name in targets}
    found = {
        frozenset(other for other in reachable[name] if name in reachable[other])
        for name in reachable
        if name in reachable[name]
    }
    return sorted(sorted(group) for group in found)


def line_counts() -> dict[str, int]:
    """Lines by module."""
    return {name: len(path.read_bytes().splitlines()) for name, path in modules().items()}


def test_the_package_has_few_files() -> None:
    """I can draw the package after five minutes."""
    apart = [name for name in modules() if name.startswith(APART)]
    assert len(modules()) - len(apart) <= MAX_FILES
    assert len(apart) <= MAX_FILES_APART


def test_no_file_is_long() -> None:
    """I can read each file in one sitting."""
    long = {name: count for name, count in line_counts().items() if count > MAX_LINES}
    assert {name: count for name, count in long.items() if count > LONGER.get(name, 0)} == {}
    assert LONGER.keys() <= long.keys(), "an exception that is not needed any more"


def test_no_modules_import_each_other() -> None:
    """I can understand a module before those that import it, its types included."""
    assert circles() == []


def test_imports_run_in_one_direction() -> None:
    """A module imports its own layer and lower ones; what is rare is imported in a function."""
    upwards = [
        made
        for made in imports()
        if not made.in_function and layer(made.target) > layer(made.source) and made.target
    ]
    assert upwards == []


def test_every_import_in_a_function_has_its_reason() -> None:
    """A comment on its line or above it gives the reason; `_foreground` is always loaded so."""
    unexplained = [
        made
        for made in imports()
        if made.in_function and not made.has_reason and not _is_rare_branch(made)
    ]
    assert unexplained == []


def _is_rare_branch(made: Import) -> bool:
    """Whether the plain path loads what it rarely needs, or a rare branch another one."""
    below_events = layer(made.source) < layer("_events")
    return below_events and made.target.startswith("_foreground.")


@pytest.mark.parametrize("name", ["_recorder", "_events.scope", "_tools.child", ""])
def test_a_module_belongs_to_a_layer(name: str) -> None:
    """The table of layers covers every module, by its longest entry."""
    assert name in modules()
    assert 0 <= layer(name) < len(LAYERS)


def main() -> None:
    """Print the counts."""
    counts = line_counts()
    longest = max(counts, key=lambda name: counts[name])
    in_functions = [made for made in imports() if made.in_function]
    upwards = [made for made in in_functions if layer(made.target) > layer(made.source)]
    print(f"files {len(counts)}, lines {sum(counts.values())}")
    print(f"longest file {longest}, {counts[longest]} lines")
    print(f"circles {len(circles())}")
    print(f"imports in functions {len(in_functions)}, of them to a higher layer {len(upwards)}")


if __name__ == "__main__":
    main()
