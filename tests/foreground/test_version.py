"""The version of an application that declares none: that of its installed distribution."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from click_telemetry._foreground.platforms import installed_version
from click_telemetry._recorder import MAX_VERSION

from ..harness.processes import REPOSITORY, Home

MAIN = """
import click
from click_telemetry import instrument

@click.command()
def cli(): pass

instrument(cli, app="acme")
cli()
"""


Install = Callable[..., str]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Makes a folder with distributions and a module in it; returns the module's name."""

    def make(package: str, *distributions: str, is_module: bool = False) -> str:
        folder = tmp_path.joinpath(*package.split("."))
        module = ModuleType(package)
        if is_module:
            module.__file__ = str(folder.with_suffix(".py"))
        else:
            folder.mkdir(parents=True)
            module.__file__ = str(folder / "__init__.py")
            module.__path__ = [str(folder)]
        for name in distributions:
            (tmp_path / name).mkdir()
        monkeypatch.setitem(sys.modules, package, module)
        return package

    return make


@pytest.mark.parametrize(
    ("package", "distributions", "version"),
    [
        ("acme", ["acme-2.1.0.dist-info", "click-8.1.dist-info"], "2.1.0"),
        ("acme_cli", ["acme_cli-2.1.0.dist-info", "acme-7.dist-info"], "2.1.0"),
        ("acme_cli", ["Acme.CLI-2.1.0.dist-info"], "2.1.0"),
        ("acme_cli", ["acme-cli-2.1.0rc1+local.5.dist-info"], "2.1.0rc1+local.5"),
        ("acme", ["acme_cli-2.1.0.dist-info", "acme-cli-2.1.0.dist-info"], None),
        ("acme", ["acme-2.1.0.dist-info", "acme-2.0.0.dist-info"], None),
        ("acme", ["acme-2.1.0.dist-info", "ACME-2.1.0.dist-info"], None),
        ("acme", ["acme-2.1.0.egg-info", "acme.dist-info", "-1.dist-info"], None),
        ("acme", [], None),
        ("acme", ["acme-.dist-info"], None),
        ("acme", [f"acme-{'1' * (MAX_VERSION + 1)}.dist-info"], None),
        ("acme", ["acme-1\n2.dist-info"], None),
        ("space.acme", ["space_acme-3.dist-info"], "3"),
        ("space.acme", ["acme-3.dist-info"], None),
    ],
)
def test_version_is_that_of_the_distribution_next_to_the_package(
    package: str, distributions: list[str], version: str | None, install: Install
) -> None:
    """One directory of metadata with the package's name; of none or two, no version."""
    assert installed_version(install(package, *distributions)) == version


def test_version_of_a_module_is_found_too(install: Install) -> None:
    """A distribution of a single file."""
    assert installed_version(install("acme", "acme-5.dist-info", is_module=True)) == "5"


def test_package_without_a_folder_has_no_version(
    install: Install, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In a zip, frozen, or not loaded."""
    package = install("acme", "acme-5.dist-info")
    for file in (None, "acme/__init__.py", str(tmp_path / "a.zip/acme/__init__.py"), 7):
        monkeypatch.setattr(sys.modules[package], "__file__", file)
        assert installed_version(package) is None
    monkeypatch.delitem(sys.modules, package)
    assert installed_version(package) is None


def versions(site: Path, home: Home, *, archive: bool = False) -> set[str | None]:
    """The versions in the messages of an application that is installed in a folder."""
    path = f"{site}{os.pathsep}{REPOSITORY}"
    ran = subprocess.run(
        [sys.executable, *([str(site)] if archive else ["-m", "acme_cli"])],
        env={**home.environ, "PYTHONPATH": path, "ACME_TELEMETRY": "log"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = [json.loads(line) for line in ran.stderr.splitlines()]
    assert len(found) == 2
    for message in found:
        assert message["context"]["app"].get("version") == message["properties"].get("version")
    return {message["properties"].get("version") for message in found}


def test_installed_application_reports_its_version(tmp_path: Path, home: Home) -> None:
    """By `__version__`, by its metadata, or not at all; in each message the same."""
    package = tmp_path / "acme_cli"
    package.mkdir()
    (package / "__main__.py").write_text(MAIN)
    (package / "__init__.py").touch()
    assert versions(tmp_path, home) == {None}
    (tmp_path / "acme_cli-2.1.0.dist-info").mkdir()
    assert versions(tmp_path, home) == {"2.1.0"}
    (package / "__init__.py").write_text("__version__ = '3'")
    assert versions(tmp_path, home) == {"3"}


def test_application_in_a_zip_has_no_version(tmp_path: Path, home: Home) -> None:
    """Nothing fails there."""
    archive = tmp_path / "acme.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("__main__.py", MAIN)
    assert versions(archive, home, archive=True) == {None}
