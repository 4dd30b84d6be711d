"""Old, newer, unreadable and far too many files, with real senders."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..harness.facts import begin, end, file_name, head, lines
from ..harness.queue import DAY, MAX_MEMORY, Queue, peak_of, reports, writing_peak
from ..harness.server import Reply, Server

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform != "linux", reason="file locks and signals of Linux"),
]


def test_file_of_a_newer_version_is_kept_for_it_and_counted_after_a_week(
    queue: Queue, server: Server
) -> None:
    """Two applications of one environment may have different versions of this library."""
    newer = lines([head(v=2), begin(), end()])
    kept = queue.put(newer, age=6.9 * DAY).name
    queue.put(newer, age=7.1 * DAY)
    queue.put()
    assert queue.send() == 0
    assert (len(server.messages), queue.names) == (2, [kept])
    assert reports(server) == [2] == [queue.state.dropped]
    began = time.monotonic()
    assert queue.send() == 0
    assert time.monotonic() - began < 20, "it is not checked for ever"
    assert len(server.requests) == 1


def test_unreadable_lines_are_counted_as_dropped(queue: Queue, server: Server) -> None:
    """By the next message of their file, or of another one."""
    queue.put(lines([{"type": "track"}, {"type": "track"}]))
    queue.put(lines([head(), {"run": 1, "sampled": True}, begin(), end()]))
    assert queue.send() == 0
    assert queue.names == []
    assert sum(reports(server)) == 3
    assert queue.send() == 0
    assert sum(reports(server)) == 3


NOTES_MODULES = """\
import atexit, sys
def note():
    with open(FILE, "w") as file:
        file.write("\\n".join(sys.modules))
atexit.register(note)
"""

ONE = [begin(), {"next": True}]
"""Facts of one message."""


@pytest.mark.extended
def test_sender_that_must_not_deliver_keeps_the_bounds_without_a_network(
    queue: Queue, server: Server, tmp_path: Path
) -> None:
    """While delivery is postponed: no socket, no Segment client."""
    for n in range(1_050):
        queue.put(ONE, age=float(n))
    modules = tmp_path / "modules"
    before = NOTES_MODULES.replace("FILE", repr(str(modules)))
    assert queue.send(before=before, deliver=False) == 0
    assert len(queue.names) == 1_000
    assert server.connections == 0
    assert not {"segment", "requests", "urllib3", "ssl", "socket"} & set(
        modules.read_text().split("\n")
    )
    assert queue.send() == 0
    assert (len(server.messages), reports(server)) == (1_000, [50])


@pytest.mark.extended
def test_far_too_many_files_converge_to_the_bound(queue: Queue, server: Server) -> None:
    """Whatever created them; in memory that does not grow with them."""
    _converges(queue, server, 12_000)


@pytest.mark.slow
def test_a_million_files_converge_to_the_bound(queue: Queue, server: Server) -> None:
    """The same in earnest."""
    _converges(queue, server, 1_000_000)


def _converges(queue: Queue, server: Server, count: int) -> None:
    content = lines([head(), *ONE])
    now = time.time_ns()
    for n in range(count):
        with open(queue.path / file_name(n, at=now), "wb") as file:
            file.write(content)
    newest = file_name(count - 1, at=now)
    peak = queue.path.parent / "peak"
    server.reply = Reply(503)
    process = queue.start(before=writing_peak(peak))
    assert process.wait(600) == 0
    assert len(server.requests) == 1
    assert len(queue.names) == 1_000
    assert newest in queue.names
    assert queue.state.dropped == count - 1_000
    assert peak_of(peak) < MAX_MEMORY


@pytest.fixture
def killer(queue: Queue) -> Callable[..., int]:
    """Starts a sender and kills it after some seconds, unless it has ended."""

    def run(after: float, **how: Any) -> int:
        process = queue.start(**how)
        try:
            return process.wait(after)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    return run


@pytest.mark.extended
def test_trimming_that_is_killed_again_and_again_counts_exactly(
    queue: Queue, server: Server, killer: Callable[..., int]
) -> None:
    """Every message is delivered or in a count that is, never in both."""
    for n in range(4_000):
        queue.put(ONE, age=float(n))
    statuses = Counter(killer(0.06 + 0.02 * (n % 10), deliver=False) for n in range(25))
    assert statuses[-9] > 3, statuses
    assert queue.send(deliver=False) == 0
    assert queue.send() == 0
    assert len(server.messages) == 1_000
    assert sum(reports(server)) == queue.state.dropped == 3_000


def test_other_destinations_files_are_dropped_when_they_are_too_old(
    queue: Queue, server: Server
) -> None:
    """A user who has signed out may never come back; nothing is sent for them."""
    other = Queue(queue.path.parent / "fedcba9876543210", server.url)
    (other.path / "lock").touch(0o600)
    other.put(age=8 * DAY)
    young = other.put(age=DAY).name
    foreign = Queue(queue.path.parent / "something", server.url)
    foreign.put(age=8 * DAY)
    queue.put()
    assert queue.send() == 0
    assert (other.names, other.state.dropped) == ([young], 2)
    assert len(foreign.names) == 1
    assert len(server.messages) == 2
