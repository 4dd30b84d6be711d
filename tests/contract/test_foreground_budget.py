"""What the foreground may do, by counts that do not depend on how busy the machine is.

The limits are in `tests.benchmarks.budgets`; `tests.benchmarks.whole_process` measures the time.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ..benchmarks.applications import BARE, COMMAND, INSTRUMENTED, WITHOUT_KEY, instrumented
from ..benchmarks.budgets import BUDGETS, OPTED_OUT, Counts, upper_bound
from ..benchmarks.counted import (
    CACHEGRIND,
    CASES,
    Bench,
    Case,
    can_trace,
    counting_home,
    has_valgrind,
    instructions_of,
    run,
)
from ..benchmarks.endpoints import endpoints
from ..harness.processes import Cli
from ..harness.senders import is_alive, lock_of, wait_until
from ..harness.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..harness.processes import Home

    MakeCli = Callable[..., Cli]

pytestmark = [pytest.mark.contract, pytest.mark.usefixtures("default_delay")]

OFF = {"DO_NOT_TRACK": "1"}
LOG = {"ACME_TELEMETRY": "log"}

OFF_LIBRARY = {"__future__"}
RECORDING_LIBRARY = OFF_LIBRARY | {
    "atexit",  # the sender is started when the process ends
    "fcntl",  # the locks
}
"""All that we import of Python's own library, where Click or Python has not done so already."""

COSTLY = (
    *("ssl.", "_ssl.", "socket.", "_socket.", "http.", "urllib.", "email.", "asyncio."),
    *("logging.", "subprocess.", "signal.", "tempfile.", "pathlib.", "dataclasses.", "json."),
    *("importlib.metadata.", "hashlib.", "_hashlib.", "random.", "queue.", "platform."),
    *("platformdirs.", "segment.", "requests.", "rich.", "rich_click."),
)
"""Modules that cost a millisecond or much more, each with all that is below it."""

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


