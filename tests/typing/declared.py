"""The public API as a type checker sees it: `mypy --strict` reads this file, and it runs as a test.

A line that must be rejected has an ignore, which strict mypy reports as unused if it is accepted.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Literal

import click

from click_telemetry import (
    Event,
    Flow,
    FlowDefinition,
    InstrumentedGroup,
    current,
    exclude,
    flow,
    instrument,
    instrumented_group,
    telemetry_group,
    track,
)
from click_telemetry.testing import RecordingClient

if TYPE_CHECKING:
    import typer
    from typing_extensions import assert_type

    from click_telemetry._commands.group import TelemetryGroup


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
    """Creates and tracks events."""
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


def rejected_events() -> None:
    """Mistakes that a type checker reports before a test does; never called."""
    PlanChanged()  # type: ignore[call-arg]
    PlanChanged("pro")  # type: ignore[arg-type]
    PlanChanged(to_plan=Plan.PRO, direction="sideways")  # type: ignore[arg-type]
    PlanChanged(to_plan=Plan.PRO, amount=3)  # type: ignore[call-arg]
    PlanChanged(Plan.PRO).to_plan = Plan.FREE  # type: ignore[misc]
    Exported(pages="3")  # type: ignore[arg-type]
    Exported(3).pages = 4  # type: ignore[misc]
    track(PlanChanged(Plan.PRO), {"more": 1})  # type: ignore[call-overload]
    track(3)  # type: ignore[call-overload]


CREATE = flow("Application Create", steps=("name",), aborts={ValueError: "broken"}, plan=Plan)
CHANGE = flow("Plan Change", direction=Literal["up", "down"], seats=int | None)


@CREATE
def create(name: str, *, size: int = 1) -> int:
    """A function keeps its type."""
    return len(name) * size


@flow("Application Import")
async def import_(name: str) -> str:
    """So does a coroutine function."""
    return name


def flows(f: Flow | None = None) -> int:
    """Runs flows."""
    f = Flow.of(f)
    f.step("name")
    with CREATE(plan="pro", when=True) as running:
        running.event("Accepted Terms", plan="pro")
        running.set(region=None)
        running.complete(region="eu")
    if TYPE_CHECKING:
        assert_type(running, Flow)
        assert_type(CREATE(plan="pro"), FlowDefinition)
        assert_type(running.confirm("sure", "Sure?"), bool)
        assert_type(create("x", size=2), int)
    return create("x", size=2)


async def asynchronous_flows() -> str:
    """Runs asynchronous flows."""
    async with CREATE as f:
        f.abort("broken")
    found = await import_("x")
    if TYPE_CHECKING:
        assert_type(found, str)
    return found


def rejected_flows(f: Flow) -> None:
    """Never called either."""
    f.step()  # type: ignore[call-arg]
    f.step(3)  # type: ignore[arg-type]
    f.abort()  # type: ignore[call-arg]
    create(3)  # type: ignore[arg-type]
    flow(3)  # type: ignore[arg-type]
    flow("Spawn", aborts={int: "x"})  # type: ignore[dict-item]


class OwnGroup(click.Group):
    """A group class of the application's own."""


def groups() -> list[click.Group]:
    """Declares applications: on functions, with and without options, and on groups."""

    @instrumented_group
    def plain() -> None: ...

    @instrumented_group(
        app="acme", notice=False, client=RecordingClient(), invoke_without_command=True
    )
    def optional() -> None: ...

    @instrumented_group(cls=OwnGroup, app="acme", host=lambda: None)
    def own() -> None: ...

    @instrumented_group(app="acme", no_telemetry_option="hidden")
    @click.group(cls=OwnGroup)
    def existing() -> None: ...

    @instrumented_group(name="acme", help="Runs.", epilog="More.", cls=OwnGroup, app="acme")
    def described() -> None: ...

    direct = InstrumentedGroup("direct", telemetry={"app": "acme", "ci": "label"})
    direct.add_command(telemetry_group("data", help="Your data."))

    single = exclude(instrument(click.Command("single"), app="acme", properties={"team": "x"}))
    if TYPE_CHECKING:
        assert_type(plain, InstrumentedGroup)
        assert_type(optional, InstrumentedGroup)
        assert_type(own, OwnGroup)
        assert_type(existing, OwnGroup)
        assert_type(instrument(OwnGroup(), app="acme"), OwnGroup)
        assert_type(single, click.Command)
        assert_type(described, OwnGroup)
        assert_type(telemetry_group(), TelemetryGroup)
    return [plain, optional, own, existing, described, direct]


def typer_applications(app: typer.Typer) -> None:
    """A Typer application keeps its type; never called, since Typer may be missing."""
    assert_type(instrument(app, app="acme"), typer.Typer)
    assert_type(instrumented_group(app="acme")(app), typer.Typer)
    assert_type(instrumented_group(app, app="acme"), typer.Typer)
    assert_type(exclude(app), typer.Typer)


def rejected_groups() -> None:
    """Never called either."""
    instrument(click.Group(), writekey="key")  # type: ignore[call-arg]
    instrument(click.Group(), consent="never")  # type: ignore[arg-type]
    instrument(click.Group(), flush_timeout="1")  # type: ignore[arg-type]
    instrument(click.Group(), client=print)  # type: ignore[arg-type]
    instrument(typer.Typer(), writekey="key")  # type: ignore[call-arg]
    instrumented_group(writekey="key")  # type: ignore[call-overload]
    instrumented_group(app="acme", chain="yes")  # type: ignore[call-overload]
    instrumented_group(cls=OwnGroup, writekey="key")  # type: ignore[call-overload]
    instrumented_group(cls=OwnGroup, ci="on")  # type: ignore[call-overload]
    instrumented_group(cls=int, app="acme")  # type: ignore[type-var]
    instrumented_group(click.Group(), writekey="key")  # type: ignore[call-overload]
    instrument()  # type: ignore[call-arg]
    instrument(app="acme")  # type: ignore[call-arg]
    InstrumentedGroup(telemetry={"writekey": "key"})  # type: ignore[arg-type]
    InstrumentedGroup(telemetry={"ci": "on"})  # type: ignore[arg-type]
    InstrumentedGroup(telemetry=["app"])  # type: ignore[arg-type]
    click.Group().add_command(telemetry_group)  # type: ignore[arg-type]
    CREATE.step("name")  # type: ignore[attr-defined]
