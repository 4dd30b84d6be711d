"""A flow: where people stop, and why, from one event."""

from __future__ import annotations

import asyncio
import contextvars
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Any, Literal

import click
import pytest

from click_telemetry import Flow, exclude, flow, instrument, track
from click_telemetry._events.state import MAX_OWN_EVENTS
from click_telemetry._foreground.options import DeclarationError
from click_telemetry.testing import RecordingClient

from ..harness.flows import (
    Keeping,
    OwnEvents,
    at_a_prompt,
    command,
    in_production,
    own_events,
    walk,
)
from ..harness.interpreter import environment, python
from ..harness.processes import Cli
from ..harness.stories import run
from ..harness.values import BrokenText

pytestmark = pytest.mark.usefixtures("recording_client")  # an environment without an opinion

CREATE = flow(
    "Application Create",
    steps=("name", "terms", "api_call"),
    reasons=("declined_terms",),
)
STARTED: tuple[str, dict[str, Any]] = ("Application Create Started", {})


class BillingRequired(click.ClickException):
    """A wall."""


class Harder(BillingRequired):
    """A harder one."""


# One start, one end --------------------------------------------------------------------------


def test_a_block_that_comes_to_its_end_is_completed() -> None:
    """Started at entry, Completed at a clean exit."""

    def go() -> None:
        with CREATE as f:
            f.step("name")
            f.step("terms")

    assert walk(go) == [STARTED, ("Application Create Completed", {"step": "terms"})]


def test_complete_is_final() -> None:
    """What fails after it changes nothing: success stays success."""
    error = RuntimeError("courtesy")

    def go() -> None:
        with CREATE as f:
            f.step("api_call")
            f.complete(region="eu")
            f.step("name")
            f.event("Read Terms")
            f.set(plan="pro")
            f.abort("declined_terms")
            f.complete(region="us")
            raise error

    client = RecordingClient()
    result = run(command(go, client), "go")
    assert result.exception is error
    assert own_events(client) == [
        STARTED,
        ("Application Create Completed", {"region": "eu", "step": "api_call"}),
    ]


def test_abort_is_final_too() -> None:
    """The block may go on; the flow has ended, with the reason."""

    def go() -> None:
        with CREATE as f:
            f.step("terms")
            f.abort("declined_terms", plan="pro")
            f.complete()

    ended = {"plan": "pro", "reason": "declined_terms", "step": "terms"}
    assert walk(go) == [STARTED, ("Application Create Aborted", ended)]


def test_an_error_fails_it_with_its_class_and_not_its_message() -> None:
    """The same class as the command's own end names, masked by the same rule."""

    class Private(KeyError):
        """Not to be found under its name."""

    def go() -> None:
        with suppress(click.ClickException), CREATE as f:
            f.step("api_call")
            raise click.ClickException("secret") from ConnectionError("secret")
        with suppress(KeyError), CREATE:
            raise Private("secret")

    assert walk(go) == [
        STARTED,
        ("Application Create Failed", {"error_class": "ConnectionError", "step": "api_call"}),
        STARTED,
        ("Application Create Failed", {"error_class": "KeyError", "error_class_masked": True}),
    ]


@pytest.mark.parametrize(
    ("error", "moment", "own"),
    [
        (KeyboardInterrupt(), "Aborted", {"reason": "cancelled"}),
        (EOFError(), "Aborted", {"reason": "cancelled"}),
        (click.Abort(), "Aborted", {"reason": "cancelled"}),
        (SystemExit(0), "Completed", {}),
        (SystemExit(None), "Completed", {}),
        (click.exceptions.Exit(0), "Completed", {}),
        (SystemExit(2), "Failed", {}),
        (SystemExit("a message"), "Failed", {}),
        (click.exceptions.Exit(3), "Failed", {}),
        (GeneratorExit(), "Aborted", {"reason": "abandoned"}),
        (asyncio.CancelledError(), "Aborted", {"reason": "cancelled"}),
        (ValueError("secret"), "Failed", {"error_class": "ValueError"}),
    ],
    ids=repr,
)
def test_each_way_to_leave_has_its_end(
    error: BaseException, moment: str, own: dict[str, Any]
) -> None:
    """Leaving on purpose with code 0 is no failure, and Ctrl-C is no failure either."""

    def go() -> None:
        with pytest.raises(type(error)) as left, CREATE:
            raise error
        assert left.value is error

    assert walk(go) == [STARTED, (f"Application Create {moment}", own)]


