"""Many processes that do the same thing at the same moment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from .processes import REPOSITORY

_START = """
import sys
{preamble}
print("ready", flush=True)
sys.stdin.read()  # the end of the input is the start of the race
{source}
"""


def python(source: str, *args: str | Path) -> list[str]:
    """A command line that runs a source with this library at hand, and little else."""
    found = f"import sys; sys.path.insert(0, {str(REPOSITORY)!r})\n"
    return [sys.executable, "-S", "-c", found + source, *map(str, args)]


def environment(**variables: str) -> dict[str, str]:
    """An environment with nothing of the test run's own."""
    return {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **variables}


def race(
    count: int, preamble: str, source: str, *args: str | Path, stderr: int | None = None
) -> list[str]:
    """What each of many processes prints that begin at once.

    Args:
        count: how many.
        preamble: what each does before the start.
        source: what each does then.
        *args: its `sys.argv[1:]`.
        stderr: where its stderr goes; to the test's own by default.
    """
    reading, writing = os.pipe()
    racers = [
        subprocess.Popen(
            python(_START.format(preamble=preamble, source=source), *args),
            stdin=reading,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=environment(),
            text=True,
        )
        for _ in range(count)
    ]
    os.close(reading)
    try:
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == "ready\n"
    finally:
        os.close(writing)
    said = [racer.communicate(timeout=60)[0] for racer in racers]
    assert [racer.returncode for racer in racers] == [0] * count
    return said
