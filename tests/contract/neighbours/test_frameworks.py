"""The page about frameworks: each snippet is a working application, recorded as the page states.

The sections of what the test environment has are run with it; the slow test runs each section in an
environment of its own, with the versions that the page's table names.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from ...harness.pages import page
from ...harness.processes import Home

PAGE = page("docs/frameworks.md")
TABLE = re.findall(r"^\| \[([^\]]+)\]\(#\S+\) \| (.*) \|$", PAGE.text, re.MULTILINE)
COMMAND_LINE = re.compile(r"""\$ (?:echo "([^"]*)" \| )?python acme\.py(.*?)  # (.*)""")
MODULES = {"Click": "click", "Lazy groups": "click", "rich-click": "rich_click", "Typer": "typer"}
"""The sections that the test environment runs, and what each needs."""


def blocks(section: str) -> list[tuple[str, str]]:
    """The language and the text of each fenced block of a section."""
    (text,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", PAGE.text, re.M | re.DOTALL)
    return re.findall(r"^```(\w+)\n(.*?)^```", text, re.M | re.DOTALL)


def follow(section: str, python: str, directory: Path, home: Home) -> int:
    """Write a section's files, run its command lines, and compare what is recorded.

    Returns:
        The number of command lines.
    """
    count = 0
    found = blocks(section)
    # Where entry points are shown, the other files are of packages that are installed.
    has_plugins = "toml" in [language for language, _ in found]
    others = directory / ("site-packages" if has_plugins else "")
    others.mkdir(exist_ok=True)
    for language, text in found:
        if language == "python":
            named = re.match(r"# (\w+\.py)\n", text)
            file = others / named[1] if named else directory / "acme.py"
            file.write_text(text, encoding="utf-8")
        elif language == "toml":
            install_plugins(others, text)
        elif language == "text":
            ended = run(python, directory, home, [], "")
            assert (ended.returncode, ended.stderr.rstrip().endswith(text.rstrip())) == (1, True)
        else:
            for piped, arguments, stated in COMMAND_LINE.findall(text):
                ended = run(python, directory, home, arguments.split(), piped)
                assert "Traceback" not in ended.stderr, ended.stderr
                assert recorded(ended.stderr) == stated, ended.stderr + ended.stdout
                count += 1
    return count


def run(
    python: str, directory: Path, home: Home, arguments: list[str], piped: str
) -> subprocess.CompletedProcess[str]:
    """Run `acme.py` in log mode."""
    logged = {"ACME_TELEMETRY": "log", "HELLO_TELEMETRY": "log", "TERM": "dumb"}
    logged["PYTHONPATH"] = str(directory / "site-packages")
    return subprocess.run(
        [python, "acme.py", *arguments],
        env={**home.environ, **logged},
        input=piped + "\n",
        capture_output=True,
        text=True,
        timeout=60,
        cwd=directory,
        check=False,
    )


def recorded(printed: str) -> str:
    """What was recorded, as the page's comments state it: each command in the order of begin."""
    runs: dict[str, str] = {}
    ended = set()
    for line in printed.splitlines():
        if not line.startswith('{"type":"track"'):
            continue
        message: dict[str, Any] = json.loads(line)
        found = message["properties"]
        flags = ", ".join(found["flags"])
        if message["event"] == "Command Invoked":
            runs[found["run_id"]] = found["command"] + (f", flags: {flags}" if flags else "")
        else:
            ended.add(found["run_id"])
    assert ended == runs.keys()
    return "; ".join(runs.values()) or "nothing"


def install_plugins(directory: Path, text: str) -> None:
    """What a package with these entry points leaves where it is installed."""
    group, lines = re.findall(r'entry-points\."(.*)"\]\n(.*)', text, re.DOTALL)[0]
    installed = directory / "acme_plugins-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-plugins\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(f"[{group}]\n" + lines.replace('"', ""))


def test_each_section_is_in_the_table() -> None:
    """The versions that were run are stated for each framework."""
    sections = re.findall(r"^## (.*)$", PAGE.text, re.MULTILINE)
    assert [name for name, _ in TABLE] == sections[:-1]  # the last one is about applications


@pytest.mark.contract
@pytest.mark.parametrize(
    "section",
    [
        pytest.param(name, marks=() if name == "Lazy groups" else pytest.mark.extended)
        for name in MODULES
    ],
)
def test_section_is_recorded_as_it_states(section: str, tmp_path: Path, home: Home) -> None:
    """I copy the snippet for my framework, and get the events that the page shows."""
    if find_spec("rich") is None and section != "Click":
        pytest.skip("needs rich")
    pytest.importorskip(MODULES[section])
    assert follow(section, sys.executable, tmp_path, home) > 0


@pytest.mark.contract
@pytest.mark.slow
@pytest.mark.parametrize(
    ("section", "requirement"),
    [(name, found) for name, cell in TABLE for found in re.findall(r"`([^`]+)`", cell)],
)
def test_section_is_recorded_with_the_versions_of_the_table(
    section: str,
    requirement: str,
    environment: Callable[..., Path],
    tmp_path: Path,
    home: Home,
) -> None:
    """The versions are those that were run."""
    python = str(environment(requirement, "click"))
    assert follow(section, python, tmp_path, home) > 0
