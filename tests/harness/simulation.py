"""Simulated users of the demo: the messages of their sessions, the same for the same seed.

A session is one of the demo's scripted ones, or a plain command. Its facts are composed by the
library's own reader, so that the messages are what a destination receives.

`python -m tests.harness.simulation` prints the messages of 200 users, one a line.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

from click_telemetry._reader import Composer

from .demo import SESSIONS, Session

Message = dict[str, Any]

FIRST_DAY = 1_772_323_200  # 2026-03-01
DAYS = 28
KILLED = 0.01
"""The part of all runs whose process vanishes."""

PLATFORMS = (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"), ("win32", "AMD64"))
CALLERS: tuple[dict[str, Any], ...] = (
    {"ci": 0, "agent": "", "tty": 7},
    {"ci": 0, "agent": "", "tty": 0},
    {"ci": 1, "agent": "", "tty": 0},
    {"ci": 0, "agent": "claude", "tty": 0},
)
PLAIN = (
    ("demo deploy", ("dry_run", "region"), 400, 0.03),
    ("demo apps list", ("as_json",), 40, 0.005),
    ("demo status", (), 20, 0.0),
)
"""Commands without a script: flags that may be typed, usual milliseconds, part that fails."""


class Person(NamedTuple):
    """A simulated user.

    Attributes:
        head: of each of their invocations, without what differs.
        rng: draws what they do.
    """

    head: dict[str, Any]
    rng: random.Random


def simulate(seed: int, users: Iterable[int], sessions: int = 12) -> Iterator[Message]:
    """The messages of users, invocation by invocation.

    Args:
        seed: the same gives the same messages.
        users: their numbers; each user's messages depend on no other's.
        sessions: of a user, on average.
    """
    for user in users:
        person = _person(seed, user)
        for _ in range(person.rng.randrange(1, 2 * sessions)):
            yield from _invocation(person)
        if user % 4 == 0:
            yield _health(person)


def _person(seed: int, user: int) -> Person:
    rng = random.Random(f"{seed} {user}")
    platform, machine = rng.choices(PLATFORMS, (5, 1, 3, 1))[0]
    head = {
        "v": 1,
        "app": "demo",
        "library": "0.2.0",
        "session": None,
        "version": rng.choices(("1.4.0", "1.3.2", "1.2.0"), (6, 3, 1))[0],
        "python": rng.choices((0x030D00F0, 0x030B07F0, 0x030A0DF0), (5, 3, 2))[0],
        "platform": platform,
        "machine": machine,
        "container": int(rng.random() < 0.1),
        **rng.choices(CALLERS, (7, 2, 1, 1))[0],
        "id": _uuid(rng),
    }
    return Person(head, rng)


def _invocation(person: Person) -> Iterator[Message]:
    rng = person.rng
    composer = Composer(f"{rng.getrandbits(128):032x}")
    composer.feed(person.head)
    start = (FIRST_DAY + int(86400 * DAYS * rng.random() ** 0.8)) * 10**9 + rng.randrange(10**9)
    facts = _scripted(rng, start) if rng.random() < 0.4 else _plain(rng, start)
    if rng.random() < 0.03:
        facts[0]["dropped"] = rng.randrange(1, 5)
    if rng.random() < KILLED:
        del facts[rng.randrange(1, len(facts)) :]
    for fact in facts:
        yield from composer.feed(fact)
    yield from composer.finish(writer_gone=True)


def _plain(rng: random.Random, at: int) -> list[dict[str, Any]]:
    command, flags, usual, failing = rng.choices(PLAIN, (6, 3, 1))[0]
    typed = [flag for flag in flags if rng.random() < 0.5]
    ms = int(usual * rng.lognormvariate(0, 0.7))
    end: dict[str, Any] = {"exit": 0}
    if rng.random() < failing:
        end = {"exit": 1, "error": rng.choice(("TimeoutError", "demo_cli.errors.QuotaExceeded"))}
    return [
        {"run": 1, "n": 1, "at": at, "command": command, "flags": typed, "p": {}},
        {"run": 1, "n": 2, "at": at + ms * 10**6, "ms": ms, "p": {}, **end},
    ]


def _scripted(rng: random.Random, at: int) -> list[dict[str, Any]]:
    """A session of the demo, with a time for each of its events."""
    session = rng.choices(SESSIONS, _WEIGHTS)[0]
    command, flags = _command_line(session)
    facts: list[dict[str, Any]] = [
        {"run": 1, "n": 1, "at": at, "command": command, "flags": flags, "p": {}}
    ]
    ms = 0
    for number, (event, own) in enumerate(session.events[1:], 2):
        ms += int(rng.lognormvariate(6, 1))
        fact: dict[str, Any] = {"run": 1, "n": number, "at": at + ms * 10**6, "p": dict(own)}
        if event == "Command Completed":
            fact |= {"p": {}, "ms": ms, "exit": own["exit_code"]}
            if own["outcome"] == "cancelled":
                fact |= {"outcome": "cancelled", "cancelled": True}
            if "error_class" in own:
                fact["error"] = own["error_class"]
        else:
            fact["event"] = event
            if event.endswith((" Completed", " Aborted", " Failed")) or "records" in own:
                fact["p"]["duration_ms"] = ms
        facts.append(fact)
    return facts


_WEIGHTS = [6 if session.name in ("accept", "upgrade") else 1 for session in SESSIONS]


def _command_line(session: Session) -> tuple[str, list[str]]:
    """The path and the flags, as they are recorded."""
    path = [*session.args]
    flags = sorted(word[2:].replace("-", "_") for word in path if word.startswith("--"))
    words = path[: next((i for i, word in enumerate(path) if word.startswith("--")), len(path))]
    return " ".join(["demo", *(word for word in words if "." not in word)]), flags


def _health(person: Person) -> Message:
    """What a sender reports once a day."""
    rng = person.rng
    delay = rng.randrange(1_000, 100_000)
    return {
        "type": "track",
        "event": "Telemetry Health",
        "properties": {
            "library_version": "0.2.0",
            "period_hours": 24,
            "delivered_count": rng.randrange(1, 100),
            "rejected_count": 0,
            "dropped_count": rng.randrange(3),
            "failure_count": rng.randrange(5),
            "delay_ms": delay,
            "max_delay_ms": 3 * delay,
            "queue_age_ms": delay,
        },
        "messageId": _uuid(rng),
        "anonymousId": person.head["id"],
        "timestamp": _iso(datetime.fromtimestamp(FIRST_DAY + 86400 * DAYS, timezone.utc)),
        "context": {"library": {"name": "click_telemetry", "version": "0.2.0"}},
    }


def exported(message: Message, rng: random.Random) -> Message:
    """A message as Segment's and RudderStack's exports contain it.

    The client's clock differs from the server's by up to an hour; `timestamp` is corrected.
    """
    happened = datetime.fromisoformat(message["timestamp"].replace("Z", "+00:00"))
    sent = happened + timedelta(seconds=int(rng.expovariate(1 / 60)) + 1)
    skew = timedelta(seconds=rng.randrange(-3600, 3600))
    received = sent + skew + timedelta(milliseconds=200)
    return {
        "_metadata": {"bundled": [], "unbundled": []},
        "channel": "server",
        "integrations": {},
        "projectId": "project",
        "version": 2,
        "writeKey": "key",
        **message,
        "originalTimestamp": _iso(happened),
        "sentAt": _iso(sent),
        "receivedAt": _iso(received),
        "timestamp": _iso(happened + (received - sent)),
    }


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _uuid(rng: random.Random) -> str:
    digits = f"{rng.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"


if __name__ == "__main__":
    for printed in simulate(1, range(200)):
        sys.stdout.write(f"{json.dumps(printed)}\n")
