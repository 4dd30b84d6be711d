"""What the foreground may do: counted in modules and system calls, which no busy machine changes.

The milliseconds are `tests.benchmarks`'; here is what they are made of.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ..benchmarks.applications import BARE, COMMAND, INSTRUMENTED, WITHOUT_KEY

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..harness.processes import Cli, Home
    from ..harness.server import Server

    MakeCli = Callable[..., Cli]

pytestmark = pytest.mark.contract

REFUSED = {"DO_NOT_TRACK": "1"}
LOG = {"ACME_TELEMETRY": "log"}

OFF_LIBRARY = {"__future__"}
RECORDING_LIBRARY = OFF_LIBRARY | {
    "_contextvars",  # whose command is running, in tasks too
    "fcntl",  # the locks
}
"""All that we import of Python's own library, where Click or Python has not done so already."""

OFF_OWN = {
    "",
    *(".observe", ".observe.declare", ".observe.flag", ".observe.hooks"),
    ".observe.state",
    *(".privacy", ".privacy.refusal", ".privacy.settings"),
}
"""All that we import of ours for somebody who has said no; each costs about 0.15 ms."""

COSTLY = (
    *("ssl.", "_ssl.", "socket.", "_socket.", "http.", "urllib.", "email.", "asyncio."),
    *("logging.", "subprocess.", "signal.", "tempfile.", "pathlib.", "dataclasses.", "json."),
    *("importlib.metadata.", "hashlib.", "_hashlib.", "random.", "queue.", "platform."),
    *("platformdirs.", "segment.", "requests.", "rich.", "rich_click."),
)
"""Modules that cost a millisecond or much more, each with all that is below it."""

OUR_CALLS = 29
"""System calls on our own files and directories by a run that records, after the first."""

WRITING = re.compile(
    r"\b(open|openat|creat)\(.*(O_WRONLY|O_RDWR|O_CREAT|O_TRUNC)"
    r"|\b(mkdir|mknod|link|symlink|rename|unlink|rmdir|chmod|chown|truncate|utime)"
)
NO_NETWORK = re.compile(r"clone|<\.\.\. clone|---|\+\+\+")  # children, signals, the end
STARTING = re.compile(r"\b(clone|clone3|fork|vfork|execve|execveat)\(")

NOTE_MODULES = """
import atexit, os, sys
atexit.register(lambda: open(os.environ["NOTED"], "w").write("\\n".join(sys.modules)))
"""

NOTE_AUDIT = """
import os, sys

def note(event, args, write=os.write, to=os.open(os.environ["NOTED"], os.O_WRONLY | os.O_CREAT)):
    write(to, ascii((event, args))[:500].encode() + b"\\n")

sys.addaudithook(note)
"""


def traces() -> bool:
    """Whether strace is installed, and permitted here."""
    if not shutil.which("strace"):
        return False
    tried = subprocess.run(["strace", "-o", os.devnull, "true"], check=False, capture_output=True)
    return tried.returncode == 0


needs_strace = pytest.mark.skipif(not traces(), reason="there is no strace, or it may not trace")


