"""Records the events of the real application in a test, and raises for what would be dropped.

It instruments the application for the time of a test, and then undoes that: every command's
`__dict__` is as before. It changes nothing else of the application, stores nothing and sends
nothing.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .. import _instrument
from .._events import scope as scopes
from .._events.properties import (
    CONTEXT_BYTES,
    MAX_BYTES,
    MAX_DEPTH,
    MAX_NODES,
    convert_properties,
)
from .._events.state import MAX_OWN_EVENTS
from .._events.text import MAX_NAME, MAX_TEXT, abbreviate
from .._foreground.consent import REASONS as REASONS_OFF
from .._foreground.options import DeclarationError
from .._foreground.typer import CommandMaker
from .._instrument import KEY, OFF_VARIABLE, instrument
from .._recorder import OFF
from . import CheckFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Message = dict[str, Any]


class RecordingClient:
    """Keeps every message. Pass it as `client=`, and compare `events` with a literal.

    Attributes:
        messages: the Segment messages in order, exactly as they would be sent.
        test_double: True; see `click_telemetry.Client`.
    """

    test_double = True

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def record(self, message: Message, /) -> None:
        """Keep a message."""
        self.messages.append(message)

    def close(self) -> None:
        """An invocation has ended; its messages are kept."""

    @property
    def events(self) -> list[Message]:
        """The events in order, each as `{"event": name, "properties": {...}}`."""
        return [
            {"event": message["event"], "properties": message["properties"]}
            for message in self.messages
            if message["type"] == "track"
        ]

    @property
    def identifies(self) -> list[Message]:
        """The `identify` messages in order."""
        return [message for message in self.messages if message["type"] == "identify"]

    def clear(self) -> None:
        """Delete the messages that were kept until now."""
        self.messages.clear()

    def snapshot(self, *keep: str) -> list[Message]:
        """What was recorded, in order, without what differs from run to run.

        An event is one flat mapping of its name (`event`) and its properties, an identify one of
        `identify` (the ID) and `traits`. Left out are IDs, the sequence, times, durations, the
        version, and what depends on the machine. A UUID among the other values is `<uuid 1>`,
        `<uuid 2>` and so on, the same for the same UUID.

        Args:
            *keep: names of properties that are left out otherwise, such as `version`.
        """
        uuids: dict[str, str] = {}
        left_out = VOLATILE.difference(keep)
        found = []
        for message in self.messages:
            if message["type"] == "track":
                own = {k: v for k, v in message["properties"].items() if k not in left_out}
                line = {"event": message["event"], **own}
                if message.get("userId") is not None:
                    line["userId"] = message["userId"]
            else:
                line = {"identify": message.get("userId"), "traits": message.get("traits", {})}
            found.append(_numbered(line, uuids))
        return found


VOLATILE = frozenset(
    (
        *("invocation_id", "run_id", "session_id", "sequence", "version", "os", "arch"),
        *("python_version", "is_ci", "is_tty", "cli_context", "in_container"),
        *("duration_ms", "elapsed_ms", "lifetime_hours"),
    )
)
"""The properties that a snapshot leaves out."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _numbered(value: Any, uuids: dict[str, str]) -> Any:
    """A value with a number in place of each UUID; `uuids` has those that were seen."""
    if isinstance(value, dict):
        return {key: _numbered(item, uuids) for key, item in value.items()}
    if isinstance(value, list):
        return [_numbered(item, uuids) for item in value]
    if isinstance(value, str) and _UUID.fullmatch(value):
        return uuids.setdefault(value, f"<uuid {len(uuids) + 1}>")
    return value


class TelemetryEvents(RecordingClient):
    """What the application under test records; what would be dropped raises, with the reason.

    It raises where the application's code records it. An exception there may be caught (by Click's
    runner, for one), so the next use of `events`, `messages`, `identifies` or `snapshot` raises it
    too, or else the end of the test. `clear` also forgets what was found.

    Attributes:
        application: what is recorded.
    """

    def __init__(self, application: Any = None) -> None:
        super().__init__()
        self.application = application
        self.audit = Audit()

    if not TYPE_CHECKING:

        @property
        def messages(self) -> list[Message]:
            """The Segment messages in order, exactly as they would be sent."""
            self.audit.raise_all()
            return self._messages

        @messages.setter
        def messages(self, messages: list[Message]) -> None:
            self._messages = messages

        def record(self, message: Message, /) -> None:
            """Keep a message."""
            if message.get("properties", {}).get("dropped"):
                self.audit.note_count()
            self._messages.append(message)

        def clear(self) -> None:
            """Delete the messages that were kept until now, and what was found to be wrong."""
            self.audit.forget()
            self._messages.clear()


