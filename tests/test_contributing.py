"""CONTRIBUTING is accurate: its picture shows the modules that exist, its paths lead to files."""

from __future__ import annotations

import re

import pytest

from .harness.processes import REPOSITORY

PAGE = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
PICTURE = (REPOSITORY / "docs" / "packages.svg").read_text(encoding="utf-8")
PACKAGE = REPOSITORY / "click_telemetry"

SMALL = {"_tracebacks"}
"""Modules that the picture leaves out: parts of a module that few runs need."""


def test_the_picture_shows_each_package_and_module() -> None:
    """I can draw the package after five minutes."""
    shown = set(re.findall(r'class="n"[^>]*>([^<]+)<', PICTURE))
    modules = {path.stem for path in PACKAGE.glob("*.py")} - SMALL
    packages = {f"{path.parent.name}/" for path in PACKAGE.rglob("_*/**/__init__.py")}
    assert shown == modules | packages


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\((docs/[^)]+)\)", PAGE))))
def test_a_linked_document_exists(path: str) -> None:
    """No link leads nowhere."""
    assert (REPOSITORY / path).is_file()


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:tests|\.ci)/[\w./]+)`", PAGE))))
def test_a_named_path_exists(path: str) -> None:
    """A contributor finds each file; the next version's corpus is yet to be made."""
    assert (REPOSITORY / path).exists() or path == "tests/golden/format_v2/"
