"""A soak test: kills commands and senders at random while a server fails at random, then counts.

A command writes each event to a journal before and after it is recorded. What the journal has as
recorded must arrive, once by its message ID; what the journal does not have must not arrive.
"""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from .fates import RandomReplies
from .processes import Cli, Home
from .queue import Queue
from .reconciliation import Reconciliation
from .senders import drain, due_now, sender_processes
from .server import Server

SOURCE = """
import os, time, click
from click_telemetry import instrumented_group, track

@instrumented_group(app="acme", version="1", write_key="key", notice=False)
@click.group()
def cli(): pass

@cli.command()
@click.argument("mark")
@click.argument("count", type=int)
def work(mark, count):
    click.echo("begun")
    journal = os.open(os.environ["JOURNAL"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for n in range(count):
        os.write(journal, f"before {mark}-{n}\\n".encode())
        track("Ticked", {"mark": f"{mark}-{n}"})
        os.write(journal, f"after {mark}-{n}\\n".encode())
        time.sleep(0.002)

cli()
"""


class Soak:
    """Kills as many processes as required, then drains the queue and reconciles.

    Args:
        home: an empty home.
        server: it fails as `fates` describes.
        seed: of all random choices; the machine's timing adds its own.
        breaks_off: whether responses may also break off within their headers or body.
    """

    def __init__(self, home: Home, server: Server, seed: int, *, breaks_off: bool = False) -> None:
        self._home = home
        self._server = server
        self._chance = random.Random(seed)
        self._journal = home.path / "journal"
        self._cli = Cli(home.path / "acme.py", home, SOURCE)
        self._cli.environ = {"ACME_TELEMETRY_HOST": server.url, "JOURNAL": str(self._journal)}
        self._lock = threading.Lock()
        self._queue: Queue | None = None
        self._marks = 0
        self.kills: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.replies = RandomReplies(server, random.Random(seed + 1), breaks_off=breaks_off)
        with socket.create_server(("127.0.0.1", 0)) as gone:
            self._refusing = f"http://127.0.0.1:{gone.getsockname()[1]}"

    def run(self, kills: int, workers: int = 2) -> Reconciliation:
        """Kill so many processes, half of them senders, then deliver what is left.

        Args:
            kills: how many.
            workers: how many commands or senders run at a time.
        """
        self._cli.run("work", "first", "1")
        (path,) = self._home.state().glob("spool/*")
        self._queue = Queue(path, self._server.url)
        self.replies.start()
        threads = [threading.Thread(target=self._work, args=(kills,)) for _ in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.replies.stop()
        drain(self._queue, self._home)
        return _reconcile(self)

    def _work(self, kills: int) -> None:
        while sum(self.kills.values()) < kills:
            commands, senders = self.kills["command"], self.kills["sender"]
            if commands <= senders:
                self._command()
            else:
                self._sender()

    def _random(self, least: float, most: float) -> float:
        with self._lock:
            return self._chance.uniform(least, most)

    def _command(self) -> None:
        with self._lock:
            self._marks += 1
            mark, count = f"m{self._marks}", self._chance.randrange(1, 60)
        process = self._cli.start("work", mark, str(count))
        if self._random(0, 1) < 0.8:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(self._random(0.0, 0.005 * count))
        else:
            time.sleep(self._random(0.0, 0.2))  # while it is starting
        process.kill()
        process.communicate()
        with self._lock:
            (self.kills if process.returncode == -9 else self.ended)["command"] += 1

    def _sender(self) -> None:
        due_now(self._home)
        if self._random(0, 1) < 0.3:
            self._kill_detached()
            return
        host = self._refusing if self._random(0, 1) < 0.1 else self._server.url
        anonymous_id = (self._home.state() / "id").read_text().strip()
        process = self.queue.start(host=host, anonymous_id=anonymous_id)
        requests = len(self._server.requests)
        blind = self._random(0, 1) < 0.3
        until = time.monotonic() + (self._random(0.0, 1.0) if blind else 3.0)
        while time.monotonic() < until and process.poll() is None:
            if not blind and len(self._server.requests) > requests:
                time.sleep(self._random(0.0, 0.1))
                break
            time.sleep(0.002)
        process.kill()
        with self._lock:
            (self.kills if process.wait() == -9 else self.ended)["sender"] += 1

    def _kill_detached(self) -> None:
        """A sender that a command started, if there is one: while it sleeps or delivers."""
        for pid in sender_processes(self._home):
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                continue
            with self._lock:
                self.kills["sender"] += 1

    @property
    def commands(self) -> int:
        """How many were started."""
        return self._marks + 1

    @property
    def journal(self) -> list[list[str]]:
        """What commands wrote: `before` or `after`, and the event's mark."""
        written = self._journal.read_text().split("\n")[:-1]
        return [line.split(" ") for line in written]

    @property
    def queue(self) -> Queue:
        """The only queue."""
        assert self._queue is not None
        return self._queue

    @property
    def server(self) -> Server:
        """Where the messages were sent."""
        return self._server


def _reconcile(soak: Soak) -> Reconciliation:
    """What was recorded against what arrived."""
    begun = {mark for word, mark in soak.journal if word == "before"}
    recorded = {mark for word, mark in soak.journal if word == "after"}
    tracks = [message for message in soak.server.messages if message["type"] == "track"]
    marks = Counter(_mark(m) for m in tracks if m["event"] == "Ticked")
    runs: dict[str, Counter[str]] = {}
    for track in tracks:
        run = track["properties"]["run_id"]
        runs.setdefault(run, Counter())[track["event"]] += 1
    reported = sum(m["properties"].get("dropped", 0) for m in tracks)
    state = soak.queue.state
    missing = sorted(recorded - set(marks))
    found = Reconciliation()
    found.rows += [
        ("commands started", soak.commands),
        ("commands killed", soak.kills["command"]),
        ("senders killed", soak.kills["sender"]),
        ("commands and senders that ended before", sum(soak.ended.values())),
        *(("requests: " + fate, count) for fate, count in sorted(soak.replies.counts.items())),
    ]
    found.count_messages([request.batch for request in soak.server.requests], soak.server.messages)
    found.count("events recorded (the call returned)", recorded)
    found.count("of them arrived", recorded & set(marks))
    found.count("of them missing", missing, problem=len(missing) > state.dropped)
    found.count("events begun, and killed before the call returned", begun - recorded)
    found.count("of them arrived", (begun - recorded) & set(marks))
    twice = [mark for mark, count in marks.items() if count > 1]
    found.count("events that arrived under two IDs", twice, problem=True)
    found.count("phantoms", sorted(set(marks) - begun), problem=True)
    found.count("runs begun", runs)
    found.count(
        "runs not ended exactly once",
        [
            run
            for run, events in runs.items()
            if (events["Command Invoked"], events["Command Completed"]) != (1, 1)
        ],
        problem=True,
    )
    unfinished = [m for m in tracks if m["properties"].get("outcome") == "unfinished"]
    found.count("of them unfinished", unfinished)
    found.rows += [
        ("dropped, by the state", state.dropped),
        ("dropped, reported by events", reported),
        ("dropped, not reported yet", state.unreported),
    ]
    if state.dropped or reported:
        found.problems["dropped"] = [state.dropped, reported]
    found.count("files left", soak.queue.names, problem=True)
    return found


def _mark(message: dict[str, Any]) -> str:
    return str(message["properties"].get("mark"))


def soak(directory: Path, kills: int, seed: int, *, breaks_off: bool = False) -> Reconciliation:
    """Run one in an empty directory."""
    server = Server()
    server.start()
    try:
        home = Home(directory / "home")
        return Soak(home, server, seed, breaks_off=breaks_off).run(kills)
    finally:
        server.stop()
