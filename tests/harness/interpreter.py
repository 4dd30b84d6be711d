"""Python processes with this library and little else, and this process's descriptors."""

from __future__ import annotations

import os
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


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
