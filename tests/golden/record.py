"""Record every demo session and scenario command line again: `python -m tests.golden.record`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from ..harness.processes import Home
from . import recorded


def main(names: list[str]) -> None:
    """Record these, or all; a recording of all replaces every file."""
    every = [*recorded.recorded_sessions(), *recorded.recorded_lines()]
    recorded.DIRECTORY.mkdir(exist_ok=True)
    if not names:
        for path in recorded.DIRECTORY.glob("*.json"):
            path.unlink()
    for name in names or every:
        with tempfile.TemporaryDirectory() as directory:
            recorded.write(name, recorded.messages_of(name, Home(Path(directory) / "home")))
        sys.stdout.write(f"{name}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
