"""Kills commands and senders at random against a server that fails at random; prints the counts.

uv run python -m tests.benchmarks.loss [--kills 2000] [--seed 1]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from ..harness.loss import soak


def main() -> int:
    """Run, print the table; returns 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        found = soak(Path(directory), given.kills, given.seed)
    print(found)
    print(f"seed {given.seed}, {time.monotonic() - began:.0f} s")
    for name, examples in found.problems.items():
        print(f"BROKEN: {name}: {examples[:5]}")
    return 1 if found.problems else 0


if __name__ == "__main__":
    sys.exit(main())
