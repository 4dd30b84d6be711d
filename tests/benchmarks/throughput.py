"""What draining a spool costs: seconds, requests and memory, as what waits grows tenfold.

`uv run python -m tests.benchmarks.throughput [--rounds 3] [--latency 0.0]` prints one table:
medians over the rounds, each round on spools of its own, with a server on loopback that answers at
once or after a latency. *Start* is a sender that finds one invocation, Python and the client's
import included; what the others cost beyond it is what draining itself costs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from ..harness.direct import Spool, message
from ..harness.server import Reply, Server

COUNTS = (1, 10, 100, 1_000, 4_000)
"""A thousand may wait; what has come together while nobody looked may be more."""
NOTES_PEAK = """\
import atexit
def note():
    with open("/proc/self/status") as status, open(FILE, "w") as file:
        file.write(status.read())
atexit.register(note)
"""
BASE: dict[str, Any] = {
    "version": "2.1.0",
    "os": "linux",
    "arch": "x86_64",
    "python_version": "3.13.0",
    "is_ci": False,
    "is_tty": True,
    "cli_context": "human",
    "in_container": False,
    "invocation_id": "ed43c1f4-7f1b-4bf4-b50a-53e6d79b1dc5",
    "flags": ["dry_run", "region"],
    "session_id": "a3bb189e-8bf9-4c6b-9b2c-2f8d8f0b6a55",
}


class Drained:
    """One spool that was drained."""

    def __init__(self, seconds: float, requests: int, peak_kb: int, size: int) -> None:
        self.seconds = seconds
        self.requests = requests
        self.peak_kb = peak_kb
        self.size = size


def drain(directory: Path, count: int, latency: float) -> Drained:
    """Drain so many invocations of two events each."""
    server = Server()
    server.reply = Reply(delay=latency)
    server.start()
    try:
        spool = Spool(directory / "spool", server.url)
        for _ in range(count):
            begun = message("Command Invoked", **BASE)
            run = begun["properties"]["run_id"]
            ended = message("Command Completed", 2, run, exit_code=0, duration_ms=13, **BASE)
            spool.put([begun, ended])
        size = sum(path.stat().st_size for path in spool.path.glob("*.jsonl"))
        peak = directory / "peak"
        began = time.perf_counter()
        status = spool.send(before=NOTES_PEAK.replace("FILE", repr(str(peak))))
        seconds = time.perf_counter() - began
        assert (status, spool.names, len(server.messages)) == (0, [], 2 * count)
        (most,) = [line for line in peak.read_text().splitlines() if line.startswith("VmHWM")]
        return Drained(seconds, len(server.requests), int(most.split()[1]), size)
    finally:
        server.stop()


def main() -> int:
    """Print the table; 1 where draining grows faster than what is drained."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latency", type=float, default=0.0, help="of the server, in seconds")
    given = parser.parse_args()
    found: dict[int, list[Drained]] = {count: [] for count in COUNTS}
    for _ in range(given.rounds):
        for count in COUNTS:
            with tempfile.TemporaryDirectory() as directory:
                found[count].append(drain(Path(directory), count, given.latency))
    start = median(one.seconds for one in found[1])
    print("invocations     kB  requests  seconds  beyond start  per invocation  peak MB")
    beyond: dict[int, float] = {}
    for count, many in found.items():
        seconds = median(one.seconds for one in many)
        beyond[count] = seconds - start
        print(
            f"{count:>11,}{many[0].size / 1000:>7,.0f}{many[0].requests:>10}{seconds:>9.2f}"
            f"{beyond[count]:>12.2f} s{beyond[count] / count * 1e6:>13,.0f} µs"
            f"{median(one.peak_kb for one in many) / 1000:>9.1f}"
        )
    factor = beyond[4_000] / beyond[1_000]  # fewer are lost in the noise of a start
    print(f"from 1,000 to 4,000: {factor:.1f} times as long")
    return 0 if factor < 6 else 1


if __name__ == "__main__":
    sys.exit(main())
