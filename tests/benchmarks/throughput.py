"""Measures what draining a queue costs: seconds, requests and memory, as the queue grows tenfold.

`uv run python -m tests.benchmarks.throughput [--rounds 3] [--latency 0.0]` prints one table:
medians over the rounds, each round with new queues, and a server on loopback that answers at once
or after a latency. *Start* is a sender that finds one invocation, the start of Python and the
import of the client included; the column beyond it is the cost of draining itself.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from ..harness.facts import begin, end
from ..harness.queue import Queue
from ..harness.server import Reply, Server

COUNTS = (1, 10, 100, 1_000, 4_000)
"""Invocations. About a thousand files may be queued; more may be there before a sender trims."""
SAVES_PEAK = """\
import atexit
def save():
    with open("/proc/self/status") as status, open(FILE, "w") as file:
        file.write(status.read())
atexit.register(save)
"""


class Drained:
    """The result for one queue."""

    def __init__(self, seconds: float, requests: int, peak_kb: int, size: int) -> None:
        self.seconds = seconds
        self.requests = requests
        self.peak_kb = peak_kb
        self.size = size


def drain(directory: Path, count: int, latency: float) -> Drained:
    """Drain a queue of so many invocations of two events each."""
    server = Server()
    server.reply = Reply(delay=latency)
    server.start()
    try:
        queue = Queue(directory / "spool", server.url)
        for _ in range(count):
            queue.put([begin(flags=["dry_run", "region"]), end()])
        size = sum(path.stat().st_size for path in queue.path.glob("*.facts"))
        peak = directory / "peak"
        began = time.perf_counter()
        status = queue.send(before=SAVES_PEAK.replace("FILE", repr(str(peak))))
        seconds = time.perf_counter() - began
        assert (status, queue.names, len(server.messages)) == (0, [], 2 * count)
        (most,) = [line for line in peak.read_text().splitlines() if line.startswith("VmHWM")]
        return Drained(seconds, len(server.requests), int(most.split()[1]), size)
    finally:
        server.stop()


def main() -> int:
    """Print the table; returns 1 if the time grows faster than the queue."""
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
    factor = beyond[4_000] / beyond[1_000]  # below that, the noise of a start dominates
    print(f"from 1,000 to 4,000: {factor:.1f} times as long")
    return 0 if factor < 6 else 1


if __name__ == "__main__":
    sys.exit(main())
