"""Fixtures of the report: it is called as a function, and its options are those of the command."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

Report = Callable[..., Any]
Write = Callable[..., Path]

pytest.importorskip("duckdb")
pytest.importorskip("sqlglot")


@pytest.fixture
def report() -> Report:
    """What `click-telemetry report --json` prints for files, as an object."""
    from click_telemetry._tools.cli import cli

    def run(*args: object) -> Any:
        result = CliRunner().invoke(cli, ["report", "--json", *map(str, args)])
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return run


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes messages, or lines as they are, to a file; the name's end decides about gzip."""

    def run(name: str, messages: Iterable[Any]) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [
            item if isinstance(item, bytes) else json.dumps(item).encode() for item in messages
        ]
        content = b"".join(line + b"\n" for line in lines)
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return run
