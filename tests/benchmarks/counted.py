"""What the library adds to a small application, counted rather than timed.

`python -m tests.benchmarks.counted` prints a row for each case. A count does not depend on how
busy the machine is; the limits are in `budgets`. Counted is the foreground process alone, in a
home where an earlier run has written what stays, and with the bytecode of every module cached:
without `.pyc` files a run compiles each module, which costs more than all that is counted here.
"""

from __future__ import annotations

import json
import marshal
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager, nullcontext
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, NamedTuple

from ..harness.processes import Cli, Home
from ..harness.senders import lock_of, wait_for_end
from ..harness.server import Server
from .applications import BARE, COMMAND, INSTRUMENTED, WITHOUT_KEY
from .budgets import BUDGETS, Counts

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterator

NO_COLLECTION = "import gc; gc.disable()\n"
"""Put in front of every application. Where the interpreter collects garbage by itself is chance:
one collection more, or one less, is 0.5 to 0.8 million instructions of any difference."""

VERSION_OPTION = ("@click.group()", "@click.group()\n@click.version_option('2.1.0')")

CACHEGRIND = (
    *("valgrind", "--tool=cachegrind", "--cache-sim=no"),
    f"--cachegrind-out-file={os.devnull}",
)

_CALL = re.compile(r"\w+\(")
_INSTRUCTIONS = re.compile(r"I\s+refs:\s+([\d,]+)")

_OBSERVER = """\
def observe():
    import atexit, builtins, json, os, sys

    counts = {"classes": 0, "calls": 0}
    build, package = builtins.__build_class__, os.environ["COUNTED_PACKAGE"]

    def is_ours(frame):
        return frame.f_code.co_filename.startswith(package)

    def build_class(*args, **keywords):
        counts["classes"] += is_ours(sys._getframe(1))
        return build(*args, **keywords)

    def profile(frame, event, argument):
        counts["calls"] += event == "call" and is_ours(frame)

    def write():
        sys.setprofile(None)
        with open(os.environ["COUNTED"], "w") as file:
            json.dump({**counts, "modules": sorted(sys.modules)}, file)

    atexit.register(write)
    builtins.__build_class__ = build_class
    sys.setprofile(profile)

observe()
"""
"""Put in front of an application: counts calls and classes, and lists the modules at exit."""


class Case(NamedTuple):
    """A command line of the application, with the library and without.

    Attributes:
        name: a key of BUDGETS.
        line: the arguments of both.
        option: an argument of the instrumented application alone.
        source: the instrumented application.
        environ: variables of the instrumented application alone.
        completes: whether the shell asks both for a completion.
        records: whether the instrumented application records.
        sender_runs: whether it finds a sender at work, and so does not start one.
    """

    name: str
    line: tuple[str, ...] = COMMAND
    option: tuple[str, ...] = ()
    source: str = INSTRUMENTED
    environ: tuple[tuple[str, str], ...] = ()
    completes: bool = False
    records: bool = False
    sender_runs: bool = False


CASES = (
    Case("opted out", environ=(("DO_NOT_TRACK", "1"),)),
    Case("--help", ("--help",)),
    Case("--version", ("--version",), source=INSTRUMENTED.replace(*VERSION_OPTION)),
    Case("completion", (), completes=True),
    Case("--no-telemetry", option=("--no-telemetry",)),
    Case("no write key", source=WITHOUT_KEY),
    Case("log", environ=(("ACME_TELEMETRY", "log"),)),
    Case("recorded, a sender runs", records=True, sender_runs=True),
    Case("recorded", records=True),
)

COMPLETION = {
    "_ACME_PY_COMPLETE": "bash_complete",
    "COMP_WORDS": "acme.py dep",
    "COMP_CWORD": "1",
}


@cache
def can_trace() -> bool:
    """Whether strace is installed, and permitted here."""
    if not shutil.which("strace"):
        return False
    tried = subprocess.run(["strace", "-o", os.devnull, "true"], check=False, capture_output=True)
    return tried.returncode == 0


@cache
def has_valgrind() -> bool:
    """Whether valgrind is installed."""
    return shutil.which("valgrind") is not None


class Observed(NamedTuple):
    """What an application notes about itself."""

    modules: frozenset[str]
    classes: int
    calls: int


