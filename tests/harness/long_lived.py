"""Long-lived programs at random: REPLs and servers, killed and started again, while senders are.

Each process writes what it begins and ends to a journal of its own, right before and right after.
`reconciliation` compares the journals with what arrived.
"""

from __future__ import annotations

import os
import random
import subprocess
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from .fates import RandomReplies
from .processes import Cli, Home
from .queue import Queue
from .reconciliation import Ending, Reconciliation, reconcile
from .senders import drain, due_now, sender_processes
from .server import Server

SOURCE = '''
import contextvars, itertools, os, random, sys, threading, time
import click
from click_telemetry import _spool, identify, instrument, track, track_command
from click_telemetry._events.scope import current_scope
from click_telemetry._reader import INVOCATION_ID, RUN_ID, derived_id

name, kind, seed = sys.argv[1:]
chance = random.Random(seed)
if chance.random() < 0.5:
    _spool.PUBLISH_AFTER = 200_000_000  # instead of five seconds
numbers = itertools.count(1)
journal = os.open(os.environ["JOURNAL"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
coming = threading.local()  # the mark of the run that begins next, and what is deferred until then

def note(*words):
    os.write(journal, (" ".join(words) + "\\n").encode())

def new_mark():
    return f"{name}-{next(numbers)}"

# What is recorded

def tick(run):
    mark = new_mark()
    note("before", "event", mark, run)
    track("Ticked", {"mark": mark})
    note("after", "event", mark)

def sign_in(run, user):
    mark = new_mark()
    note("before", "user", mark, run, user)
    identify(user, {"mark": mark})
    note("after", "user", mark)

def sign_out(run):
    mark = new_mark()
    note("before", "user", mark, run, "-")
    identify(None)
    note("after", "user", mark)

def custom(outer):
    mark = new_mark()
    note("before", "custom", mark, outer)
    try:
        with track_command("review", source="skill", message_id=mark):
            note("began", "custom", mark)
            for _ in range(chance.randrange(3)):
                tick(mark)
            if chance.random() < 0.2:
                note("ending", "custom", mark, "failure")
                raise ValueError
            note("ending", "custom", mark, "success")
    except ValueError:
        pass
    note("after", "custom", mark)

def run(call):
    mark = coming.mark = new_mark()
    coming.deferred = []
    note("before", "run", mark)
    try:
        call()
    except (click.ClickException, SystemExit):
        pass
    note("after", "run", mark)

def run_main(line, **how):
    run(lambda: cli.main([line], **how))

def run_within(context, line, group=None):
    """As a REPL does, which enters the group anew; or without the group."""
    def call():
        command = group or cli.get_command(context, line)
        arguments = (None, [line]) if group else (line, [])
        with command.make_context(*arguments, parent=context) as own:
            command.invoke(own)
    run(call)

# Commands

@click.group()
def cli():
    if kind != "loop" or chance.random() < 0.5:
        return
    mark = new_mark()  # recorded when the command begins
    note("before", "event", mark, coming.mark)
    track("Ticked", {"mark": mark})
    coming.deferred.append(("event", mark))
    if chance.random() < 0.5:
        mark = new_mark()
        user = f"user-{chance.randrange(5)}"
        note("before", "user", mark, coming.mark, user)
        identify(user, {"mark": mark})
        coming.deferred.append(("user", mark))

def command(work):
    def callback():
        mark, begun = coming.mark, current_scope().run
        digits = begun.invocation.digits
        identifiers = derived_id(digits, INVOCATION_ID), derived_id(digits, RUN_ID, begun.number)
        note("began", "run", mark, *identifiers)
        for words in coming.deferred:
            note("after", *words)
        coming.deferred = []
        try:
            work(mark)
        except click.ClickException:
            note("ending", "run", mark, "failure")
            raise
        note("ending", "run", mark, "success")
    cli.add_command(click.Command(work.__name__, callback=callback))

def pause():
    time.sleep(chance.uniform(0.0, 0.02))

@command
def work(mark):
    for _ in range(chance.randrange(1, 4)):
        tick(mark)
        pause()

@command
def fail(mark):
    tick(mark)
    raise click.ClickException("no")

@command
def ask(mark):
    custom(mark)
    tick(mark)

@command
def login(mark):
    sign_in(mark, f"user-{chance.randrange(5)}")
    tick(mark)

@command
def logout(mark):
    sign_out(mark)
    tick(mark)

@command
def burst(mark):
    for _ in range(250):
        tick(mark)

@command
def outer(mark):
    run_within(click.get_current_context(), "work")
    tick(mark)

@command
def other(mark):
    run_main("work", standalone_mode=False)
    tick(mark)

@command
def shell(mark):
    root = click.get_current_context().parent
    for line in sys.stdin:
        run_within(root, line.strip(), cli)

@command
def serve(mark):
    context = click.get_current_context()
    over = threading.Event()
    def serve_jobs():
        while not over.wait(chance.uniform(0.0, 0.8)):
            line = chance.choice(["work", "fail", "ask", "login", "logout", "outer", "custom"])
            if line == "custom":
                custom(mark)
            else:
                run_within(context, line)
    # A thread without a context belongs to the only invocation, so that there must be no other one.
    bare = chance.random() < 0.5
    def make_thread():
        if bare:
            return threading.Thread(target=serve_jobs)
        return threading.Thread(target=contextvars.copy_context().run, args=(serve_jobs,))
    threads = [make_thread() for _ in range(3)]
    for thread in threads:
        thread.start()
    for line in sys.stdin:
        line = line.strip()
        if not (bare and line == "other"):
            run_within(context, line)
    over.set()
    for thread in threads:
        thread.join()

instrument(cli, app="acme", version="1", write_key="key", notice=False)
if kind == "loop":
    for line in sys.stdin:
        run_main(line.strip(), standalone_mode=False)
else:
    run_main(kind)
'''
"""`loop` and `shell` are REPLs: an invocation for each line, and one for the whole session."""

