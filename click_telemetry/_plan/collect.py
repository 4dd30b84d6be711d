"""The tracking plan of an application, as values: its commands, events, flows and settings.

`tree` walks the commands, `source` reads the calls; what is declared (classes of events, flows,
`properties=`, `events=`) is read from the objects themselves. Nothing is recorded or sent.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from .._events.commands import ERROR_OCCURRED, SOURCES, WARNING_OCCURRED
from .._events.event import Event, EventPlan
from .._events.flow_definition import FlowDefinition
from .._events.flow_plan import ABANDONED, CANCELLED
from .._events.properties import convert_properties
from .._reader import COMMAND_COMPLETED, COMMAND_INVOKED
from .._recorder import DYNAMIC, PLUGIN
from .._scrub import names_secret
from . import source
from .expressions import UNKNOWN
from .model import (
    CLASS,
    CODE,
    COUNT,
    REDACTED,
    TRUE,
    UUID,
    WORD,
    Calls,
    Names,
    Plan,
    PlannedEvent,
    PlannedFlow,
    Property,
    health_event,
)
from .source import ACTIONS
from .tree import Command, Ownership, command_of, import_root, settings_of_root, walk

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .._events.flow_plan import FlowPlan
    from .._events.schema import EventProperty
    from .._recorder import Settings

    Schema = dict[str, Any]


def load(target: str) -> Plan:
    """The plan of `package.module:object`.

    Raises:
        CannotLoad: it cannot be imported, or is no instrumented application.
    """
    return collect(import_root(target))


def collect(root: Any, calls: Calls | None = None) -> Plan:
    """The plan of an application.

    Args:
        root: its instrumented command, or its Typer application.
        calls: what its source records; by default the source of its modules is read.

    Raises:
        CannotLoad: it is neither.
    """
    command = command_of(root)
    settings = settings_of_root(command)
    is_own = Ownership(settings)
    tree = walk(command, settings, is_own)  # loads lazy commands, and what they declare
    calls = source.read(is_own) if calls is None else calls
    plan = Plan(settings, tree, problems={**tree.unloadable, **calls.unreadable})
    if calls.has_plugins:
        for group in tree.group_flags:
            tree.open_groups.setdefault(group, (PLUGIN,))
    custom = dict(_custom_commands(settings.app, calls))
    if DYNAMIC in tree.open_groups.get(settings.app, ()):
        custom.pop(f"{settings.app} {DYNAMIC}", None)  # the same path, with the group's flags
    plan.commands = dict(sorted({**custom, **tree.commands}.items()))
    found = [
        *_command_events(settings, bool(calls.commands)),
        *_declared(settings, is_own, calls),
        *_flows(plan, _flow_plans(settings, is_own, calls), calls),
        *_resources(calls),
        *_errors(calls),
        *_named(settings, calls),
        *([health_event(settings.sample)] if settings.client is None else []),
    ]
    for event in sorted(found, key=lambda one: (one.kind != "command", one.name)):
        known = plan.events.get(event.name)
        plan.events[event.name] = event if known is None else _merged(known, event)
    plan.common = {one.name: one for one in sorted(_common(settings, calls), key=lambda p: p.name)}
    plan.common_is_open = calls.context.is_open
    plan.traits = calls.traits
    plan.custom_is_open = None in calls.commands
    plan.unknown += calls.unknown
    plan.unknown.sort()
    return plan


# Commands -----------------------------------------------------------------------------------------


def _custom_commands(app: str, calls: Calls) -> Iterator[tuple[str, Command]]:
    for name in calls.commands:
        path = f"{app} {DYNAMIC if name is None else name}"
        yield path, Command(path, "A command of the application's own that is not typed in a shell")


def _command_events(settings: Settings, has_custom: bool) -> list[PlannedEvent]:
    custom = []
    if has_custom:
        custom = [
            Property("source", {"enum": [*SOURCES]}, "where a custom command came from"),
            Property(
                "message_id",
                {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
                "the ID of the message that asked for a custom command",
            ),
        ]
    outcomes = ["success", "failure", "cancelled", "unfinished"]
    begin = PlannedEvent(COMMAND_INVOKED, "A command begins.", tuple(custom), "command")
    return [
        *([begin] if settings.command_events == "all" else []),
        PlannedEvent(
            COMMAND_COMPLETED,
            "A command has ended.",
            (
                Property("exit_code", {"type": "integer"}, "the exit code that the shell sees"),
                Property("succeeded", {"type": "boolean"}, "whether the exit code is 0", True),
                Property("outcome", {"enum": outcomes}, "how it ended", True),
                Property("duration_ms", COUNT, "how long it took, in milliseconds"),
                *_error_properties(),
                Property("user_cancelled", TRUE, "true when a person ended it"),
                *custom,
            ),
            "command",
        ),
    ]


def _error_properties() -> tuple[Property, Property]:
    return (
        Property("error_class", CLASS, "the class of the error, never its message"),
        Property("error_class_masked", TRUE, "true when that is an ancestor of the class"),
    )


# Declared events ----------------------------------------------------------------------------------


def _declared(settings: Settings, is_own: Ownership, calls: Calls) -> Iterator[PlannedEvent]:
    """Classes of the application's modules, and those of the option `events`."""
    classes: list[Any] = [one for one in _subclasses(Event) if is_own(one.__module__)]
    listed: tuple[Any, ...] = settings.events or ()
    classes += [one for one in listed if isinstance(one, type) and one not in classes]
    for cls in classes:
        plan = cls.__dict__.get("__telemetry__")
        if isinstance(plan, EventPlan):
            measured = plan.name in calls.timed or None in calls.timed
            yield _typed(plan, is_timed=measured)


