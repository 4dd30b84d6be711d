"""A pytest plugin that makes every Click command in somebody else's suite an instrumented root.

It is copied beside a copy of `click_telemetry` and loaded with `-p`; it knows nothing of our
tests. Wrapping `Command.__init__` is a device for this, not a way to instrument an application.
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
from click_telemetry.observe.hooks import InvokeHook
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
    """Begin before the suite's first module is imported: commands are made at import."""
    options = early_config.known_args_namespace
    instrument_every_command(FLAG[options.telemetry_flag])
    if options.telemetry_break:
        InvokeHook.__call__ = broken(options.telemetry_break)  # type: ignore[method-assign]


def pytest_sessionfinish(session: pytest.Session) -> None:
    report = session.config.getoption("--telemetry-report")
    if report:
        Path(report).write_text(json.dumps(runs_of(client)), encoding="utf-8")


def instrument_every_command(flag: object) -> None:
    made = click.Command.__init__

    @functools.wraps(made)
    def make(self: click.Command, *args: Any, **kwargs: Any) -> None:
        made(self, *args, **kwargs)
        instrument(self, app="acme", client=client, no_telemetry_option=flag)

    click.Command.__init__ = make  # type: ignore[method-assign]


def broken(how: str) -> Any:
    """A hook with one of the mistakes that hooks make."""
    sound = InvokeHook.__call__

    def drop_returns(self: InvokeHook, *args: Any, **kwargs: Any) -> None:
        sound(self, *args, **kwargs)

    def swallow_exits(self: InvokeHook, *args: Any, **kwargs: Any) -> Any:
        try:
            return sound(self, *args, **kwargs)
        except (SystemExit, click.exceptions.Exit):
            return None

    return {"returns": drop_returns, "exits": swallow_exits}[how]


def runs_of(client: RecordingClient) -> dict[str, int]:
    """How many runs have their pair, and how many have anything else."""
    said: dict[object, Counter[str]] = {}
    for event in client.events:
        said.setdefault(event["properties"]["run_id"], Counter())[event["event"]] += 1
    pair = Counter(("Command Invoked", "Command Completed"))
    paired = sum(events == pair for events in said.values())
    return {"paired": paired, "unpaired": len(said) - paired}