@pytest.mark.parametrize("interactive", [True, False])
def test_a_wall_ends_in_the_same_event_in_both_modes(interactive: bool) -> None:
    """Declared once, by the exception's class, whoever wraps it."""
    declared = flow("Plan Change", aborts={BillingRequired: "billing_required"})

    def go() -> None:
        with declared:
            if interactive:
                raise Harder("secret")
            raise click.ClickException("secret") from BillingRequired("secret")

    assert walk(go) == [
        ("Plan Change Started", {}),
        ("Plan Change Aborted", {"reason": "billing_required"}),
    ]


def test_the_nearest_declared_class_names_the_reason() -> None:
    """A subclass may have a reason of its own, whatever the order of the declaration."""
    declared = flow(
        "Plan Change",
        reasons=("declined_terms",),
        aborts={Exception: "broken", BillingRequired: "billing_required", Harder: "hard_wall"},
    )

    def go() -> None:
        for error in (Harder("x"), BillingRequired("x"), ValueError("x")):
            with suppress(Exception), declared:
                raise error

    assert [own["reason"] for name, own in walk(go) if name.endswith("Aborted")] == [
        "hard_wall",
        "billing_required",
        "broken",
    ]


# Steps and properties ------------------------------------------------------------------------


def test_steps_are_events_where_the_flow_asks_for_them() -> None:
    """With their place and the time since the start; the next one absent, they stop."""
    declared = flow("Spawn", steps=("agent", "cloud"), step_events=True, source="cli")

    def go() -> None:
        with declared as f:
            f.step("agent")
            f.step("cloud")
            f.step("agent")  # back again

    at = {"source": "cli"}
    assert walk(go) == [
        ("Spawn Started", at),
        ("Spawn Step Reached", {**at, "step_index": 1, "step": "agent"}),
        ("Spawn Step Reached", {**at, "step_index": 2, "step": "cloud"}),
        ("Spawn Step Reached", {**at, "step_index": 1, "step": "agent"}),
        ("Spawn Completed", {**at, "step": "agent"}),
    ]


def test_steps_that_no_declaration_lists_are_counted_as_they_come() -> None:
    """The quick case: a flow without a list of steps takes any."""

    def go() -> None:
        with flow("Spawn", step_events=True) as f:
            for step in ("one", "two", "one"):
                f.step(step)
            f.abort("too_slow")

    assert [own.get("step_index") for name, own in walk(go)] == [None, 1, 2, 1, None]


def test_times_are_milliseconds_since_the_start() -> None:
    """Of a step since the flow began, of the end likewise."""
    client = RecordingClient()

    def go() -> None:
        with flow("Spawn", step_events=True) as f:
            threading.Event().wait(0.05)
            f.step("one")

    run(command(go, client), "go")
    step, end = client.events[2]["properties"], client.events[3]["properties"]
    assert 50 <= step["elapsed_ms"] <= end["duration_ms"] < 60_000


def test_declared_properties_are_on_every_event() -> None:
    """And what becomes known on the way on every later one, without a join."""

    def go() -> None:
        with CREATE(source="cli", plan=None) as f:
            f.set(plan="pro", region="eu")
            f.event("Accepted Terms", at_once=True)
            f.set(region=None)
            f.complete(size=3)

    assert walk(go) == [
        ("Application Create Started", {"source": "cli"}),
        (
            "Application Create Accepted Terms",
            {"source": "cli", "plan": "pro", "region": "eu", "at_once": True},
        ),
        ("Application Create Completed", {"source": "cli", "plan": "pro", "size": 3}),
    ]


DECLARED = flow("Spawn", plan=Literal["free", "pro"], size=int, source="cli")


