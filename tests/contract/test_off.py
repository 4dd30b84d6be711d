"""Off means nothing: every way of saying no, times every way into an application (row 83).

A cell is a whole process. Many of them run under one trace, each a child of a shell: what a child
opens for writing, starts or connects to is told by the kernel, and the home is compared by a hash.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from itertools import cycle
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import pytest

import click_telemetry
from click_telemetry.delivery.child import command_line, written
from click_telemetry.delivery.launcher import Letter
from click_telemetry.privacy.surroundings import CI_VARIABLES

from ..harness.processes import Cli, Home
from ..harness.senders import wait_for_end, wait_until
from ..harness.server import Reply, Server
from .test_foreground_budget import WRITING, needs_strace
from .test_person import tree
from .test_telemetry_commands import as_root, deliver

pytestmark = [pytest.mark.contract, needs_strace]

SOURCE = """
import os, sys
import click
import click_telemetry
from click_telemetry import instrumented_group, track

@instrumented_group(app="acme", version="2.1.0", {options})
@click.group()
@click.version_option("2.1.0")
def cli(): pass

@cli.group()
def team(): pass

@team.command()
def success(): click.echo("done")

@team.command()
def failure(): raise RuntimeError("secret")

@team.command()
def crash(): os.kill(os.getpid(), 9)

@team.command()
def custom(): track("Something Happened", {{"plan": "pro"}})

@team.command()
def flow():
    with click_telemetry.flow("Application Create") as f:
        f.complete()

if __name__ == "__main__":
    cli()
"""

KEYED = 'write_key="key", notice=False'


class No(NamedTuple):
    """A way of saying no.

    Attributes:
        flags: what stands before, between and after the commands.
        environ: variables.
        stored: what the choice's file holds, or None for no file.
        options: of the application.
        setuid: whether the real and the effective user differ.
    """

    flags: tuple[str, str, str] = ("", "", "")
    environ: Mapping[str, str] = MappingProxyType({})
    stored: str | None = None
    options: str = KEYED
    setuid: bool = False


FLAG = "--no-telemetry"
NOES = {
    "the flag before": No((FLAG, "", "")),
    "the flag between": No(("", FLAG, "")),
    "the flag after": No(("", "", FLAG)),
    "DO_NOT_TRACK": No(environ={"DO_NOT_TRACK": "1"}),
    "NO_ANALYTICS": No(environ={"NO_ANALYTICS": "1"}),
    "CLICK_TELEMETRY_OFF": No(environ={"CLICK_TELEMETRY_OFF": "1"}),
    "ACME_NO_TELEMETRY": No(environ={"ACME_NO_TELEMETRY": "1"}),
    "ACME_TELEMETRY=0": No(environ={"ACME_TELEMETRY": "0"}),
    "a stored choice": No(stored='{"enabled": false}\n'),
    "a corrupt choice": No(stored='{"enabled": "false"'),
    **{f"CI: {name}": No(environ={name: "true"}) for name in CI_VARIABLES},
    "a test run": No(environ={"PYTEST_CURRENT_TEST": "test_x.py::test (call)"}),
    "a test run above": No(environ={"PYTEST_VERSION": "8.0"}),
    "no key": No(options="notice=False"),
    "notice not shown": No(options='write_key="key"'),
    "opt-in not given": No(options='write_key="key", notice=False, consent="opt-in"'),
    "setuid": No(setuid=True),
}
WAYS = [
    "success", "failure", "crash", "--help", "--version", "completion", "custom", "import",
    "the sender",
    *(["flow"] if hasattr(click_telemetry, "flow") else []),
]  # fmt: skip

STARTING = re.compile(r"\b(clone|clone3|fork|vfork)\(")
CONNECTING = re.compile(r"\b(socket|connect|sendto|sendmsg|bind)\(")
OPTIONS = ("-f", "-s", "0", "-e", "trace=%network,%file,clone,clone3,fork,vfork")
HARMLESS = re.compile(r'"/dev/(null|tty)"|/__pycache__/')
"""The null device, and Python's own cache, which is not in the home."""