needs_strace = pytest.mark.skipif(not can_trace(), reason="there is no strace, or it may not trace")
needs_valgrind = pytest.mark.skipif(not has_valgrind(), reason="valgrind is not installed")
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Counts what the cases cost, with a server that accepts."""
    server = Server()
    server.start()
    yield Bench(tmp_path_factory.mktemp("bench"), server)
    server.stop()


def assert_within_limits(case: Case, counts: Counts) -> None:
    """Every count is at most its limit in BUDGETS."""
    limits = BUDGETS[case.name].limit._asdict()
    counted = {name: count for name, count in counts._asdict().items() if count is not None}
    bounds = {name: upper_bound(name, limits[name]) for name in counted}
    assert {n: (counted[n], bounds[n]) for n in counted if counted[n] > bounds[n]} == {}


@pytest.mark.sample(4)
@each_case
def test_a_case_loads_these_modules_of_ours_and_no_other(bench: Bench, case: Case) -> None:
    """A run loads what it needs of the library; on Python 3.10 it may be one module more."""
    loaded = {name.removeprefix("click_telemetry") for name in bench.observe(case).modules}
    expected = BUDGETS[case.name].modules
    assert expected <= loaded
    more = sorted(loaded - expected)
    assert len(more) <= (1 if sys.version_info < (3, 11) else 0), more


@pytest.mark.extended
@each_case
def test_loaded_code_stays_within_the_limits(bench: Bench, case: Case) -> None:
    """The bytecode, classes and calls that a run pays for do not grow unnoticed."""
    assert_within_limits(case, bench.count_code(case))


@pytest.mark.extended
@needs_strace
@each_case
def test_system_calls_stay_within_the_limits(bench: Bench, case: Case) -> None:
    """Neither do the system calls, on our own files and in total."""
    total, on_files = bench.system_calls(case)
    assert_within_limits(case, Counts(system_calls=total, file_calls=on_files))


@pytest.mark.extended
@needs_valgrind
@each_case
def test_instructions_stay_within_the_limits(bench: Bench, case: Case) -> None:
    """Neither do the instructions, which are the time on a quiet machine."""
    assert_within_limits(case, Counts(instructions=bench.instructions(case)))


@pytest.mark.extended
@needs_valgrind
def test_an_endpoint_in_trouble_costs_no_more_instructions(tmp_path: Path) -> None:
    """A command costs the same whether the endpoint is slow, silent, refuses or has no DNS."""
    with endpoints() as origins:
        homes = {**origins, "no DNS": "https://events.invalid"}
        clis = {name: cli_of(tmp_path / name, origin) for name, origin in homes.items()}
        for cli in clis.values():
            run(cli, *COMMAND)
        instructions = {name: second_run(cli) for name, cli in clis.items()}
        for cli in clis.values():
            wait_for_sender(cli.home)
    queued = {name: len(cli.home.spooled()) for name, cli in clis.items()}
    assert queued == {"healthy": 0, "slow": 0, "silent": 2, "refusing": 2, "no DNS": 2}
    healthy = instructions["healthy"]
    assert {n: count for n, count in instructions.items() if count > healthy + 200_000} == {}


def cli_of(directory: Path, origin: str) -> Cli:
    """The application in an empty home, with an endpoint that its code names.

    A host in the environment is ignored unless it is on loopback. The application collects no
    garbage: one collection more or less is five times what may differ.
    """
    source = "import gc\n\ngc.disable()\n" + instrumented(
        write_key="key", notice=False, host=origin
    )
    return Cli(directory / "acme.py", counting_home(directory / "home"), source)


def second_run(cli: Cli) -> int:
    """The instructions of the run after the first sender has ended."""
    wait_for_sender(cli.home)
    return instructions_of(run(cli, *COMMAND, tool=CACHEGRIND))


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
    """The process that I wait for opens no connection; another one does, after I have my prompt."""
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


@pytest.mark.extended
def test_the_foreground_makes_no_socket(recording: Cli, server: Server) -> None:
    """The same, as Python itself sees it, wherever there is no strace."""
    events = noted(recording, NOTE_AUDIT)
    assert [line for line in events if line.startswith("('socket.")] == []
    assert any(line.startswith("('os.posix_spawn'") for line in events) == (os.name == "posix")
    server.wait_for(2)


FOR_WHO_USES_THEM = ("._events", "._scrub")
"""Packages that an application which records nothing of its own never loads."""


@pytest.mark.parametrize("env", [{}, LOG, OFF], ids=["recording", "log", "off"])
def test_nothing_costly_is_imported(bare: Cli, recording: Cli, env: dict[str, str]) -> None:
    """A recorded command loads no TLS, no logging and no third party."""
    beyond = modules(recording, env=env) - modules(bare)
    assert [name for name in beyond if f"{name}.".startswith(COSTLY)] == []


@pytest.mark.extended
def test_a_recording_run_imports_these_of_pythons_modules_and_no_other(
    bare: Cli, recording: Cli, server: Server
) -> None:
    """All that a recorded command loads beyond its own modules is ours, and this short list."""
    without_us = modules(bare)
    beyond = modules(recording) - without_us
    assert {name for name in beyond if not is_ours(name)} == RECORDING_LIBRARY - without_us
    others = ("_sender", "_tools", "_commands", "_events", "_scrub", "testing")
    assert [
        name for name in beyond if name.startswith(tuple(f"click_telemetry.{o}" for o in others))
    ] == []
    server.wait_for(2)


@pytest.mark.parametrize("env", [{}, LOG, OFF], ids=["recording", "log", "off"])
def test_application_without_events_of_its_own_loads_nothing_for_them(
    recording: Cli, env: dict[str, str]
) -> None:
    """Flows, events, context, users, resources and the rest cost those who use them."""
    ours = {name.removeprefix("click_telemetry") for name in modules(recording, env=env)}
    assert [name for name in ours if name.startswith(FOR_WHO_USES_THEM)] == []


DECLARING = INSTRUMENTED.replace(
    "import click\n",
    "import click\nfrom typing import Literal\nfrom click_telemetry import Event, flow\n"
    'CREATE = flow("Application Create", steps=("one", "two"))\n'
    "class PlanChanged(Event):\n    plan: Literal['free', 'pro']\n",
    1,
)


@pytest.mark.extended
def test_who_declares_and_does_not_walk_loads_declarations_alone(
    make_cli: MakeCli, bare: Cli, server: Server
) -> None:
    """The other commands of an application with flows pay for what declares them."""
    cli = make_cli(DECLARING, "declaring.py")
    cli.environ["ACME_TELEMETRY_HOST"] = server.url
    package = "click_telemetry._events"
    declaring = (*("event", "flow_definition", "flow_plan", "schema", "scope", "state", "text"),)
    off = {name for name in modules(cli, env=OFF) if name.startswith(package)}
    assert off == {package, *(f"{package}.{name}" for name in declaring)}
    beyond = modules(cli) - modules(bare)
    assert [name for name in beyond if f"{name}.".startswith(COSTLY)] == []
    server.wait_for(2)


@pytest.mark.parametrize(
    ("line", "env"),
    [
        (COMMAND, OFF),
        (COMMAND, {"NO_ANALYTICS": "1"}),
        (COMMAND, {"ACME_NO_TELEMETRY": "1"}),
        (COMMAND, {"ACME_TELEMETRY": "0"}),
    ],
    ids=["DO_NOT_TRACK", "NO_ANALYTICS", "NO_TELEMETRY", "TELEMETRY"],
)
def test_a_run_that_is_off_imports_these_modules_and_no_other(
    bare: Cli, recording: Cli, line: tuple[str, ...], env: dict[str, str]
) -> None:
    """An opted-out run loads what finds the opt-out, and none of what would record."""
    without_us = modules(bare)
    beyond = modules(recording, *line, env=env) - without_us
    assert {name for name in beyond if not is_ours(name)} == OFF_LIBRARY - without_us
    ours = {name.removeprefix("click_telemetry") for name in beyond if is_ours(name)}
    assert ours == OPTED_OUT | ({"._tracebacks"} if sys.version_info < (3, 11) else set())


@pytest.mark.parametrize(("system", "asked"), [("linux", False), ("darwin", True)])
def test_platformdirs_is_asked_only_where_directories_are_not_plain(
    make_cli: MakeCli, system: str, asked: bool
) -> None:
    """On Linux no run waits 9 ms for platformdirs to be imported."""
    if sys.platform == "win32":
        pytest.skip("half of Python's library would take Windows for another system")
    cli = make_cli(f"import sys\nsys.platform = {system!r}\n{INSTRUMENTED}")
    assert ("platformdirs" in modules(cli, env=LOG)) == asked


OFF_CASES = [
    pytest.param(INSTRUMENTED, COMMAND, OFF, id="variable"),
    pytest.param(INSTRUMENTED, (*COMMAND, "--no-telemetry"), {}, id="flag"),
    pytest.param(INSTRUMENTED, COMMAND, LOG, id="log"),
    pytest.param(WITHOUT_KEY, COMMAND, {}, id="no write key"),
]


@needs_strace
@pytest.mark.parametrize(("source", "args", "env"), OFF_CASES)
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


@pytest.mark.sample(0)
@pytest.mark.parametrize(("source", "args", "env"), OFF_CASES)
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


def wait_for_sender(home: Home) -> None:
    """Return when the sender has released its lock."""
    lock = lock_of(home)
    wait_until(lambda: not is_alive(lock), 60)


def contents(home: Home) -> dict[str, tuple[int, bytes]]:
    """Every file below a home with its time and bytes; directories have their time alone."""
    paths = (home.path / name for name in home.files())
    return {str(path): (path.stat().st_mtime_ns, read(path)) for path in paths}


def read(path: Path) -> bytes:
    return b"" if path.is_dir() else path.read_bytes()
