"""docs/plan.md is accurate: its application has the plan that the page describes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ..harness.pages import page
from ..harness.processes import Home

PAGE = page("docs/plan.md")


@pytest.fixture
def written(tmp_path: Path, home: Home) -> Path:
    """The directory in which the page's commands were run."""
    pytest.importorskip("rich_click")
    (tmp_path / "acme.py").write_text(PAGE.snippet("# acme.py"))
    (commands,) = PAGE.blocks("console")
    for line in commands.splitlines():
        words = [str(Path(sys.executable).with_name("click-telemetry")), *line.split()[2:]]
        run = subprocess.run(
            words, cwd=tmp_path, env=home.environ, capture_output=True, text=True, check=False
        )
        assert (run.returncode, run.stdout, run.stderr) == (0, "", ""), line
    return tmp_path


def test_the_commands_of_the_page_write_and_check_the_plan(written: Path) -> None:
    """And its places in the schema exist."""
    schema = json.loads((written / "telemetry.schema.json").read_text())
    documented = re.findall(r"^\| (`.*?`) \|", PAGE.section("The schema"), re.MULTILINE)
    for place in re.findall(r"`([\w$.-]+)`", " ".join(documented)):
        found: Any = schema
        for key in place.split("."):
            found = found[key]
    assert list(schema["x-commands"]) == ["acme export", "acme pay"]
    assert schema["$defs"]["Invoice Read"]["x-free-form"] is True
    assert schema["$defs"]["Invoice Exported"]["properties"]["format"] == {"enum": ["pdf", "csv"]}
    assert "pages" in schema["$defs"]["Invoice Read"]["properties"]
    assert "`method`: the choice that was made, one of `card`, `debit`." in (
        (written / "TELEMETRY.md").read_text()
    )
    rules = json.loads((written / "telemetry.segment.json").read_text())["rules"]
    assert {rule["type"] for rule in rules} == {"COMMON", "TRACK"}
