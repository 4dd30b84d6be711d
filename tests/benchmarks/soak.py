"""The command line of the soak tests: run one, print its table, list the promises that it broke."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ..harness.reconciliation import Reconciliation


def main(
    description: str | None, option: str, default: float, soak: Callable[..., Reconciliation]
) -> None:
    """Run and print; the exit status is 1 if a promise was broken.

    Args:
        description: what `--help` shows.
        option: how the extent is called, such as `--kills`.
        default: the extent, an int or a float.
        soak: called with an empty directory, the extent and the seed.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(option, type=type(default), default=default, dest="extent", metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        found = soak(Path(directory), given.extent, given.seed)
    print(found)
    print(f"seed {given.seed}, {time.monotonic() - began:.0f} s")
    for name, examples in found.problems.items():
        print(f"BROKEN: {name}: {examples[:5]}")
    sys.exit(1 if found.problems else 0)
