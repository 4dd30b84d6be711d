"""One run of a root command, as its events: owns sequence, base properties and the run's pair.

It knows no Click and no disk: what it records goes to a client. Nothing in it raises.
"""

from __future__ import annotations

import os
from threading import RLock
from time import time
from typing import TYPE_CHECKING, Any

from ..identifiers import random_id
from . import ambient, message
from .active import LIVE
from .bound import Bound
from .names import BASE_PROPERTIES, COMMAND_COMPLETED, COMMAND_INVOKED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..delivery.client import Client
    from ..privacy.settings import Settings
    from .bound import Place
    from .text import Json

    Waiting = tuple[object, Mapping[Any, Any], float, Place | None]

OWN_EVENTS = 200
"""Events of the application's own between two publications; the lifecycle always fits."""
APPLICATION_BYTES = 4_000
"""Of `properties=` on the wire: they are on every event, beside the event's own."""


class Run:
    """One leaf that began, with its pair of events."""

    __slots__ = ("command", "flags", "invocation", "live", "run_id")

    def __init__(self, invocation: Invocation, command: str, flags: list[str]) -> None:
        self.invocation = invocation
        self.command = command
        self.flags = flags
        self.run_id = random_id()
        self.live = True

    @property
    def session_id(self) -> str | None:
        """The invocation's session."""
        return self.invocation.session_id

    @property
    def settings(self) -> Settings:
        """What the application declared."""
        return self.invocation._settings

    def track(
        self, name: object, properties: Mapping[Any, Any] | None, place: Place | None = None
    ) -> None:
        """Record an event of the application's own in this run."""
        self.invocation.track(name, properties, self, place=place)

    def now_speaking(self) -> Run:
        """This run: who was handed a run keeps it."""
        return self

    def finish(self, own: dict[str, Json]) -> None:
        """Record that the leaf has ended; only the first call counts.

        Args:
            own: the properties of `Command Completed`.
        """
        if self.live:
            self.live = False
            self.invocation.record(
                COMMAND_COMPLETED, own, self, message_id=message.completion_id(self.run_id)
            )


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
        "_application",
        "_bound",
        "_client",
        "_declared",
        "_lock",
        "_pid",
        "_publication",
        "_said",
        "_saying",
        "_sequence",
        "_settings",
        "_version",
        "closed",
        "dropped",
        "invocation_id",
        "session_id",
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
        self._settings = settings
        self._client = client
        self._anonymous_id = anonymous_id
        self._ambient = ambient.ambient(environ, version)
        self._application: dict[str, Json] = {}
        self._bound = Bound(OWN_EVENTS)
        self._declared = False
        self._lock = RLock()  # an event may be tracked by a signal handler, amid another
        self._pid = os.getpid()
        self._publication = 0
        self._said: list[tuple[str, dict[str, Json], Run, float, str | None]] = []
        self._saying = False
        self._sequence = 0
        self._version = version
        self.closed = False
        self.dropped = lost
        self.invocation_id = random_id()
        self.session_id = session_id or ambient.session_id(environ)

    def start(self, command: str, flags: list[str], waiting: Iterable[Waiting] = ()) -> Run:
        """A leaf is about to run.

        Args:
            command: its path.
            flags: the names of its explicit flags.
            waiting: what was tracked before any leaf had begun; it comes first in the sequence.
        """
        self._declare()
        run = Run(self, command, flags)
        for name, properties, at, place in waiting:
            self.track(name, properties, run, at, place)
        self.record(COMMAND_INVOKED, {}, run)
        return run

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
            return  # as in `record`, and before its lock is touched
        from .values import plain_name, plain_properties  # 1 ms, for who has something to say

        event = plain_name(name)
        with self._lock:
            if event is None or not self._has_room(place):
                self.dropped += 1
                return
        # Outside the lock: a value's own code may be slow, or wait for another thread's event.
        own, lost = plain_properties({} if properties is None else properties)
        with self._lock:
            self.dropped += lost
            self.record(event, own, run, at)

    def _has_room(self, place: Place | None) -> bool:
        if self._bound.full and not self._saying:
            # A server that says more than fits: without this its silence would last for ever.
            getattr(self._client, "publish_if_due", bool)()
        publication = getattr(self._client, "publication", 0)
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
        if os.getpid() != self._pid:
            return  # a forked child: its parent says what happened, and holds our lock perhaps
        with self._lock:
            if self.closed:
                LIVE.stray()
                return
            self._said.append((event, own, run, time() if at is None else at, message_id))
            if self._saying:
                return  # amid another event of this thread, by a signal handler: after that one
            self._saying = True
            try:
                while self._said:
                    self._say(*self._said.pop(0))
            finally:
                self._saying = False

    def _say(
        self, event: str, own: dict[str, Json], run: Run, at: float, message_id: str | None
    ) -> None:
        try:
            properties = self._properties(own, run)
            self._client.record(
                message.track_message(
                    event,
                    properties,
                    anonymous_id=self._anonymous_id,
                    context=message.context(self._settings.app, self._version),
                    at=at,
                    message_id=message_id,
                )
            )
            if "dropped" in properties:
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
            self._client.close()  # outside the lock: a thread that tracks now must not wait for it
        except Exception:  # as above; what the spool holds is safe already
            return

    def _shut(self) -> bool:
        """Let what is open end, and record nothing after it; False if that was done before."""
        while True:
            with self._lock:
                if self.closed:
                    return False
                left = self._bound.latest()
                if left is None:
                    self.closed = True
                    return True
            # Outside the lock: a thread may be ending it at this moment, and wait for the lock.
            left.abandon()
            with self._lock:
                self._bound.forget(left)

    def _properties(self, own: dict[str, Json], run: Run) -> dict[str, Json]:
        """Own, then the application's, then ours, so that no call site can override them."""
        self._sequence += 1
        properties: dict[str, Json] = {
            **own,
            **(self._copied_application() if self._application else {}),
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

    def _copied_application(self) -> dict[str, Json]:
        """The application's properties anew: a message is the client's."""
        from .text import copied

        return {name: copied(value) for name, value in self._application.items()}

    def _declare(self) -> None:
        """Find the application's own properties; a function is called once, None is left out.

        Not under the lock: such a function may track, or wait for a thread that does.
        """
        if os.getpid() != self._pid:
            return  # as in `record`, and before its lock is touched
        with self._lock:
            if self._declared:
                return
            self._declared = True
        if not self._settings.properties:
            return
        from .values import plain_properties

        given: dict[str, Any] = {}
        failed = 0
        for name, value in self._settings.properties.items():
            try:
                found = value() if callable(value) else value
            except Exception:  # the application's own function: the property is left out
                failed += 1
                continue
            if found is not None:
                given[name] = found
        application, lost = plain_properties(given, room=APPLICATION_BYTES)
        with self._lock:
            self.dropped += failed + lost
            self._application = {
                name: value for name, value in application.items() if name not in BASE_PROPERTIES
            }
