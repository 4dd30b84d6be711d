"""A spool that is written without Click, and what a sender claims of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from click_telemetry._recorder import Destination, Directories, Invocation, Settings
from click_telemetry._sender.queue import claim, compose, oldest_names
from click_telemetry._spool import PUBLISH_AFTER, Spool

from . import facts
from .declared import acme

HOST = "https://a.example"


class CountedSpool(Spool):
    """A spool that starts no sender.

    Attributes:
        hand_overs: how often it would have.
        fails: whether none can be started.
    """

    __slots__ = ("fails", "hand_overs")

    def __init__(self, settings: Settings, directories: Directories) -> None:
        super().__init__(settings, directories, Destination(HOST, "key"), facts.ANONYMOUS)
        self.fails = False
        self.hand_overs = 0

    def start(self, *, away: bool = False) -> None:
        """Count it."""
        if self.fails:
            raise OSError(11, "Resource temporarily unavailable")
        self.hand_overs += 1


class Writer:
    """An invocation of `acme` that writes to a spool.

    Attributes:
        invocation: it has no run yet.
        spool: its sink.
        path: the spool's directory.
    """

    def __init__(self, home: Path) -> None:
        directories = Directories(str(home / "config"), str(home / "state"), str(home / "site"))
        settings = acme()
        self.spool = CountedSpool(settings, directories)
        self.path = Path(self.spool.directory)
        sink: Any = self.spool  # its state directory is a property
        self.invocation = Invocation(settings, facts.head(), sink, 0)

    def begin(self, **p: Any) -> Any:
        """A run begins."""
        return self.invocation.begin_run("acme go", [], own=p or None)

    def event(self, run: Any, **p: Any) -> None:
        """A run records an event of its own."""
        self.invocation.write([facts.event("Exported", run=run.number, p=p)])

    def end(self, run: Any, **p: Any) -> None:
        """A run ends."""
        self.invocation.end_run(run, {"exit": 0, "ms": 1}, own=p or None)

    def close(self) -> None:
        """The invocation ends."""
        self.invocation.close()

    def later(self) -> None:
        """So much time passes that the next fact is published."""
        self.spool.published_at -= PUBLISH_AFTER

    @property
    def files(self) -> list[Path]:
        """The files, oldest first."""
        return sorted(self.path.glob("*.facts"))

    @property
    def descriptor(self) -> int:
        """The number of the open file."""
        assert self.spool.file is not None
        return self.spool.file.descriptor

    def vanish(self) -> None:
        """What the kernel does when the process dies."""
        os.close(self.descriptor)


def messages_of(path: Path) -> list[dict[str, Any]]:
    """What a file gives while its writer is alive."""
    composed = compose(path.name, path.read_bytes(), writer_gone=False)
    assert composed.lost == 0
    return list(composed.messages)


def sequences(messages: list[dict[str, Any]]) -> list[int]:
    """The sequence of each event."""
    return [message["properties"]["sequence"] for message in messages]


def dropped(messages: list[dict[str, Any]]) -> int:
    """How many events they report as dropped."""
    return sum(message["properties"].get("dropped", 0) for message in messages)


def claimed(path: Path) -> list[list[dict[str, Any]]]:
    """What a sender claims now, file by file; it acknowledges them all."""
    found = []
    for name in oldest_names(str(path)):
        taken = claim(str(path), name)
        if taken is not None:
            assert taken.dropped == 0
            found.append(taken.messages)
            taken.acknowledge()
    return found