def test_a_value_that_the_flow_declares_otherwise_raises_in_a_test() -> None:
    """From every call that gives one; the message names the property and the fix."""
    calls: list[Callable[[Flow], object]] = [
        lambda f: f.set(plan="mine", size=1),
        lambda f: f.event("Looked Around", plan="mine"),
        lambda f: f.complete(plan="mine"),
        lambda f: DECLARED(plan="mine").start(),
    ]
    raised: list[str] = []

    def go() -> None:
        for call in calls:
            with DECLARED as f:
                try:
                    call(f)
                except DeclarationError as error:
                    raised.append(str(error))

    walk(go)
    assert len(raised) == len(calls)
    assert {*raised} == {
        "flow 'Spawn' does not match its declaration: plan is str, or out of its bounds. Pass what "
        "the annotation declares, or change the annotation"
    }


def test_a_value_that_the_flow_declares_otherwise_never_leaves() -> None:
    """At a prompt it is left out and counted, and so is the one before, which is wrong by now."""
    client = Keeping()

    def go() -> None:
        with DECLARED(plan="pro") as f:
            f.set(plan="Jane's own", size="secret", other="free")
            f.event("Looked Around", size=BrokenText())
            f.complete(size=3)

    with in_production():
        command(go, client, notice=False).main(["go"], standalone_mode=False)
    assert own_events(client.recording)[1:] == [
        ("Spawn Looked Around", {"source": "cli", "other": "free"}),
        ("Spawn Completed", {"source": "cli", "other": "free", "size": 3}),
    ]
    looked = client.recording.events[2]["properties"]
    assert looked["dropped"] == 3


def test_a_moment_of_the_flow_is_an_event_with_its_step() -> None:
    """Accepted and Declined Terms, with the plan they are about."""

    def go() -> None:
        with CREATE(plan="pro") as f:
            f.step("terms")
            f.event("Declined Terms")
            f.abort("declined_terms")

    at = {"plan": "pro", "step": "terms"}
    assert walk(go) == [
        ("Application Create Started", {"plan": "pro"}),
        ("Application Create Declined Terms", at),
        ("Application Create Aborted", {**at, "reason": "declined_terms"}),
    ]


def test_the_flow_s_own_properties_cannot_be_overridden() -> None:
    """Neither the step nor the base properties, from no call."""

    def go() -> None:
        with flow("Spawn", steps=("one",)) as f:
            f.step("one")
            f.complete(step="mine", duration_ms="mine", sequence=99, command="mine")

    client = RecordingClient()
    run(command(go, client), "go")
    own = client.events[2]["properties"]
    assert (own["step"], own["sequence"], own["command"]) == ("one", 3, "acme go")
    assert isinstance(own["duration_ms"], int)


# Helpers, and what is not counted ------------------------------------------------------------


def choose(f: Flow | None = None) -> str:
    """A helper that flows share, and that works without any."""
    f = Flow.of(f)
    f.step("terms")
    f.event("Chose Plan")
    f.set(plan="pro")
    f.complete()
    f.abort("declined_terms")
    return "pro"


def test_a_helper_takes_an_optional_flow() -> None:
    """With one it records events of it; with none it records nothing and works as well."""

    def go() -> None:
        assert choose() == "pro"
        assert choose(None) == "pro"
        with CREATE as f:
            assert Flow.of(f) is f
            assert choose(f) == "pro"

    assert [name for name, _ in walk(go)] == [
        "Application Create Started",
        "Application Create Chose Plan",
        "Application Create Completed",
    ]


def test_a_dry_run_records_nothing() -> None:
    """`when=False`: no event, whatever is called, however it ends."""

    def go() -> None:
        for when in (True, False):
            with suppress(ValueError), CREATE(when=when) as f:
                choose(f)
                raise ValueError
        with flow("Spawn", when=False)(when=True) as f:
            f.step("one")

    assert len(walk(go)) == 3


