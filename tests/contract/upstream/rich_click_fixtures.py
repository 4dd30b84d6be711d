"""What rich-click's tests take from a `conftest.py` that its sdist leaves out.

Copied to that name in the unpacked suite, for the bare run and the instrumented one alike.
"""

from __future__ import annotations

import importlib
import inspect
import os
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich_click import rich_click
from rich_click.rich_context import RichContext

WriteScript = Callable[..., Path]


def run_as_subprocess(
    args: list[str], env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a program in a terminal of 100 columns without colours."""
    fixed = {"TERMINAL_WIDTH": "100", "FORCE_COLOR": "False"}
    return subprocess.run(
        args, capture_output=True, env={**os.environ, **fixed, **(env or {})}, check=False
    )


@pytest.fixture(autouse=True)
def fresh_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """The module of settings as it is at import, with a terminal of 100 columns."""
    monkeypatch.delenv("RICH_CLICK_THEME", raising=False)
    importlib.reload(rich_click)
    rich_click.WIDTH = 100
    rich_click.COLOR_SYSTEM = None
    rich_click.FORCE_TERMINAL = True


@pytest.fixture
def cli_runner() -> CliRunner:
    """A runner that keeps stdout and stderr apart, which Click does by itself from 8.2."""
    apart = "mix_stderr" in inspect.signature(CliRunner).parameters
    return CliRunner(**{"mix_stderr": False} if apart else {})  # type: ignore[arg-type]


@pytest.fixture
def mock_script_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WriteScript:
    """Writes modules to a directory that this process and its children import from."""

    def write(script: str, module_name: str = "mymodule.py") -> Path:
        directory = tmp_path / "scripts"
        directory.mkdir(exist_ok=True)
        (directory / module_name).write_text(textwrap.dedent(script), encoding="utf-8")
        monkeypatch.syspath_prepend(str(directory))
        monkeypatch.setenv("PYTHONPATH", str(directory))
        monkeypatch.setattr(RichContext, "command_path", "mymodule")
        return directory

    return write