class Audit:
    """Collects why something is dropped, and raises it: at once, and once more where it is asked.

    The code that drops something often runs where an exception would be caught, so `note` only
    keeps the reason, and `check` is called where the exception reaches the application.
    """

    def __init__(self) -> None:
        self._found: list[str] = []
        self._raised = 0
        self._asked = False

    def note(self, reason: str, what: object = None) -> None:
        """Keep a reason.

        Args:
            reason: a key of REASONS.
            what: what is dropped.
        """
        self.note_problem(REASONS[reason].format(what=what))

    def note_count(self) -> None:
        """Keep that an event reports dropped ones, unless their reasons are known."""
        if not self._found:
            self.note("unknown")

    def note_problem(self, problem: str) -> None:
        """Keep a sentence about something that is wrong."""
        self._found.append(problem)

    def note_properties(self, given: Any) -> None:
        """Keep which properties are dropped, and why.

        Args:
            given: any object that was passed as properties.
        """
        try:
            dropped = [(k, v) for k, v in given.items() if convert_properties({k: v})[1]]
        except Exception:  # it is no mapping, or its own code fails
            self.note("mapping", type(given).__name__)
            return
        for key, value in dropped:
            self.note("property", f"{abbreviate(key)} {_why(key, value)}")
        if not dropped:
            self.note("large")

    def check(self) -> None:
        """Raise what was noted since the last call.

        Raises:
            DeclarationError: something is dropped.
        """
        new, self._raised = self._found[self._raised :], len(self._found)
        if new:
            raise DeclarationError("; ".join(dict.fromkeys(new)))

    def raise_all(self) -> None:
        """Raise everything that was noted.

        Raises:
            DeclarationError: something was dropped.
        """
        if self._found:
            self._asked = True
            self._raised = len(self._found)
            raise DeclarationError("; ".join(dict.fromkeys(self._found)))

    def finish(self) -> None:
        """Raise what was noted, unless `raise_all` has raised it.

        Raises:
            DeclarationError: something was dropped, and the test did not ask.
        """
        if not self._asked:
            self.raise_all()

    def forget(self) -> None:
        """Forget what was noted."""
        self._found.clear()
        self._raised = 0


REASONS = {
    "outside": (
        "{what} outside a running command is dropped: call it while a command of an instrumented "
        "application runs; a thread gets its recorder from current()"
    ),
    "ended": "an event after the end of its invocation is dropped: record it before",
    "unbegun": "an event before the first command of its invocation is dropped: record it later",
    "full": (
        f"an event is dropped: of its own events an invocation records at most {MAX_OWN_EVENTS} at "
        "a time; record a summary of them"
    ),
    "name": (
        "an event with the name {what!r} is dropped: write a constant of at most "
        f'{MAX_NAME} characters, such as "Invoice Exported"'
    ),
    "common": (
        f"set_context: of {{what}} not all fit into the {CONTEXT_BYTES:,} bytes that all events "
        "may have in common: set less"
    ),
    "declared": (
        "{what} of the declared properties= are dropped: a function raises, or a value cannot be "
        "recorded or does not fit"
    ),
    "mapping": "the properties are dropped, an instance of {what}: pass a dictionary",
    "property": "the property {what}",
    "large": (
        f"a property is dropped: an event has at most {MAX_BYTES:,} bytes and {MAX_NODES} values "
        "of its own; record less"
    ),
    "unknown": "an event or a property is dropped: `dropped` of the last event counts it",
}
"""What is dropped, and the fix."""


def _why(key: Any, value: Any) -> str:
    """Why one property is dropped, and the fix."""
    if convert_properties({key: True})[1]:
        return f"is dropped for its name: write a text of at most {MAX_NAME} characters"
    if isinstance(value, str):
        return (
            f"is dropped: its text has {len(value):,} of at most {MAX_TEXT:,} characters; record a "
            "word from a fixed list"
        )
    return (
        f"is dropped, or a part of it ({type(value).__name__}): record texts, numbers of 64 bits "
        f"and truth values, in lists and mappings of at most {MAX_DEPTH} levels"
    )


# Instrumenting for a test ------------------------------------------------------------------------

_NAMES = (*_instrument._OBSERVERS, KEY, "__getstate__", "make_context")
"""What hooking may put into a command's `__dict__`."""

STORED = ("administrator", "setting", "unreadable_setting", "other_user")
"""Opt-outs that a test does not see; those of a variable or the command line are its own."""


