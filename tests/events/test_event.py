"""Typed events: the class is the plan, and only what it declares can be recorded."""

from __future__ import annotations

import asyncio
import datetime
import enum
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import FrozenInstanceError, dataclass, field
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal, Optional, Union

import click
import pytest

from click_telemetry import Event, current, exclude, track
from click_telemetry._events.text import MAX_TEXT
from click_telemetry._foreground.options import DeclarationError
from click_telemetry._reader import BASE_PROPERTIES
from click_telemetry.testing import RecordingClient

from ..harness.flows import (
    Keeping,
    at_a_prompt,
    command,
    dropped,
    in_production,
    own_events,
    walk,
)
from ..harness.interpreter import environment, python
from ..harness.stories import run
from ..harness.values import BrokenText, Faceless

pytestmark = pytest.mark.usefixtures("recording_client")


class Plan(enum.Enum):
    """Declared once, for all events and flows."""

    FREE = "free"
    PRO = "pro"


class Size(enum.IntEnum):
    SMALL = 1
    LARGE = 2


class Tag(enum.Enum):
    PAIR = (1, 2)


class PlanChanged(Event):
    """A user changed the plan.

    By the command alone, not on the web.
    """

    direction: Literal["upgrade", "downgrade"]
    from_plan: Plan
    to_plan: Plan


class Everything(Event):
    """One property of every kind."""

    count: int
    share: float
    dry: bool
    mode: Literal["a", "b"]
    level: Literal[1, 2]
    plan: Plan
    size: Size
    tag: Tag
    day: datetime.date
    moment: datetime.datetime
    note: Annotated[str, 8]
    plans: list[Plan]
    numbers: tuple[int, ...]
    maybe: Optional[int] = None  # noqa: UP045
    modes: list[Literal["a", "b"]] | None = None
    shared: ClassVar[int] = 3


MOMENT = datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.timezone.utc)

FULL: dict[str, Any] = {
    "count": 3,
    "share": 0.5,
    "dry": True,
    "mode": "a",
    "level": 2,
    "plan": Plan.PRO,
    "size": Size.LARGE,
    "tag": Tag.PAIR,
    "day": datetime.date(2026, 1, 2),
    "moment": MOMENT,
    "note": "short",
    "plans": [Plan.PRO, Plan.FREE],
    "numbers": (1, 2),
}

RECORDED: dict[str, Any] = {
    **FULL,
    "plan": "pro",
    "size": 2,
    "tag": "PAIR",
    "day": "2026-01-02",
    "moment": "2026-01-02T03:04:00+00:00",
    "plans": ["pro", "free"],
    "numbers": [1, 2],
}


# What is recorded --------------------------------------------------------------------------------


def test_an_event_is_named_after_its_class() -> None:
    """`PlanChanged` is `Plan Changed`, with its properties and no other."""
    changed = PlanChanged(direction="upgrade", from_plan=Plan.FREE, to_plan=Plan.PRO)
    own = {"direction": "upgrade", "from_plan": "free", "to_plan": "pro"}

    def go() -> None:
        track(changed)
        current().track(changed)

    assert walk(go) == [("Plan Changed", own)] * 2


def test_a_name_may_be_given() -> None:
    """As another system knows it already."""

    class Exported(Event, name="Invoice Exported"):
        pages: int

    assert walk(lambda: track(Exported(3))) == [("Invoice Exported", {"pages": 3})]


def test_every_kind_of_value_is_recorded_as_json() -> None:
    """Enumerations by value, dates by ISO 8601; None is left out."""
    assert walk(lambda: track(Everything(**FULL))) == [("Everything", RECORDED)]


def test_base_properties_win() -> None:
    """There is no way to declare one, and so none to override one."""
    for name in BASE_PROPERTIES:
        with pytest.raises(DeclarationError, match=f"{name} is a name of ours"):
            type("Sneaky", (Event,), {"__annotations__": {name: int}})


