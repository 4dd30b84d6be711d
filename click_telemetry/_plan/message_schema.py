"""The plan as JSON Schema: of every message that can leave, and as rules of Segment Protocols.

The first is one closed schema of draft 2020-12: what the plan does not have is refused. Commands
are listed in `$defs.command.enum`, their flags in `x-commands`. `problems_of` checks messages.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .._events.context import MAX_USER_ID
from .._recorder import MAX_VERSION, NAMED_AGENTS
from .model import COUNT, UUID, Property

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from .model import Plan, PlannedEvent, Schema

DRAFT = "https://json-schema.org/draft/2020-12/schema"
SEGMENT_DRAFT = "http://json-schema.org/draft-07/schema#"

_TEXT: Schema = {"type": "string"}
_MESSAGE_ID: Schema = {**UUID, "pattern": UUID["pattern"].replace("-4", "-[45]")}
"""The sender derives those of its own messages from the anonymous ID (version 5)."""
_SYSTEM: Schema = {"type": "string", "pattern": "^[a-z]+[0-9]*$"}
_VERSION: Schema = {"type": ["string", "null"], "maxLength": MAX_VERSION}
_CONTEXTS = ["human", "script", "ci", *sorted({f"agent:{name}" for name in NAMED_AGENTS})]

BASE = (
    Property("command", {}, "the command, by the names that the program declares", True),
    Property("flags", {}, "names of the options that were typed, never their values", True),
    Property("version", _VERSION, "of the application", True),
    Property("os", _SYSTEM, "the operating system", True),
    Property(
        "arch", {"type": "string", "pattern": "^[a-z0-9._/-]*$"}, "the processor's kind", True
    ),
    Property("python_version", {"type": "string", "pattern": r"^\d+\.\d+\.\d+$"}, "", True),
    Property("is_ci", {"type": "boolean"}, "whether a CI service runs it", True),
    Property("is_tty", {"type": "boolean"}, "whether the output is a terminal", True),
    Property("cli_context", {"enum": _CONTEXTS}, "who runs it", True),
    Property("in_container", {"type": "boolean"}, "whether it runs in a container", True),
    Property("invocation_id", UUID, "a random ID of one start of the application", True),
    Property("run_id", UUID, "a random ID of one command in it", True),
    Property("session_id", UUID, "the same for starts that started one another", True),
    Property("sequence", {"type": "integer", "minimum": 1}, "the place of the event", True),
    Property("dropped", COUNT, "how many events or properties were left out before"),
    Property("sample_rate", {}, "the share of installations that record"),
)
"""The properties of every event, as `_reader` composes them; `sample_rate` only of a sample."""


def message_schema(plan: Plan) -> Schema:
    """The schema of every message that can leave the machine."""
    app = plan.settings.app
    tracked = ["track", *(["identify"] if is_identified(plan) else [])]
    definitions: dict[str, Schema] = {
        "base": _base(plan),
        "command": {"enum": [*plan.commands, *(path for path, _ in _open_paths(plan))]},
        "context": _context(app),
        "track": _track(plan),
    }
    if plan.tree.open_groups or plan.custom_is_open:
        definitions["unknown_command"] = _unknown_paths(plan)
    if is_identified(plan):
        definitions["identify"] = _identify(plan)
    for event in plan.events.values():
        definitions[event.name] = _event(event, is_open=event.is_open or plan.common_is_open)
    return {
        "$schema": DRAFT,
        "title": f"Messages of {app}",
        "description": (
            f"Every message that {app} can send. Made by `click-telemetry plan`; do not edit it."
        ),
        "type": "object",
        "properties": {"type": {"enum": tracked}},
        "required": ["type"],
        "allOf": [
            {
                "if": {"properties": {"type": {"const": kind}}},
                "then": {"$ref": f"#/$defs/{kind}"},
            }
            for kind in tracked
        ],
        "x-app": app,
        "x-commands": {
            path: {"description": command.description, "flags": sorted(command.flags)}
            for path, command in plan.commands.items()
        },
        "x-flows": {
            flow.name: {"steps": [*flow.steps], "reasons": [*flow.reasons]}
            for flow in plan.flows.values()
        },
        "x-never-recorded": sorted(plan.tree.excluded),
        "x-not-known": [*plan.unknown, *(f"{k}: {v}" for k, v in sorted(plan.problems.items()))],
        "$defs": definitions,
    }


def has_introduction(plan: Plan) -> bool:
    """Whether a sender introduces each installation with an `identify` of its random ID."""
    return plan.settings.client is None


def is_identified(plan: Plan) -> bool:
    """Whether there is an `identify` at all: of a user, or of the installation."""
    return plan.traits is not None or has_introduction(plan)


def _open_paths(plan: Plan) -> list[tuple[str, str]]:
    """Paths that end with `<dynamic>` or `<plugin>`, each with its group's."""
    groups = sorted(plan.tree.open_groups.items())
    paths = [(f"{group} {kind}", group) for group, kinds in groups for kind in kinds]
    return [(path, group) for path, group in paths if path not in plan.commands]