def test_what_is_off_or_excluded_records_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flow in a command that is not recorded gives no event, and works."""
    client = RecordingClient()
    walked: list[int] = []

    def go() -> None:
        with CREATE as f:
            choose(f)
        walked.append(1)

    group = command(go, client)
    group.add_command(exclude(click.Command("hidden", callback=go)))
    assert run(group, "hidden").exit_code == 0
    assert run(group, "--no-telemetry", "go").exit_code == 0
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    assert run(group, "go").exit_code == 0
    assert (client.messages, walked) == ([], [1, 1, 1])


def test_a_flow_outside_any_command_records_nothing() -> None:
    """A script that imports my helpers runs them as it did."""
    with CREATE as f:
        assert choose(f) == "pro"

    @CREATE
    def work() -> int:
        return 3

    assert work() == 3


# Mistakes ------------------------------------------------------------------------------------


def misstep(f: Flow) -> None:
    f.step("regoin")


def misreason(f: Flow) -> None:
    f.abort("declined")


MISTAKES: list[Any] = [
    pytest.param(misstep, "declares no step 'regoin': add it to steps=", id="step"),
    pytest.param(misreason, "declares no reason 'declined': add it to reasons=", id="reason"),
    pytest.param(lambda f: f.step("API call"), "Write 'api_call'", id="no word"),
    pytest.param(lambda f: f.step(3), "must be a snake_case word, not int", id="no text"),
    pytest.param(lambda f: f.event("accepted terms"), "write 'Accepted Terms'", id="event"),
    pytest.param(lambda f: f.event(None), "must be a name such as", id="no event"),
]


@pytest.mark.parametrize(("mistake", "message"), MISTAKES)
def test_an_undeclared_step_raises_in_a_test(mistake: Callable[[Flow], None], message: str) -> None:
    """My own test suite finds a step that I did not declare, and names the fix."""
    raised: list[BaseException] = []

    def go() -> None:
        with CREATE as f:
            try:
                mistake(f)
            except DeclarationError as error:
                raised.append(error)

    walk(go)
    assert message in str(raised[0])


@pytest.mark.parametrize("env", [{"DO_NOT_TRACK": "1"}, {}])
def test_a_mistake_raises_where_nothing_is_recorded_too(
    env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most tests of an application run without a client of mine."""
    for name, value in env.items():
        monkeypatch.setenv(name, value)

    def go() -> None:
        with CREATE as f:
            misstep(f)

    assert isinstance(run(command(go, None), "go").exception, DeclarationError)


def test_a_recording_client_alone_makes_it_a_test() -> None:
    """Whatever runner an application's tests use."""
    client = Keeping()
    raised: list[BaseException] = []

    def go() -> None:
        with CREATE as f:
            try:
                misstep(f)
            except DeclarationError as error:
                raised.append(error)

    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    with pytest.MonkeyPatch.context() as patch:
        for name in set(os.environ) - set(env):
            patch.delenv(name)
        command(go, client).main(["go"], standalone_mode=False)
        assert raised == []
        command(go, RecordingClient()).main(["go"], standalone_mode=False)
    assert len(raised) == 1


def test_at_a_prompt_mistakes_are_recorded_with_a_mark() -> None:
    """It does not raise, nothing is dropped, and the maintainer sees it."""

    def go() -> None:
        for mistake in (misstep, misreason):
            with CREATE as f:
                mistake(f)
        with flow("Spawn", steps=("one",), step_events=True) as f:
            f.step("two")
            f.step("one")

    assert at_a_prompt(go) == [
        STARTED,
        ("Application Create Completed", {"step": "regoin", "undeclared": True}),
        STARTED,
        ("Application Create Aborted", {"reason": "declined", "undeclared": True}),
        ("Spawn Started", {}),
        ("Spawn Step Reached", {"step": "two", "undeclared": True}),
        ("Spawn Step Reached", {"step_index": 1, "step": "one"}),
        ("Spawn Completed", {"step": "one"}),
    ]


