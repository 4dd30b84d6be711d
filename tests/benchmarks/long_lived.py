"""Kills REPLs, servers and senders at random for some time; prints what began and what arrived.

uv run python -m tests.benchmarks.long_lived [--seconds 60] [--seed 1]
"""

from __future__ import annotations

from ..harness.long_lived import long_lived
from .soak import main

if __name__ == "__main__":
    main(__doc__, "--seconds", 60.0, long_lived)
