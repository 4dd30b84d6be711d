"""A pytest plugin that makes every Click command of another project's suite a root.

It is copied next to a copy of `click_telemetry` and loaded with `-p`; it imports nothing of our
tests. It wraps `Command.__init__` for this purpose only; applications are instrumented otherwise.
"""

from __future__ import annotations

import functools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import click
import pytest

from click_telemetry import instrument
from click_telemetry._instrument import Hook
from click_telemetry.testing import RecordingClient

FLAG = {"left-out": False, "hidden": "hidden", "shown": True}
BREAKS = ("", "returns", "exits")

client = RecordingClient()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("every command instrumented")
    group.addoption("--telemetry-flag", choices=tuple(FLAG), default="left-out")
    group.addoption("--telemetry-break", choices=BREAKS, default="")
    group.addoption("--telemetry-report", metavar="FILE")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Begin before the suite's first module is imported: it creates commands at import."""
    options = early_config.known_args_namespace
    instrument_every_command(FLAG[options.telemetry_flag])
    if options.telemetry_break:
        Hook.__call__ = broken(options.telemetry_break)  # type: ignore[method-assign]


def pytest_sessionfinish(session: pytest.Session) -> None:
    report = session.config.getoption("--telemetry-report")
    if report:
        Path(report).write_text(json.dumps(runs_of(client)), encoding="utf-8")


def instrument_every_command(flag: Any) -> None:
    made = click.Command.__init__

    @functools.wraps(made)
    def make(self: click.Command, *args: Any, **kwargs: Any) -> None:
        made(self, *args, **kwargs)
        instrument(self, app="acme", client=client, no_telemetry_option=flag)

    click.Command.__init__ = make  # type: ignore[method-assign]


def broken(how: str) -> Any:
    """A hook with a mistake in front of `invoke`."""
    correct = Hook.__call__

    def drop_returns(self: Hook, *args: Any, **kwargs: Any) -> Any:
        result = correct(self, *args, **kwargs)
        return None if self.name == "invoke" else result

    def swallow_exits(self: Hook, *args: Any, **kwargs: Any) -> Any:
        try:
            return correct(self, *args, **kwargs)
        except (SystemExit, click.exceptions.Exit):
            if self.name != "invoke":
                raise
            return None

    return {"returns": drop_returns, "exits": swallow_exits}[how]


def runs_of(client: RecordingClient) -> dict[str, int]:
    """How many runs have their pair of events, and how many have anything else."""
    names: dict[object, Counter[str]] = {}
    for event in client.events:
        names.setdefault(event["properties"]["run_id"], Counter())[event["event"]] += 1
    pair = Counter(("Command Invoked", "Command Completed"))
    paired = sum(events == pair for events in names.values())
    return {"paired": paired, "unpaired": len(names) - paired}