def test_what_is_no_word_is_not_recorded() -> None:
    """A step made of a value, such as a path, leaves nothing of it."""

    class Named:
        def __str__(self) -> str:
            return "Secret Thing"

    named: Any = Named()

    def go() -> None:
        with CREATE as f:
            f.step("upload /home/ada/secret")
            f.event(named)
            f.step(named)
            f.abort("could not open /home/ada/secret")

    recorded = at_a_prompt(go)
    assert recorded == [
        STARTED,
        (
            "Application Create Aborted",
            {"reason": "<undeclared>", "step": "<undeclared>", "undeclared": True},
        ),
    ]


def test_a_declaration_that_cannot_be_used_does_not_raise_at_a_prompt() -> None:
    """What can be recorded of it is; the command goes on."""
    nameless: Any = None

    def go() -> None:
        with flow(nameless) as f:
            f.step("one")
        with flow("Spawn", steps="one", reasons=("a b", "c", "c")) as f:
            f.step("one")
            f.abort("c")

    assert at_a_prompt(go) == [
        ("Spawn Started", {}),
        ("Spawn Aborted", {"reason": "c", "step": "one"}),
    ]


# Blocks, functions, generators, tasks --------------------------------------------------------


def test_a_flow_is_a_decorator() -> None:
    """Each call is a run of the flow; arguments, result, name and options pass as they are."""

    @CREATE(source="decorator")
    def work(value: int, *, fail: bool = False) -> int:
        """Do it."""
        if fail:
            raise ValueError
        return value

    assert (work.__name__, work.__doc__) == ("work", "Do it.")

    def go() -> None:
        assert work(3) == 3
        with pytest.raises(ValueError, match=r"^$"):
            work(3, fail=True)

    at = {"source": "decorator"}
    assert walk(go) == [
        ("Application Create Started", at),
        ("Application Create Completed", at),
        ("Application Create Started", at),
        ("Application Create Failed", {**at, "error_class": "ValueError"}),
    ]


def test_a_command_s_function_may_be_decorated() -> None:
    """Below the decorator that makes the command, with Click's options between."""
    client = RecordingClient()

    @click.command()
    @click.option("--size", type=int)
    @CREATE
    def go(size: int) -> None:
        click.echo(f"size {size}")

    result = run(instrument(go, app="acme", client=client), "--size", "3")
    assert result.output == "size 3\n"
    assert own_events(client) == [STARTED, ("Application Create Completed", {})]


def test_a_coroutines_flow_ends_when_it_has_been_awaited() -> None:
    """`async with` and a decorated coroutine function span what they wait for."""

    @CREATE
    async def work(error: BaseException | None) -> int:
        await asyncio.sleep(0)
        track("Amid Work")
        if error is not None:
            raise error
        return 3

    async def main() -> None:
        assert await work(None) == 3
        async with CREATE as f:
            await asyncio.sleep(0)
            f.step("name")
        with suppress(ValueError):
            await work(ValueError())

    assert walk(lambda: asyncio.run(main())) == [
        STARTED,
        ("Amid Work", {}),
        ("Application Create Completed", {}),
        STARTED,
        ("Application Create Completed", {"step": "name"}),
        STARTED,
        ("Amid Work", {}),
        ("Application Create Failed", {"error_class": "ValueError"}),
    ]


def test_a_task_that_is_cancelled_aborts_its_flow() -> None:
    """By a timeout, or by Ctrl-C, which a loop passes to its tasks."""

    async def forever() -> None:
        async with CREATE as f:
            f.step("api_call")
            await asyncio.sleep(60)

    async def main() -> None:
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(forever(), 0.01)

    assert walk(lambda: asyncio.run(main())) == [
        STARTED,
        ("Application Create Aborted", {"reason": "cancelled", "step": "api_call"}),
    ]


def test_a_generators_flow_ends_when_it_is_exhausted_or_closed() -> None:
    """What is sent in and given back passes; closed is abandoned, whoever closes it."""

    @CREATE
    def work() -> Iterator[int]:
        yield 1
        yield 2

    def go() -> None:
        assert list(work()) == [1, 2]
        left = work()
        next(left)
        left.close()  # type: ignore[attr-defined]

    assert walk(go) == [
        STARTED,
        ("Application Create Completed", {}),
        STARTED,
        ("Application Create Aborted", {"reason": "abandoned"}),
    ]