def _unknown_paths(plan: Plan) -> Schema:
    """Paths that cannot be listed: below a group whose name is unknown, and of custom commands."""
    paths = [*_below_open_groups(plan), *([_custom_path(plan)] if plan.custom_is_open else [])]
    return {"type": "string", "pattern": f"^({'|'.join(paths)})$"}


def _below_open_groups(plan: Plan) -> Iterator[str]:
    for group, kinds in sorted(plan.tree.open_groups.items()):
        yield rf"{_escaped(group)} ({'|'.join(kinds)})( \S+)+"


def _custom_path(plan: Plan) -> str:
    return rf"{_escaped(plan.settings.app)} /?[\w.:-]+( [\w.:-]+){{0,3}}"


def _escaped(path: str) -> str:
    """A path in a pattern of JSON Schema, where fewer characters are escaped than in Python's."""
    return re.escape(path).replace("\\ ", " ").replace("\\-", "-")


def base_of(plan: Plan) -> list[Property]:
    """The properties of every event of an application."""
    rate = plan.settings.sample
    found = [one for one in BASE if one.name != "sample_rate"]
    if rate is not None:
        found.append(replace(BASE[-1], schema={"const": rate}, is_required=True))
    return found


def _base(plan: Plan) -> Schema:
    """The properties of every event."""
    found: dict[str, Schema] = {one.name: _described(one) for one in base_of(plan)}
    known: Schema = {"$ref": "#/$defs/command"}
    if plan.tree.open_groups or plan.custom_is_open:
        known = {"anyOf": [known, {"$ref": "#/$defs/unknown_command"}]}
    found["command"] = {**found["command"], **known}
    names = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
    found["flags"] = {**found["flags"], **names}
    found |= {name: _described(one) for name, one in plan.common.items() if name not in found}
    return {
        "type": "object",
        "properties": found,
        "required": [one.name for one in base_of(plan) if one.is_required],
        "allOf": [*_flags(plan)],
    }


def _flags(plan: Plan) -> Iterator[Schema]:
    """Which flags each command has."""
    flags = {path: sorted(command.flags) for path, command in plan.commands.items()}
    groups = plan.tree.group_flags
    flags |= {path: sorted(groups.get(group, ())) for path, group in _open_paths(plan)}
    for path, names in flags.items():
        yield _flags_of({"const": path}, _items(names))
    if plan.tree.open_groups:
        below = f"^({'|'.join(_below_open_groups(plan))})$"
        yield _flags_of({"pattern": below}, {"items": {"pattern": r"^[A-Za-z_]\w*$"}})
    if plan.custom_is_open:
        custom = {"pattern": f"^{_custom_path(plan)}$", "not": {"$ref": "#/$defs/command"}}
        yield _flags_of(custom, _items([]))


def _flags_of(command: Schema, flags: Schema) -> Schema:
    return {
        "if": {"properties": {"command": command}},
        "then": {"properties": {"flags": flags}},
    }


def _items(names: Sequence[str]) -> Schema:
    """A list of some of these names."""
    return {"items": {"enum": [*names]}} if names else {"maxItems": 0}


def _event(event: PlannedEvent, *, is_open: bool) -> Schema:
    if event.kind == "health":
        own = {one.name: _described(one) for one in event.properties}
        return {"description": event.description, **_closed(own)}
    found: Schema = {"allOf": [{"$ref": "#/$defs/base"}, *event.rules]}
    if event.description:
        found = {"description": event.description, **found}
    if event.kind == "named":
        found["x-free-form"] = True
    found["properties"] = {one.name: _described(one) for one in event.properties}
    required = [one.name for one in event.properties if one.is_required]
    if required and not _has_conditions(event):
        found["required"] = required
    if not is_open:
        found["unevaluatedProperties"] = False
    return found


