"""The tracking plan as values, which the other modules of this package collect and print."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .._reader import TELEMETRY_HEALTH

if TYPE_CHECKING:
    from .._events.flow_plan import FlowPlan
    from .._recorder import Settings
    from .tree import Command, Tree

Schema = dict[str, Any]

REDACTED: Schema = {"type": "string", "pattern": r"\[redacted:[a-z0-9-]+\]"}
WORD: Schema = {"type": "string", "pattern": "^([a-z][a-z0-9_]{0,63}|<undeclared>)$"}
UUID: Schema = {
    "type": "string",
    "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$",
}
CLASS: Schema = {"type": "string", "pattern": r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$"}
COUNT: Schema = {"type": "integer", "minimum": 0}
TRUE: Schema = {"const": True}
CODE = "^([a-z][a-z0-9_]{0,63}|[A-Z][A-Z0-9_]{0,63})$"


@dataclass(frozen=True)
class Property:
    """A property as it leaves the machine.

    Attributes:
        name: its name.
        schema: of its values, in JSON Schema.
        meaning: a sentence without its end; empty if it is unknown.
        is_required: whether each such event has it.
        is_declared: whether the application states which values it has; else it is any value,
            scrubbed.
    """

    name: str
    schema: Schema
    meaning: str = ""
    is_required: bool = False
    is_declared: bool = True


@dataclass(frozen=True)
class PlannedEvent:
    """An event.

    Attributes:
        name: its name.
        description: what it is; empty if that is not declared.
        properties: its own, by name.
        kind: `command`, `declared`, `flow`, `resource`, `error`, `named`, or `health`, whose event
            has the properties of no other one.
        is_open: whether it may have other properties, whose names cannot be known.
        rules: further rules of JSON Schema about the properties.
    """

    name: str
    description: str
    properties: tuple[Property, ...]
    kind: str
    is_open: bool = False
    rules: tuple[Schema, ...] = ()


def health_event(sample: float | None) -> PlannedEvent:
    """What the sender itself sends once a day, with other events.

    Args:
        sample: the share of installations that record, or None for all.
    """
    properties = [
        Property("library_version", {"type": "string"}, "of click_telemetry", True),
        Property("period_hours", COUNT, "since the last one", True),
        Property("delivered_count", COUNT, "events that were delivered since then", True),
        Property("rejected_count", COUNT, "events that the server rejected", True),
        Property("dropped_count", COUNT, "events that were too old, too many or too large", True),
        Property("failure_count", COUNT, "attempts to deliver that failed", True),
        Property("delay_ms", COUNT, "from an event to its delivery, on average", True),
        Property("max_delay_ms", COUNT, "the longest of these delays", True),
        Property("queue_age_ms", COUNT, "how long the oldest event has been queued", True),
    ]
    if sample is not None:
        rate = {"const": sample}
        properties.append(Property("sample_rate", rate, "the share that records", True))
    about = "How delivery from this machine works; sent once a day, with other events."
    return PlannedEvent(TELEMETRY_HEALTH, about, tuple(properties), "health")


@dataclass(frozen=True)
class PlannedFlow:
    """A flow.

    Attributes:
        name: its name.
        steps: in order.
        reasons: why it may be aborted, the two that need no declaration included.
        prompts: by name, what may be answered: a list of choices, True for yes or no, None for no
            recorded answer, UNKNOWN for one of a list that cannot be known.
        events: the names of its events.
        declared: its properties whose values it declares.
    """

    name: str
    steps: tuple[str, ...]
    reasons: tuple[str, ...]
    prompts: dict[str, Any]
    events: tuple[str, ...]
    declared: tuple[Property, ...]


# What the source records by calls -----------------------------------------------------------------


@dataclass
class Names:
    """Names of properties; open if others may occur, since the program makes them as it runs."""

    names: set[str] = field(default_factory=set)
    is_open: bool = False

    def add(self, other: Names) -> None:
        """Add those of another place."""
        self.names |= other.names
        self.is_open = self.is_open or other.is_open


@dataclass
class FlowCalls:
    """What is recorded in runs of a flow.

    Attributes:
        properties: of every event of the flow.
        moments: the events that `f.event` records, each with its own properties.
        prompts: by name; the choices that may be answered, True for yes or no, None for no answer.
        other_prompts: whether there are others, whose names the program makes as it runs.
    """

    properties: Names = field(default_factory=Names)
    moments: dict[str, Names] = field(default_factory=dict)
    other_moments: bool = False
    prompts: dict[str, Any] = field(default_factory=dict)
    other_prompts: bool = False


@dataclass
class Calls:
    """The names in an application's source.

    Attributes:
        codes: of warnings and errors; None in it stands for one that is made as it runs.
        commands: custom commands, with their sources; None as in `codes`.
        context: of `set_context`.
        definitions: flows that are defined within functions.
        flows: by name; the empty name for those of a flow that is passed as an argument.
        has_plugins: whether the application looks for commands of other packages.
        resources: by kind and method; the empty kind for one that is made as it runs.
        timed: names of the classes whose blocks are timed; None as in `codes`.
        tracked: events that are tracked by name.
        traits: of `identify`; None if it is not called.
        unknown: what is named as the program runs, as sentences.
        unreadable: modules, and why their source cannot be read.
    """

    codes: dict[str, set[str | None]] = field(default_factory=dict)
    commands: dict[str | None, set[str]] = field(default_factory=dict)
    context: Names = field(default_factory=Names)
    definitions: dict[str, FlowPlan] = field(default_factory=dict)
    flows: dict[str, FlowCalls] = field(default_factory=dict)
    has_plugins: bool = False
    resources: dict[str, dict[str, Names]] = field(default_factory=dict)
    timed: set[str | None] = field(default_factory=set)
    tracked: dict[str, Names] = field(default_factory=dict)
    traits: Names | None = None
    unknown: set[str] = field(default_factory=set)
    unreadable: dict[str, str] = field(default_factory=dict)

    def flow(self, name: str) -> FlowCalls:
        """Those of a flow."""
        return self.flows.setdefault(name, FlowCalls())


# The plan -----------------------------------------------------------------------------------------


@dataclass
class Plan:
    """All that an application can send.

    Attributes:
        settings: what it declared.
        commands: by path, custom commands too.
        tree: what was found of its commands.
        events: by name.
        flows: by name.
        common: the properties of all events that the application adds.
        common_is_open: whether `set_context` may add others.
        custom_is_open: whether there are custom commands whose names cannot be known.
        traits: of a signed-in user; None if the application does not call `identify`.
        unknown: what cannot be known, as sentences.
        problems: commands that cannot be loaded and sources that cannot be read.
    """

    settings: Settings
    tree: Tree
    commands: dict[str, Command] = field(default_factory=dict)
    events: dict[str, PlannedEvent] = field(default_factory=dict)
    flows: dict[str, PlannedFlow] = field(default_factory=dict)
    common: dict[str, Property] = field(default_factory=dict)
    common_is_open: bool = False
    custom_is_open: bool = False
    traits: Names | None = None
    unknown: list[str] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
