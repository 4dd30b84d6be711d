"""The test suite of another project, from its sdist, in a virtual environment of its own.

Gets it and runs it; the tests decide which outcomes are right.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import click_telemetry

from ...harness.processes import Home

HERE = Path(__file__).parent
NEWEST = "newest"


class Project(NamedTuple):
    """A project, and what its suite needs.

    Attributes:
        name: the distribution.
        version: one of its versions, or NEWEST.
        also: requirements of the suite itself.
        arguments: arguments of its pytest, in addition to those of every suite.
        stand_in: a module to serve as the `conftest.py` that the sdist leaves out.
    """

    name: str
    version: str
    also: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    stand_in: Path | None = None

    @property
    def requirements(self) -> list[str]:
        pinned = self.name if self.version == NEWEST else f"{self.name}=={self.version}"
        return [pinned, *self.also]


class Mode(NamedTuple):
    """How a suite is run: with an empty `flag` without us; `broken` is a deliberate mistake."""

    flag: str = ""
    broken: str = ""


BARE = Mode()
LEFT_OUT = Mode("left-out")
HIDDEN = Mode("hidden")
SHOWN = Mode("shown")


class Outcome(NamedTuple):
    """One test's end: `kind` is passed, failure, error or skipped; `text` is the reason."""

    file: str
    test: str
    kind: str
    text: str

    def __repr__(self) -> str:
        return f"{self.file}::{self.test} {self.kind}\n{self.text}"


class Run(NamedTuple):
    """What a run of the suite gave.

    Attributes:
        outcomes: of all tests, by their names.
        paired: how many runs of a leaf gave one Invoked and one Completed.
        unpaired: how many gave anything else.
    """

    outcomes: dict[str, Outcome]
    paired: int
    unpaired: int

    @property
    def passed(self) -> int:
        """How many tests passed."""
        return sum(outcome.kind == "passed" for outcome in self.outcomes.values())

    def unlike(self, other: Run) -> list[Outcome]:
        """The tests that ended otherwise here than there, or that only one of them has."""
        found = []
        for name in sorted({*self.outcomes, *other.outcomes}):
            here = self.outcomes.get(name) or other.outcomes[name]._replace(kind="absent")
            there = other.outcomes.get(name)
            if there is None or here.kind != there.kind:
                found.append(here)
        return found


class Suite:
    """A project's suite, ready to be run; each mode is run once and remembered.

    Args:
        project: the suite's.
        cache: where environments and sdists are kept; other processes may use it too.
        scratch: a directory for this object alone.
    """

    def __init__(self, project: Project, cache: Path, scratch: Path) -> None:
        self.project = project
        self.version, self._python, sdist = _prepared(project, cache)
        self._scratch = scratch
        self._runs: dict[Mode, Run] = {}
        with tarfile.open(sdist) as archive:
            archive.extractall(scratch / "sdist", filter="data")
        (self._directory,) = (scratch / "sdist").iterdir()
        conftest = self._directory / "tests" / "conftest.py"
        if project.stand_in is not None and not conftest.exists():
            shutil.copy(project.stand_in, conftest)
        self._ours = scratch / "ours"
        package = Path(click_telemetry.__file__).parent
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(package, self._ours / package.name, ignore=ignored)
        shutil.copy(HERE / "every_command.py", self._ours)

    def run(self, mode: Mode) -> Run:
        """Run the suite, in an environment without any variable of telemetry."""
        if mode not in self._runs:
            self._runs[mode] = self._run(mode)
        return self._runs[mode]

    def _run(self, mode: Mode) -> Run:
        junit, report = self._scratch / "junit.xml", self._scratch / "report.json"
        report.unlink(missing_ok=True)
        home = Home(self._scratch / "home")
        temporary = self._scratch / "temporary"  # some tests write to fixed names in it
        temporary.mkdir(exist_ok=True)
        command = [str(self._python), "-m", "pytest", "-vv", "-p", "no:cacheprovider"]
        command += ["-o", "junit_family=xunit1", f"--junit-xml={junit}"]
        command += [f"--basetemp={temporary / 'pytest'}"]
        environ = {**home.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))}
        if mode != BARE:
            environ["PYTHONPATH"] = str(self._ours)
            command += ["-p", "every_command", f"--telemetry-report={report}"]
            command += [f"--telemetry-flag={mode.flag}", f"--telemetry-break={mode.broken}"]
        done = subprocess.run(
            [*command, *self.project.arguments],
            cwd=self._directory,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=900,
            check=False,
        )
        if done.returncode not in (0, 1):
            raise AssertionError(
                f"the suite of {self.project.name} {self.version} could not be run: "
                f"pytest ended with {done.returncode}\n{done.stdout[-8000:]}"
            )
        counts = json.loads(report.read_text(encoding="utf-8")) if mode != BARE else {}
        return Run(_outcomes(junit), counts.get("paired", 0), counts.get("unpaired", 0))


def _outcomes(junit: Path) -> dict[str, Outcome]:
    found: dict[str, Outcome] = {}
    for case in ElementTree.parse(junit).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        ends = [end for end in case if end.tag in ("failure", "error", "skipped")]
        assert name not in found, f"two tests are called {name}"
        found[name] = Outcome(
            case.get("file", "").replace("\\", "/"),
            case.get("name", ""),
            ends[0].tag if ends else "passed",
            "\n".join(end.text or "" for end in ends),
        )
    return found


def _prepared(project: Project, cache: Path) -> tuple[str, Path, Path]:
    """Version, interpreter and sdist, got from the package index where the cache lacks them."""
    cache.mkdir(parents=True, exist_ok=True)
    lock = _uv(
        ["pip", "compile", "--no-header", "--no-annotate", "--python", sys.executable, "-"],
        cache,
        lines=[*project.requirements, "pip", "platformdirs"],
    )
    pins = dict(line.split("==", 1) for line in lock.split() if "==" in line)
    version = pins[project.name]
    python = f"{sys.implementation.cache_tag}-{platform.python_version()}"
    key = hashlib.sha256(lock.encode()).hexdigest()[:8]
    place = cache / f"{project.name}-{version}-{python}-{key}"
    interpreter = place / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    ready = place / "ready"
    with _held(cache / "lock"):
        if not ready.exists():
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            (place / "lock.txt").write_text(lock, encoding="utf-8")
            _uv(["venv", "--python", sys.executable, "venv"], place)
            install = ["pip", "install", "--compile-bytecode", "--python", "venv"]
            _uv([*install, "-r", "lock.txt"], place)
            wanted = f"{project.name}=={version}"
            download = [str(interpreter), "-m", "pip", "download", "--no-deps", "--dest", "sdist"]
            _out([*download, "--no-binary", project.name, wanted], place)
            ready.touch()
    (sdist,) = (place / "sdist").iterdir()
    return version, interpreter, sdist


def _uv(arguments: list[str], directory: Path, lines: Iterable[str] = ()) -> str:
    uv = shutil.which("uv")
    assert uv, "the suites of other projects need uv on PATH; it creates their environments"
    return _out([uv, "--quiet", *arguments], directory, "\n".join(lines))


def _out(command: list[str], directory: Path, content: str = "") -> str:
    done = subprocess.run(
        command,
        cwd=directory,
        input=content,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{content}\n{done.stderr}"
    return done.stdout


@contextmanager
def _held(lock: Path) -> Iterator[None]:
    """Let one process at a time prepare; the kernel lets go for one that dies."""
    with lock.open("a") as file:
        if sys.platform == "win32":
            import msvcrt

            while True:
                try:
                    msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
                    break
                except OSError:
                    continue  # it gives up after 10 s
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield
