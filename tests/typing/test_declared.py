"""What is declared for type checkers holds at run time too, on every Python."""

from __future__ import annotations

import ast
import asyncio
import datetime
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

import click_telemetry
from click_telemetry._foreground.options import OPTIONS

from ..harness.processes import REPOSITORY
from .declared import (
    Exported,
    OwnGroup,
    Plan,
    PlanChanged,
    asynchronous_flows,
    flows,
    groups,
    typed_events,
)

STUB = ast.parse((REPOSITORY / "click_telemetry" / "__init__.pyi").read_text(encoding="utf-8"))


def test_the_typed_code_runs() -> None:
    """The file that mypy reads runs as it is."""
    assert typed_events() == [
        PlanChanged(to_plan=Plan.PRO, direction="downgrade"),
        Exported(pages=3, formats=("pdf",), on=datetime.date(2026, 1, 2)),
    ]
    assert flows() == 2
    assert asyncio.run(asynchronous_flows()) == "x"
    assert [type(group) for group in groups()] == [
        *(click_telemetry.InstrumentedGroup, click_telemetry.InstrumentedGroup),
        *(OwnGroup, OwnGroup, OwnGroup, click_telemetry.InstrumentedGroup),
    ]


@pytest.mark.slow
def test_pyright_accepts_and_rejects_the_same_lines(tmp_path: Path) -> None:
    """An editor that uses pyright shows me what mypy reports; each ignore is needed."""
    configuration = {
        "include": [str(REPOSITORY / "tests" / "typing" / "declared.py")],
        "extraPaths": [str(REPOSITORY)],
        "typeCheckingMode": "strict",
        "reportUnnecessaryTypeIgnoreComment": "error",
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(configuration))
    checker = ["uv", "tool", "run", "basedpyright", "--project", str(tmp_path)]
    run = subprocess.run(
        [*checker, "--pythonpath", sys.executable], capture_output=True, text=True, check=False
    )
    assert run.stdout.splitlines()[-1] == "0 errors, 0 warnings, 0 notes", run.stdout + run.stderr


def keys(name: str) -> list[str]:
    """The keys of a TypedDict in the stub."""
    (found,) = [n for n in STUB.body if isinstance(n, ast.ClassDef) and n.name == name]
    fields = [node.target for node in found.body if isinstance(node, ast.AnnAssign)]
    return [field.id for field in fields if isinstance(field, ast.Name)]


def test_the_stub_declares_the_options_one_by_one() -> None:
    """An editor completes every option, and a type checker accepts no other."""
    assert keys("_Options") == [*OPTIONS]


@pytest.mark.parametrize("parameter", keys("_GroupOptions"))
def test_the_stub_declares_parameters_that_click_has(parameter: str) -> None:
    """A keyword that the type checker accepts for Click is accepted by Click."""
    parameters: dict[str, Any] = {parameter: None}
    assert isinstance(click.Group(**parameters), click.Group)


def test_the_stub_declares_the_public_names() -> None:
    """A type checker knows each name that can be imported, and no other."""
    names = {
        alias.asname
        for node in STUB.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname
    } | {
        node.name
        for node in STUB.body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name[0] != "_"
    }
    assert names == set(click_telemetry.__all__)
