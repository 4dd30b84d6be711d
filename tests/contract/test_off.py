"""Off means nothing: every way to opt out, times every way to run an application (row 83).

A cell is a process. Many of them run under one trace, each a child of a shell. The trace shows what
a child opens for writing, starts or connects to; the home is compared by a digest.
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

from click_telemetry._commands.sender_process import SenderJob, encode
from click_telemetry._launcher import command_line
from click_telemetry._recorder import CI_VARIABLES

from ..harness.faults import needs_strace
from ..harness.processes import Cli, Home, as_root
from ..harness.senders import due_now, wait_for_end, wait_until
from ..harness.server import Reply, Server

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


class Off(NamedTuple):
    """A reason for which nothing is recorded: an opt-out, or a circumstance.

    Attributes:
        flags: the words before, between and after the commands.
        environ: variables.
        setting: the content of the saved setting, or None for no file.
        options: of the application.
        setuid: whether the real and the effective user differ.
    """

    flags: tuple[str, str, str] = ("", "", "")
    environ: Mapping[str, str] = MappingProxyType({})
    setting: str | None = None
    options: str = KEYED
    setuid: bool = False


FLAG = "--no-telemetry"
REASONS = {
    "the option before": Off((FLAG, "", "")),
    "the option between": Off(("", FLAG, "")),
    "the option after": Off(("", "", FLAG)),
    "DO_NOT_TRACK": Off(environ={"DO_NOT_TRACK": "1"}),
    "NO_ANALYTICS": Off(environ={"NO_ANALYTICS": "1"}),
    "CLICK_TELEMETRY_OFF": Off(environ={"CLICK_TELEMETRY_OFF": "1"}),
    "ACME_NO_TELEMETRY": Off(environ={"ACME_NO_TELEMETRY": "1"}),
    "ACME_TELEMETRY=0": Off(environ={"ACME_TELEMETRY": "0"}),
    "a saved setting": Off(setting='{"enabled": false}\n'),
    "a corrupt setting": Off(setting='{"enabled": "false"'),
    **{f"CI: {name}": Off(environ={name: "true"}) for name in CI_VARIABLES},
    "a test run": Off(environ={"PYTEST_CURRENT_TEST": "test_x.py::test (call)"}),
    "a test run above": Off(environ={"PYTEST_VERSION": "8.0"}),
    "no write key": Off(options="notice=False"),
    "notice not shown": Off(options='write_key="key"'),
    "opt-in not given": Off(options='write_key="key", notice=False, consent="opt-in"'),
    "setuid": Off(setuid=True),
}
WAYS = [
    "success", "failure", "crash", "--help", "--version", "completion", "custom", "flow", "import",
    "the sender",
]  # fmt: skip

WRITING = re.compile(
    r"\b(open|openat|creat)\(.*(O_WRONLY|O_RDWR|O_CREAT|O_TRUNC)"
    r"|\b(mkdir|mknod|link|symlink|rename|unlink|rmdir|chmod|chown|truncate|utime)"
)
STARTING = re.compile(r"\b(clone|clone3|fork|vfork)\(")
CONNECTING = re.compile(r"\b(socket|connect|sendto|sendmsg|bind)\(")
OPTIONS = ("-f", "-s", "0", "-e", "trace=%network,%file,clone,clone3,fork,vfork")
HARMLESS = re.compile(r'"/dev/(null|tty)"|/__pycache__/')
"""The null device, and Python's own cache, which is not in the home."""


def command_of(off: Off, way: str, cli: Cli, job: Path) -> str:
    """A cell's command line, for the shell."""
    before, between, after = off.flags
    environ = dict(off.environ)
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
        command, redirected = command_line(), f"<{shlex.quote(str(job))}"
    if off.setuid:
        swap = "import os, sys; os.setresuid(65534, 0, 0); os.execv(sys.argv[1], sys.argv[1:])"
        command = [sys.executable, "-c", swap, *command]
    given = [f"{name}={value}" for name, value in environ.items()]
    return f"{shlex.join(['env', *given, *command])} {redirected} >/dev/null 2>&1"


def effects(directory: Path, cells: list[tuple[Off, str]]) -> dict[int, list[str]]:
    """The calls by which each cell wrote, started or connected, by its number.

    Args:
        directory: an empty one.
        cells: with the same saved setting and the same options.
    """
    (setting,) = {off.setting for off, _ in cells}
    (options,) = {off.options for off, _ in cells}
    home = Home(directory / "home")
    if setting is not None:
        home.choice().parent.mkdir(parents=True)
        home.choice().write_text(setting)
    cli = Cli(directory / "acme.py", home, SOURCE.format(options=options))
    spool = home.state() / "spool" / "0123456789abcdef"
    job = directory / "job"
    job.write_bytes(
        encode(SenderJob(str(spool), "http://127.0.0.1:9", "key", str(home.choice()), None))
    )
    script = directory / "cells.sh"
    lines = [command_of(off, way, cli, job) for off, way in cells]
    script.write_text("\n".join([*lines, ":\n"]))
    log, before = directory / "trace", home.digest()
    subprocess.run(
        ["strace", *OPTIONS, "-o", str(log), "sh", str(script)],
        env={**home.environ, "ACME_TELEMETRY_HOST": "http://127.0.0.1:9"},
        cwd=directory,
        check=True,
        timeout=600,
    )
    found = read_trace(log.read_text(encoding="utf-8"), len(cells))
    if home.digest() != before:
        found.setdefault(-1, []).extend(home.files())
    return found


