"""How long a person waits when the endpoint does not do its part: ours and what is usual.

`uv run --group benchmark python -m tests.benchmarks.latency` prints one table of one run. Every
round runs every cell once, in an order of its own, and each is compared with the bare application
of its own round. A run is ended after a while; a cell that takes so long is tried a few times only,
and is marked.

For a dead DNS the whole benchmark runs, where it may (root on Linux), with a resolver on loopback
that takes every question and answers none; elsewhere the column is marked as not measured.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from .applications import BARE, COMMAND
from .competitors import (
    FROZEN,
    HOST,
    INLINE,
    OPENTELEMETRY,
    OURS,
    POSTHOG,
    SEGMENT,
    TO_FILE,
    TO_OPENTELEMETRY,
    TO_POSTHOG,
    TO_WEBHOOK,
)
from .endpoints import endpoints
from .whole_process import wait_until_idle

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST = 15.0
"""Seconds that a process may take."""
SLOW = 5.0
"""Seconds; a cell that takes longer is run in FEW rounds only."""
FEW = 3

UNRESOLVED = "https://events.invalid"
"""A name that no server ever has (RFC 6761)."""
DEAD_RESOLVER = "CLICK_TELEMETRY_BENCHMARK_RESOLVER"

COLUMNS = {
    "healthy": "healthy",
    "slow": "takes 300 ms",
    "refusing": "refuses",
    "silent": "never answers",
    "unresolved": "dead DNS",
}
ROWS = {
    "bare": ("bare application", BARE, ""),
    "ours": ("click_telemetry", OURS, ""),
    "inline": ("click_telemetry, delivery inline", INLINE, ""),
    "frozen": ("click_telemetry, frozen", FROZEN, ""),
    "to-posthog": ("click_telemetry, to PostHog", TO_POSTHOG, ""),
    "to-opentelemetry": ("click_telemetry, to OpenTelemetry", TO_OPENTELEMETRY, ""),
    "to-webhook": ("click_telemetry, to a webhook", TO_WEBHOOK, ""),
    "to-file": ("click_telemetry, to a file", TO_FILE, ""),
    "segment": (
        "segment-analytics-python, track twice and shutdown()",
        SEGMENT,
        "segment-analytics-python",
    ),
    "posthog": ("posthog, capture twice and shutdown()", POSTHOG, "posthog"),
    "opentelemetry": (
        "OpenTelemetry's Click instrumentation, OTLP/HTTP",
        OPENTELEMETRY,
        "opentelemetry-instrumentation-click",
    ),
}
DISTRIBUTIONS = [distribution for _, _, distribution in ROWS.values() if distribution]


class Cell:
    """One program against one endpoint, and what it took.

    Attributes:
        times: milliseconds, by round; a run that was ended is the longest time there is.
    """

    def __init__(self, row: str, column: str, origin: str) -> None:
        self.row = row
        self.column = column
        self.origin = origin
        self.times: dict[int, float] = {}

    @property
    def slow(self) -> bool:
        """Whether it has been seen to take long."""
        return any(took > SLOW * 1000 for took in self.times.values())

    def text(self, bare: dict[int, float]) -> str:
        """Median, and the median ratio to the bare application of the same rounds."""
        if not self.times:
            return "not measured"
        if median(self.times.values()) >= LONGEST * 1000:
            return f"> {LONGEST:g} s (n={len(self.times)})"
        ratio = median(took / bare[turn] for turn, took in self.times.items())
        middle = median(self.times.values())
        shown = f"{middle:.0f} ms" if middle < 1000 else f"{middle / 1000:.1f} s"
        few = "" if len(self.times) >= len(bare) else f" (n={len(self.times)})"
        return f"{shown}, x{ratio:.2f}{few}"


class Runner:
    """Runs programs in homes below a directory.

    Args:
        directory: an empty one.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._homes = 0
        for name, (_, source, _) in ROWS.items():
            (directory / f"app-{name}.py").write_text(source, encoding="utf-8")
            # A host from the environment counts on loopback alone; this one stands in the code.
            named = source.replace("write_key='key'", f"write_key='key', host={UNRESOLVED!r}")
            named = named.replace(HOST, UNRESOLVED)
            (directory / f"app-{name}-unresolved.py").write_text(named, encoding="utf-8")

    def run(self, cell: Cell) -> float:
        """The milliseconds that a person waits; each run is the first after a quiet time."""
        script = cell.row + ("-unresolved" if cell.column == "unresolved" else "")
        environ = {
            "HOME": str(self._home()),
            "PATH": os.environ["PATH"],
            "ENDPOINT": cell.origin,
            "ACME_TELEMETRY_HOST": cell.origin,
        }
        if "PYTHONPATH" in os.environ:
            environ["PYTHONPATH"] = os.environ["PYTHONPATH"]
        command = [sys.executable, str(self._directory / f"app-{script}.py"), *COMMAND]
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        # Not `wait(LONGEST)`: with a timeout it looks every so often, at last each 50 ms.
        too_late = threading.Timer(LONGEST, os.killpg, (process.pid, signal.SIGKILL))
        too_late.start()
        process.wait()
        took = (time.perf_counter() - started) * 1000
        too_late.cancel()
        if took >= LONGEST * 1000:
            return LONGEST * 1000
        if process.returncode != 0:
            raise RuntimeError(f"{cell.row} against {cell.column}: status {process.returncode}")
        return took

    def _home(self) -> Path:
        """An empty home: nothing waits in it, and no sender is alive."""
        self._homes += 1
        home = self._directory / f"home-{self._homes}"
        home.mkdir()
        return home

    def wait_for_senders(self) -> None:
        """Return when every sender has ended, as each does by itself."""
        import fcntl

        for lock in self._directory.glob("home-*/.local/state/*/telemetry/spool/*/lock"):
            with lock.open("rb") as held:
                fcntl.flock(held, fcntl.LOCK_EX)