def test_generators_may_take_turns() -> None:
    """Each has called the definition, so each block is a run of its own."""

    def walking(number: int) -> Iterator[None]:
        with CREATE(number=number) as f:
            yield
            f.step("name")
            if number == 1:
                raise ValueError

    def go() -> None:
        one, two = walking(1), walking(2)
        next(one)
        next(two)
        with suppress(ValueError):
            next(one)
        next(two, None)

    assert walk(go)[2:] == [
        (
            "Application Create Failed",
            {"number": 1, "error_class": "ValueError", "step": "name"},
        ),
        ("Application Create Completed", {"number": 2, "step": "name"}),
    ]


def test_one_definition_runs_in_many_places_at_once() -> None:
    """Threads, tasks and a function that calls itself do not meet."""

    def recurse(depth: int) -> None:
        with CREATE as f:
            f.set(who=depth)
            if depth:
                recurse(depth - 1)
                raise ValueError

    async def task(who: int) -> None:
        async with CREATE as f:
            f.set(who=who)
            await asyncio.sleep(0.001 * (who % 3))
            if who % 2:
                raise ValueError

    async def tasks() -> None:
        await asyncio.gather(*(task(who) for who in range(10, 20)), return_exceptions=True)

    def thread(who: int, barrier: threading.Barrier) -> None:
        with suppress(ValueError), CREATE as f:
            f.set(who=who)
            barrier.wait()
            if who % 2:
                raise ValueError

    def go() -> None:
        with suppress(ValueError):
            recurse(1)
        asyncio.run(tasks())
        barrier = threading.Barrier(10)
        threads = [threading.Thread(target=thread, args=(who, barrier)) for who in range(20, 30)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()

    ends = {own["who"]: name.split()[-1] for name, own in walk(go) if "who" in own}
    assert ends == {who: "Failed" if who % 2 else "Completed" for who in (0, 1, *range(10, 30))}


def test_a_flow_may_be_handed_to_a_thread() -> None:
    """It belongs to the invocation that it began in, even where two are alive."""
    client, other = RecordingClient(), RecordingClient()

    def outer() -> None:
        with CREATE as f:

            def inner() -> None:
                thread = threading.Thread(target=f.step, args=("name",))
                thread.start()
                thread.join()
                f.event("Read Terms")

            command(inner, other).main(["go"], standalone_mode=False)

    run(command(outer, client), "go")
    assert own_events(other) == []
    assert own_events(client) == [
        STARTED,
        ("Application Create Read Terms", {"step": "name"}),
        ("Application Create Completed", {"step": "name"}),
    ]


def test_a_copied_context_carries_the_invocation_on() -> None:
    """A flow in a framework's thread pool is the command's."""

    def work() -> None:
        with CREATE:
            pass

    def go() -> None:
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(work,))
        thread.start()
        thread.join()

    assert walk(go) == [STARTED, ("Application Create Completed", {})]


def frames(error: BaseException) -> list[str]:
    """The modules of a traceback."""
    found, entry = [], error.__traceback__
    while entry is not None:
        found.append(entry.tb_frame.f_globals["__name__"])
        entry = entry.tb_next
    return found


@pytest.mark.skipif(sys.version_info < (3, 11), reason="3.10 puts the frames back until the end")
def test_no_frame_of_ours_is_in_a_traceback() -> None:
    """What my users see of an error is what they saw without us."""

    @CREATE
    def work() -> None:
        raise ValueError

    @CREATE
    async def coroutine() -> None:
        raise ValueError

    @CREATE
    def generator() -> Iterator[int]:
        yield 1
        raise ValueError

    def asked() -> None:
        with CREATE as f:
            f.prompt("name", "Name")

    def go() -> None:
        for body in (work, lambda: list(generator()), lambda: asyncio.run(coroutine())):
            with pytest.raises(ValueError, match=r"^$") as raised:
                body()
            ours = [one for one in frames(raised.value) if one.startswith("click_telemetry")]
            assert ours == []
        with pytest.raises(click.Abort) as aborted:
            asked()
        assert [one for one in frames(aborted.value) if one.startswith("click_telemetry")] == []

    walk(go)


