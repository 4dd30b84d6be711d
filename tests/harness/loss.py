"""A soak test: kills commands and senders at random while a server fails at random, then counts.

A command writes each event to a journal before and after it is recorded. What the journal has as
recorded must arrive, once by its message ID; what the journal does not have must not arrive.
"""

from __future__ import annotations

import json
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
from .senders import due_now, sender_processes
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
    """

    def __init__(self, home: Home, server: Server, seed: int) -> None:
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
        self.replies = RandomReplies(server, random.Random(seed + 1))
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
        self._drain()
        return Reconciliation(self)

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

    def _drain(self) -> None:
        assert self._queue is not None
        until = time.monotonic() + 120
        while self._queue.names or sender_processes(self._home):
            assert time.monotonic() < until, f"still queued: {self._queue.names}"
            self._queue.send()
            time.sleep(0.05)

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


class Reconciliation:
    """What was recorded against what arrived.

    Attributes:
        rows: a label and a count each.
        problems: broken promises, with examples; empty if all were kept.
    """

    def __init__(self, soak: Soak) -> None:
        journal = soak.journal
        begun = {mark for word, mark in journal if word == "before"}
        recorded = {mark for word, mark in journal if word == "after"}
        texts: dict[str, set[str]] = {}
        received = 0
        for request in soak.server.requests:
            for message in request.batch:
                texts.setdefault(message["messageId"], set()).add(json.dumps(message))
                received += 1
        messages = soak.server.messages
        tracks = [message for message in messages if message["type"] == "track"]
        marks = Counter(_mark(m) for m in tracks if m["event"] == "Ticked")
        runs: dict[str, Counter[str]] = {}
        for track in tracks:
            run = track["properties"]["run_id"]
            runs.setdefault(run, Counter())[track["event"]] += 1
        changed = [key for key, text in texts.items() if len(text) > 1]
        lost = sorted(recorded - set(marks))
        twice = [mark for mark, count in marks.items() if count > 1]
        phantoms = sorted(set(marks) - begun)
        unpaired = [
            run
            for run, events in runs.items()
            if (events["Command Invoked"], events["Command Completed"]) != (1, 1)
        ]
        reported = sum(m["properties"].get("dropped", 0) for m in tracks)
        unfinished = [m for m in tracks if m["properties"].get("outcome") == "unfinished"]
        state = soak.queue.state
        self.rows: list[tuple[str, object]] = [
            ("commands killed", soak.kills["command"]),
            ("senders killed", soak.kills["sender"]),
            ("commands and senders that ended before", sum(soak.ended.values())),
            *(("requests: " + fate, count) for fate, count in sorted(soak.replies.counts.items())),
            ("messages received, repetitions included", received),
            ("messages accepted, each ID once", len(messages)),
            ("of them repeated differently", len(changed)),
            ("events recorded (the call returned)", len(recorded)),
            ("of them arrived", len(recorded & set(marks))),
            ("of them lost", len(lost)),
            ("events begun, and killed before the call returned", len(begun - recorded)),
            ("of them arrived", len((begun - recorded) & set(marks))),
            ("events arrived twice under two IDs", len(twice)),
            ("phantoms", len(phantoms)),
            ("runs begun", len(runs)),
            ("runs not ended exactly once", len(unpaired)),
            ("of them unfinished", len(unfinished)),
            ("dropped, by the state", state.dropped),
            ("dropped, reported by events", reported),
            ("dropped, not reported yet", state.unreported),
            ("files left", len(soak.queue.names)),
        ]
        self.problems: dict[str, Any] = {
            name: found
            for name, found in {
                "lost": lost if len(lost) > state.dropped else [],
                "changed": changed,
                "twice": twice,
                "phantoms": phantoms,
                "unpaired": unpaired,
                "dropped": [] if state.dropped == reported == 0 else [state.dropped, reported],
                "left": soak.queue.names,
            }.items()
            if found
        }

    def __str__(self) -> str:
        width = max(len(name) for name, _ in self.rows)
        return "\n".join(f"{name:<{width}}  {value:>8}" for name, value in self.rows)


def _mark(message: dict[str, Any]) -> str:
    return str(message["properties"].get("mark"))


def soak(directory: Path, kills: int, seed: int) -> Reconciliation:
    """Run one in an empty directory."""
    server = Server()
    server.start()
    try:
        return Soak(Home(directory / "home"), server, seed).run(kills)
    finally:
        server.stop()
