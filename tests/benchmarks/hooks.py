"""What the hooks cost a command, warm, in microseconds: `python -m tests.benchmarks.hooks`.

One process, interleaved, medians: the same tree bare, opted out by a variable, and recorded by a
client that keeps nothing; and a group of 1,000 lazily made commands, which must cost the same.
"""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

import click

from click_telemetry import instrument

ROUNDS = 2000


class NullClient:
    """Takes every message and does nothing with it."""

    test_double = True

    def record(self, message: dict[str, Any], /) -> None:
        """Forget it."""

    def close(self) -> None:
        """Nothing was kept."""


NAMES = [f"command-{n}" for n in range(1000)]


class Lazy(click.Group):
    """Makes each command when it is asked for it."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One of the 1,000."""
        return click.Command(cmd_name, callback=lambda: None)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All of them, known beforehand as lazy groups know them."""
        return NAMES


def small() -> click.Group:
    """A group with one command and one option."""
    option = click.Option(["--dry-run"], is_flag=True)
    command = click.Command("go", params=[option], callback=lambda dry_run: None)
    return click.Group("cli", commands={"go": command})


def timed(group: click.Group, line: list[str], environ: dict[str, str]) -> int:
    """Nanoseconds of one command line."""
    os.environ.update(environ)
    began = perf_counter_ns()
    group.main(line, standalone_mode=False)
    took = perf_counter_ns() - began
    for name in environ:
        del os.environ[name]
    return took


def main() -> None:
    """Print the table."""
    trees: tuple[tuple[str, Callable[[], click.Group], list[str]], ...] = (
        ("one command", small, ["go", "--dry-run"]),
        ("1,000 lazy commands", lambda: Lazy("cli"), ["command-7"]),
    )
    print(f"{ROUNDS} rounds, Python {sys.version.split()[0]}, medians in microseconds\n")
    print(f"{'tree':<22}{'bare':>8}{'off':>10}{'recorded':>12}{'off +':>10}{'recorded +':>14}")
    for name, make, line in trees:
        cases: tuple[tuple[click.Group, dict[str, str]], ...] = (
            (make(), {}),
            (instrument(make(), app="acme", client=NullClient()), {"ACME_NO_TELEMETRY": "1"}),
            (instrument(make(), app="acme", client=NullClient()), {}),
        )
        times: list[list[int]] = [[] for _ in cases]
        for _ in range(ROUNDS):
            for case, (group, environ) in enumerate(cases):
                times[case].append(timed(group, line, environ))
        bare, off, kept = (statistics.median(found) / 1000 for found in times)
        more = f"{off - bare:>10.1f}{kept - bare:>14.1f}"
        print(f"{name:<22}{bare:>8.1f}{off:>10.1f}{kept:>12.1f}{more}")


if __name__ == "__main__":
    main()