def test_the_plan_is_on_the_class() -> None:
    """Name, description and properties can be read without an instance or a registry."""
    plan = PlanChanged.__telemetry__
    assert plan.name == "Plan Changed"
    assert plan.description == ("A user changed the plan.\n\nBy the command alone, not on the web.")
    found = [(p.name, p.kind, p.choices, p.optional) for p in plan.properties.values()]
    assert found == [
        ("direction", "string", ("upgrade", "downgrade"), False),
        ("from_plan", "string", ("free", "pro"), False),
        ("to_plan", "string", ("free", "pro"), False),
    ]
    everything = Everything.__telemetry__.properties
    assert [(p.name, p.kind, p.max_length, p.many, p.optional) for p in everything.values()] == [
        ("count", "integer", None, False, False),
        ("share", "number", None, False, False),
        ("dry", "boolean", None, False, False),
        ("mode", "string", None, False, False),
        ("level", "integer", None, False, False),
        ("plan", "string", None, False, False),
        ("size", "integer", None, False, False),
        ("tag", "string", None, False, False),
        ("day", "date", None, False, False),
        ("moment", "date-time", None, False, False),
        ("note", "string", 8, False, False),
        ("plans", "string", None, True, False),
        ("numbers", "integer", None, True, False),
        ("maybe", "integer", None, False, True),
        ("modes", "string", None, True, True),
    ]
    assert everything["tag"].choices == ("PAIR",)


def test_an_event_outside_a_recorded_run_is_counted_or_ignored() -> None:
    """Outside any command it is dropped; in an excluded one it is not recorded."""
    client = RecordingClient()
    group = command(lambda: track(PlanChanged("upgrade", Plan.FREE, Plan.PRO)), client)
    group.add_command(
        exclude(
            click.Command(
                "hidden", callback=lambda: track(PlanChanged("upgrade", Plan.FREE, Plan.PRO))
            )
        )
    )
    run(group, "hidden")
    assert client.messages == []
    track(PlanChanged("upgrade", Plan.FREE, Plan.PRO))
    run(group, "go")
    assert dropped(client) == 1


# Values --------------------------------------------------------------------------------------


def test_an_event_is_a_frozen_value() -> None:
    """Equal by its values, hashable, and shown as it is made; positional or by name."""
    one = PlanChanged("upgrade", Plan.FREE, to_plan=Plan.PRO)
    other = PlanChanged(to_plan=Plan.PRO, from_plan=Plan.FREE, direction="upgrade")
    assert one == other
    assert len({one, other}) == 1
    assert one != PlanChanged("downgrade", Plan.FREE, Plan.PRO)
    assert one != "Plan Changed"
    assert repr(Everything(**FULL)).startswith("Everything(count=3, share=0.5, dry=True")
    with pytest.raises(AttributeError, match="PlanChanged is frozen"):
        one.to_plan = Plan.FREE  # type: ignore[misc]
    with pytest.raises(AttributeError, match="PlanChanged is frozen"):
        del one.to_plan


def test_a_dataclass_is_welcome() -> None:
    """The application's own decorator does what it always does."""

    @dataclass(frozen=True)
    class Exported(Event):
        """An export has ended."""

        pages: int
        formats: tuple[Literal["pdf", "csv"], ...] = field(default_factory=tuple)

    one = Exported(pages=3, formats=("pdf",))
    with pytest.raises(FrozenInstanceError):
        one.pages = 4  # type: ignore[misc]
    assert Exported.__telemetry__.description == "An export has ended."

    def go() -> None:
        track(one)
        track(Exported(1))

    assert walk(go) == [
        ("Exported", {"pages": 3, "formats": ["pdf"]}),
        ("Exported", {"pages": 1, "formats": []}),
    ]


def test_a_dataclass_with_slots_keeps_its_name() -> None:
    """It makes the class anew, without the keywords that it was made with."""

    @dataclass(frozen=True, slots=True)
    class Exported(Event, name="Invoice Exported"):
        pages: int

    assert walk(lambda: track(Exported(3))) == [("Invoice Exported", {"pages": 3})]