def words(no: No, way: str, cli: Cli, letter: Path) -> str:
    """A cell's command line, for the shell."""
    before, between, after = no.flags
    environ = dict(no.environ)
    command = cli.command(*filter(None, (before, "team", between, way, after)))
    redirected = "</dev/null"
    if way == "--version":
        command = cli.command(*filter(None, (before, between, "--version", after)))
    elif way == "--help":
        command = cli.command(*filter(None, (before, "team", between, "success", after, "--help")))
    elif way == "completion":
        line = " ".join(filter(None, ("acme.py", before, "team", between, "")))
        environ |= {"_ACME_PY_COMPLETE": "bash_complete", "COMP_WORDS": line}
        environ["COMP_CWORD"] = str(line.count(" "))
        command = cli.command()
    elif way == "import":
        source = "import runpy, sys; runpy.run_path(sys.argv[1], run_name='imported')"
        command = [sys.executable, "-c", source, str(cli.script)]
    elif way == "the sender":
        command, redirected = command_line(), f"<{shlex.quote(str(letter))}"
    if no.setuid:
        swap = "import os, sys; os.setresuid(65534, 0, 0); os.execv(sys.argv[1], sys.argv[1:])"
        command = [sys.executable, "-c", swap, *command]
    given = [f"{name}={value}" for name, value in environ.items()]
    return f"{shlex.join(['env', *given, *command])} {redirected} >/dev/null 2>&1"


def trespasses(directory: Path, cells: list[tuple[No, str]]) -> dict[int, list[str]]:
    """What each cell wrote, started or connected to, by its number; nothing for one that did not.

    Args:
        directory: an empty one.
        cells: of one stored choice and one set of options.
    """
    (stored,) = {no.stored for no, _ in cells}
    (options,) = {no.options for no, _ in cells}
    home = Home(directory / "home")
    if stored is not None:
        home.choice().parent.mkdir(parents=True)
        home.choice().write_text(stored)
    cli = Cli(directory / "acme.py", home, SOURCE.format(options=options))
    spool = home.state() / "spool" / "0123456789abcdef"
    letter = directory / "letter"
    letter.write_bytes(
        written(Letter(str(spool), "http://127.0.0.1:9", "key", str(home.choice()), None))
    )
    script = directory / "cells.sh"
    lines = [words(no, way, cli, letter) for no, way in cells]
    script.write_text("\n".join([*lines, ":\n"]))
    log, before = directory / "trace", tree(home)
    subprocess.run(
        ["strace", *OPTIONS, "-o", str(log), "sh", str(script)],
        env={**home.environ, "ACME_TELEMETRY_HOST": "http://127.0.0.1:9"},
        cwd=directory,
        check=True,
        timeout=600,
    )
    found = read_trace(log.read_text(encoding="utf-8"), len(cells))
    if tree(home) != before:
        found.setdefault(-1, []).extend(home.files())
    return found


def read_trace(log: str, cells: int) -> dict[int, list[str]]:
    """The calls that are no cell's to make; the shell's children are the cells, in order."""
    lines = (line.split(maxsplit=1) for line in log.splitlines())
    calls = [(int(pid), call) for pid, call in lines]
    shell = calls[0][0]
    children = [
        int(started[1])
        for pid, call in calls
        if pid == shell
        and re.search(r"\b(clone|clone3|fork|vfork)\b", call)
        and (started := re.search(r"= (\d+)$", call))
    ]
    assert len(children) == cells, "the trace does not show each cell"
    found: dict[int, list[str]] = {}
    for pid, call in calls:
        if pid == shell or HARMLESS.search(call):
            continue
        thread = STARTING.search(call) and "CLONE_THREAD" in call
        if (
            (WRITING.search(call) and " = -1 E" not in call)  # what failed wrote nothing
            or CONNECTING.search(call)
            or (STARTING.search(call) and not thread)
        ):
            number = children.index(pid) if pid in children else -1
            found.setdefault(number, []).append(call)
    return found


def named(found: dict[int, list[str]], cells: list[tuple[No, str]]) -> dict[str, list[str]]:
    """The same, by the cells' names."""
    whose = {id(no): name for name, no in NOES.items()}
    return {
        f"{whose[id(cells[number][0])]}, {cells[number][1]}" if number >= 0 else "a process": calls
        for number, calls in found.items()
    }


