"""Whatever happens in its body, a flow starts once, ends once, and lets through what was raised."""

from __future__ import annotations

import asyncio
import builtins
import itertools
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import Any

import click
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from click_telemetry import Flow, flow, instrument
from click_telemetry._events.state import MAX_OWN_EVENTS
from click_telemetry.testing import RecordingClient

from ..harness.stories import run

Ending = tuple[str, "str | None"]
"""The terminal event, with its reason or its error's class."""

STEPS = ("one", "two", "three")


class Wall(Exception):
    """What the flows declare in `aborts`."""


class Taller(Wall):
    """A kind of it."""


class Mute(Exception):
    """Its own code fails, whatever is asked."""

    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no")

    __hash__ = None  # type: ignore[assignment]


def wrapped(cause: BaseException) -> BaseException:
    error = click.ClickException("wrapped")
    error.__cause__ = cause
    return error


HOME = __name__
CANCELLED: Ending = ("Aborted", "cancelled")
ZOO: tuple[tuple[Callable[[], BaseException], Ending], ...] = (
    (lambda: ValueError("secret"), ("Failed", "ValueError")),
    (lambda: Mute("secret"), ("Failed", f"{HOME}.Mute")),
    (lambda: wrapped(OSError("secret")), ("Failed", "OSError")),
    (lambda: click.UsageError("secret"), ("Failed", "click.exceptions.UsageError")),
    (lambda: MemoryError(), ("Failed", "MemoryError")),
    (lambda: StopIteration(), ("Failed", "StopIteration")),
    (lambda: StopAsyncIteration(), ("Failed", "StopAsyncIteration")),
    (lambda: BaseException(), ("Failed", "BaseException")),
    (lambda: BrokenPipeError(32, "secret"), ("Failed", "BrokenPipeError")),
    (lambda: SystemExit("secret"), ("Failed", None)),
    (lambda: SystemExit(3), ("Failed", None)),
    (lambda: SystemExit(256), ("Completed", None)),
    (lambda: SystemExit(), ("Completed", None)),
    (lambda: click.exceptions.Exit(0), ("Completed", None)),
    (lambda: click.exceptions.Exit(2), ("Failed", None)),
    (lambda: KeyboardInterrupt(), CANCELLED),
    (lambda: EOFError(), CANCELLED),
    (lambda: click.Abort(), CANCELLED),
    (lambda: asyncio.CancelledError(), CANCELLED),
    (lambda: GeneratorExit(), ("Aborted", "abandoned")),
    (lambda: Wall("secret"), ("Aborted", "wall")),
    (lambda: Taller("secret"), ("Aborted", "wall")),
    (lambda: wrapped(Taller("secret")), ("Aborted", "wall")),
)
if sys.version_info >= (3, 11):
    ZOO += (
        (
            lambda: builtins.BaseExceptionGroup("secret", [KeyboardInterrupt()]),
            ("Failed", "BaseExceptionGroup"),
        ),
    )

KINDS = ("with", "decorated", "thread", "tasks", "caught", "open", "off", "none")

plain = st.one_of(
    st.tuples(st.just("step"), st.sampled_from(STEPS)),
    st.tuples(st.just("event"), st.sampled_from(["Terms Read", "Plan Seen"])),
    st.tuples(st.just("set"), st.integers(0, 3)),
    st.tuples(st.just("complete"), st.none()),
    st.tuples(st.just("abort"), st.sampled_from(["stopped", "cancelled"])),
    st.tuples(st.just("raise"), st.integers(0, len(ZOO) - 1)),
)
actions = st.recursive(
    plain,
    lambda inner: st.tuples(st.sampled_from(KINDS), st.lists(inner, max_size=4)),
    max_leaves=16,
)


def places(action: tuple[str, Any]) -> int:
    """How many places of the quota an action takes at most: tasks run their body twice."""
    what, body = action
    if not isinstance(body, list):
        return 1
    return (2 + sum(map(places, body))) * (2 if what == "tasks" else 1)


bodies = st.lists(
    st.tuples(st.sampled_from(KINDS), st.lists(actions, max_size=5)), max_size=4
).filter(lambda bodies: sum(map(places, bodies)) <= MAX_OWN_EVENTS)


