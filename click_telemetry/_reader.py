"""Facts to messages: composes what the spool contains into Segment messages. Pure.

It reads no clock, no data of the machine and no installed version, so the same facts give the same
messages in every process. The sender, `telemetry show`, log mode and test doubles share it.
The format is described in docs/format.md; the messages that version 1 composes never change.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Message: TypeAlias = dict[str, Any]

VERSION = 1
"""Of the format. A file with a higher one is not read."""

COMMAND_INVOKED = "Command Invoked"
COMMAND_COMPLETED = "Command Completed"
TELEMETRY_HEALTH = "Telemetry Health"  # the sender composes it
OUR_EVENTS = (COMMAND_INVOKED, COMMAND_COMPLETED, TELEMETRY_HEALTH)

BASE_PROPERTIES = frozenset(
    (
        *("invocation_id", "run_id", "session_id", "sequence", "command", "flags", "version"),
        *("os", "arch", "python_version", "is_ci", "is_tty", "cli_context", "in_container"),
        *("dropped", "sample_rate"),
    )
)
"""On every event; an event's own properties never replace them."""

COMPLETED_PROPERTIES = frozenset(
    (
        *("exit_code", "succeeded", "outcome", "duration_ms"),
        *("error_class", "error_class_masked", "user_cancelled"),
    )
)
"""Those of `Command Completed`; no property that is on every event may have one of these names."""

RESERVED_PROPERTIES = BASE_PROPERTIES | COMPLETED_PROPERTIES

INVOCATION_ID, SESSION_ID, RUN_ID, MESSAGE_ID, COMPLETED_ID, IDENTIFY_ID = range(6)
"""Kinds of `derived_id`."""

_SYSTEMS = {"darwin": "macos", "win32": "windows", "cygwin": "windows"}
_EPOCH = datetime(1970, 1, 1)
_LAST_MILLISECOND = 253_402_300_799_999
"""Of the year 9999."""
_MAX_NUMBER = 2**48 - 1
"""Of a run, a sequence or an identify, so that derived IDs differ."""
_MAX_DROPPED = 10**9


def derived_id(hex_digits: str, kind: int, number: int = 0) -> str:
    """A random UUID (RFC 9562, version 4) that belongs to a file.

    Args:
        hex_digits: the 32 hexadecimal digits in the file's name.
        kind: `INVOCATION_ID` and so on.
        number: of the run, the sequence or the identify, below 2**48.
    """
    return _uuid(int(hex_digits, 16), kind, number)


