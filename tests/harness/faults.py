"""Fault injection: lists the system calls that a process makes on our files, and lets one fail.

It uses strace, from outside: the process under test is a real one.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from .processes import Cli

KILL = "SIGKILL"

_CALL = re.compile(r"(\w+)\((.*)\)\s+= (\?|-?\d+|0x[0-9a-f]+)(.*)$")
_WRITE = re.compile(r'\d+<([^>]*\.facts)>, (".*"), (\d+)$')
_STARTING = ("pipe2", "clone", "clone3", "vfork", "wait4")
"""The calls that start the sender, in addition to those on our files."""


class Call(NamedTuple):
    """A system call that was traced.

    Attributes:
        name: its name.
        number: its position among the calls of that name in the process, from 1.
        text: its arguments, descriptors with their paths.
        result: what it returned, or the error's name; `?` if the process died in it.
        injected: whether a fault was injected into it.
    """

    name: str
    number: int
    text: str
    result: str
    injected: bool


class Traced(NamedTuple):
    """A run under strace."""

    returncode: int
    stdout: str
    stderr: str
    calls: list[Call]


def can_trace() -> bool:
    """Whether strace is installed and permitted."""
    if not shutil.which("strace"):
        return False
    tried = subprocess.run(["strace", "-o", os.devnull, "true"], check=False, capture_output=True)
    return tried.returncode == 0


needs_strace = pytest.mark.skipif(not can_trace(), reason="strace is missing or forbidden")


def traced(cli: Cli, *args: str, options: tuple[str, ...] = ()) -> Traced:
    """Run an application under strace; the processes that it starts are not traced.

    Args:
        cli: the application.
        *args: its arguments.
        options: further options of strace, such as those of `inject`.
    """
    log = cli.home.path.parent / f"{cli.home.path.name}.trace"
    with open(os.devnull, "rb") as nothing:
        ran = subprocess.run(
            ["strace", "-o", str(log), "-y", "-s", "4000", *options, "--", *cli.command(*args)],
            env=cli.env({"PYTHONHASHSEED": "0"}),
            cwd=cli.home.path,
            stdin=nothing,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    return Traced(ran.returncode, ran.stdout, ran.stderr, _calls(log))


def inject(call: Call, fault: str) -> tuple[str, ...]:
    """The options that let one call fail with an error, or send a signal with it."""
    what = f"signal={fault}" if fault.startswith("SIG") else f"error={fault}"
    return ("-e", f"inject={call.name}:{what}:when={call.number}")


def ours(calls: list[Call], home: Path) -> list[Call]:
    """The calls on our files and directories, and those that start the sender."""
    places = (f"{home}/.local", f"{home}/.config")
    found = [any(place in call.text for place in places) for call in calls]
    first = found.index(True) if True in found else len(calls)
    return [
        call
        for number, call in enumerate(calls)
        if found[number] or (number > first and call.name in _STARTING)
    ]


def written(calls: list[Call]) -> dict[str, bytes]:
    """By file of the spool, the bytes whose write returned in full."""
    files: dict[str, bytes] = {}
    for call in calls:
        found = _WRITE.match(call.text)
        if call.name != "write" or found is None or call.result != found[3]:
            continue
        name = os.path.basename(found[1])
        files[name] = files.get(name, b"") + ast.literal_eval("b" + found[2])
    return files


def _calls(log: Path) -> list[Call]:
    counts: dict[str, int] = {}
    calls = []
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        found = _CALL.match(line)
        if found is None:
            continue
        name, text, result, rest = found.groups()
        counts[name] = counts.get(name, 0) + 1
        error = rest.split()
        if result == "-1" and error:
            result = error[0]
        calls.append(Call(name, counts[name], text, result, "(INJECTED)" in rest))
    return calls
