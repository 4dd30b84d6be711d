"""Applications of a few lines as packages of their own, and their tracking plans."""

from __future__ import annotations

import sys
import textwrap
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from click_telemetry._plan.collect import collect
from click_telemetry._plan.model import Plan

HEAD = """
import click
from click_telemetry import *

@instrumented_group(app="acme", version="2.1.0", write_key="key"{options})
@click.group()
def cli(): pass

"""
"""The root of an application; its commands follow."""

_numbers = count()


class Applications:
    """Writes packages, each with a name of its own, and imports them.

    Args:
        directory: where they are.
        patch: undoes what is changed.
    """

    def __init__(self, directory: Path, patch: pytest.MonkeyPatch) -> None:
        self.directory = directory
        patch.syspath_prepend(str(directory))

    def write(self, source: str, *, options: str = "", head: str = HEAD, **modules: str) -> str:
        """Write a package; the name of it.

        Args:
            source: what follows the root in its `main`.
            options: of the root's declaration.
            head: the root.
            modules: others, by name.
        """
        name = f"planned_{next(_numbers)}"
        package = self.directory / name
        package.mkdir()
        (package / "__init__.py").write_text("")
        text = head.replace("{options}", f", {options}" if options else "")
        (package / "main.py").write_text(text + textwrap.dedent(source))
        for module, content in modules.items():
            (package / f"{module}.py").write_text(textwrap.dedent(content))
        return name

    def plan(self, source: str, **given: Any) -> Plan:
        """The plan of a package."""
        return collect(self.root(source, **given))

    def root(self, source: str, **given: Any) -> Any:
        """The root command of a package, imported."""
        return import_module(f"{self.write(source, **given)}.main").cli

    def close(self) -> None:
        """Forget the modules."""
        for name in [name for name in sys.modules if name.startswith("planned_")]:
            del sys.modules[name]