class Composer:
    """A fold over the facts of one file.

    Args:
        hex_digits: the 32 hexadecimal digits in its name.
        dropped: the number in its name, of events that were dropped before; the first track
            message reports it.

    Attributes:
        lost: facts that could not be composed and that no message has reported yet.
        pending: all dropped events that no message has reported yet, `lost` included.
        newer: whether the facts have a higher version of the format; then nothing is composed.
    """

    __slots__ = (
        *("_base", "_common", "_continued", "_head", "_held", "_last_at", "_open", "_runs"),
        *("_sequence", "_session_id", "_system", "_user", "lost", "newer", "pending"),
    )

    def __init__(self, hex_digits: str, dropped: int = 0) -> None:
        self._base = int(hex_digits, 16)
        self._head: dict[str, Any] | None = None
        self._common: dict[str, Any] = {}
        self._session_id = self._system = ""
        self._user: str | None = None
        self._continued = False
        self._runs: dict[int, tuple[str, list[str], str]] = {}
        self._open: dict[int, dict[str, Any]] = {}
        self._held: dict[int, list[tuple[str, dict[str, Any], int, int, str | None]]] = {}
        self._sequence = self._last_at = 0
        self.lost = 0
        self.newer = False
        self.pending = dropped

    def feed(self, fact: object) -> list[Message]:
        """The messages that one more fact gives. Never raises: a fact that is none is counted."""
        if self.newer:
            return []
        try:
            if type(fact) is not dict:
                raise TypeError
            return self._compose(fact)
        except (KeyError, TypeError, ValueError):  # another program wrote it
            self.skip()
            return []

    def skip(self) -> None:
        """Count a fact that cannot be read."""
        self.lost += 1
        self.pending += 1

    def finish(self, *, writer_gone: bool) -> list[Message]:
        """The messages after the last fact.

        Args:
            writer_gone: whether no process writes facts any more. Then each run without an end
                gets one with the outcome `unfinished`, unless another file continues this one.
                Such a message reports no dropped events: the file before and the file after a
                change of parts compose it in the same words.
        """
        if not writer_gone or self.newer:
            return []
        for held in self._held.values():
            self.lost += len(held)
            self.pending += len(held)
        self._held = {}
        composed = []
        for run, own in () if self._continued else self._open.items():
            self._sequence += 1
            ended = {**own, "succeeded": False, "outcome": "unfinished"}
            composed.append(
                self._complete(ended, run, self._sequence, self._last_at, reports=False)
            )
        self._open = {}
        return composed

    def _compose(self, fact: dict[str, Any]) -> list[Message]:
        if "v" in fact:
            self._read_head(fact)
            return []
        if self._head is None:
            raise ValueError("no head")
        if "run" not in fact:
            return self._compose_other(fact)
        run, sequence, at = _number(fact["run"]), _number(fact["n"]), _time(fact["at"])
        own = _own(fact)
        dropped = _dropped(fact)
        if "command" in fact:
            if run in self._runs:
                raise ValueError("began twice")
            self._begin(run, fact["command"], fact["flags"], own)
            self._note(sequence, at, dropped)
            # A group's callback tracked these before the run of its command began.
            composed = [
                self._track(name, kept, run, number, then, user)
                for name, kept, number, then, user in self._held.pop(run, ())
            ]
            if self._head.get("events") != "completed":
                composed.append(self._track(COMMAND_INVOKED, own, run, sequence, at, self._user))
            return composed
        if "event" in fact:
            name = _text(fact["event"])
            self._note(sequence, at, dropped)
            if run not in self._runs:
                self._held.setdefault(run, []).append((name, own, sequence, at, self._user))
                return []
            return [self._track(name, own, run, sequence, at, self._user)]
        if run not in self._runs:
            raise ValueError("never began")
        own |= _ending(fact)
        self._note(sequence, at, dropped)
        if self._open.pop(run, None) is None:
            return []  # it ended before
        return [self._complete(own, run, sequence, at)]

    def _compose_other(self, fact: dict[str, Any]) -> list[Message]:
        """Of a fact that belongs to no run."""
        dropped = _dropped(fact)
        if fact.get("next") is True:
            self._continued = True
            self.pending += dropped
            return []
        user, at = _text_or_none(fact["identify"]), _time(fact["at"])
        number, traits = _number(fact.get("k", 0)), _object(fact.get("traits"))
        if user is not None and number == 0:
            raise ValueError("no number")
        self._user = user
        self._note(0, at, dropped)
        if user is None:
            return []
        start: Message = {"type": "identify", "traits": traits}
        return [self._finished(start, IDENTIFY_ID, number, at, user)]

    def _read_head(self, head: dict[str, Any]) -> None:
        version = head["v"]
        if self._head is not None or type(version) is not int or version < VERSION:
            raise ValueError("not a head")
        if version > VERSION:
            self.newer = True
            return
        for key in ("app", "library", "id"):
            _text(head[key])
        for key in ("platform", "machine", "agent"):
            _string(head[key])
        if head["version"] is not None:
            _string(head["version"])
        python, tty = _number(head["python"]), _number(head["tty"])
        ci, container = _flag(head["ci"]), _flag(head["container"])
        session, user = _text_or_none(head["session"]), _text_or_none(head.get("user"))
        sequence, at, dropped = _number(head.get("n", 0)), head.get("at"), _dropped(head)
        sample = _share(head["sample"]) if "sample" in head else None
        ended = head.get("ended", [])
        if type(head.get("open", [])) is not list or type(ended) is not list:
            raise TypeError
        self._note(sequence, 0 if at is None else _time(at), dropped)
        self._head, self._user = head, user
        self._system = _SYSTEMS.get(head["platform"], head["platform"])
        self._session_id = session or _uuid(self._base, SESSION_ID, 0)
        self._common = {
            "version": head["version"],
            "os": self._system,
            "arch": head["machine"].lower(),
            "python_version": f"{python >> 24}.{python >> 16 & 255}.{python >> 8 & 255}",
            "is_ci": ci,
            "is_tty": bool(tty & 2),
            "cli_context": _cli_context(head["agent"], ci, tty),
            "in_container": container,
            "invocation_id": _uuid(self._base, INVOCATION_ID, 0),
        }
        if sample is not None:
            self._common["sample_rate"] = sample
        for begun in head.get("open", []):
            self._read_begun(begun, at is None)
        for begun in ended:
            self._open.pop(self._read_begun(begun, False), None)

    def _read_begun(self, begun: object, takes_time: bool) -> int:
        """A run that an earlier part began; its Command Invoked was composed from there."""
        try:
            if type(begun) is not dict:
                raise TypeError
            run, sequence, at = _number(begun["run"]), _number(begun["n"]), _time(begun["at"])
            self._begin(run, begun["command"], begun["flags"], _own(begun))
        except (KeyError, TypeError, ValueError):
            self.skip()
            return 0
        self._sequence = max(self._sequence, sequence)
        if takes_time:
            self._last_at = at
        return run

    def _begin(self, run: int, command: object, flags: object, own: dict[str, Any]) -> None:
        if type(flags) is not list or not all(type(flag) is str for flag in flags):
            raise TypeError
        self._runs[run] = (_text(command), flags, _uuid(self._base, RUN_ID, run))
        self._open[run] = own

    def _note(self, sequence: int, at: int, dropped: int) -> None:
        self._sequence = max(self._sequence, sequence)
        self._last_at = at
        self._continued = False  # the writer could not continue it elsewhere
        self.pending += dropped

    def _track(
        self, event: str, own: dict[str, Any], run: int, sequence: int, at: int, user: str | None
    ) -> Message:
        start = self._event(event, own, run, sequence, reports=True)
        return self._finished(start, MESSAGE_ID, sequence, at, user)

    def _complete(
        self, own: dict[str, Any], run: int, sequence: int, at: int, *, reports: bool = True
    ) -> Message:
        start = self._event(COMMAND_COMPLETED, own, run, sequence, reports=reports)
        return self._finished(start, COMPLETED_ID, run, at, self._user)

    def _event(
        self, event: str, own: dict[str, Any], run: int, sequence: int, *, reports: bool
    ) -> Message:
        command, flags, run_id = self._runs[run]
        properties: dict[str, Any] = {
            **own,
            **self._common,
            "run_id": run_id,
            "session_id": self._session_id,
            "sequence": sequence,
            "command": command,
            "flags": [*flags],
        }
        if self.pending and reports:
            properties["dropped"] = self.pending
            self.pending = self.lost = 0
        return {"type": "track", "event": event, "properties": properties}

    def _finished(
        self, message: Message, kind: int, number: int, at: int, user: str | None
    ) -> Message:
        """A message with what is common to all kinds; its `context` has no IP address."""
        head = self._head or {}
        message["messageId"] = _uuid(self._base, kind, number)
        message["anonymousId"] = head["id"]
        message["timestamp"] = _timestamp(at)
        message["context"] = {
            "app": {"name": head["app"], "version": head["version"]},
            "os": {"name": self._system},
            "library": {"name": "click_telemetry", "version": head["library"]},
        }
        if user is not None:
            message["userId"] = user
        return message