def test_events_may_share_properties() -> None:
    """A base class declares what its events have in common."""

    class Change(Event):
        """Something changed."""

        plan: Plan
        by: Literal["flag", "prompt"]

    class RegionChanged(Change):
        region: Literal["eu", "us"]

    made = RegionChanged(Plan.PRO, "prompt", "eu")
    assert walk(lambda: track(made)) == [
        ("Region Changed", {"plan": "pro", "by": "prompt", "region": "eu"})
    ]
    assert "region" not in Change.__telemetry__.properties


# Declarations --------------------------------------------------------------------------------

Alias = Literal["a", "b"]


class Marked:
    """As annotated-types' MaxLen has it."""

    max_length = 8

    def __repr__(self) -> str:
        return "MaxLen(8)"


@pytest.mark.parametrize(
    ("annotation", "kind", "choices"),
    [
        (Alias, "string", ("a", "b")),
        (Literal[True], "boolean", (True,)),
        (Annotated[int, "rows"], "integer", None),
        (Annotated[str, Marked()], "string", None),
        (Annotated[str, "a note", 8], "string", None),
        (list[Annotated[str, 8]], "string", None),
        (Union[None, int], "integer", None),  # noqa: UP007
        (Literal[Plan.PRO], "string", ("pro",)),
    ],
    ids=str,
)
def test_annotations_may_be_these(annotation: Any, kind: str, choices: Any) -> None:
    """Whatever spells a bounded, plain value."""
    made: Any = type("Made", (Event,), {"__annotations__": {"value": annotation}})
    declared = made.__telemetry__.properties["value"]
    assert (declared.kind, declared.choices) == (kind, choices)


class Open(enum.Enum):
    ONE = 1
    TWO = "two"


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (str, "value is a text without a bound: write Literal[…] or Annotated[str, 64]"),
        (Annotated[str, "note"], "is a text without a bound: write Annotated[str, 64]"),
        (Annotated[str, MAX_TEXT + 1], "write a number from 1 to 4096"),
        (Annotated[str, True], "is a text without a bound"),
        (list[str], "is a text without a bound"),
        (Any, "a property may be Literal, an Enum, bool, int"),
        (object, "is object: a property may be"),
        (dict[str, int], "a property may be"),
        (list[list[int]], "a property may be"),
        (list, "a property may be"),
        (set[int], "a property may be"),
        (tuple[int, str], "a property may be"),
        (Decimal, "is Decimal: a property may be"),
        (bytes, "is bytes: a property may be"),
        (datetime.timedelta, "is timedelta: a property may be"),
        (Exception, "is Exception: a property may be"),
        (int | str, "is one of several types: write one of them"),
        (int | float | None, "is one of several types"),
        (None, "a property may be"),
        (Literal["a", 1], "are not all texts, all integers or all booleans"),
        (Literal[b"a"], "are not all texts, all integers or all booleans"),
        (Open, "are not all texts, all integers or all booleans"),
        (Literal["a" * 5000], "has a value of more than 4096 characters"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_any_other_annotation_raises_at_the_class(annotation: Any, message: str) -> None:
    """With what to write instead, when it is imported, and not when a person runs it."""
    with pytest.raises(DeclarationError) as raised:
        type("Made", (Event,), {"__annotations__": {"value": annotation}})
    assert str(raised.value).startswith("Made.value ")
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Value", "Write 'value'"),
        ("_value", "no snake_case word"),
        ("sequence", "is a name of ours: rename it, for example to 'event_sequence'"),
        ("invalid", "is a name of ours"),
        ("timed", "is a name of ours"),
        ("timestamp", "would hide a column of Segment's warehouses"),
        ("context_ip", "would hide a column of Segment's warehouses"),
    ],
)
def test_names_of_properties_are_checked(name: str, message: str) -> None:
    """None is hidden by ours, and none hides a warehouse's."""
    with pytest.raises(DeclarationError) as raised:
        type("Made", (Event,), {"__annotations__": {name: int}})
    assert message in str(raised.value)


def test_names_of_events_are_checked() -> None:
    """Title Case, and none of ours."""
    with pytest.raises(DeclarationError, match="write 'Plan Changed'"):

        class One(Event, name="plan changed"): ...

    with pytest.raises(DeclarationError, match="which is an event of ours"):

        class CommandCompleted(Event): ...


