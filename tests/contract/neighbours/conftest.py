"""Environments with libraries that real applications use with ours; created once, with uv."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ...harness.processes import REPOSITORY, Home

PROLOGUE = '''
import json, sys

class Client:
    """Keeps the messages."""
    test_double = True
    def __init__(self): self.messages = []
    def record(self, message): self.messages.append(message)
    def close(self): pass

client = Client()

def go(application, *args, **kwargs):
    """Runs a command line, and prints its status and its events."""
    client.messages.clear()
    try:
        status = application(list(args), **kwargs)
    except SystemExit as end:
        status = end.code
    events = []
    for message in client.messages:
        if message["type"] != "track":
            continue
        properties = message["properties"]
        entry = [message["event"].removeprefix("Command "), properties["command"],
                 properties["flags"]]
        if "exit_code" in properties:
            entry += [properties["exit_code"], properties.get("error_class")]
        events.append(entry)
    print("\\nRUN", json.dumps([status, events]))
'''
"""The beginning of each application."""


class Shown(NamedTuple):
    """What an application printed.

    Attributes:
        runs: for each of its `go` lines, the exit status and the events.
        output: its stdout.
    """

    runs: list[Any]
    output: str


RunScript = Callable[[tuple[str, ...], str], Shown]


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Creates a virtual environment with some libraries, once; gives its interpreter."""

    @cache
    def make(*requirements: str) -> Path:
        directory = tmp_path_factory.mktemp("neighbours") / "venv"
        python = directory / "bin" / "python"
        for command in (
            ["venv", "--python", sys.executable, str(directory)],
            ["pip", "install", "--python", str(python), "-e", str(REPOSITORY), *requirements],
        ):
            subprocess.run(
                ["uv", *command], check=True, capture_output=True, text=True, cwd=directory.parent
            )
        return python

    return make


@pytest.fixture
def run_script(environment: Callable[..., Path], tmp_path: Path) -> RunScript:
    """Runs an application with some libraries."""

    def run(requirements: tuple[str, ...], source: str) -> Shown:
        home = Home(tmp_path / "home")
        script = tmp_path / "application.py"
        script.write_text(PROLOGUE + source)
        ended = subprocess.run(
            [str(environment(*requirements)), str(script)],
            env={**home.environ, "TERM": "dumb", "COLUMNS": "80"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=tmp_path,
            check=False,
        )
        assert "Traceback" not in ended.stderr, ended.stderr
        lines = ended.stdout.splitlines()
        runs = [json.loads(line[4:]) for line in lines if line.startswith("RUN ")]
        return Shown(runs, ended.stdout)

    return run