def read_trace(log: str, cells: int) -> dict[int, list[str]]:
    """The calls that no cell may make; the shell's children are the cells, in order."""
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


def named(found: dict[int, list[str]], cells: list[tuple[Off, str]]) -> dict[str, list[str]]:
    """The same, by the cells' names."""
    names = {id(off): name for name, off in REASONS.items()}
    return {
        f"{names[id(cells[number][0])]}, {cells[number][1]}" if number >= 0 else "a process": calls
        for number, calls in found.items()
    }


@pytest.mark.extended
def test_the_trace_shows_a_run_that_is_recorded(tmp_path: Path) -> None:
    """The control: a recorded run writes, starts a sender and connects; --help does not."""
    ways = [way for way in WAYS if way != "the sender"]
    found = effects(tmp_path, [(Off(), way) for way in ways])
    shown = {ways[number] for number in found if number >= 0}
    recorded = {"success", "failure", "crash", "custom", "flow"} & set(ways)
    assert shown == recorded
    for number, calls in found.items():
        if number >= 0:
            assert any(".facts" in call for call in calls)
    started = [call for calls in found.values() for call in calls if STARTING.search(call)]
    assert started
    assert any(CONNECTING.search(call) for call in found[-1]), "no sender has connected"


GROUPS = sorted({(off.options, off.setting or "") for off in REASONS.values()})


@pytest.mark.sample(1)
@as_root
@pytest.mark.parametrize("group", GROUPS, ids=range(len(GROUPS)))
def test_every_reason_and_every_way_to_run_leave_nothing(
    group: tuple[str, str], tmp_path: Path
) -> None:
    """Each reason with a command that succeeds, and each way to run with some of the reasons."""
    reasons = [off for off in REASONS.values() if (off.options, off.setting or "") == group]
    cells = [(off, "success") for off in reasons]
    cells += list(zip(cycle(reasons), (way for way in WAYS if way != "success"), strict=False))
    assert named(effects(tmp_path, cells), cells) == {}


@pytest.mark.slow
@as_root
@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_times_every_way_to_run_leaves_nothing(reason: str, tmp_path: Path) -> None:
    """The complete product: zero bytes, zero processes, zero connections."""
    cells = [(REASONS[reason], way) for way in WAYS]
    assert named(effects(tmp_path, cells), cells) == {}


# What is queued already --------------------------------------------------------------------------


@pytest.fixture
def queued(cli: Cli, server: Server, home: Home) -> SenderJob:
    """Events that another run recorded, as the job of a sender for them."""
    server.reply = Reply(500)
    cli.run("deploy")
    wait_until(lambda: bool(server.requests))
    wait_for_end(home)
    server.reply = Reply()
    server.requests.clear()
    (spool,) = home.state().glob("spool/*")
    return SenderJob(str(spool), server.url, "key", str(home.choice()), None)


def run_sender(job: SenderJob, environ: dict[str, str]) -> None:
    """Run a sender to its end."""
    env = {"PATH": os.environ["PATH"], **environ}
    subprocess.run(command_line(), input=encode(job), env=env, check=True, timeout=60)


@pytest.mark.sample(1)
@pytest.mark.parametrize("setting", ['{"enabled": false}', '{"enabled": "false"', "", "[]"])
def test_sender_started_by_hand_obeys_the_saved_setting(
    queued: SenderJob, server: Server, home: Home, setting: str
) -> None:
    """It reads the setting itself; one that cannot be read is an opt-out (row 85)."""
    home.choice().parent.mkdir(parents=True)
    home.choice().write_text(setting)
    run_sender(queued, {})
    assert server.requests == []
    assert len(home.spooled()) == 1


@pytest.mark.sample(0)
@pytest.mark.parametrize("variable", ["DO_NOT_TRACK", "NO_ANALYTICS", "CLICK_TELEMETRY_OFF"])
def test_sender_started_by_hand_obeys_an_opt_out_variable(
    queued: SenderJob, server: Server, variable: str
) -> None:
    """The variables that opt out of every application are in its environment."""
    for value in ("1", ""):
        run_sender(queued, {variable: value})
        assert bool(server.requests) is (value == "")


@pytest.mark.usefixtures("queued")
def test_run_that_is_off_sends_nothing_that_is_queued(cli: Cli, server: Server, home: Home) -> None:
    """No sender is started in such a run, not even for earlier events (row 84)."""
    due_now(home)
    home.choice().parent.mkdir(parents=True)
    for name, off in REASONS.items():
        if off.options != KEYED or off.setuid:
            continue
        if off.setting is not None:
            home.choice().write_text(off.setting)
        before = home.digest()
        flag = [flag for flag in off.flags if flag]
        assert cli.run("deploy", *flag, env={**off.environ}).returncode == 0
        assert (home.digest(), server.requests) == (before, []), name
        home.choice().unlink(missing_ok=True)