@pytest.mark.parametrize(
    ("default", "message"),
    [([], "has a default that all share"), ("x", "its annotation does not allow"), (None, "allow")],
)
def test_defaults_are_checked(default: Any, message: str) -> None:
    """A default that could never be recorded is found at import."""
    with pytest.raises(DeclarationError, match=message):
        type("Made", (Event,), {"__annotations__": {"value": int}, "value": default})


def test_annotations_are_looked_up_where_the_class_is() -> None:
    """Strings or not, of a module or of a function; what is not there is named."""

    class Local(enum.Enum):
        A = "a"

    class Made(Event):
        value: Local
        quoted: "list[Local]"  # noqa: UP037

    properties = Made.__telemetry__.properties
    assert [declared.choices for declared in properties.values()] == [("a",), ("a",)]
    with pytest.raises(DeclarationError, match="name 'Missing', which is not there"):

        class Wrong(Event):
            value: Missing  # type: ignore[name-defined]  # noqa: F821


def test_annotations_need_no_future() -> None:
    """A module without `from __future__ import annotations`, on every Python."""
    source = """
from typing import Literal
import enum
from click_telemetry import Event
class Plan(enum.Enum):
    PRO = "pro"
class PlanChanged(Event):
    plan: Plan
    to: "Literal['a'] | None" = None
def local():
    class Mode(enum.Enum):
        A = "a"
    class Ran(Event):
        mode: Mode
    return Ran
print([p.choices for p in PlanChanged.__telemetry__.properties.values()])
print([p.choices for p in local().__telemetry__.properties.values()])
import sys
print(sorted({"dataclasses", "click", "json", "logging"} & set(sys.modules)))
"""
    done = subprocess.run(
        python(source), env=environment(), capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    # Declaring events loads no dataclasses, nor anything else that is dear.
    assert done.stdout == "[('pro',), ('a',)]\n[('a',)]\n[]\n"


# Wrong values --------------------------------------------------------------------------------

WRONG: dict[str, Any] = {
    "count": True,
    "share": "0.5",
    "dry": 1,
    "mode": "c",
    "level": True,
    "plan": "enterprise",
    "size": 3,
    "tag": (1, 2),
    "day": "2026-01-02",
    "moment": datetime.date(2026, 1, 2),
    "note": "much too long",
    "plans": [Plan.PRO, "x"],
    "numbers": {1, 2},
    "maybe": "3",
    "modes": "ab",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mismatched_value_raises_in_a_test(name: str) -> None:
    """My own test suite finds it, with the event and the property."""
    client = RecordingClient()
    made = Everything(**{**FULL, name: WRONG[name]})
    result = run(command(lambda: track(made), client), "go")
    assert isinstance(result.exception, DeclarationError)
    assert f"Everything does not match its declaration ({name} is" in str(result.exception)
    assert own_events(client) == []


def test_a_wrong_value_is_left_out_at_a_prompt() -> None:
    """The rest is recorded, with the names of what is missing; and it is counted."""
    recorded = at_a_prompt(lambda: track(Everything(**WRONG)))
    assert recorded == [("Everything", {"invalid": list(WRONG)})]
    one = {**FULL, "note": "much too long", "plan": Faceless()}
    client = Keeping()
    with in_production():
        cli = command(lambda: track(Everything(**one)), client, notice=False)
        cli.main(["go"], standalone_mode=False)
    own = {k: v for k, v in RECORDED.items() if k not in ("note", "plan")}
    assert own_events(client.recording) == [("Everything", {**own, "invalid": ["plan", "note"]})]
    assert dropped(client.recording) == 2


def test_equal_values_are_accepted() -> None:
    """An enumeration's plain value, an integer for a number, a datetime for a day."""
    event = Everything(
        **{**FULL, "plan": "pro", "size": 2, "share": 1, "day": MOMENT, "note": BrokenText("short")}
    )
    assert walk(lambda: track(event)) == [("Everything", {**RECORDED, "share": 1.0})]


WRONG_CALLS: list[tuple[Callable[[Any], Any], str]] = [
    (lambda cls: cls("upgrade", Plan.FREE), "PlanChanged needs to_plan too"),
    (lambda cls: cls("upgrade", Plan.FREE, Plan.PRO, 3), "takes each of direction, from_plan"),
    (
        lambda cls: cls("upgrade", Plan.FREE, Plan.PRO, direction="upgrade"),
        "takes each of direction, from_plan",
    ),
    (
        lambda cls: cls("upgrade", Plan.FREE, Plan.PRO, amount=3),
        "PlanChanged has no amount: declare it",
    ),
]


@pytest.mark.parametrize(
    ("call", "message"), WRONG_CALLS, ids=[message for _, message in WRONG_CALLS]
)
def test_a_wrong_call_raises_in_a_test(call: Callable[[Any], Any], message: str) -> None:
    """As a type checker reports it before."""
    with pytest.raises(DeclarationError) as raised:
        call(PlanChanged)
    assert message in str(raised.value)


def test_a_wrong_call_does_not_raise_at_a_prompt() -> None:
    """What is there is recorded, what is not is named."""

    def go() -> None:
        for call, _ in WRONG_CALLS:
            track(call(PlanChanged))

    full = {"direction": "upgrade", "from_plan": "free", "to_plan": "pro"}
    assert at_a_prompt(go) == [
        (
            "Plan Changed",
            {"direction": "upgrade", "from_plan": "free", "invalid": ["to_plan"]},
        ),
        *[("Plan Changed", full)] * 3,
    ]


# Blocks --------------------------------------------------------------------------------------


class ToolCall(Event):
    """A tool was called, and has come back."""

    tool: Literal["search", "edit"]
    category: Literal["read", "write"]


CALL = ToolCall("search", "read")
AT = {"tool": "search", "category": "read"}


def test_an_event_measures_its_block() -> None:
    """How long it took, in milliseconds, and whether it succeeded."""
    client = RecordingClient()

    def go() -> None:
        with CALL.timed():
            track("Amid Call")
            import time

            time.sleep(0.03)
        track(CALL)

    run(command(go, client), "go")
    measured = client.events[2]["properties"]
    assert 30 <= measured["duration_ms"] < 60_000
    assert own_events(client) == [
        ("Amid Call", {}),
        ("Tool Call", {**AT, "succeeded": True}),
        ("Tool Call", AT),
    ]


@pytest.mark.parametrize(
    ("error", "own"),
    [
        (ValueError("secret"), {"succeeded": False, "error_class": "ValueError"}),
        (
            KeyboardInterrupt(),
            {"succeeded": False, "error_class": "KeyboardInterrupt", "user_cancelled": True},
        ),
        (SystemExit(0), {"succeeded": True}),
        (SystemExit(2), {"succeeded": False}),
        (asyncio.CancelledError(), {"succeeded": False, "error_class": "asyncio.exceptions.Ca"}),
    ],
    ids=repr,
)
def test_an_error_in_its_block_is_named(error: BaseException, own: dict[str, Any]) -> None:
    """The class alone; the very object passes through."""

    def go() -> None:
        with pytest.raises(type(error)) as left, CALL.timed():
            raise error
        assert left.value is error
        assert left.value.__traceback__ is not None

    ((_, found),) = walk(go)
    if "error_class" in found:
        found["error_class"] = found["error_class"][:21]
    assert found == {**AT, **own}


def test_a_value_may_be_timed_again_and_awaited() -> None:
    """Each block is one event; the value stays what it was."""

    async def main() -> None:
        async with CALL.timed():
            await asyncio.sleep(0)
        with suppress(ValueError):
            async with CALL.timed():
                raise ValueError

    def go() -> None:
        with CALL.timed(), CALL.timed():
            pass
        asyncio.run(main())

    fine = ("Tool Call", {**AT, "succeeded": True})
    failed = ("Tool Call", {**AT, "succeeded": False, "error_class": "ValueError"})
    assert walk(go) == [fine, fine, fine, failed]
    assert ToolCall("search", "read") == CALL
