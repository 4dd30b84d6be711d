"""Faults on purpose: which system calls a process makes on our files, and one of them failing.

All by strace, from outside: the process that is tested is the real one.
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
_STARTING = ("pipe2", "clone", "clone3", "vfork", "wait4")
"""What starting the sender takes, beside calls on our files."""


class Call(NamedTuple):
    """A system call that was seen.

    Attributes:
        name: its name.
        number: the how-manieth of its name in the process, from 1.
        text: its arguments, descriptors with their paths.
        result: what it gave, with the error's name; `?` if the process did not live to see it.
        injected: whether it is the one that was made to fail.
    """

    name: str
    number: int
    text: str
    result: str
    injected: bool


class Traced(NamedTuple):
    """A run that was watched."""

    returncode: int
    stdout: str
    stderr: str
    calls: list[Call]


def traces() -> bool:
    """Whether strace is installed, and permitted here."""
    if not shutil.which("strace"):
        return False
    tried = subprocess.run(["strace", "-o", os.devnull, "true"], check=False, capture_output=True)
    return tried.returncode == 0


needs_strace = pytest.mark.skipif(not traces(), reason="there is no strace, or it may not trace")


def traced(cli: Cli, *args: str, options: tuple[str, ...] = ()) -> Traced:
    """Run an application; its own calls are watched, those of what it starts are not.

    Args:
        cli: the application.
        *args: its arguments.
        options: strace's own, such as `inject`.
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
    """The options that make one call fail with an error, or a signal come with it."""
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


def written(calls: list[Call]) -> list[bytes]:
    """The whole lines whose write returned, in files that a sender can see by now."""
    lines: list[bytes] = []
    unnamed: dict[str, list[bytes]] = {}
    for call in calls:
        if call.name in ("rename", "renameat", "renameat2") and call.result == "0":
            source = call.text.split('"')[1]
            lines += unnamed.pop(source, [])
        found = re.match(r'\d+<([^>]*\.jsonl(\.\w+)?)>, (".*"), (\d+)$', call.text)
        if call.name != "write" or found is None or call.result != found[4]:
            continue
        content: bytes = ast.literal_eval("b" + found[3])
        if found[2]:
            unnamed.setdefault(found[1], []).extend(content.splitlines())
        else:
            lines += content.splitlines()
    return [line for line in lines if line.startswith(b"{")]


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