# Left open -----------------------------------------------------------------------------------


def test_a_flow_left_open_is_abandoned_once_at_the_end() -> None:
    """With the furthest step that was reached, the innermost first."""
    kept: list[Any] = []

    def go() -> None:
        for name in ("Outer", "Inner"):
            declared = flow(name, steps=("one", "two", "three"))
            f = declared.__enter__()
            kept.append((declared, f))
            f.step("two")
            f.step("one")

    client = RecordingClient()
    run(command(go, client), "go")
    for declared, f in kept:
        f.complete()
        f.step("three")
        declared.__exit__(None, None, None)
    assert [event["event"] for event in client.events][-3:] == [
        "Command Completed",
        "Inner Aborted",
        "Outer Aborted",
    ]
    at = {"reason": "abandoned", "step": "two"}
    assert own_events(client)[2:] == [("Inner Aborted", at), ("Outer Aborted", at)]


def test_a_thread_that_goes_on_after_the_end_has_been_left() -> None:
    """The command does not wait for it, and its flow has one end all the same."""
    begun, ended = threading.Event(), threading.Event()
    threads: list[threading.Thread] = []

    def work() -> None:
        with CREATE as f:
            f.step("name")
            begun.set()
            ended.wait(30)
            f.complete()

    def go() -> None:
        threads.append(threading.Thread(target=work))
        threads[0].start()
        begun.wait(30)

    client = RecordingClient()
    run(command(go, client), "go")
    ended.set()
    threads[0].join()
    at = {"reason": "abandoned", "step": "name"}
    assert own_events(client) == [STARTED, ("Application Create Aborted", at)]


def test_a_flow_of_the_group_spans_its_commands() -> None:
    """Begun before the first leaf, it waits for it; without one, nothing is recorded."""
    client = RecordingClient()

    @click.group()
    @click.pass_context
    def cli(ctx: click.Context) -> None:
        with CREATE as f:
            f.step("name")
        kept.append(CREATE(kept=True).start())
        if ctx.obj:
            raise click.ClickException("sign in first")

    kept: list[Flow] = []

    @cli.command()
    def go() -> None:
        kept[0].complete()

    instrument(cli, app="acme", client=client)
    run(cli, "go", obj=True)
    assert client.events == []
    kept.clear()
    run(cli, "go")
    assert [event["event"] for event in client.events] == [
        "Application Create Started",
        "Application Create Completed",
        "Application Create Started",
        "Command Invoked",
        "Application Create Completed",
        "Command Completed",
    ]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_records_nothing_of_its_parent_s_flow() -> None:
    """One end, recorded by the process that began it."""
    source = """
import os, sys
import click
from click_telemetry import flow, instrument
class Client:
    test_double = True
    def __init__(self): self.names = []
    def record(self, message): self.names.append(message["event"])
    def close(self): pass
client = Client()
def go():
    reading, writing = os.pipe()
    with flow("Spawn") as f:
        f._lock.acquire()  # as another thread may hold it at that moment
        child = os.fork()
        if not child:
            import threading
            def record():
                f.step("one"); f.event("Recorded"); f.set(a=1); f.complete(); f.abandon()
                with flow("Child"): pass
            thread = threading.Thread(target=record, daemon=True)
            thread.start()
            thread.join(10)
            os.write(writing, repr((thread.is_alive(), client.names)).encode())
            os._exit(0)
        f._lock.release()
        os.waitpid(child, 0)
        print(os.read(reading, 1000).decode())
group = click.Group("cli", commands={"go": click.Command("go", callback=go)})
instrument(group, app="acme", client=client).main(["go"], standalone_mode=False)
print(client.names)
"""
    site = [name for name in sys.path if name.endswith("site-packages")]
    command = python(f"sys.path += {site!r}\n{source}")
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "(False, ['Command Invoked', 'Spawn Started'])",
        "['Command Invoked', 'Spawn Started', 'Spawn Completed', 'Command Completed']",
    ]


