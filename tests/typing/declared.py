"""The public API as a type checker sees it: `mypy --strict` reads this file, and it runs as a test.

What must be refused carries an ignore, which strict mypy reports as unused once it is accepted.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Literal

from click_telemetry import Event, Flow, current, flow, track

if TYPE_CHECKING:
    from typing_extensions import assert_type

    from click_telemetry._events.flow_definition import FlowDefinition


class Plan(Enum):
    """Declared once."""

    FREE = "free"
    PRO = "pro"


class PlanChanged(Event):
    """A plain subclass."""

    to_plan: Plan
    direction: Literal["upgrade", "downgrade"] = "upgrade"
    note: Annotated[str, 64] | None = None


@dataclass(frozen=True)
class Exported(Event, name="Invoice Exported"):
    """A dataclass of the application's own."""

    pages: int
    formats: tuple[Literal["pdf", "csv"], ...] = ()
    on: datetime.date | None = None


def typed_events() -> list[Event]:
    """How events are made and tracked."""
    made = PlanChanged(Plan.PRO, direction="downgrade")
    exported = Exported(3, ("pdf",), on=datetime.date(2026, 1, 2))
    if TYPE_CHECKING:
        assert_type(made.to_plan, Plan)
        assert_type(made.note, str | None)
        assert_type(exported.pages, int)
    track(made)
    track("Invoice Exported", {"pages": 3})
    current().track(exported)
    with made.timed():
        return [made, exported]


def refused_events() -> None:
    """What a type checker tells before a test does; never called."""
    PlanChanged()  # type: ignore[call-arg]
    PlanChanged("pro")  # type: ignore[arg-type]
    PlanChanged(to_plan=Plan.PRO, direction="sideways")  # type: ignore[arg-type]
    PlanChanged(to_plan=Plan.PRO, amount=3)  # type: ignore[call-arg]
    PlanChanged(Plan.PRO).to_plan = Plan.FREE  # type: ignore[misc]
    Exported(pages="3")  # type: ignore[arg-type]
    Exported(3).pages = 4  # type: ignore[misc]
    track(PlanChanged(Plan.PRO), {"more": 1})  # type: ignore[call-overload]
    track(3)  # type: ignore[call-overload]


CREATE = flow("Application Create", steps=("name",), aborts={ValueError: "broken"})


@CREATE
def create(name: str, *, size: int = 1) -> int:
    """A function keeps its type."""
    return len(name) * size


@flow("Application Import")
async def import_(name: str) -> str:
    """So does a coroutine function."""
    return name


def flows(f: Flow | None = None) -> int:
    """How flows are walked."""
    f = Flow.of(f)
    f.step("name")
    with CREATE(plan="pro", when=True) as walked:
        walked.event("Accepted Terms", plan="pro")
        walked.set(region=None)
        walked.complete(region="eu")
    if TYPE_CHECKING:
        assert_type(walked, Flow)
        assert_type(CREATE(plan="pro"), FlowDefinition)
        assert_type(walked.confirm("sure", "Sure?"), bool)
        assert_type(create("x", size=2), int)
    return create("x", size=2)


async def asynchronous_flows() -> str:
    """How they are awaited."""
    async with CREATE as f:
        f.abort("broken")
    found = await import_("x")
    if TYPE_CHECKING:
        assert_type(found, str)
    return found


def refused_flows(f: Flow) -> None:
    """Likewise never called."""
    f.step()  # type: ignore[call-arg]
    f.step(3)  # type: ignore[arg-type]
    f.abort()  # type: ignore[call-arg]
    create(3)  # type: ignore[arg-type]
    flow(3)  # type: ignore[arg-type]
    flow("Spawn", aborts={int: "x"})  # type: ignore[dict-item]