def _subclasses(cls: type) -> Iterator[type]:
    below: list[type] = type.__subclasses__(cls)
    for one in below:
        yield one
        yield from _subclasses(one)


def _typed(plan: EventPlan, *, is_timed: bool) -> PlannedEvent:
    own = [
        Property(name, value_schema(declared), is_required=not declared.optional)
        for name, declared in plan.properties.items()
    ]
    required = [one.name for one in own if one.is_required]
    if is_timed:
        own += [
            Property("duration_ms", COUNT, "how long it took, in milliseconds"),
            Property("succeeded", {"type": "boolean"}, "whether no error ended it"),
            *_error_properties(),
            Property("user_cancelled", TRUE, "true when a person ended it"),
        ]
    rules: tuple[Schema, ...] = ()
    if plan.properties:
        names = [*plan.properties]
        mismatched = {"type": "array", "items": {"enum": names}, "minItems": 1}
        meaning = "names of properties that were left out, since they were not as declared"
        own.append(Property("invalid", mismatched, meaning))
    if required:
        # What does not match, or does not fit, is left out, and one of the two reports it.
        left_out = {"anyOf": [{"required": ["invalid"]}, {"required": ["dropped"]}]}
        rules = ({"if": {"not": left_out}, "then": {"required": required}},)
    return PlannedEvent(plan.name, plan.description, tuple(own), "declared", rules=rules)


def value_schema(declared: EventProperty) -> Schema:
    """The values of a declared property, as they leave the machine: after scrubbing."""
    found: Schema
    if declared.choices is not None:
        kept = [_as_it_leaves(declared.name, choice) for choice in declared.choices]
        found = {"enum": [one for at, one in enumerate(kept) if one not in kept[:at]]}
    elif declared.kind == "string":
        found = {"anyOf": [{"type": "string", "maxLength": declared.max_length}, REDACTED]}
    elif declared.kind == "number":
        found = {"type": ["number", "null"]}  # JSON has no infinity
    elif declared.kind in ("date", "date-time"):
        found = {"type": "string", "format": declared.kind, "pattern": r"^\d{4}-\d\d-\d\d"}
        if declared.kind == "date":
            found["pattern"] += "$"
    else:
        found = {"type": declared.kind}
    if "anyOf" not in found and declared.kind != "boolean" and names_secret(declared.name):
        found = {"anyOf": [found, REDACTED]}
    return {"type": "array", "items": found} if declared.many else found


def _as_it_leaves(name: str, value: Any) -> Any:
    return convert_properties({name: value})[0].get(name)


# Flows --------------------------------------------------------------------------------------------


def _flow_plans(settings: Settings, is_own: Ownership, calls: Calls) -> dict[str, FlowPlan]:
    """The flows of the application's modules, of its functions and of the option `events`."""
    plans = dict(calls.definitions)
    for found in settings.events or ():
        if isinstance(found, FlowDefinition) and found.plan.name:
            plans[found.plan.name] = found.plan
    for found in source.objects_of(is_own):
        if isinstance(found, FlowDefinition) and found.plan.name:
            plans[found.plan.name] = found.plan
            calls.flow(found.plan.name).properties.names |= {*found._properties}
    return dict(sorted(plans.items()))