class _Undo:
    """Remembers commands as they are before they are instrumented, and restores them."""

    def __init__(self) -> None:
        self._before: dict[int, tuple[Any, type, Any, dict[str, Any], set[str]]] = {}

    def keep(self, command: Any) -> None:
        """Remember a command, unless that was done already."""
        held = getattr(command, "__dict__", None)
        if isinstance(held, dict) and id(command) not in self._before:
            self._before[id(command)] = command, type(command), held, _raw(held), set(_NAMES)

    def changed(self, command: Any) -> None:
        """What of a command differs now is what instrumenting it changed."""
        *_, before, names = self._before[id(command)]
        now = _raw(command.__dict__)
        names.update(n for n in {*before, *now} if before.get(n, self) is not now.get(n, self))

    def restore(self) -> None:
        """Restore every command; what the application itself changed meanwhile stays."""
        for command, kind, held, before, names in self._before.values():
            if type(command) is not kind:
                _restore_typer(command, kind)
            content = {k: v for k, v in _raw(command.__dict__).items() if k not in names}
            content.update({name: before[name] for name in names if name in before})
            held.clear()
            held.update(content)
            command.__dict__ = held
        self._before.clear()


def _restore_typer(app: Any, kind: type) -> None:
    """Restore the class of a Typer application, and the classes that it makes commands of."""
    app.__class__ = kind
    found = app.__dict__
    for info in (found["info"], found["registered_callback"], *found["registered_commands"]):
        if isinstance(getattr(info, "cls", None), CommandMaker):
            info.cls = info.cls.telemetry_declared


def _raw(held: dict[str, Any]) -> dict[str, Any]:
    """A `__dict__` with the hooks."""
    return {name: held[name] for name in dict.__iter__(held)}


@contextmanager
def record_events(command: Any, **options: Any) -> Iterator[TelemetryEvents]:
    """Record what an application does, until the block ends; nothing is stored or sent.

    Args:
        command: a Click command or group, or a Typer application, instrumented or not.
        **options: of `instrument`; those that the application declares itself hold otherwise.

    Raises:
        DeclarationError: at the end of the block, for what would be dropped in production and was
            raised by nothing else.
    """
    events, undo = TelemetryEvents(command), _Undo()
    undo.keep(command)
    observers, audit = dict(_instrument._OBSERVERS), scopes.audit
    scopes.take_dropped()  # of code that ran before; an event would report them
    try:
        instrument(command, **{**options, "client": events})
        undo.changed(command)
        for name in ("get_command", "resolve_command"):
            _instrument._OBSERVERS[name] = _keeping(undo, *observers[name])
        before, after = observers["invoke"]
        _instrument._OBSERVERS["invoke"] = _reporting(events.audit, before), after
        scopes.audit = events.audit
        yield events
    finally:
        scopes.audit = audit
        scopes.take_dropped()
        _instrument._OBSERVERS.update(observers)
        undo.restore()
    events.audit.finish()


def _keeping(undo: _Undo, before: Any, after: Any) -> tuple[Any, Any]:
    """The observer of a method that resolves a sub-command, which is remembered first."""

    def observe(command: Any, context: Any, observed: Any, result: Any) -> Any:
        undo.keep(result[1] if isinstance(result, tuple) else result)
        return after(command, context, observed, result)

    return before, observe


def _reporting(audit: Audit, before: Any) -> Callable[..., Any]:
    """The observer of `invoke`, which reports that this machine has an opt-out."""

    def observe(command: Any, context: Any, args: Any, kwargs: Any) -> Any:
        args, scope = before(command, context, args, kwargs)
        decision = getattr(getattr(scope, "root", None), "decision", None)
        if decision is not None and decision.mode == OFF and decision.reason in STORED:
            audit.note_problem(
                f"nothing is recorded on this machine ({REASONS_OFF[decision.reason]}): set "
                "XDG_CONFIG_HOME to an empty directory for the tests"
            )
        return args, scope

    return observe


def is_opt_out(variable: str) -> bool:
    """Whether a variable is one of telemetry's, which a test must not depend on."""
    return variable in ("DO_NOT_TRACK", "NO_ANALYTICS", OFF_VARIABLE) or variable.endswith(
        ("_NO_TELEMETRY", "_TELEMETRY")
    )


def assert_matches_plan(events: Any, cli: Any = None) -> None:
    """Check that messages are what the application's tracking plan allows, and no more.

    The plan is that of `click-telemetry plan`: its schema lists the commands and their flags, the
    events with their properties, and refuses what it does not list.

    Args:
        events: what `telemetry_events` returned; or messages, or events as a `RecordingClient` has
            them, together with `cli`.
        cli: the instrumented root command or Typer application that recorded them.

    Raises:
        CheckFailed: a message is not as planned; the message has the problems, with their fixes.
        ModuleNotFoundError: jsonschema is not installed; the message names the extra.
    """
    from .._plan.collect import collect  # only where a test asks for it
    from .._plan.message_schema import problems_of  # with it

    root = cli if cli is not None else getattr(events, "application", None)
    if root is None:
        raise DeclarationError(
            "assert_matches_plan needs the application: pass what telemetry_events(cli) returned, "
            "or assert_matches_plan(messages, cli)"
        )
    problems = problems_of(getattr(events, "messages", events), collect(root))
    if problems:
        raise CheckFailed("\n".join(problems))