# The bound -----------------------------------------------------------------------------------


def test_a_flow_that_started_always_ends() -> None:
    """However much is tracked in between, its end has a place; every loss is counted."""
    client = RecordingClient()

    def go() -> None:
        with CREATE as f:
            for _ in range(MAX_OWN_EVENTS):
                f.event("Read Terms")

    run(command(go, client), "go")
    assert [name for name, _ in own_events(client)].count("Application Create Read Terms") == 198
    assert own_events(client)[-1] == ("Application Create Completed", {})
    assert [event["properties"].get("dropped") for event in client.events][-2:] == [2, None]


def test_a_flow_for_which_there_is_no_room_is_not_recorded_by_half() -> None:
    """Neither its start without an end, nor an end without a start."""
    client = RecordingClient()

    def go() -> None:
        for _ in range(MAX_OWN_EVENTS - 1):
            track("Row Read")
        with CREATE as f:  # one place is left, and it needs two
            f.event("Read Terms")
        track("Row Read")

    run(command(go, client), "go")
    assert {name for name, _ in own_events(client)} == {"Row Read"}
    assert len(own_events(client)) == MAX_OWN_EVENTS


# A real process ------------------------------------------------------------------------------

APP = """
import sys
import click
from click_telemetry import flow, instrument

@click.group()
def cli(): pass

@cli.command()
@click.argument("how")
def go(how):
    with flow("application create", steps=("one", "one")) as f:
        f.step("two")
        if how == "open":
            flow("Spawn").__enter__()
        if how == "interrupt":
            raise KeyboardInterrupt
    print("went on")

instrument(cli, app="acme")
if __name__ == "__main__":
    cli()
"""


@pytest.mark.contract
@pytest.mark.parametrize(
    "env", [{}, {"DO_NOT_TRACK": "1"}, {"ACME_TELEMETRY": "log"}, {"PYTEST_VERSION": "8.0"}]
)
def test_a_person_sees_no_mistake_of_the_developer(
    make_cli: Callable[..., Cli], env: dict[str, str]
) -> None:
    """Neither a word nor another exit code, though nearly all of the declaration is wrong."""
    cli = make_cli(APP)
    done = cli.run("go", "well", env=env)
    assert (done.stdout, done.returncode) == ("went on\n", 0)
    if "ACME_TELEMETRY" not in env:
        assert done.stderr == ""
    assert cli.run("go", "interrupt", env=env).stdout == ""


@pytest.mark.contract
def test_a_flow_left_open_by_a_real_process_is_abandoned(
    make_cli: Callable[..., Cli],
) -> None:
    """Recorded at the end of the invocation, in log mode as it would be sent."""
    done = make_cli(APP).run("go", "open", env={"ACME_TELEMETRY": "log"})
    assert done.stdout == "went on\n"
    assert '"event":"Spawn Aborted","properties":{"reason":"abandoned"' in done.stderr


def test_an_asynchronous_generator_has_a_flow_as_a_block() -> None:
    """The message names the block, which works."""

    async def work() -> AsyncIterator[int]:
        with CREATE:
            yield 1

    async def main() -> list[int]:
        return [one async for one in work()]

    def go() -> None:
        assert asyncio.run(main()) == [1]

    assert walk(go) == [STARTED, ("Application Create Completed", {})]
    with pytest.raises(DeclarationError, match="write `with flow"):
        CREATE(work)


def test_a_flow_that_two_threads_end_has_one_end() -> None:
    """Fifty threads complete one flow; the first counts."""
    ends: OwnEvents = []
    for _ in range(3):

        def go() -> None:
            with CREATE as f:
                barrier = threading.Barrier(50)

                def end() -> None:
                    barrier.wait()
                    f.complete()

                threads = [threading.Thread(target=end) for _ in range(50)]
                for one in threads:
                    one.start()
                for one in threads:
                    one.join()

        ends += walk(go)
    assert ends == [STARTED, ("Application Create Completed", {})] * 3