def _flows(plan: Plan, plans: Mapping[str, FlowPlan], calls: Calls) -> Iterator[PlannedEvent]:
    passed = calls.flow("")  # of flows that are passed as arguments: they may be any of them
    for name, declared in plans.items():
        own = calls.flow(name)
        properties = Names({*own.properties.names}, own.properties.is_open)
        properties.add(passed.properties)
        moments = {**passed.moments, **own.moments}
        prompts = dict(sorted({**passed.prompts, **own.prompts}.items()))
        other_prompts = own.other_prompts or passed.other_prompts
        events = [*_flow_events(name, declared, properties, prompts, other_prompts)]
        for moment, names in moments.items():
            both = Names(properties.names | names.names, properties.is_open or names.is_open)
            events.append(_flow_event(name, moment, "", declared, both, ()))
        if own.other_moments or passed.other_moments:
            plan.unknown.append(f"the flow {name} has events whose names are made as it runs")
        reasons = tuple(dict.fromkeys((*declared.reasons, CANCELLED, ABANDONED)))
        plan.flows[name] = PlannedFlow(
            name,
            declared.steps,
            reasons,
            prompts,
            tuple(event.name for event in events),
            tuple(Property(one, value_schema(kind)) for one, kind in declared.types.items()),
        )
        yield from events


def _flow_events(
    name: str,
    declared: FlowPlan,
    properties: Names,
    prompts: Mapping[str, Any],
    other_prompts: bool,
) -> Iterator[PlannedEvent]:
    ends = (Property("duration_ms", COUNT, "how long it took, in milliseconds", True),)
    word = WORD
    rules: tuple[Schema, ...] = ()
    if declared.reasons:
        word = {"enum": [*dict.fromkeys((*declared.reasons, CANCELLED, ABANDONED))]}
        rules = (_unless_undeclared("reason", word),)
    why = Property("reason", WORD if rules else word, "why it was aborted", True)

    def event(moment: str, description: str, *own: Property, **more: Any) -> PlannedEvent:
        return _flow_event(name, moment, description, declared, properties, own, **more)

    yield event("Started", "A person has begun it.")
    yield event("Completed", "It has succeeded.", *ends)
    yield event("Aborted", "A person has stopped it, or was stopped.", why, *ends, rules=rules)
    yield event("Failed", "An error has ended it.", *_error_properties(), *ends)
    if declared.step_events:
        yield event(
            "Step Reached",
            "It has come to a step.",
            Property("elapsed_ms", COUNT, "milliseconds since it began", True),
            Property("step_index", {"type": "integer", "minimum": 1}, "the number of the step"),
        )
    if prompts or other_prompts:
        known: Schema = WORD if other_prompts else {"enum": [*prompts]}
        asked = Property("prompt", known, "which question was asked", True)
        answer = Property(
            "answer", {"type": ["boolean", "string", "number"]}, "yes, no or a choice"
        )
        yield event("Prompt Shown", "A question was asked.", asked)
        yield event(
            "Prompt Answered",
            "A question was answered. What was typed is never recorded.",
            asked,
            answer,
            rules=tuple(_answers(prompts)),
        )
        yield event("Prompt Cancelled", "A question was left with Ctrl-C.", asked)


def _answers(prompts: Mapping[str, Any]) -> Iterator[Schema]:
    """Which answers of a prompt are recorded."""
    for name, choices in prompts.items():
        if choices is UNKNOWN:
            continue
        answer: Any = False if choices is None else {"type": "boolean"}
        if isinstance(choices, (list, tuple)):
            kept = [_as_it_leaves("answer", choice) for choice in choices]
            answer = {"enum": kept}
        asked = {"properties": {"prompt": {"const": name}}, "required": ["prompt"]}
        yield {"if": asked, "then": {"properties": {"answer": answer}}}


def _flow_event(
    flow: str,
    moment: str,
    description: str,
    declared: FlowPlan,
    properties: Names,
    own: Sequence[Property],
    rules: tuple[Schema, ...] = (),
) -> PlannedEvent:
    found = {name: free(name) for name in sorted({*properties.names, *declared.types})}
    found |= {name: Property(name, value_schema(one)) for name, one in declared.types.items()}
    found.update((one.name, one) for one in own)
    if moment != "Started":
        found["step"] = Property("step", WORD, "the step that it had come to")
        found["undeclared"] = Property(
            "undeclared", TRUE, "true when a step or a reason is not among the declared ones"
        )
        if declared.steps:
            rules = (*rules, _unless_undeclared("step", {"enum": [*declared.steps]}))
    return PlannedEvent(
        f"{flow} {moment}", description, tuple(found.values()), "flow", properties.is_open, rules
    )


