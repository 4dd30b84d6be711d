"""What a person waits for with inline delivery and a healthy server, and what is delivered by then.

`uv run python -m tests.benchmarks.inline` runs the bare application and the instrumented one in
turn, for commands that take some time and for one that takes none; each run has a fresh home, as
in CI. The wait is the difference within a round. `--busy 4` lets four processes compete for the
cores; `--against CHECKOUT` runs another checkout of this repository in the same rounds.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

from .applications import BARE, COMMAND, instrumented
from .endpoints import endpoints

BODY = 'def deploy(dry_run): click.echo("deployed")'
"""In `BARE`."""


class Program(NamedTuple):
    """An application whose command takes some time.

    Attributes:
        name: for the table.
        path: of the script.
        work: seconds that its command waits, as for a network of its own.
        checkout: the repository whose library it imports; None for the installed one.
    """

    name: str
    path: Path
    work: float
    checkout: str | None = None


class Result(NamedTuple):
    """A run.

    Attributes:
        took: milliseconds.
        delivered: whether nothing was queued at its end.
    """

    took: float
    delivered: bool


def programs(
    directory: Path, works: list[float], against: str | None, **options: object
) -> list[Program]:
    """The applications, for each time that a command may take."""
    inline = instrumented(write_key="key", notice=False, delivery="inline", **options)
    sources: list[tuple[str, str, str | None]]
    sources = [("bare", BARE, None), ("inline", inline, None)]
    if against is not None:
        sources.append(("inline, other checkout", inline, against))
    found: list[Program] = []
    for work in works:
        for name, source, checkout in sources:
            path = directory / f"app-{len(found)}.py"
            slow = BODY.replace("click.echo", f"__import__('time').sleep({work}); click.echo")
            path.write_text(source.replace(BODY, slow), encoding="utf-8")
            found.append(Program(name, path, work, checkout))
    return found


def run(program: Program, home: Path, origin: str) -> Result:
    """Run a program to its end."""
    home.mkdir()
    environ = {"HOME": str(home), "PATH": os.environ["PATH"], "ACME_TELEMETRY_HOST": origin}
    if program.checkout is not None:
        environ["PYTHONPATH"] = program.checkout
    command = [sys.executable, str(program.path), *COMMAND]
    started = time.perf_counter()
    subprocess.run(
        command, env=environ, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    took = (time.perf_counter() - started) * 1000
    return Result(took, not list(home.glob(".local/state/acme/telemetry/spool/*/*.facts")))


def table(found: list[Program], results: dict[Program, list[Result]]) -> str:
    """Markdown: what each program took longer than the bare one of its round."""
    lines = ["| | command takes | wait, median | 90 % within | delivered |", "|---" * 5 + "|"]
    for program in found:
        if program.name == "bare":
            bare = [result.took for result in results[program]]
            continue
        runs = results[program]
        waits = [result.took - other for result, other in zip(runs, bare, strict=True)]
        delivered = sum(result.delivered for result in runs)
        lines.append(
            f"| {program.name} | {program.work * 1000:.0f} ms | {median(waits):.0f} ms "
            f"| {quantiles(waits, n=10)[-1]:.0f} ms | {delivered} of {len(runs)} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=30, help="of each program (default: 30)")
    parser.add_argument("--busy", type=int, default=0, help="processes that compete for the cores")
    parser.add_argument("--against", help="another checkout of this repository")
    parser.add_argument(
        "--work", type=float, nargs="+", default=[0, 0.5], help="seconds (default: 0 0.5)"
    )
    parser.add_argument("--timeout", type=float, help="flush_timeout (default: the library's)")
    options = parser.parse_args()
    declared = {} if options.timeout is None else {"flush_timeout": options.timeout}
    print(
        f"Python {platform.python_version()}, {platform.system()}, {os.cpu_count()} cores, load "
        f"{os.getloadavg()[0]:.1f} at the start, {options.busy} busy processes; "
        f"{options.runs} paired runs"
    )
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        origin = stack.enter_context(endpoints())["healthy"]
        found = programs(directory, options.work, options.against, **declared)
        for number, program in enumerate(found):
            run(program, directory / f"warm-{number}", origin)  # bytecode is cached
        for _ in range(options.busy):
            busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            stack.callback(busy.wait)
            stack.callback(busy.kill)
        results: dict[Program, list[Result]] = {program: [] for program in found}
        for turn in range(options.runs):
            for number, program in enumerate(random.Random(turn).sample(found, len(found))):
                home = directory / f"home-{turn}-{number}"
                results[program].append(run(program, home, origin))
        print(f"\n{table(found, results)}")


if __name__ == "__main__":
    main()
