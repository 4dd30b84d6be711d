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
    description: str | None,
    option: str,
    default: float,
    soak: Callable[..., Reconciliation],
    *switches: str,
) -> None:
    """Run and print; the exit status is 1 if a promise was broken.

    Args:
        description: what `--help` shows.
        option: how the extent is called, such as `--kills`.
        default: the extent, an int or a float.
        soak: called with an empty directory, the extent, the seed, and each switch as a keyword.
        switches: such as `--breaks-off`.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(option, type=type(default), default=default, dest="extent", metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    for switch in switches:
        parser.add_argument(switch, action="store_true")
    given = parser.parse_args()
    names = [switch.lstrip("-").replace("-", "_") for switch in switches]
    switched = {name: getattr(given, name) for name in names}
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        found = soak(Path(directory), given.extent, given.seed, **switched)
    print(found)
    print(f"seed {given.seed}, {time.monotonic() - began:.0f} s")
    for name, examples in found.problems.items():
        print(f"BROKEN: {name}: {examples[:5]}")
    sys.exit(1 if found.problems else 0)
