"""Facts as the foreground writes them, made by hand."""

from __future__ import annotations

import json
from typing import Any

ANONYMOUS = "0b5c1a3e-8255-4e5a-84e5-9c79b8f0db98"
HEX = "0123456789abcdef0123456789abcdef"
AT = 1_790_000_000_123_456_789
"""Nanoseconds since the epoch."""

Fact = dict[str, Any]


def head(**other: Any) -> Fact:
    """The first line of a file."""
    return {
        "v": 1,
        "app": "acme",
        "version": "2.1.0",
        "library": "0.2.0",
        "python": 51183856,
        "platform": "linux",
        "machine": "x86_64",
        "ci": 0,
        "agent": "",
        "tty": 7,
        "container": 0,
        "id": ANONYMOUS,
        "session": None,
        **other,
    }


def begin(run: int = 1, n: int = 1, at: int = AT, command: str = "acme go", **other: Any) -> Fact:
    """A run begins."""
    return {"run": run, "n": n, "at": at, "command": command, "flags": [], **other}


def event(name: str, run: int = 1, n: int = 2, at: int = AT, **other: Any) -> Fact:
    """An event of the application's own."""
    return {"run": run, "n": n, "at": at, "event": name, **other}


def end(run: int = 1, n: int = 2, at: int = AT, **other: Any) -> Fact:
    """A run ends."""
    return {"run": run, "n": n, "at": at, "exit": 0, "ms": 13, **other}


def identify(user: str | None, k: int = 1, at: int = AT, **other: Any) -> Fact:
    """A user signs in, or out."""
    return {"identify": user, "k": k, "at": at, **other}


NEXT: Fact = {"next": True}


def pair(**own: Any) -> list[Fact]:
    """The facts of a command that ran, without a head."""
    p: Fact = {"p": own} if own else {}
    return [begin(**p), end(**p)]


def events(count: int, **own: Any) -> list[Fact]:
    """The facts of a command that began and recorded so many events, one of them its beginning."""
    return [
        begin(),
        *(event("Exported", n=n, p=dict(own)) for n in range(2, count + 1)),
        {"next": True},
    ]


def lines(facts: list[Fact]) -> bytes:
    """Facts as they are in a file."""
    return b"".join(json.dumps(f, separators=(",", ":")).encode("ascii") + b"\n" for f in facts)


def file_name(
    number: int = 0, marks: str = "", *, at: int = AT, part: int = 1, digits: str | None = None
) -> str:
    """A file's name.

    Args:
        number: differs from file to file.
        marks: what a sender has added to the name, such as `.tried-17`.
        at: when it was created, in nanoseconds since the epoch.
        part: of the invocation.
        digits: the 32 hexadecimal digits; derived from `number` by default.
    """
    digits = digits or f"{(int(HEX, 16) + number * 0x10001) % 16**32:032x}"
    return f"{at + number:020d}-{digits}-{part:04d}{marks}.facts"