def _has_conditions(event: PlannedEvent) -> bool:
    """Whether a rule has the required properties."""
    return any("required" in rule.get("then", {}) for rule in event.rules)


def _described(one: Property) -> Schema:
    return {"description": one.meaning, **one.schema} if one.meaning else one.schema


def _message(plan: Plan, kind: str) -> dict[str, Schema]:
    """What is common to all kinds of messages."""
    found: dict[str, Schema] = {
        "type": {"const": kind},
        "messageId": {"description": "the same on every try", **_MESSAGE_ID},
        "anonymousId": {"description": "a random ID of this application on this machine", **UUID},
        "timestamp": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"},
        "context": {"$ref": "#/$defs/context"},
    }
    if plan.traits is not None:
        user = {"type": "string", "maxLength": MAX_USER_ID, "pattern": "^.[^@]*$"}
        found["userId"] = {"description": "who is signed in", **user}
    return found


def _track(plan: Plan) -> Schema:
    found = _message(plan, "track")
    found["event"] = {"enum": [*plan.events]}
    found["properties"] = {"type": "object"}
    return {
        "type": "object",
        "properties": found,
        "required": [name for name in found if name != "userId"],
        "additionalProperties": False,
        "allOf": [
            {
                "if": {"properties": {"event": {"const": name}}},
                "then": {"properties": {"properties": {"$ref": reference(name)}}},
            }
            for name in plan.events
        ],
    }


def _identify(plan: Plan) -> Schema:
    """Of a user, or of the installation: that one has no `userId`."""
    of_user: Any = False
    if plan.traits is not None:
        traits: Schema = {"type": "object"}
        if not plan.traits.is_open:
            traits |= _closed({name: {} for name in sorted(plan.traits.names)}) | {"required": []}
        found = {**_message(plan, "identify"), "traits": traits}
        of_user = {"description": "A user has signed in.", **_closed(found)}
    return {
        "if": {"required": ["userId"]},
        "then": of_user,
        "else": _introduction(plan.settings.app) if has_introduction(plan) else False,
    }


def _introduction(app: str) -> Schema:
    """What the sender sends once, before an installation's first event."""
    name_of_app, name_of_library = (
        _closed({"name": {"const": name}}) for name in (app, "click_telemetry")
    )
    parts: dict[str, Schema] = {
        "type": {"const": "identify"},
        "messageId": _MESSAGE_ID,
        "anonymousId": UUID,
        "traits": {"type": "object", "maxProperties": 0},
        "context": _closed({"app": name_of_app, "library": name_of_library}),
    }
    about = "Sent once, before the first event of an installation: its random ID, and nothing else."
    return {"description": about, **_closed(parts)}


def _context(app: str) -> Schema:
    parts: dict[str, dict[str, Schema]] = {
        "app": {"name": {"const": app}, "version": _VERSION},
        "os": {"name": _SYSTEM},
        "library": {"name": {"const": "click_telemetry"}, "version": _TEXT},
    }
    return _closed({name: _closed(part) for name, part in parts.items()})


def _closed(properties: Mapping[str, Schema]) -> Schema:
    return {
        "type": "object",
        "properties": {**properties},
        "required": [*properties],
        "additionalProperties": False,
    }


def reference(event: str) -> str:
    """The reference of an event's definition."""
    return "#/$defs/" + quote(event.replace("~", "~0").replace("/", "~1"))


# Segment Protocols --------------------------------------------------------------------------------


def segment_rules(plan: Plan) -> Schema:
    """The rules of a tracking plan, as Segment's Public API takes them.

    https://docs.segmentapis.com/tag/Tracking-Plans: its schemas are of draft 7, and the rule COMMON
    applies to every event.
    """
    base = _base(plan)["properties"]
    base["command"] = {"enum": [*plan.commands, *(path for path, _ in _open_paths(plan))]}
    if plan.tree.open_groups or plan.custom_is_open:
        base["command"] = {"anyOf": [base["command"], _unknown_paths(plan)]}
    base["flags"] = {"type": "array", **_items(_all_flags(plan))}
    rules = [_rule("COMMON", "", "What every event has.", {"properties": {"properties": base}})]
    for event in plan.events.values():
        own = {one.name: _described(one) for one in event.properties}
        common = [] if event.kind == "health" else base_of(plan)
        required = [one.name for one in (*common, *event.properties) if one.is_required]
        if _has_conditions(event):
            required = [one.name for one in base_of(plan) if one.is_required]
        properties: Schema = {
            "type": "object",
            "properties": {**own, **{name: {} for name in sorted(base)}},
            "required": sorted(required),
            "additionalProperties": event.is_open or plan.common_is_open,
        }
        if event.rules:
            properties["allOf"] = [*event.rules]
        rules.append(_rule("TRACK", event.name, event.description, {"properties": properties}))
    if plan.traits is not None:
        traits: Schema = {"type": "object", "additionalProperties": plan.traits.is_open}
        traits["properties"] = {name: {} for name in sorted(plan.traits.names)}
        rules.append(_rule("IDENTIFY", "", "A user has signed in.", {"traits": traits}))
    return {"rules": rules}