def trace(cli: Cli, *options: str, args: tuple[str, ...] = COMMAND) -> list[tuple[int, str]]:
    """Run the application under strace: each call's process and text, the foreground's first.

    Args:
        cli: the application.
        *options: strace's. With `-f` it waits for whatever the application started.
        args: the application's.
    """
    log = cli.home.path.parent / "trace"
    ran = subprocess.run(
        ["strace", "-o", str(log), "-f", "-s", "0", *options, "--", *cli.command(*args)],
        env=cli.env(),
        cwd=cli.home.path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert ran.stdout == "deployed\n"
    found = (line.split(maxsplit=1) for line in log.read_text(encoding="utf-8").splitlines())
    return [(int(pid), call) for pid, call in found]


def noted(cli: Cli, preamble: str, *args: str, env: dict[str, str] | None = None) -> list[str]:
    """What a preamble to the application wrote down, line by line."""
    notes = cli.home.path.parent / "noted"
    notes.unlink(missing_ok=True)
    source = cli.script.read_text(encoding="utf-8")
    try:
        cli.script.write_text(preamble + source, encoding="utf-8")
        ran = cli.run(*(args or COMMAND), env={**(env or {}), "NOTED": str(notes)})
    finally:
        cli.script.write_text(source, encoding="utf-8")
    assert (ran.stdout, ran.returncode) == ("deployed\n", 0)
    return notes.read_text(encoding="utf-8").splitlines()


def modules(cli: Cli, *args: str, env: dict[str, str] | None = None) -> set[str]:
    """The modules that are loaded when the application ends."""
    return set(noted(cli, NOTE_MODULES, *args, env=env))


def is_ours(module: str) -> bool:
    return module.partition(".")[0] == "click_telemetry"


@pytest.fixture
def bare(make_cli: MakeCli) -> Cli:
    """The application without us."""
    return make_cli(BARE, "bare.py")


@pytest.fixture
def recording(make_cli: MakeCli, server: Server) -> Cli:
    """The same application; it records, and hands off to a server that accepts."""
    made = make_cli(INSTRUMENTED, "instrumented.py")
    made.environ["ACME_TELEMETRY_HOST"] = server.url
    return made


@needs_strace
def test_the_foreground_makes_no_network_call(recording: Cli, server: Server) -> None:
    """The process that I wait for speaks to nobody; another one does, after I have my prompt."""
    calls = trace(recording, "-e", "trace=%network,clone,clone3")
    foreground = calls[0][0]
    own = [call for pid, call in calls if pid == foreground]
    assert [call for call in own if not NO_NETWORK.match(call)] == []
    assert not any("CLONE_THREAD" in call for call in own), "a thread's calls would not be seen"
    assert any(call.startswith("connect(") for pid, call in calls if pid != foreground)
    assert server.events == [
        ("Command Invoked", "acme deploy"),
        ("Command Completed", "acme deploy"),
    ]


def test_the_foreground_makes_no_socket(recording: Cli, server: Server) -> None:
    """The same, as Python itself sees it, wherever there is no strace."""
    events = noted(recording, NOTE_AUDIT)
    assert [line for line in events if line.startswith("('socket.")] == []
    assert any(line.startswith("('os.posix_spawn'") for line in events) == (os.name == "posix")
    server.wait_for(2)


@pytest.mark.parametrize("env", [{}, LOG, REFUSED], ids=["recording", "log", "off"])
def test_nothing_costly_is_imported(bare: Cli, recording: Cli, env: dict[str, str]) -> None:
    """Nobody loads TLS, logging or a third party to have a command recorded."""
    beyond = modules(recording, env=env) - modules(bare)
    assert [name for name in beyond if f"{name}.".startswith(COSTLY)] == []


def test_a_recording_run_imports_these_of_pythons_modules_and_no_other(
    bare: Cli, recording: Cli, server: Server
) -> None:
    """All that a recorded command loads beyond its own modules is ours, and this short list."""
    without_us = modules(bare)
    beyond = modules(recording) - without_us
    assert {name for name in beyond if not is_ours(name)} == RECORDING_LIBRARY - without_us
    rooms = ("click_telemetry.delivery.sender", "click_telemetry.tools", "click_telemetry.testing")
    assert [name for name in beyond if name.startswith(rooms)] == []
    server.wait_for(2)


FOR_WHO_USES_THEM = {
    *(".events.context", ".events.faults", ".events.records", ".events.resources"),
    *(".events.user", ".events.loud", ".events.values", ".observe.children", ".observe.foreign"),
    *(".events.bound", ".events.declared", ".events.flow", ".events.flow_plan", ".events.ending"),
    *(".events.outcome", ".events.questions", ".events.words"),
    *(".events.event", ".events.schema", ".events.timed", ".events.typed"),
    *(".events.scrub", ".events.pairs", ".events.patterns", ".events.shapes"),
}
"""Rooms that an application which says nothing of its own never enters."""


@pytest.mark.parametrize("env", [{}, LOG, REFUSED], ids=["recording", "log", "off"])
def test_who_says_nothing_of_their_own_loads_nothing_for_it(
    recording: Cli, env: dict[str, str]
) -> None:
    """Flows, events, context, users, resources and the rest cost those who use them."""
    ours = {name.removeprefix("click_telemetry") for name in modules(recording, env=env)}
    assert ours & FOR_WHO_USES_THEM == set()


DECLARING = INSTRUMENTED.replace(
    "import click\n",
    "import click\nfrom typing import Literal\nfrom click_telemetry import Event, flow\n"
    'CREATE = flow("Application Create", steps=("one", "two"))\n'
    "class PlanChanged(Event):\n    plan: Literal['free', 'pro']\n",
    1,
)


def test_who_declares_and_does_not_walk_loads_declarations_alone(
    make_cli: MakeCli, bare: Cli, server: Server
) -> None:
    """The other commands of an application with flows pay for eight small modules."""
    cli = make_cli(DECLARING, "declaring.py")
    cli.environ["ACME_TELEMETRY_HOST"] = server.url
    rooms = ("declared", "event", "flow_plan", "schema", "text", "words")
    expected = {"click_telemetry.events"} | {f"click_telemetry.events.{room}" for room in rooms}
    off = {name for name in modules(cli, env=REFUSED) if name.startswith("click_telemetry.events")}
    assert off == expected
    beyond = modules(cli) - modules(bare)
    assert [name for name in beyond if f"{name}.".startswith(COSTLY)] == []
    server.wait_for(2)


@pytest.mark.parametrize(
    ("line", "env"),
    [
        (COMMAND, REFUSED),
        (COMMAND, {"NO_ANALYTICS": "1"}),
        (COMMAND, {"ACME_NO_TELEMETRY": "1"}),
        (COMMAND, {"ACME_TELEMETRY": "0"}),
        (("--no-telemetry", *COMMAND), {}),
    ],
    ids=["DO_NOT_TRACK", "NO_ANALYTICS", "NO_TELEMETRY", "TELEMETRY", "flag"],
)
def test_a_run_that_is_off_imports_these_modules_and_no_other(
    bare: Cli, recording: Cli, line: tuple[str, ...], env: dict[str, str]
) -> None:
    """Who has said no loads what finds the no, and none of what would record."""
    without_us = modules(bare)
    beyond = modules(recording, *line, env=env) - without_us
    assert {name for name in beyond if not is_ours(name)} == OFF_LIBRARY - without_us
    assert {name.removeprefix("click_telemetry") for name in beyond if is_ours(name)} == OFF_OWN


@pytest.mark.parametrize(("system", "asked"), [("linux", False), ("darwin", True)])
def test_platformdirs_is_asked_only_where_directories_are_not_plain(
    make_cli: MakeCli, system: str, asked: bool
) -> None:
    """On Linux nobody waits 9 ms for platformdirs to be imported."""
    if sys.platform == "win32":
        pytest.skip("half of Python's library would take Windows for another system")
    cli = make_cli(f"import sys\nsys.platform = {system!r}\n{INSTRUMENTED}")
    assert ("platformdirs" in modules(cli, env=LOG)) == asked


OFF = [
    pytest.param(INSTRUMENTED, COMMAND, REFUSED, id="variable"),
    pytest.param(INSTRUMENTED, (*COMMAND, "--no-telemetry"), {}, id="flag"),
    pytest.param(INSTRUMENTED, COMMAND, LOG, id="log"),
    pytest.param(WITHOUT_KEY, COMMAND, {}, id="no write key"),
]


@needs_strace
@pytest.mark.parametrize(("source", "args", "env"), OFF)
def test_off_writes_nothing_and_starts_nothing(
    make_cli: MakeCli, home: Home, source: str, args: tuple[str, ...], env: dict[str, str]
) -> None:
    """After a no there is no file, no directory and no process that was not there before."""
    cli = make_cli(source)
    cli.environ.update(env)
    calls = [call for _, call in trace(cli, args=args)]
    assert [call for call in calls if WRITING.search(call)] == []
    assert [call for call in calls[1:] if STARTING.search(call)] == []  # the first is its own
    assert home.files() == []


@pytest.mark.parametrize(("source", "args", "env"), OFF)
def test_off_changes_nothing_at_home(
    make_cli: MakeCli, home: Home, source: str, args: tuple[str, ...], env: dict[str, str]
) -> None:
    """A no leaves what is there alone: names, contents and times."""
    make_cli(INSTRUMENTED).run(*COMMAND, env={"ACME_TELEMETRY_HOST": "http://127.0.0.1:9"})
    wait_for_sender(home)
    settled = contents(home)
    assert settled
    make_cli(source).run(*args, env=env)
    assert contents(home) == settled


@needs_strace
def test_a_recording_run_makes_few_calls_on_our_files(
    make_cli: MakeCli, home: Home, server: Server
) -> None:
    """What a command pays for being recorded does not creep up, call by call."""
    cli = make_cli(INSTRUMENTED)
    cli.environ["ACME_TELEMETRY_HOST"] = server.url
    cli.run(*COMMAND)
    server.wait_for(2)
    wait_for_sender(home)
    calls = trace(cli, "-y")
    foreground = calls[0][0]
    ours = (str(home.state()), str(home.choice()))
    own = [
        call.replace(str(home.path), "~")
        for pid, call in calls
        if pid == foreground and any(path in call for path in ours)
    ]
    assert 0 < len(own) <= OUR_CALLS, "\n".join(own)


def wait_for_sender(home: Home) -> None:
    """Return when the sender has given its lock back."""
    import fcntl

    (lock,) = home.state().glob("spool/*/lock")
    with lock.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)


def contents(home: Home) -> dict[str, tuple[int, bytes]]:
    """Every file below a home with its time and bytes; directories have their time alone."""
    paths = (home.path / name for name in home.files())
    return {str(path): (path.stat().st_mtime_ns, read(path)) for path in paths}


def read(path: Path) -> bytes:
    return b"" if path.is_dir() else path.read_bytes()