def _cli_context(agent: str, ci: bool, tty: int) -> str:
    """`agent:<name>`, `ci`, `human` (at a terminal) or `script`, the first that applies."""
    if agent:
        return f"agent:{agent}"
    if ci:
        return "ci"
    return "human" if tty & 1 and tty & 6 else "script"


def _ending(fact: dict[str, Any]) -> dict[str, Any]:
    """The properties of `Command Completed` alone, from the fact that ends a run."""
    ended: dict[str, Any] = {}
    if "exit" in fact:
        code = fact["exit"]
        if type(code) is not int:
            raise TypeError
        ended["exit_code"] = code
        ended["succeeded"] = code == 0
        ended["outcome"] = "success" if code == 0 else "failure"
    if "outcome" in fact:
        ended["outcome"] = _text(fact["outcome"])
    if _flag(fact.get("cancelled", False)):
        ended["user_cancelled"] = True
    if "error" in fact:
        ended["error_class"] = _text(fact["error"])
    if _flag(fact.get("masked", False)):
        ended["error_class_masked"] = True
    if "ms" in fact:
        ended["duration_ms"] = _number(fact["ms"])
    return ended


def _own(fact: dict[str, Any]) -> dict[str, Any]:
    """A fact's own properties; `dropped` and `sample_rate` are ours alone."""
    own = _object(fact.get("p"))
    return {key: own[key] for key in own if key not in ("dropped", "sample_rate")}


def _object(found: object) -> dict[str, Any]:
    if found is None:
        return {}
    if type(found) is not dict:
        raise TypeError
    return found


def _number(found: object) -> int:
    if type(found) is not int or not 0 <= found <= _MAX_NUMBER:
        raise ValueError
    return found


def _share(found: object) -> float:
    if type(found) is not float or not 0 < found < 1:
        raise ValueError
    return found


def _dropped(fact: dict[str, Any]) -> int:
    return min(_number(fact.get("dropped", 0)), _MAX_DROPPED)


def _time(found: object) -> int:
    if type(found) is not int:
        raise TypeError
    return found


def _string(found: object) -> str:
    if type(found) is not str:
        raise TypeError
    return found


def _text(found: object) -> str:
    if type(found) is not str or not found:
        raise TypeError
    return found


def _text_or_none(found: object) -> str | None:
    return None if found is None else _text(found)


def _flag(found: object) -> bool:
    if found not in (0, 1):  # as JSON's true and false too
        raise ValueError
    return bool(found)


def _timestamp(at: int) -> str:
    """ISO 8601 in UTC with milliseconds, as Segment takes it."""
    milliseconds = min(max(at // 1_000_000, 0), _LAST_MILLISECOND)
    moment = _EPOCH + timedelta(milliseconds=milliseconds)
    return moment.isoformat(timespec="milliseconds") + "Z"


def _uuid(base: int, kind: int, number: int) -> str:
    made = (base ^ kind << 112 ^ number) & ~(0xF << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62
    digits = f"{made:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
