"""What a report of many events costs: time, memory, and how both grow.

`python -m tests.benchmarks.report [MILLIONS…]` generates exports of so many events (by default 1,
2, 5 and 10 million) as gzipped JSON lines in a temporary directory, and reports them by
`click-telemetry report --json`. Ten million events need 2 GB of disk, and ten minutes on two cores.
"""

from __future__ import annotations

import gzip
import json
import multiprocessing
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from ..harness.simulation import exported, simulate

SEED = 7
GENERATED = 8
"""Files of simulated users; the others are copies of these, with other IDs."""
IDS = ("messageId", "anonymousId", "run_id", "invocation_id", "session_id")
SESSIONS = 60
EVENTS_OF_A_FILE = 250_000
COMMAND = (str(Path(sys.executable).with_name("click-telemetry")), "report", "--json")


class Measured(NamedTuple):
    """One report.

    Attributes:
        events: that it states.
        size: bytes of the compressed files.
        seconds: from the start of the process to its end.
        cpu: seconds of all cores.
        memory: the most that the process had, in bytes.
    """

    events: int
    size: int
    seconds: float
    cpu: float
    memory: int


def write_file(number: int, directory: str, events: int) -> None:
    """One file of an export, with users of its own."""
    rng = random.Random(number)
    written = 0
    path = os.path.join(directory, f"{number:05}.json.gz")
    with gzip.open(path, "wt", compresslevel=1, encoding="ascii") as file:
        for message in simulate(SEED, range(number * 10**6, (number + 1) * 10**6), SESSIONS):
            print(json.dumps(exported(message, rng), separators=(",", ":")), file=file)
            written += 1
            if written == events:
                break


def copy_file(number: int, directory: str) -> None:
    """A copy of a generated file whose IDs no other file has."""
    source = os.path.join(directory, f"{number % GENERATED:05}.json.gz")
    content = gzip.decompress(Path(source).read_bytes())
    for name in IDS:
        content = content.replace(f'"{name}":"'.encode(), f'"{name}":"{number:x}-'.encode())
    path = os.path.join(directory, f"{number:05}.json.gz")
    Path(path).write_bytes(gzip.compress(content, compresslevel=1))


def generate(directory: str, files: int) -> None:
    """Write the files of an export."""
    first = min(files, GENERATED)
    with multiprocessing.Pool() as pool:
        parts = [(number, directory, EVENTS_OF_A_FILE) for number in range(first)]
        pool.starmap(write_file, parts, chunksize=1)
        pool.starmap(copy_file, [(one, directory) for one in range(first, files)], chunksize=1)


def measure(directory: str, files: int) -> Measured:
    """Report the first files of a directory."""
    paths = sorted(str(path) for path in Path(directory).glob("*.gz"))[:files]
    size = sum(os.path.getsize(path) for path in paths)
    output = os.path.join(directory, "report.json")
    start = time.monotonic()
    child = os.posix_spawn(
        COMMAND[0],
        [*COMMAND, *paths],
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 1, output, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        ],
    )
    _, status, usage = os.wait4(child, 0)
    seconds = time.monotonic() - start
    assert status == 0
    report = json.loads(Path(output).read_text())
    return Measured(
        sum(event["count"] for event in report["events"]),
        size,
        seconds,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss * 1024,
    )


def main(millions: list[float]) -> None:
    """Print the table."""
    counts = [max(1, round(million * 10**6 / EVENTS_OF_A_FILE)) for million in millions]
    with tempfile.TemporaryDirectory() as directory:
        generate(directory, max(counts))
        print("| events | gzipped | seconds | CPU seconds | peak memory | events a second |")
        print("|---|---|---|---|---|---|")
        for count in counts:
            found = measure(directory, count)
            print(
                f"| {found.events:,} | {found.size / 1e6:,.0f} MB | {found.seconds:.1f} "
                f"| {found.cpu:.1f} | {found.memory / 1e6:,.0f} MB "
                f"| {found.events / found.seconds:,.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main([float(number) for number in sys.argv[1:]] or [1, 2, 5, 10])
