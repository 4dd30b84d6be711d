"""Recordings: the messages of each demo session and of each command line of the scenario.

Runs them as real processes through `click-telemetry watch --json`, replaces IDs, times and what
depends on the machine by placeholders, and stores one file for each. It uses no module of the
library, so that a recording of one version can be compared with another.
"""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from ..harness.demo import CTRL_C, SESSIONS, Session
from ..harness.processes import REPOSITORY, Home
from ..harness.terminal import Terminal
from .scenario import LINES

Message = dict[str, Any]

DIRECTORY = Path(__file__).parent / "recorded"

BIN = Path(sys.executable).parent
WATCH = (str(BIN / "click-telemetry"), "watch", "--json", "--")

PLACEHOLDERS: dict[str, tuple[str, type]] = {
    "timestamp": ("<timestamp>", str),
    "context.library.version": ("<library version>", str),
    "context.os.name": ("<os>", str),
    "properties.arch": ("<arch>", str),
    "properties.duration_ms": ("<milliseconds>", int),
    "properties.elapsed_ms": ("<milliseconds>", int),
    "properties.in_container": ("<in container>", bool),
    "properties.os": ("<os>", str),
    "properties.python_version": ("<python version>", str),
}
"""By path: the placeholder, and the type that a value must have to be replaced by it."""

ID_KINDS = {
    "anonymousId": "anonymous",
    "invocation_id": "invocation",
    "messageId": "message",
    "run_id": "run",
    "session_id": "session",
}
"""How the placeholder of an ID begins; under any other key, with the key."""

_UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def session_output(session: Session, home: Home) -> str:
    """What the terminal shows in a demo session, its messages as lines of JSON."""
    terminal = Terminal([*WATCH, str(BIN / "demo-cli"), *session.args], home.environ, home.path)
    for question, keys in session.answers:
        terminal.wait_for(question)
        if keys == CTRL_C:
            terminal.interrupt("Aborted")
        else:
            terminal.type(keys)
    assert terminal.close() == session.code, terminal.shown
    return terminal.shown


def line_messages(line: str, answers: str, status: int, home: Home) -> list[Message]:
    """The messages of a command line of the scenario, run with its answers on standard input."""
    ran = subprocess.run(
        [*WATCH, sys.executable, "-m", "tests.golden.scenario", *line.split()],
        env={**home.environ, "PYTHONPATH": str(REPOSITORY)},
        input=answers,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=home.path,
        check=False,
    )
    assert ran.returncode == (status if status >= 0 else 128 - status), ran.stderr
    return normalized(ran.stdout)


def recorded_sessions() -> dict[str, Session]:
    """The demo's sessions by the name of their recording."""
    return {f"demo-{_slug(session.name)}": session for session in SESSIONS}


def recorded_lines() -> dict[str, tuple[str, str, int]]:
    """The scenario's command lines by the name of their recording."""
    return {f"scenario-{_slug(line[0])}": line for line in LINES}


def messages_of(name: str, home: Home) -> list[Message]:
    """Run what a recording is named after, in an empty home."""
    if name in recorded_sessions():
        return normalized(session_output(recorded_sessions()[name], home))
    return line_messages(*recorded_lines()[name], home)


def normalized(output: str) -> list[Message]:
    """The messages in the output of `watch --json`, with placeholders.

    Tracks come in the order of their sequence, then the other messages: nothing orders an
    identify and a track of the same millisecond.

    Args:
        output: of a terminal or a pipe; lines that hold no message are ignored.
    """
    messages = [*filter(None, map(_message, output.replace("\r", "").splitlines()))]
    messages.sort(key=lambda message: message["type"] != "track")
    ids: dict[str, str] = {}
    return [_replaced(message, ids, ()) for message in messages]


def _message(line: str) -> Message | None:
    """The message in a line, or None."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) and "messageId" in found else None


def _replaced(value: Any, ids: dict[str, str], path: tuple[str, ...]) -> Any:
    """A value with placeholders; `ids` has those of the IDs so far."""
    if isinstance(value, dict):
        return {key: _replaced(value[key], ids, (*path, key)) for key in sorted(value)}
    if isinstance(value, list):
        return [_replaced(item, ids, path) for item in value]
    if isinstance(value, str) and _UUID4.fullmatch(value):
        kind = ID_KINDS.get(path[-1], path[-1])
        count = sum(known.startswith(f"<{kind}-") for known in ids.values())
        return ids.setdefault(value, f"<{kind}-{count + 1}>")
    placeholder, expected = PLACEHOLDERS.get(".".join(path), ("", object))
    return placeholder if placeholder and type(value) is expected else value


def write(name: str, messages: list[Message]) -> None:
    """Store a recording; what all of its messages share is written once."""
    common = _common(messages)
    content = {"common": common, "messages": [_without(common, item) for item in messages]}
    text = json.dumps(content, indent=2, sort_keys=True)
    (DIRECTORY / f"{name}.json").write_text(f"{text}\n", encoding="ascii")


def read(name: str) -> list[Message]:
    """The messages of a recording."""
    content = json.loads((DIRECTORY / f"{name}.json").read_text(encoding="ascii"))
    common = content["common"]
    return [_merged(copy.deepcopy(common), message) for message in content["messages"]]


def _common(values: list[Message]) -> Message:
    """The items that all of these share, at every depth."""
    found: Message = {}
    for key, first in values[0].items():
        items = [value[key] for value in values if key in value]
        if len(items) < len(values):
            continue
        if all(item == first for item in items):
            found[key] = first
        elif all(isinstance(item, dict) for item in items):
            found[key] = _common(items)
    return found


def _without(common: Message, value: Message) -> Message:
    """A message without the items that it shares with all others."""
    return {
        key: _without(common[key], item) if isinstance(item, dict) and key in common else item
        for key, item in value.items()
        if key not in common or common[key] != item
    }


def _merged(common: Message, value: Message) -> Message:
    """The inverse of `_without`."""
    found = {**common, **value}
    for key in common.keys() & value.keys():
        if isinstance(value[key], dict):
            found[key] = _merged(common[key], value[key])
    return found


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