KINDS = ("loop", "shell", "serve")
LINES = {"work": 8, "ask": 4, "fail": 2, "login": 3, "logout": 2, "outer": 2, "other": 2}
"""Commands that a process is sent, and how likely each is."""
BURST = 0.2
"""The probability that a session has a burst of more events than fit between two publications."""
KILLED = 0.6
"""The probability that a process is killed; half as often it is killed while it ends."""


class LongLived:
    """Runs processes at random for some time, then delivers what is left.

    Args:
        home: an empty home.
        server: it fails as `fates` describes.
        seed: of all random choices; the machine's timing adds its own.
    """

    def __init__(self, home: Home, server: Server, seed: int) -> None:
        self._home = home
        self._server = server
        self._seed = seed
        self._chance = random.Random(seed)
        self._replies = RandomReplies(server, random.Random(f"replies {seed}"))
        self._cli = Cli(home.path / "acme.py", home, SOURCE)
        self._cli.environ = {"ACME_TELEMETRY_HOST": server.url}
        self._journals = home.path / "journals"
        self._journals.mkdir()
        self._lock = threading.Lock()
        self._running: set[int] = set()
        self._problems: list[BaseException] = []
        self._endings: dict[str, Ending] = {}
        self._counts: Counter[str] = Counter()

    def run(self, seconds: float, workers: int = 4) -> Reconciliation:
        """Run for so long, then deliver and compare.

        Args:
            seconds: before the last process is ended.
            workers: how many processes run at a time.
        """
        until = time.monotonic() + seconds
        self._replies.start()
        threads = [
            threading.Thread(target=self._guarded, args=(work, until))
            for work in [self._work] * workers + [self._disturb_senders]
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._replies.stop()
        if self._problems:
            raise self._problems[0]
        (path,) = self._home.state().glob("spool/*")
        queue = Queue(path, self._server.url)
        self._kill_senders()  # one may wait for an answer that never comes
        drain(queue, self._home)
        journals = {
            path.name: path.read_text().split("\n")[:-1] for path in self._journals.iterdir()
        }
        counts = {**self._counts}
        counts |= {f"requests: {fate}": n for fate, n in sorted(self._replies.counts.items())}
        batches = [request.batch for request in self._server.requests]
        return reconcile(
            counts, journals, self._endings, batches, self._server.messages, queue.state
        )

    def _guarded(self, work: object, until: float) -> None:
        assert callable(work)
        try:
            work(until)
        except BaseException as problem:  # a thread's own would only be printed
            self._problems.append(problem)

    def _work(self, until: float) -> None:
        while time.monotonic() < until and not self._problems:
            with self._lock:
                number = self._counts["processes"] = self._counts["processes"] + 1
                chance = random.Random(f"{self._seed} {number}")
            self._process(f"p{number}", KINDS[number % len(KINDS)], chance, until)

    def _process(self, name: str, kind: str, chance: random.Random, until: float) -> None:
        """One process: started, sent commands, and killed or ended."""
        environ = {"JOURNAL": str(self._journals / name)}
        process = subprocess.Popen(
            self._cli.command(name, kind, str(chance.random())),
            env=self._cli.env(environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self._home.path,
        )
        with self._lock:
            self._running.add(process.pid)
        lifetime = chance.choice([chance.uniform(0.0, 1.0), chance.uniform(1.0, 20.0)])
        self._send_lines(process, chance, min(until, time.monotonic() + lifetime))
        killed = self._end(process, chance)
        _, errors = process.communicate(timeout=60)
        killed = killed and process.returncode == -9
        with self._lock:
            self._running.discard(process.pid)
            self._endings[name] = Ending(killed, process.returncode, errors)
            self._counts[f"{kind}: " + ("killed" if killed else "ended")] += 1

    def _end(self, process: subprocess.Popen[str], chance: random.Random) -> bool:
        """Kill it, let it end, or kill it while it ends; returns whether it was killed."""
        assert process.stdin is not None
        lines = chance.choices(list(LINES), list(LINES.values()), k=50)
        if chance.random() < KILLED:
            with suppress(BrokenPipeError):  # most likely while it records something
                process.stdin.write("".join(line + "\n" for line in lines))
                process.stdin.flush()
            time.sleep(chance.uniform(0.0, 0.1))
            process.kill()
            return True
        if chance.random() > KILLED / 2:
            return False
        with suppress(BrokenPipeError):
            process.stdin.close()
        process.stdin = None
        time.sleep(chance.uniform(0.0, 0.2))
        process.kill()
        return True

    def _send_lines(
        self, process: subprocess.Popen[str], chance: random.Random, until: float
    ) -> None:
        """Type commands, each some time after the one before."""
        assert process.stdin is not None
        lines = chance.choices(list(LINES), list(LINES.values()), k=2000)
        if chance.random() < BURST:
            lines[chance.randrange(100)] = "burst"
        try:
            for line in lines:
                left = until - time.monotonic()
                if left <= 0:
                    return
                process.stdin.write(line + "\n")
                process.stdin.flush()
                time.sleep(min(left, chance.uniform(0.0, 0.3)))
        except BrokenPipeError:
            return  # it failed; its exit status shows that

    def _disturb_senders(self, until: float) -> None:
        chance = random.Random(f"senders {self._seed}")
        while time.monotonic() < until and not self._problems:
            time.sleep(chance.uniform(0.2, 3.0))
            due_now(self._home)
            if chance.random() < 0.5:
                self._kill_senders()

    def _kill_senders(self) -> None:
        for pid in sender_processes(self._home):
            with self._lock:
                if pid in self._running:
                    continue  # a program that is about to start a sender
                try:
                    os.kill(pid, 9)
                except ProcessLookupError:
                    continue
                self._counts["senders killed"] += 1


def long_lived(directory: Path, seconds: float, seed: int) -> Reconciliation:
    """Run it in an empty directory."""
    server = Server()
    server.start()
    try:
        return LongLived(Home(directory / "home"), server, seed).run(seconds)
    finally:
        server.stop()
