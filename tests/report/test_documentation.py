"""docs/report.md is accurate: its commands run, and its keys are those of the JSON."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from click_telemetry._tools.cli import cli

from ..harness.pages import page
from ..harness.processes import REPOSITORY, Home
from ..harness.simulation import simulate
from .conftest import Report, Write

REPORT = page("docs/report.md")
BIN = Path(sys.executable).parent


@pytest.fixture
def files(write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The files that the page names, in the working directory."""
    write("events.jsonl", simulate(1, range(5)))
    write("segment-logs/source/1772323200/a.gz", simulate(1, range(5)))
    write("exports/day/a.json.gz", simulate(1, range(5)))
    write("plan.json", [{"x-commands": {"demo deploy": {"flags": []}}}])
    monkeypatch.chdir(tmp_path)


def commands() -> list[str]:
    lines = "".join(REPORT.blocks("console")).splitlines()
    return [line.removeprefix("$ ") for line in lines if "click-telemetry report" in line]


@pytest.mark.usefixtures("files")
@pytest.mark.sample(2)
@pytest.mark.parametrize("line", commands())
def test_each_command_of_the_page_runs(line: str) -> None:
    """I can paste it."""
    result = CliRunner().invoke(cli, shlex.split(line)[1:])
    assert result.exit_code == 0, result.output
    assert result.output


@pytest.mark.extended
@pytest.mark.usefixtures("files")
def test_the_snippet_prints_commands_and_ends(home: Home) -> None:
    """Another program reads the JSON as the page shows."""
    environ = {**home.environ, "PATH": f"{BIN}:{home.environ.get('PATH', '')}"}
    (snippet,) = REPORT.blocks("python")
    ran = subprocess.run(
        [sys.executable, "-c", snippet], env=environ, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "demo deploy " in ran.stdout
    assert "Application Create completed profile_configure None" in ran.stdout


def keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return {key for name, item in value.items() for key in {name, *keys(item)}}
    return {key for item in value for key in keys(item)} if isinstance(value, list) else set()


def test_every_key_of_the_json_is_on_the_page(report: Report, write: Write) -> None:
    """What I rely on is documented, and what is documented exists."""
    schema = {"x-commands": {"demo vanish": {"flags": ["sso"]}}, "x-flows": {"Plan Change": {}}}
    plan = write("plan.json", [schema])
    messages = list(simulate(1, range(20)))
    for message in messages:
        message["properties"]["sample_rate"] = 0.5
    found = report("--plan", plan, write("events.jsonl", [*messages, b"bad"]))
    assert [name for name in found if not found[name]] == ["since"]
    documented = set(re.findall(r"`(\w+)`", REPORT.section("JSON"))) - {"x"}
    assert keys(found) == documented


@pytest.mark.extended
def test_watch_is_piped_to_the_report(home: Home) -> None:
    """One command line records, and reports what arrived."""
    (line,) = re.findall(r"`(click-telemetry watch --json [^`]+)`", REPORT.text)
    line = line.replace("\\|", "|").replace("acme deploy", "demo-cli deploy")
    environ = {**home.environ, "PATH": f"{BIN}:{home.environ.get('PATH', '')}"}
    ran = subprocess.run(
        ["sh", "-c", line], env=environ, cwd=home.path, capture_output=True, text=True, check=False
    )
    assert "1 run of 1 user," in ran.stdout, ran.stderr
    assert "demo deploy" in ran.stdout


def test_the_picture_exists() -> None:
    """The page shows what the terminal shows."""
    assert "Application Create" in (REPOSITORY / "docs" / "report.svg").read_text().replace(
        "\N{NO-BREAK SPACE}", " "
    ).replace("&#160;", " ")
