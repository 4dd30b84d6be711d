"""From a command to the report, without an account: real processes, and the destination `File`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ..harness.processes import WITH_COMMANDS, Cli
from .conftest import Report

pytestmark = pytest.mark.contract

APP = WITH_COMMANDS.replace('write_key="key"', 'destination=File("~/events.jsonl")').replace(
    "import click", "import click\nfrom click_telemetry.destinations import File", 1
)


@pytest.mark.extended
def test_commands_are_reported_from_the_file_that_they_reach(
    make_cli: Callable[..., Cli], report: Report
) -> None:
    """A maintainer without an account sees which commands ran, and which failed."""
    cli = make_cli(APP)
    for args in (["deploy"], ["deploy", "--dry-run"], ["fail"], ["deploy", "--no-telemetry"]):
        cli.run(*args)
    flushed = cli.run("telemetry", "flush")
    assert flushed.returncode == 0, flushed.stderr
    answers = report(cli.home.path / "events.jsonl*")
    assert [(row["command"], row["runs"], row["failures"]) for row in answers["commands"]] == [
        ("acme deploy", 2, 0),
        ("acme fail", 1, 1),
    ]
    assert [(row["flag"], row["runs"]) for row in answers["flags"]] == [("dry_run", 1)]
    assert [row["error_class"] for row in answers["failures"]] == ["RuntimeError"]
    assert (answers["users"], answers["sources"]["bad_lines"]) == (1, 0)