def measure(runner: Runner, cells: list[Cell], rounds: int, pause: float) -> None:
    """Run every cell once a round; after each our senders may finish their work."""
    for cell in cells:
        if cell.column == "healthy":
            runner.run(cell)  # bytecode is cached
    for turn in range(rounds):
        ready = [cell for cell in cells if turn < FEW or not cell.slow]
        for cell in random.Random(turn).sample(ready, len(ready)):
            cell.times[turn] = runner.run(cell)
        print(f"round {turn + 1} of {rounds}, {len(ready)} cells", file=sys.stderr, flush=True)
        time.sleep(pause)
        wait_until_idle(1.0)


def table(cells: list[Cell]) -> str:
    """Markdown: a row for a program, a column for an endpoint."""
    bare = next(cell for cell in cells if cell.row == "bare").times
    lines = ["| | " + " | ".join(COLUMNS.values()) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for row, (name, _, _) in ROWS.items():
        found = {cell.column: cell for cell in cells if cell.row == row}
        if row == "bare":
            lines.append(f"| {name} | {median(bare.values()):.0f} ms |" + " |" * (len(COLUMNS) - 1))
            continue
        texts = [found[c].text(bare) if c in found else "not measured" for c in COLUMNS]
        if found:
            lines.append(f"| {name} | " + " | ".join(texts) + " |")
    return "\n".join(lines)


@contextmanager
def dead_resolver() -> Iterator[None]:
    """A resolver on loopback that answers no query, in place of the system's."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as resolver,
        tempfile.NamedTemporaryFile("w", suffix=".conf") as file,
    ):
        resolver.bind(("127.0.0.1", 53))
        file.write("nameserver 127.0.0.1\n")
        file.flush()
        subprocess.run(["mount", "--bind", file.name, "/etc/resolv.conf"], check=True)
        try:
            yield
        finally:
            subprocess.run(["umount", "/etc/resolv.conf"], check=True)


def can_have_a_dead_resolver() -> bool:
    """Whether a mount namespace of our own may be made here."""
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    return tried.returncode == 0


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=30, help="of each cell (default: 30)")
    parser.add_argument(
        "--pause", type=float, default=1.5, help="seconds between rounds (default: 1.5)"
    )
    parser.add_argument(
        "--rows", nargs="+", choices=[*ROWS], default=[*ROWS], help="all by default"
    )
    options = parser.parse_args()
    for distribution in DISTRIBUTIONS:
        try:
            version(distribution)
        except PackageNotFoundError:
            raise SystemExit(f"{distribution} is missing: uv run --group benchmark …") from None
    if DEAD_RESOLVER not in os.environ and can_have_a_dead_resolver():
        module = [sys.executable, "-m", "tests.benchmarks.latency", *sys.argv[1:]]
        os.environ[DEAD_RESOLVER] = "1"
        os.execvp("unshare", ["unshare", "--mount", *module])
    if os.environ.pop(DEAD_RESOLVER, None) is None:
        run(options.rows, options.runs, options.pause, with_dns=False)
        return
    with dead_resolver():
        run(options.rows, options.runs, options.pause, with_dns=True)


def run(rows: list[str], rounds: int, pause: float, *, with_dns: bool) -> None:
    """Measure, and print the table."""
    names = ("click", *DISTRIBUTIONS)
    print(
        f"Python {platform.python_version()}, {platform.system()}, {os.cpu_count()} cores, load "
        f"{os.getloadavg()[0]:.1f} at the start; paired medians of {rounds} runs; "
        + ", ".join(f"{name} {version(name)}" for name in names)
    )
    with tempfile.TemporaryDirectory() as directory, endpoints() as origins:
        origins = {name: origins[name] for name in COLUMNS if name in origins}
        if with_dns:
            origins["unresolved"] = UNRESOLVED
        cells = [Cell("bare", "healthy", origins["healthy"])]
        cells += [
            Cell(row, column, origin)
            for row in rows
            for column, origin in origins.items()
            if row != "bare"
        ]
        runner = Runner(Path(directory))
        measure(runner, cells, rounds, pause)
        print(f"\n{table(cells)}\n", flush=True)
        ours = {cell.column: cell.times for cell in cells if cell.row == "ours"}
        for column, times in ours.items() if "ours" in rows else ():
            apart = median(times[turn] - ours["healthy"][turn] for turn in times)
            print(f"click_telemetry, {COLUMNS[column]}: {apart:+.1f} ms from healthy")
        runner.wait_for_senders()


if __name__ == "__main__":
    main()
