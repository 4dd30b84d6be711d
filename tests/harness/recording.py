"""A real invocation without Click: scopes are pushed by hand, facts are kept and composed."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from click_telemetry import _instrument
from click_telemetry._events import scope as scopes
from click_telemetry._events import state
from click_telemetry._instrument import SCOPES, CommandState, Scope
from click_telemetry._reader import Composer
from click_telemetry._recorder import Invocation, Run, Settings, encode

from . import facts

Fact = dict[str, Any]


class FactSink:
    """Keeps facts as they would be read from a file.

    Attributes:
        closed: how often it was closed.
        publication: as the spool counts it.
        read_only: as in log mode.
        state_directory: where records of resources may be kept.
        writes: the facts of each write.
    """

    def __init__(self) -> None:
        self.closed = 0
        self.publication = 0
        self.read_only = False
        self.state_directory: str | None = None
        self.writes: list[list[Fact]] = []
        self._digits = ""
        self._head: Fact = {}

    def write(self, invocation: Invocation, written: list[Fact], lifecycle: bool) -> None:
        """Keep the facts of one write."""
        self._digits, self._head = invocation.digits, invocation.head
        self.writes.append([json.loads(encode(fact)) for fact in written])

    def publish(self, invocation: Invocation) -> None:
        """Nothing reads what is kept."""

    def close(self, invocation: Invocation) -> None:
        """The invocation has ended."""
        self.closed += 1

    @property
    def facts(self) -> list[Fact]:
        """All facts, in order."""
        return [fact for written in self.writes for fact in written]

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages that they give."""
        if not self.writes:
            return []
        composer = Composer(self._digits)
        composed = composer.feed(self._head)
        for fact in self.facts:
            composed += composer.feed(fact)
        assert composer.lost == 0
        return composed

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events in the order of their sequence, as those of a recording client."""
        found = [
            {"event": message["event"], "properties": message["properties"]}
            for message in self.messages
            if message["type"] == "track"
        ]
        return sorted(found, key=lambda event: int(event["properties"]["sequence"]))

    @property
    def names(self) -> list[str]:
        """The names of the events."""
        return [event["event"] for event in self.events]

    def of(self, name: str) -> list[Any]:
        """One property of every event, in order; None where it is missing."""
        return [event["properties"].get(name) for event in self.events]


class Running:
    """A run that began, without a scope."""

    def __init__(self, root: Scope, run: Run) -> None:
        self.run = run
        self.recorder = scopes.Recorder(root, run)

    def track(self, name: Any, properties: Any = None) -> None:
        """Record an event in it."""
        self.recorder.track(name, properties)

    def end(self, **outcome: Any) -> None:
        """It has ended."""
        self.run.invocation.end_run(self.run, {"exit": 0, "ms": 12, **outcome})


class Recording:
    """One application, `acme`, that runs once.

    Args:
        app: its name.
        sink: where the facts go.
        properties: as `properties=`.
        session: the session that its environment has.
        dropped: events that were dropped before.
        clock: of its quota.
    """

    def __init__(
        self,
        app: str = "acme",
        *,
        sink: FactSink | None = None,
        properties: Mapping[str, Any] | None = None,
        session: str | None = None,
        dropped: int = 0,
        clock: Callable[[], int] | None = None,
    ) -> None:
        options = {"app": app, "version": "2.1.0", "properties": properties}
        self.state = CommandState(app, options)
        self.settings = self.state.settings = Settings(self.state, options)
        self.sink = sink or FactSink()
        self.root = self.scope()
        self._head = facts.head(app=app, session=session)
        self._dropped = dropped
        self._clock = clock

    def scope(self, root: Scope | None = None) -> Scope:
        """A call of a command, of the root if it has none."""
        made = Scope.__new__(Scope)
        made.command = None
        made.root = root or made
        made.state = self.state
        made.thread = threading.get_ident()
        return made

    def open(self) -> Invocation:
        """It may be recorded, and its first command is about to begin."""
        self.root.decided = True
        self._head["session"] = scopes.enclosing_session(self.root) or self._head["session"]
        made = Invocation(self.settings, self._head, self.sink, self._dropped + self.root.dropped)
        if self._clock is not None:
            made.events = state.EventState(self._clock)
        state.prepare(made)
        self.root.invocation = made
        return made

    @property
    def invocation(self) -> Invocation:
        """The open one; opened if it is not."""
        return self.root.invocation or self.open()

    def begin_run(self, command: str = "acme go", flags: list[str] | None = None) -> Run:
        """Begin a run, as the foreground does."""
        invocation = self.invocation
        if self.root.deferred:
            deferred: state.Deferred = self.root.deferred
            return deferred.begin_run(self.root, command, flags or [])
        return invocation.begin_run(command, flags or [])

    def begin(self, command: str = "acme go", flags: list[str] | None = None) -> Running:
        """Begin a run, without a scope."""
        return Running(self.root, self.begin_run(command, flags))

    @contextmanager
    def group(self) -> Iterator[Scope]:
        """The root is a group, and runs."""
        with entered(self.root):
            yield self.root
            if self.root.invocation is not None:
                self.root.invocation.close()

    @contextmanager
    def leaf(self, command: str = "acme go") -> Iterator[Scope]:
        """A command of the group runs."""
        scope = self.scope(self.root)
        scope.is_leaf = True
        scope.run = self.begin_run(command)
        with entered(scope):
            yield scope
            scope.run.invocation.end_run(scope.run, {"exit": 0, "ms": 1})

    @contextmanager
    def running(self) -> Iterator[Recording]:
        """An application of one command runs."""
        with self.group(), self.leaf():
            yield self


@contextmanager
def entered(scope: Scope) -> Iterator[Scope]:
    """A call of a command, as the hooks enter and leave it."""
    assert _instrument.events is scopes
    SCOPES.append(scope)
    scopes.enter(scope)
    try:
        yield scope
    finally:
        SCOPES.remove(scope)
        scopes.leave(scope)


def in_a_thread(function: Callable[[], Any]) -> Any:
    """What a function returns in a thread without a context."""
    returned: list[Any] = []
    thread = threading.Thread(target=lambda: returned.append(function()))
    thread.start()
    thread.join()
    return returned[0]


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Do work in several threads that start at once."""
    barrier = threading.Barrier(count)

    def begin(number: int) -> None:
        barrier.wait()
        work(number)

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
