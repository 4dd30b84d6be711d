"""Environments with the libraries that live beside us in real applications; made once, with uv."""

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
    """Keeps what was recorded."""
    def __init__(self): self.messages = []
    def record(self, message): self.messages.append(message)
    def close(self): pass

client = Client()

def go(application, *args, **kwargs):
    """Runs a command line, and tells its status and what was recorded of it."""
    client.messages.clear()
    try:
        status = application(list(args), **kwargs)
    except SystemExit as end:
        status = end.code
    told = []
    for message in client.messages:
        if message["type"] != "track":
            continue
        properties = message["properties"]
        entry = [message["event"].removeprefix("Command "), properties["command"],
                 properties["flags"]]
        if "exit_code" in properties:
            entry += [properties["exit_code"], properties.get("error_class")]
        told.append(entry)
    print("\\nTOLD", json.dumps([status, told]))
'''
"""What every application of these tests begins with."""


class Seen(NamedTuple):
    """What an application showed.

    Attributes:
        told: for each of its `go` lines, its status and what was recorded.
        output: its stdout.
    """

    told: list[Any]
    output: str


Tell = Callable[[tuple[str, ...], str], Seen]


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes a virtual environment with us and some others, once; gives its interpreter."""

    @cache
    def make(*requirements: str) -> Path:
        room = tmp_path_factory.mktemp("neighbours") / "venv"
        python = room / "bin" / "python"
        for command in (
            ["venv", "--python", sys.executable, str(room)],
            ["pip", "install", "--python", str(python), "-e", str(REPOSITORY), *requirements],
        ):
            subprocess.run(
                ["uv", *command], check=True, capture_output=True, text=True, cwd=room.parent
            )
        return python

    return make


@pytest.fixture
def tell(environment: Callable[..., Path], tmp_path: Path) -> Tell:
    """Runs an application beside some libraries."""

    def run(requirements: tuple[str, ...], source: str) -> Seen:
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
        told = [json.loads(line[5:]) for line in lines if line.startswith("TOLD ")]
        return Seen(told, ended.stdout)

    return run