def _unless_undeclared(name: str, schema: Schema) -> Schema:
    return {"if": {"not": {"required": ["undeclared"]}}, "then": {"properties": {name: schema}}}


# Other events -------------------------------------------------------------------------------------


def free(name: str, meaning: str = "") -> Property:
    """A property whose values the program gives: any, scrubbed."""
    return Property(name, {}, meaning, is_declared=False)


def _resources(calls: Calls) -> Iterator[PlannedEvent]:
    either = {**UUID, "pattern": UUID["pattern"].replace("-4", "-[47]")}
    either["pattern"] = either["pattern"].replace("a-f", "a-fA-F").replace("ab]", "abAB]")
    for kind, methods in sorted(calls.resources.items()):
        for method, word in ACTIONS.items():
            names = Names({*methods.get(method, Names()).names})
            for given in (methods.get(method), calls.resources.get("", {}).get(method)):
                names.add(given or Names())
            own = [free(name) for name in sorted(names.names)]
            own.append(Property("resource_id", either, "a random ID of it", True))
            if method != "created":
                own.append(Property("connect_count", COUNT, "how often it was connected to"))
            if method == "deleted":
                hours = {"type": "number", "minimum": 0}
                own.append(Property("lifetime_hours", hours, "how long it existed, in hours"))
            if kind:
                text = {"created": "created", "connected": "connected to", "deleted": "deleted"}
                description = f"A resource ({kind}) was {text[method]}."
                yield PlannedEvent(
                    f"{kind} {word}", description, tuple(own), "resource", names.is_open
                )


def _errors(calls: Calls) -> Iterator[PlannedEvent]:
    for what, name in (("error", ERROR_OCCURRED), ("warning", WARNING_OCCURRED)):
        codes = calls.codes.get(what)
        if codes is None:
            continue
        known: Schema = {"enum": sorted(code for code in codes if code is not None)}
        if None in codes or not known["enum"]:
            known = {"type": "string", "pattern": CODE}
        code = Property("code", known, "a code that the program declares")
        if what == "warning":
            yield PlannedEvent(name, "The application has warned.", (code,), "error")
            continue
        number = {"type": "string", "pattern": "^E[A-Z0-9]+$"}
        own = (
            Property("handled", {"type": "boolean"}, "whether the application recovered", True),
            *_error_properties(),
            Property("errno", number, "the name of a system error's number"),
            *((code,) if codes else ()),
        )
        yield PlannedEvent(name, "An error occurred that did not end the command.", own, "error")


def _named(settings: Settings, calls: Calls) -> Iterator[PlannedEvent]:
    """Events that are tracked by name: their values are whatever the program gives."""
    tracked = dict(calls.tracked)
    for name in settings.events or ():
        if isinstance(name, str):
            tracked.setdefault(name, Names(set(), True))
    for name, names in tracked.items():
        own = tuple(free(one) for one in sorted(names.names))
        yield PlannedEvent(name, "", own, "named", names.is_open)


def _common(settings: Settings, calls: Calls) -> Iterator[Property]:
    for name in calls.context.names:
        yield free(name)
    for name, value in settings.properties.items():
        if callable(value):
            own = inspect.getdoc(value) if inspect.isfunction(value) else None
            yield free(name, (own or "").partition("\n\n")[0].replace("\n", " ").rstrip("."))
        elif value is not None:
            kept = _as_it_leaves(name, value)
            yield Property(name, {"const": kept}, "always the same")


def _merged(one: PlannedEvent, other: PlannedEvent) -> PlannedEvent:
    """Two declarations of one name: what either allows."""
    first, second = ({item.name: item for item in event.properties} for event in (one, other))
    both = []
    for name in {**first, **second}:
        found = [event[name] for event in (first, second) if name in event]
        schemas = [item.schema for item in found]
        same = schemas[0] == schemas[-1]
        is_declared = all(item.is_declared for item in found)
        schema = schemas[0] if same else {"anyOf": schemas} if is_declared else {}
        required = len(found) == 2 and all(item.is_required for item in found)
        both.append(Property(name, schema, found[0].meaning, required, is_declared))
    return PlannedEvent(
        one.name,
        one.description or other.description,
        tuple(both),
        one.kind,
        one.is_open or other.is_open,
        one.rules if one.rules == other.rules else (),
    )