def _all_flags(plan: Plan) -> list[str]:
    of_commands = (command.flags for command in plan.commands.values())
    return sorted(
        {flag for flags in (*of_commands, *plan.tree.group_flags.values()) for flag in flags}
    )


def _rule(kind: str, key: str, description: str, parts: Mapping[str, Schema]) -> Schema:
    return {
        "type": kind,
        **({"key": key} if key else {}),
        "version": 1,
        "jsonSchema": {
            "$schema": SEGMENT_DRAFT,
            "description": description,
            "type": "object",
            "properties": {"context": {}, "properties": {}, "traits": {}, **parts},
            "required": [*parts] if key else [],
        },
    }


# Checking messages --------------------------------------------------------------------------------


def problems_of(messages: Iterable[Mapping[str, Any]], plan: Plan) -> list[str]:
    """What a plan does not allow in messages, as sentences that name the fix.

    Args:
        messages: as a client records them; of events alone, as `RecordingClient.events` has them,
            the name and the properties are checked.
        plan: of the application that recorded them.

    Raises:
        ModuleNotFoundError: jsonschema is not installed; the message names the extra.
    """
    try:
        from jsonschema import Draft202012Validator
    except ModuleNotFoundError as error:
        fix = "checking messages needs jsonschema: pip install 'click-telemetry[tools]'"
        raise ModuleNotFoundError(fix, name=error.name) from error
    schema = message_schema(plan)
    whole: Any = Draft202012Validator(schema)
    events = _track(plan) | {"required": ["event", "properties"], "$defs": schema["$defs"]}
    of_events = whole.evolve(schema=events)
    found = []
    for number, message in enumerate(messages, 1):
        what = message.get("event", message.get("type", "?"))
        validator = whole if "messageId" in message else of_events
        problems = [
            _sentence(error, plan)
            for error in sorted(validator.iter_errors(message), key=lambda one: one.json_path)
            # A property that fails for another reason counts as not evaluated.
            if error.validator != "unevaluatedProperties"
        ]
        names = _undeclared(message, plan)
        if names:
            problems.append(
                f"the plan has no property {', '.join(map(repr, names))} of {what}: declare it in "
                "the event's class, or write its name in the call"
            )
        found += [f"message {number} ({what}): {problem}" for problem in problems]
    return found


def _undeclared(message: Mapping[str, Any], plan: Plan) -> list[str]:
    """The names of properties that the plan does not have."""
    event = plan.events.get(message.get("event", ""))
    if event is None or event.is_open or plan.common_is_open:
        return []
    known = {*plan.common, *(one.name for one in (*base_of(plan), *event.properties))}
    return sorted({*message.get("properties", {})} - known)


def _sentence(error: Any, plan: Plan) -> str:
    """The problem that a validator found, with the fix."""
    path = ".".join(str(part) for part in error.absolute_path) or "the message"
    if path == "event" and error.validator == "enum":
        return (
            f"the plan has no event {error.instance!r}: declare it in events=(…), or as a class "
            "of Event"
        )
    if path == "type":
        return f"the plan has no {error.instance}: no module of the application calls it"
    if path == "properties.command":
        return f"{plan.settings.app} has no command {error.instance!r} that is recorded"
    if path.startswith("properties.flags"):
        return f"the command has no such flag: {error.instance!r}"
    if error.validator is None and path == "the message":
        return "the plan has no identify: no module of the application calls it"
    if error.validator is None:  # where the schema allows nothing
        return f"{path}: {error.instance!r} is never recorded"
    return f"{path}: {error.message}"
