"""The kit on real applications of other people, each instrumented by two lines.

Run with `pytest -m slow tests/contract/neighbours/test_kit.py`; a package index is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from click_telemetry.testing import (
    CheckFailed,
    assert_fast_offline,
    assert_no_leaks,
    assert_transparent,
)

pytestmark = [pytest.mark.contract, pytest.mark.slow]

SCRIPT = """
{imports}
from click_telemetry import instrument
instrument(cli, app="acme", version="2.1.0", write_key="key")
if __name__ == "__main__":
    cli()
"""

PRIVATE = "jane-private-word"

APPLICATIONS: dict[str, tuple[tuple[str, ...], str, tuple[str, ...]]] = {
    "Click: black": (
        ("black",),
        "from black import main as cli",
        ("--check", "--code", f"x = '{PRIVATE}'"),
    ),
    "rich-click: bump-my-version": (
        ("bump-my-version",),
        "from bumpversion.cli import cli",
        ("show-bump", PRIVATE),
    ),
    "cloup: meta-package-manager": (
        ("meta-package-manager",),
        "from meta_package_manager.cli import mpm as cli",
        ("--no-color", "--brew", "managers"),
    ),
    "Typer: cruft": (
        ("cruft", "typer"),
        "from cruft._cli import app as cli",
        ("check", "--project-dir", PRIVATE),
    ),
    "Flask": (
        ("flask",),
        "from flask.cli import cli",
        ("--app", "hello", "say", PRIVATE),
    ),
    "a plugin host: sqlite-utils": (
        ("sqlite-utils", "sqlite-utils-dateutil"),
        "from sqlite_utils.cli import cli",
        ("memory", f"select '{PRIVATE}', dateutil_parse('3rd october') is not null"),
    ),
}
"""Of each: what is installed, how its root is imported, and a command line."""

HELLO = """
import click, flask
app = flask.Flask("hello")

@app.cli.command("say")
@click.argument("word")
def say(word):
    click.echo(f"said {word}")
    raise SystemExit(4)
"""


@pytest.mark.parametrize("name", APPLICATIONS)
def test_a_real_application_passes_every_check(
    name: str, environment: Callable[..., Path], tmp_path: Path
) -> None:
    """What its users see is the same, nothing of theirs leaves, and they never wait."""
    requirements, imports, line = APPLICATIONS[name]
    project = tmp_path / "project"
    project.mkdir()
    (project / "hello.py").write_text(HELLO)
    (project / ".bumpversion.toml").write_text('[tool.bumpversion]\ncurrent_version = "1.0.0"\n')
    script = tmp_path / "acme.py"
    script.write_text(SCRIPT.format(imports=imports))
    words = [str(environment(*requirements)), str(script)]
    assert_transparent(words, *line, cwd=project)
    assert_transparent(words, "--help", cwd=project)
    assert_no_leaks(words, *line, secrets=[PRIVATE], cwd=project)
    assert_fast_offline(words, *line, cwd=project)


def test_a_damaged_instrument_is_found_in_a_real_application(
    environment: Callable[..., Path], tmp_path: Path
) -> None:
    """The control: an instrument that hides a failure of black."""
    script = tmp_path / "acme.py"
    damaged = """
from black import main as cli
from click_telemetry import _instrument
whole = _instrument.Hook.__call__
def swallowing(hook, *args, **kwargs):
    try:
        return whole(hook, *args, **kwargs)
    except Exception:
        return None
_instrument.Hook.__call__ = swallowing
"""
    script.write_text(SCRIPT.format(imports=damaged))
    words = [str(environment("black")), str(script)]
    with pytest.raises(CheckFailed, match=r"^exit status 0 with telemetry, exit status 1 without"):
        assert_transparent(words, "--check", "--code", "x = 'y'")