class Bench:
    """Runs cases below one directory, each in a home of its own.

    Args:
        directory: an empty one.
        server: accepts what is recorded.
    """

    def __init__(self, directory: Path, server: Server) -> None:
        self._directory = directory
        self._server = server
        self._clis: dict[str, Cli] = {}
        self._bare_calls: dict[Cli, int] = {}
        self._bare_instructions: dict[Cli, int] = {}

    def count(self, case: Case) -> Counts:
        """All counts of a case; None where the tool for one is missing."""
        system_calls, file_calls = self.system_calls(case) if can_trace() else (None, None)
        return self.count_code(case)._replace(
            system_calls=system_calls,
            file_calls=file_calls,
            instructions=self.instructions(case) if has_valgrind() else None,
        )

    def count_code(self, case: Case) -> Counts:
        """The counts of a case that need no tool."""
        modules, classes, calls = self.observe(case)
        codes = [code_of(name) for name in modules]
        return Counts(
            modules=len(modules),
            bytecode=sum(len(marshal.dumps(code)) for code in codes),
            code_objects=sum(map(code_objects, codes)),
            classes=classes,
            calls=calls,
        )

    def observe(self, case: Case) -> Observed:
        """Our modules, the classes that they make and the calls of their functions."""
        cli = self._instrumented(case)
        noted = self._directory / "noted.json"
        source = cli.script.read_text(encoding="utf-8")
        try:
            cli.script.write_text(_OBSERVER + source, encoding="utf-8")
            environ = {"COUNTED": str(noted), "COUNTED_PACKAGE": str(package())}
            self._run(case, cli, environ=environ)
        finally:
            cli.script.write_text(source, encoding="utf-8")
        found = json.loads(noted.read_text(encoding="utf-8"))
        ours = {name for name in found["modules"] if name.partition(".")[0] == package().name}
        return Observed(frozenset(ours), found["classes"], found["calls"])

    def system_calls(self, case: Case) -> tuple[int, int]:
        """System calls over the bare application, and those on our files."""
        bare = self._bare(case)
        if bare not in self._bare_calls:
            self._bare_calls[bare] = len(self._trace(case, bare))
        cli = self._instrumented(case)
        calls = self._trace(case, cli)
        files = (str(cli.home.state()), str(cli.home.choice()))
        on_files = [call for call in calls if any(path in call for path in files)]
        return len(calls) - self._bare_calls[bare], len(on_files)

    def instructions(self, case: Case) -> float:
        """Millions of instructions over the bare application."""
        bare = self._bare(case)
        if bare not in self._bare_instructions:
            self._bare_instructions[bare] = self._instructions(case, bare)
        ours = self._instructions(case, self._instrumented(case))
        return (ours - self._bare_instructions[bare]) / 1e6

    def import_times(self, case: Case) -> dict[str, int]:
        """Microseconds of each module's own import, by `-X importtime`."""
        ran = self._run(case, self._instrumented(case), environ={"PYTHONPROFILEIMPORTTIME": "1"})
        lines = (line.removeprefix("import time:").split("|") for line in ran.stderr.splitlines())
        cells = (line for line in lines if len(line) == 3 and line[0].strip().isdigit())
        return {name.strip(): int(own) for own, _, name in cells}

    def _instructions(self, case: Case, cli: Cli) -> int:
        return instructions_of(self._run(case, cli, CACHEGRIND))

    def _trace(self, case: Case, cli: Cli) -> list[str]:
        log = self._directory / "trace"
        self._run(case, cli, ("strace", "-o", str(log), "-y", "-s", "0", "--"))
        return [line for line in log.read_text(encoding="utf-8").splitlines() if _CALL.match(line)]

    def _bare(self, case: Case) -> Cli:
        key = f"bare {case.line} {case.completes}"
        return self._clis.get(key) or self._make(
            key, case, BARE.replace(*VERSION_OPTION) if "--version" in case.line else BARE
        )

    def _instrumented(self, case: Case) -> Cli:
        return self._clis.get(case.name) or self._make(case.name, case, case.source)

    def _make(self, key: str, case: Case, source: str) -> Cli:
        """Write an application in an empty home, and run it until its bytecode is cached."""
        directory = self._directory / str(len(self._clis))
        cli = Cli(directory / "acme.py", counting_home(directory / "home"), NO_COLLECTION + source)
        if source == case.source:
            cli.environ = {"ACME_TELEMETRY_HOST": self._server.url, **dict(case.environ)}
        cli.environ |= COMPLETION if case.completes else {}
        self._clis[key] = cli
        for _ in range(2):
            self._run(case._replace(sender_runs=False), cli)
        return cli

    def _run(
        self,
        case: Case,
        cli: Cli,
        tool: tuple[str, ...] = (),
        environ: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run to the end of its sender, and check that it recorded what it should.

        An error that the library swallows makes every count smaller.
        """
        ours = cli is self._clis.get(case.name)
        before = len(self._server.events)
        line = (*case.line, *case.option) if ours else case.line
        with sender_lock(cli.home) if ours and case.sender_runs else nullcontext():
            ran = run(cli, *line, tool=tool, environ=environ)
            queue = cli.home.spooled()
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout, "no output"
        if not (ours and case.records):
            assert cli.home.files() == [], "recorded"
        elif case.sender_runs:
            assert len(queue) == 1, "not recorded"
            queue[0].unlink()
        else:
            wait_for_end(cli.home)
            assert len(self._server.events) == before + 2, "not recorded"
        return ran


@contextmanager
def sender_lock(home: Home) -> Iterator[None]:
    """Hold the lock of a home's sender, as a running sender does."""
    with lock_of(home).open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def counting_home(path: Path) -> Home:
    """An empty home with an environment that makes counts repeatable."""
    home = Home(path)
    del home.environ["PYTHONDONTWRITEBYTECODE"], home.environ["ACME_TELEMETRY_DELAY"]
    home.environ["PYTHONHASHSEED"] = "0"
    return home


def run(
    cli: Cli, *args: str, tool: tuple[str, ...] = (), environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run an application under a tool."""
    return subprocess.run(
        [*tool, *cli.command(*args)],
        env=cli.env(environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=cli.home.path,
        check=False,
    )


def instructions_of(ran: subprocess.CompletedProcess[str]) -> int:
    """The instructions of a process that ran under CACHEGRIND."""
    (found,) = _INSTRUCTIONS.findall(ran.stderr)
    return int(found.replace(",", ""))


@cache
def package() -> Path:
    """The directory of the library."""
    found = find_spec("click_telemetry")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent


def code_of(module: str) -> CodeType:
    """The code of one of our modules, as its `.pyc` holds it but for the machine's paths."""
    path = package().parent.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    name = file.relative_to(package().parent).as_posix()
    return compile(file.read_bytes(), name, "exec", dont_inherit=True)


def code_objects(code: CodeType) -> int:
    """How many code objects unmarshalling makes: functions, classes, comprehensions."""
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return 1 + sum(map(code_objects, inner))


def table(counted: dict[str, Counts]) -> str:
    """A row of counts for each case, and one of the numbers to reach where there are any."""
    rows: list[tuple[str, ...]] = [("", *Counts._fields)]
    for name, counts in counted.items():
        rows.append((name, *map(_cell, counts)))
        if any(budget is not None for budget in BUDGETS[name].design):
            rows.append(("  design", *map(_cell, BUDGETS[name].design)))
    return _aligned(rows)


def module_table(modules: frozenset[str], times: dict[str, int]) -> str:
    """A row for each module of ours: bytecode, code objects, and microseconds of its import."""
    rows: list[tuple[str, ...]] = [("module", "bytecode", "code_objects", "import µs")]
    for name in sorted(modules):
        code = code_of(name)
        numbers = (len(marshal.dumps(code)), code_objects(code), times.get(name, 0))
        rows.append((name, *map(str, numbers)))
    return _aligned(rows)


def _cell(number: float | None) -> str:
    return "" if number is None else f"{round(number, 1):,}"


def _aligned(rows: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def main() -> None:
    """Count, and print the tables."""
    print(
        f"Python {platform.python_version()}, click {version('click')}, {platform.system()}; "
        "over the bare application, instructions in millions\n"
    )
    server = Server()
    server.start()
    try:
        with tempfile.TemporaryDirectory() as directory:
            bench = Bench(Path(directory), server)
            print(table({case.name: bench.count(case) for case in CASES}))
            recorded = CASES[-1]
            times = bench.import_times(recorded)
            print(f"\n{module_table(bench.observe(recorded).modules, times)}")
    finally:
        server.stop()


if __name__ == "__main__":
    main()
