"""Kills REPLs, servers and senders at random for some time; prints what began and what arrived.

uv run python -m tests.benchmarks.long_lived [--seconds 60] [--seed 1]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from ..harness.long_lived import long_lived


def main() -> int:
    """Run, print the table; returns 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        found = long_lived(Path(directory), given.seconds, given.seed)
    print(found)
    print(f"seed {given.seed}, {time.monotonic() - began:.0f} s")
    for name, examples in found.problems.items():
        print(f"BROKEN: {name}: {examples[:5]}")
    return 1 if found.problems else 0


if __name__ == "__main__":
    sys.exit(main())
