"""Python processes with this library and little else, one or many; this process's descriptors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


_START = """
import sys
{preamble}
print("ready", flush=True)
sys.stdin.read()  # the end of the input starts the race
{source}
"""


def python(source: str, *args: str | Path) -> list[str]:
    """A command line that runs a source with this library on its path.

    Args:
        source: what it runs; `sys` is imported.
        *args: its `sys.argv[1:]`.
    """
    path = f"import sys; sys.path.insert(0, {str(REPOSITORY)!r})\n"
    return [sys.executable, "-S", "-c", path + source, *map(str, args)]


def environment(**variables: str) -> dict[str, str]:
    """An environment with nothing of the test run's own."""
    return {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **variables}


def open_descriptors() -> list[int]:
    """The numbers of this process's open descriptors."""
    found = []
    for number in range(256):
        try:
            os.fstat(number)
        except OSError:
            continue
        found.append(number)
    return found


def race(
    count: int, preamble: str, source: str, *args: str | Path, stderr: int | None = None
) -> list[str]:
    """Start many processes that do the same at the same moment, and return what each prints.

    Args:
        count: how many.
        preamble: what each runs before the start.
        source: what each runs then.
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
    printed = [racer.communicate(timeout=60)[0] for racer in racers]
    assert [racer.returncode for racer in racers] == [0] * count
    return printed
