"""Kills commands and senders at random against a server that fails at random; prints the counts.

uv run python -m tests.benchmarks.loss [--kills 2000] [--seed 1] [--breaks-off]

With `--breaks-off` the server may also end its response within the headers or the body.
"""

from __future__ import annotations

from ..harness.loss import soak
from .soak import main

if __name__ == "__main__":
    main(__doc__, "--kills", 2000, soak, "--breaks-off")
