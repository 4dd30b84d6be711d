"""One run of a root command, as its events: owns their sequence and their base properties.

It knows no Click and no disk: what it records goes to a client. Nothing in it raises.
"""

from __future__ import annotations

import os
from threading import RLock
from time import time
from typing import TYPE_CHECKING, Any

from ..identifiers import random_id
from . import COMMAND_INVOKED, ambient, message
from .active import LIVE
from .run import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ..delivery.client import Client
    from ..privacy.settings import Settings
    from .bound import Bound, Place
    from .context import Context
    from .run import Act
    from .text import Json

    Make = Callable[[str, dict[str, Json]], dict[str, Json]]

OWN_EVENTS = 200
"""Events of the application's own between two publications; the lifecycle always fits."""


class Invocation:
    """An invocation that may be recorded.

    Args:
        settings: what the application declared.
        client: where its messages go.
        anonymous_id: the installation's ID, or one of the moment.
        environ: the process's environment.
        session_id: the session of an enclosing invocation, if there is one.
        lost: events that were dropped before it began.
    """

    __slots__ = (
        "_ambient",
        "_anonymous_id",
        "_bound",
        "_context",
        "_declared",
        "_lock",
        "_pid",
        "_publication",
        "_said",
        "_saying",
        "_sequence",
        "_version",
        "client",
        "closed",
        "dropped",
        "invocation_id",
        "memory",
        "session_id",
        "settings",
        "user_id",
    )

    def __init__(
        self,
        settings: Settings,
        client: Client,
        anonymous_id: str,
        environ: Mapping[str, str],
        session_id: str | None = None,
        lost: int = 0,
    ) -> None:
        version = settings.current_version
        self.settings = settings
        self.client = client
        self._anonymous_id = anonymous_id
        self._ambient = ambient.ambient(environ, version)
        self._bound: Bound | None = None
        self._context: Context | None = None
        self._declared = False
        self._lock = RLock()  # an event may be tracked by a signal handler, amid another
        self._pid = os.getpid()
        self._publication = 0
        self._said: list[tuple[Make, str | None]] = []
        self._saying = False
        self._sequence = 0
        self._version = version
        self.closed = False
        self.dropped = lost
        self.invocation_id = random_id()
        self.memory: dict[str, dict[str, Json]] = {}
        self.session_id = session_id or ambient.session_id(environ)
        self.user_id: str | None = None

    def start(
        self,
        command: str,
        flags: list[str],
        waiting: Iterable[Act] = (),
        own: dict[str, Json] | None = None,
        at: float | None = None,
    ) -> Run:
        """A leaf is about to run.

        Args:
            command: its path.
            flags: the names of its explicit flags.
            waiting: what was said before any leaf had begun; it comes first in the sequence.
            own: properties of its `Command Invoked`.
            at: when it began, in seconds since the epoch; now by default.
        """
        self._declare()
        run = Run(self, command, flags)
        for do in waiting:
            self.act(do, run)
        self.record(COMMAND_INVOKED, own or {}, run, at)
        return run

    def act(self, do: Act, run: Run) -> None:
        """Do something with a run; what fails in it costs itself, and is counted."""
        if os.getpid() != self._pid:
            return  # as in `say`
        if self.closed:
            LIVE.stray()
            return
        try:
            do(run)
        except Exception:  # a fault of ours, or of an object that was handed to us
            self.lose(1)

    def lose(self, count: int) -> None:
        """Count what could not be said; the next event reports it."""
        with self._lock:
            self.dropped += count

    def track(
        self,
        name: object,
        properties: Mapping[Any, Any] | None,
        run: Run,
        at: float | None = None,
        place: Place | None = None,
    ) -> None:
        """Record an event of the application's own; drop and count what cannot be said."""
        if os.getpid() != self._pid:
            return  # as in `say`, and before its lock is touched
        from .values import plain_name, plain_properties  # 1 ms, for who has something to say

        event = plain_name(name)
        if event is None or not self.has_room(place):
            self.lose(1)
            return
        # Outside the lock: a value's own code may be slow, or wait for another thread's event.
        own, lost = plain_properties({} if properties is None else properties)
        with self._lock:
            self.dropped += lost if place is None else lost + place.lost
            self.record(event, own, run, at)

    def has_room(self, place: Place | None = None) -> bool:
        """Whether one more event of the application's own fits; if so, it has its place."""
        with self._lock:
            if self._bound is None:
                from .bound import Bound

                self._bound = Bound(OWN_EVENTS)
            if self._bound.full and not self._saying:
                # A server that says more than fits: without this its silence would last for ever.
                getattr(self.client, "publish_if_due", bool)()
            publication = getattr(self.client, "publication", 0)
            if publication != self._publication:
                self._publication = publication
                self._bound.renew()
            return self._bound.take(place)

    def record(
        self,
        event: str,
        own: dict[str, Json],
        run: Run,
        at: float | None = None,
        message_id: str | None = None,
    ) -> None:
        """Give one event its place in the sequence and hand it to the client.

        Args:
            event: its name.
            own: its own properties, plain; the base properties win over them.
            run: the leaf it belongs to, or the root before its first leaf.
            at: when it happened, in seconds since the epoch; now by default.
            message_id: a derived one, where the same event could be said elsewhere too.
        """
        at = time() if at is None else at
        self.say(
            lambda anonymous_id, context: message.track_message(
                event,
                self._properties(own, run),
                anonymous_id=anonymous_id,
                context=context,
                at=at,
                message_id=message_id,
            )
        )

    def say(self, make: Make) -> None:
        """Hand one message to the client.

        Args:
            make: makes it when it is its turn, of the anonymous ID and Segment's `context`.
        """
        if os.getpid() != self._pid:
            return  # a forked child: its parent says what happened, and holds our lock perhaps
        with self._lock:
            if self.closed:
                LIVE.stray()
                return
            self._said.append((make, self.user_id))
            if self._saying:
                return  # amid another message of this thread, by a signal handler: after that one
            self._saying = True
            try:
                while self._said:
                    self._hand_over(*self._said.pop(0))
            finally:
                self._saying = False

    def _hand_over(self, make: Make, user_id: str | None) -> None:
        try:
            made = make(self._anonymous_id, message.context(self.settings.app, self._version))
            if user_id is not None:
                made["userId"] = user_id
            reported = "dropped" in made.get("properties", ())  # type: ignore[operator]
            self.client.record(made)
            if reported:
                self.dropped = 0
        except Exception:  # a client that fails must not be noticed by the command
            self.dropped += 1

    def close(self) -> None:
        """The root has ended: nothing more is recorded. Closing twice is harmless."""
        if os.getpid() != self._pid:
            return
        if not self._shut():
            return
        try:
            self.client.close()  # outside the lock: a thread that tracks now must not wait for it
        except Exception:  # as above; what the spool holds is safe already
            return

    def _shut(self) -> bool:
        """Let what is open end, and record nothing after it; False if that was done before."""
        while True:
            with self._lock:
                if self.closed:
                    return False
                left = self._bound.latest() if self._bound is not None else None
                if left is None:
                    self.closed = True
                    return True
            # Outside the lock: a thread may be ending it at this moment, and wait for the lock.
            left.abandon()
            with self._lock:
                if self._bound is not None:
                    self._bound.forget(left)

    def _properties(self, own: dict[str, Json], run: Run) -> dict[str, Json]:
        """What was set, own, declared, then ours, so that no call site can override them."""
        self._sequence += 1
        context = self._context
        properties: dict[str, Json] = {
            **(context.said() if context is not None else {}),
            **own,
            **(context.declared() if context is not None else {}),
            **self._ambient,
            "invocation_id": self.invocation_id,
            "run_id": run.run_id,
            "session_id": self.session_id,
            "sequence": self._sequence,
            "command": run.command,
            "flags": [*run.flags],
        }
        if self.dropped:
            properties["dropped"] = self.dropped
        elif "dropped" in own:
            del properties["dropped"]
        return properties

    def context(self) -> Context:
        """What is said on every event; made for who has something to say there."""
        with self._lock:
            if self._context is None:
                from .context import Context

                self._context = Context()
            return self._context

    def _declare(self) -> None:
        """Find the application's own properties.

        Not under the lock: a function among them may track, or wait for a thread that does.
        """
        if os.getpid() != self._pid:
            return  # as in `say`, and before its lock is touched
        with self._lock:
            if self._declared:
                return
            self._declared = True
        if self.settings.properties:
            self.lose(self.context().declare(self.settings.properties))
