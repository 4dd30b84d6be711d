"""What telemetry costs a whole process, as the person at the keyboard feels it.

`python -m tests.benchmarks.whole_process` prints one table of one run. Every round runs each case
once, in an order of its own, and each case is compared with the bare application of its own round:
what changes slowly (heat, a neighbour) changes both. Timed is the foreground alone, from before it
is started until it has been waited for, with the CPU time that it used; its sender is detached.

Two situations: *on its own*, when each run finds nothing waiting and starts a sender, and each
round waits for the senders of the one before, by their locks; and *in a burst*, when one run
follows the other in the same home, so that most find a sender alive or, where a server fails, put
off.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import shutil
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

from .applications import BARE, COMMAND, INSTRUMENTED, UNRESOLVED, WITHOUT_KEY
from .endpoints import endpoints

OVER_MS = 3.0
RATIO = 1.08
OFF_MS = 0.5
"""The budgets of a recording process, both of them at once, and of one that is off."""
NOISE_MS = 1.0
"""Milliseconds by which a case may differ from the healthy one and still be the same."""

SCRIPTS = {
    "bare": BARE,
    "instrumented": INSTRUMENTED,
    "without_key": WITHOUT_KEY,
    "unresolved": UNRESOLVED,
}

Environment = dict[str, str]


class Cost(NamedTuple):
    """What a run cost, in milliseconds.

    Attributes:
        wall: from before its start until it was waited for.
        cpu: its user and system time.
    """

    wall: float
    cpu: float


class Case:
    """One way to run the application.

    Args:
        name: what the table calls it.
        script: a key of SCRIPTS.
        environ: what its environment has in addition to the ordinary.
        budget: `off`, `recording`, `healthy` (as fast as with a healthy server) or none.
    """

    def __init__(
        self, name: str, script: str, environ: Environment | None = None, budget: str = ""
    ) -> None:
        self.name = name
        self.script = script
        self.environ = environ or {}
        self.budget = budget


HEALTHY = "recording and handing off"


def cases(origins: Environment) -> list[Case]:
    """What is compared, the bare application first."""
    host = "ACME_TELEMETRY_HOST"
    return [
        Case("bare application", "bare"),
        Case("the bare one again: noise", "bare"),
        Case("off by DO_NOT_TRACK", "instrumented", {"DO_NOT_TRACK": "1"}, "off"),
        Case("no write key", "without_key"),
        Case("log", "instrumented", {"ACME_TELEMETRY": "log"}),
        Case(HEALTHY, "instrumented", {host: origins["healthy"]}, "recording"),
        Case("… server takes 300 ms", "instrumented", {host: origins["slow"]}, "healthy"),
        Case("… server refuses", "instrumented", {host: origins["refusing"]}, "healthy"),
        Case("… server never answers", "instrumented", {host: origins["silent"]}, "healthy"),
        Case("… name has no server", "unresolved", None, "healthy"),
    ]


class Stopwatch:
    """Runs cases in homes below one directory.

    Args:
        directory: an empty one.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._homes = 0
        self._null = os.open(os.devnull, os.O_RDWR)
        for name, source in SCRIPTS.items():
            (directory / f"{name}.py").write_text(source, encoding="utf-8")

    def new_home(self) -> Path:
        """An empty home."""
        self._homes += 1
        home = self._directory / f"home-{self._homes}"
        home.mkdir()
        return home

    def home_of_another_day(self, home: Path) -> Path:
        """A home with everything that a run keeps, and nothing that is queued or locked."""
        found = self.new_home()
        passing = shutil.ignore_patterns("*.facts", "lock", "not-before", "state.json")
        shutil.copytree(home, found, dirs_exist_ok=True, ignore=passing)
        return found

    def run(self, case: Case, home: Path) -> Cost:
        """Run a case once; what its foreground cost."""
        command = [sys.executable, str(self._directory / f"{case.script}.py"), *COMMAND]
        environ = {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", **case.environ}
        if "PYTHONPATH" in os.environ:
            environ["PYTHONPATH"] = os.environ["PYTHONPATH"]
        streams = [(os.POSIX_SPAWN_DUP2, self._null, number) for number in (0, 1, 2)]
        started = time.perf_counter()
        child = os.posix_spawn(sys.executable, command, environ, file_actions=streams)
        _, status, usage = os.wait4(child, 0)
        took = time.perf_counter() - started
        if status != 0:
            raise RuntimeError(f"{case.name}: status {status}")
        return Cost(took * 1000, (usage.ru_utime + usage.ru_stime) * 1000)

    def wait_for_senders(self) -> None:
        """Return when every sender has ended, as each does by itself."""
        import fcntl

        for lock in self._directory.glob("home-*/.local/state/*/telemetry/spool/*/lock"):
            with lock.open("rb") as held:
                fcntl.flock(held, fcntl.LOCK_EX)


def warm_up(watch: Stopwatch, compared: list[Case]) -> list[Path]:
    """Run each case twice in a home of its own: bytecode is cached, the anonymous ID made."""
    homes = [watch.new_home() for _ in compared]
    for case, home in [*zip(compared, homes, strict=True)] * 2:
        watch.run(case, home)
    return homes


def measure(
    watch: Stopwatch, compared: list[Case], homes: list[Path], rounds: int, *, burst: bool
) -> list[list[Cost]]:
    """Costs by case and round.

    Args:
        watch: runs them.
        compared: the cases.
        homes: a home for each.
        rounds: how often each is run.
        burst: whether rounds follow each other in the same homes. Otherwise each run gets a home
            of another day, and each round waits until the senders of the last one have ended.
    """
    found: list[list[Cost]] = [[] for _ in compared]
    for turn in range(rounds):
        ready = homes if burst else [watch.home_of_another_day(home) for home in homes]
        # Shuffled, not rotated: a case would always follow the same one, and find its caches warm.
        for index in random.Random(turn).sample(range(len(compared)), len(compared)):
            found[index].append(watch.run(compared[index], ready[index]))
        if not burst:
            watch.wait_for_senders()
            wait_until_idle()
    return found


def wait_until_idle(timeout: float = 30.0) -> None:
    """Let others finish their work first, for so many seconds; on Linux, where it is known."""
    until = time.monotonic() + timeout
    while Path("/proc/stat").exists() and time.monotonic() < until:
        idle, total = processor_time()
        time.sleep(0.25)
        idle_later, total_later = processor_time()
        if idle_later - idle > 0.9 * (total_later - total):
            return


def processor_time() -> tuple[int, int]:
    """Ticks that the processors have been idle, and all of them (proc(5))."""
    with open("/proc/stat", encoding="ascii") as stat:
        ticks = [int(field) for field in stat.readline().split()[1:]]
    return ticks[3] + ticks[4], sum(ticks)


def table(title: str, compared: list[Case], found: list[list[Cost]]) -> str:
    """One situation's rows; paired medians, so that columns need not add up exactly."""
    walls = [[cost.wall for cost in costs] for costs in found]
    bare = walls[0]
    healthy = walls[[case.name for case in compared].index(HEALTHY)]
    rows: list[tuple[str, ...]] = [
        (title, "median ms", "over bare", "quartiles", "ratio", "CPU ratio", "budget", "met?")
    ]
    for case, costs, times in zip(compared, found, walls, strict=True):
        cpu = median(a.cpu / b.cpu for a, b in zip(costs, found[0], strict=True))
        differences = [a - b for a, b in zip(times, bare, strict=True)]
        over = median(differences)
        ratio = median(a / b for a, b in zip(times, bare, strict=True))
        low, _, high = quantiles(differences, n=4)
        apart = median(a - b for a, b in zip(times, healthy, strict=True))
        budget, met = {
            "off": (f"≤ {OFF_MS} ms", over <= OFF_MS),
            "recording": (f"≤ {OVER_MS} ms, ≤ {RATIO}", over <= OVER_MS and ratio <= RATIO),
            "healthy": (f"healthy ± {NOISE_MS} ms ({apart:+.1f})", abs(apart) <= NOISE_MS),
            "": ("", True),
        }[case.budget]
        first = case is compared[0]
        rows.append(
            (
                f"  {case.name}",
                f"{median(times):.1f}",
                "" if first else f"{over:+.2f}",
                "" if first else f"{low:+.1f} … {high:+.1f}",
                "" if first else f"{ratio:.3f}",
                "" if first else f"{cpu:.3f}",
                budget,
                "" if not budget else "yes" if met else "MISSED",
            )
        )
    low, _, high = quantiles([a - b for a, b in zip(walls[1], bare, strict=True)], n=4)
    if high - low > 2 * OVER_MS:
        return f"{aligned(rows)}\n  too noisy to judge by: run it again on a quieter machine"
    return aligned(rows)


def aligned(rows: list[tuple[str, ...]]) -> str:
    """Columns as wide as they need to be: words to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if 0 < number < 6 else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=30, help="of each case (default: 30)")
    options = parser.parse_args()
    load = f"{os.getloadavg()[0]:.1f}"
    print(
        f"Python {platform.python_version()}, click {version('click')}, {platform.system()}, "
        f"{os.cpu_count()} cores, load {load} at the start; paired medians of {options.runs} runs"
    )
    with tempfile.TemporaryDirectory() as directory:
        watch = Stopwatch(Path(directory))
        with endpoints() as origins:
            compared = cases(origins)
            homes = warm_up(watch, compared)
            for title, burst in (("on its own", False), ("in a burst", True)):
                watch.wait_for_senders()  # of what was before
                found = measure(watch, compared, homes, options.runs, burst=burst)
                print(f"\n{table(title, compared, found)}", flush=True)
        print("\nwaiting for the last senders …", file=sys.stderr)
        watch.wait_for_senders()


if __name__ == "__main__":
    main()