class World:
    """Runs bodies, and records how each flow must have ended."""

    def __init__(self) -> None:
        self.endings: dict[str, Ending] = {}
        self.kept: list[Any] = []
        self.numbers = itertools.count(1)

    def declare(self, **options: Any) -> tuple[str, Any]:
        name = f"Flow {next(self.numbers)}"
        declared = flow(
            name,
            steps=STEPS,
            reasons=("stopped",),
            aborts={Wall: "wall"},
            step_events=True,
            **options,
        )
        return name, declared

    def act(self, name: str, f: Flow, action: tuple[str, Any]) -> None:
        what, how = action
        if what == "step":
            f.step(how)
        elif what == "event":
            f.event(how)
        elif what == "set":
            f.set(number=how)
        elif what == "complete":
            f.complete(done=True)
            self.endings.setdefault(name, ("Completed", None))
        elif what == "abort":
            f.abort(how)
            self.endings.setdefault(name, ("Aborted", how))
        elif what == "raise":
            make, ending = ZOO[how]
            error = make()
            self.endings.setdefault(name, ending)
            raise error
        else:
            self.nest(what, how)

    def nest(self, kind: str, body: list[Any]) -> None:
        if kind == "thread":
            in_a_thread(lambda: self.walk(body))
        elif kind == "tasks":
            in_a_thread(lambda: asyncio.run(self.gather(body)))
        elif kind == "caught":
            with suppress(BaseException):
                self.walk(body)
        elif kind == "open":
            name, declared = self.declare()
            self.kept.append(declared)
            f = declared.__enter__()
            self.leave_open(name, f, body)
        elif kind in ("off", "none"):
            name, declared = self.declare(when=False)
            f = Flow.of(None) if kind == "none" else declared.__enter__()
            with suppress(BaseException):
                self.perform(name, f, body)
            self.endings.pop(name, None)
        elif kind == "decorated":
            name, declared = self.declare()
            f = Flow.of(None)

            @declared  # type: ignore[untyped-decorator]
            def work() -> None:
                for action in body:
                    if action[0] not in ("complete", "abort"):
                        self.act(name, f, action)
                self.endings.setdefault(name, ("Completed", None))

            with Let(name, self):
                work()
        else:
            self.walk(body)

    def walk(self, body: list[Any]) -> None:
        name, declared = self.declare()
        with Let(name, self), declared as f:
            self.perform(name, f, body)

    def perform(self, name: str, f: Flow, body: list[Any]) -> None:
        for action in body:
            self.act(name, f, action)
        self.endings.setdefault(name, ("Completed", None))

    def leave_open(self, name: str, f: Flow, body: list[Any]) -> None:
        for action in body:
            if action[0] == "raise":
                break  # the flow cannot see how the block ends
            with suppress(BaseException):
                self.act(name, f, action)
        self.endings.setdefault(name, ("Aborted", "abandoned"))

    async def gather(self, body: list[Any]) -> None:
        async def one() -> None:
            name, declared = self.declare()
            with suppress(BaseException), Let(name, self):
                async with declared as f:
                    for action in body:
                        await asyncio.sleep(0)
                        self.act(name, f, action)
                    self.endings.setdefault(name, ("Completed", None))

        await asyncio.gather(one(), one())


class Let:
    """What leaves a flow's block is the very object, and no frame of ours is in its traceback."""

    inside: list[BaseException]

    def __init__(self, name: str, world: World) -> None:
        self.name = name
        self.world = world

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if error is None:
            return
        # An exception that came from a flow within ends this one too, by its own class.
        if self.name not in self.world.endings:
            self.world.endings[self.name] = ending_of(error)
        entry = traceback
        frames = []
        while entry is not None:
            frames.append(entry.tb_frame.f_globals["__name__"])
            entry = entry.tb_next
        if sys.version_info >= (3, 11):  # 3.10 puts them back until the root is left
            assert [one for one in frames if one.startswith("click_telemetry.")] == []
        assert frames[-1] == __name__


def ending_of(error: BaseException) -> Ending:
    """By the table: `raise` notes only the flow that it is in."""
    for make, ending in ZOO:
        twin = make()
        if type(twin) is type(error) and type(twin.__cause__) is type(error.__cause__):
            if isinstance(error, (SystemExit, click.exceptions.Exit)) and code(twin) != code(error):
                continue
            return ending
    raise AssertionError(f"no ending for {type(error)}")


def code(error: Any) -> Any:
    return error.code if isinstance(error, SystemExit) else error.exit_code


def in_a_thread(work: Callable[[], None]) -> None:
    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except AssertionError as error:
            failures.append(error)
        except BaseException:
            return

    context = copy_context()
    thread = threading.Thread(target=lambda: context.run(guarded))
    thread.start()
    thread.join()
    assert failures == []


def test_a_flow_starts_once_and_ends_once_whatever_happens(
    recording_client: RecordingClient,
) -> None:
    """In threads, tasks, one in another, left open or raised out of."""

    @settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])
    @given(bodies)
    def check(bodies: list[Any]) -> None:
        recording_client.clear()
        world = World()
        failures: list[BaseException] = []

        def go() -> None:
            for kind, body in bodies:
                try:
                    world.nest(kind, body)
                except AssertionError as error:
                    failures.append(error)
                except BaseException:
                    continue

        group = click.Group("cli", commands={"go": click.Command("go", callback=go)})
        instrument(group, app="acme", client=recording_client, packages=["tests"])
        run(group, "go")
        assert failures == []
        assert read(recording_client) == world.endings

    check()


def read(client: RecordingClient) -> dict[str, Ending]:
    """Each flow's end; that there is one, after everything else, is checked on the way."""
    sequence = [event["properties"]["sequence"] for event in client.events]
    assert sequence == list(range(1, len(sequence) + 1))
    assert not any("dropped" in event["properties"] for event in client.events)
    walks: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for event in client.events[1:]:
        first, _, rest = event["event"].partition(" ")
        if first == "Flow":
            number, _, moment = rest.partition(" ")
            walks.setdefault(f"Flow {number}", []).append((moment, event["properties"]))
    endings: dict[str, Ending] = {}
    for name, walk in walks.items():
        moments = [moment for moment, _ in walk]
        assert moments[0] == "Started"
        assert moments.count("Started") == 1
        ends = [moment for moment in moments if moment in ("Completed", "Aborted", "Failed")]
        assert ends == moments[-1:]
        own = walk[-1][1]
        assert isinstance(own["duration_ms"], int)
        endings[name] = (moments[-1], own.get("reason", own.get("error_class")))
    return endings


@settings(max_examples=60)
@given(st.lists(plain, max_size=6), st.integers(0, len(ZOO) - 1))
def test_the_very_object_leaves(body: list[Any], which: int) -> None:
    """Whatever was recorded before: the same exception, outside commands too."""
    error = ZOO[which][0]()
    world = World()
    name, declared = world.declare()
    left: BaseException | None = None
    try:
        with declared as f:
            for action in body:
                if action[0] != "raise":
                    world.act(name, f, action)
            raise error
    except BaseException as caught:
        left = caught
    assert left is error
    assert left.__traceback__ is not None
    assert left.__traceback__.tb_next is None