def test_a_run_without_any_no_is_seen_by_the_trace(tmp_path: Path) -> None:
    """The control: what is allowed writes, starts a sender and connects; --help does not."""
    ways = [way for way in WAYS if way != "the sender"]
    found = trespasses(tmp_path, [(No(), way) for way in ways])
    seen = {ways[number] for number in found if number >= 0}
    recorded = {"success", "failure", "crash", "custom", "flow"} & set(ways)
    assert seen == recorded
    for number, calls in found.items():
        if number >= 0:
            assert any("jsonl" in call for call in calls)
    started = [call for calls in found.values() for call in calls if STARTING.search(call)]
    assert started
    assert any(CONNECTING.search(call) for call in found[-1]), "no sender came to its work"


GROUPS = sorted({(no.options, no.stored or "") for no in NOES.values()})


@as_root
@pytest.mark.parametrize("group", GROUPS, ids=range(len(GROUPS)))
def test_every_no_and_every_way_in_leave_nothing(group: tuple[str, str], tmp_path: Path) -> None:
    """Each way of saying no with a command that succeeds, and each way in with some of them."""
    noes = [no for no in NOES.values() if (no.options, no.stored or "") == group]
    cells = [(no, "success") for no in noes]
    cells += list(zip(cycle(noes), (way for way in WAYS if way != "success"), strict=False))
    assert named(trespasses(tmp_path, cells), cells) == {}


@pytest.mark.slow
@as_root
@pytest.mark.parametrize("no", NOES)
def test_every_no_times_every_way_in_leaves_nothing(no: str, tmp_path: Path) -> None:
    """The whole product: zero bytes, zero processes, zero connections."""
    cells = [(NOES[no], way) for way in WAYS]
    assert named(trespasses(tmp_path, cells), cells) == {}


# What waits already --------------------------------------------------------------------------


@pytest.fixture
def waiting(cli: Cli, server: Server, home: Home) -> Letter:
    """Events that another run recorded, and what a sender of theirs is told."""
    server.reply = Reply(500)
    cli.run("deploy")
    wait_until(lambda: bool(server.requests))
    wait_for_end(home)
    server.reply = Reply()
    server.requests.clear()
    (spool,) = home.state().glob("spool/*")
    return Letter(str(spool), server.url, "key", str(home.choice()), None)


@pytest.mark.parametrize("stored", ['{"enabled": false}', '{"enabled": "false"', "", "[]"])
def test_a_sender_by_hand_sends_nothing_over_a_stored_no(
    waiting: Letter, server: Server, home: Home, stored: str
) -> None:
    """Whoever starts it: it asks the choice itself, and what cannot be read is a no (row 85)."""
    home.choice().parent.mkdir(parents=True)
    home.choice().write_text(stored)
    deliver(waiting)
    assert server.requests == []
    assert len(home.spooled()) == 1


@pytest.mark.parametrize("variable", ["DO_NOT_TRACK", "NO_ANALYTICS", "CLICK_TELEMETRY_OFF"])
def test_a_sender_by_hand_sends_nothing_over_a_no_for_every_tool(
    waiting: Letter, server: Server, home: Home, variable: str
) -> None:
    """A person's no in its environment is one to it too."""
    for value in ("1", ""):
        subprocess.run(
            command_line(),
            input=written(waiting),
            env={"PATH": os.environ["PATH"], variable: value},
            check=True,
            timeout=60,
        )
        assert bool(server.requests) is (value == "")


def test_a_no_sends_nothing_that_waits(
    waiting: Letter, cli: Cli, server: Server, home: Home
) -> None:
    """No sender is started in such a run, not even for what was recorded before it (row 84)."""
    for mark in Path(waiting.spool).glob("not-before"):
        mark.unlink()
    home.choice().parent.mkdir(parents=True)
    for name, no in NOES.items():
        if no.options != KEYED or no.setuid:
            continue
        if no.stored is not None:
            home.choice().write_text(no.stored)
        before = tree(home)
        flag = [flag for flag in no.flags if flag]
        assert cli.run("deploy", *flag, env={**no.environ}).returncode == 0
        assert (tree(home), server.requests) == (before, []), name
        home.choice().unlink(missing_ok=True)
