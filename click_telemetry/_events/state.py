"""What an invocation keeps for the events of the application's own, and their value, `Track`.

It bounds them: a quota per publication. The begin and the end of commands always fit. What few
applications use (context, the conversion of values) is loaded at its first use.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from threading import RLock
from time import monotonic_ns, time_ns
from typing import TYPE_CHECKING, Any

from .._instrument import pass_on
from .._recorder import encode
from .text import note_dropped, note_dropped_properties

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Protocol

    from .._instrument import Scope
    from .._recorder import Invocation, Run
    from .properties import Context

    Fact = dict[str, Any]

    class Open(Protocol):
        """Something that has started and must end, such as a flow."""

        def abandon(self) -> None:
            """The invocation ends: end now, if that has not happened yet."""


MAX_OWN_EVENTS = 200
"""Events of the application's own between two publications, and before the first command."""

MAX_DEFERRED = 64 * 1024
"""Bytes of deferred facts that are written together with the begin of their run."""

PUBLISH_AFTER = 5_000_000_000
"""Nanoseconds without a publication after which a full quota asks the sink for one."""

STARTS, DURING, ENDS = "starts", "during", "ends"


class Slot:
    """The part of an event in something that starts and ends.

    Attributes:
        dropped: how many of its properties were dropped before.
        owner: the flow that it belongs to; None if it stands alone.
        role: STARTS, DURING or ENDS.
    """

    __slots__ = ("dropped", "owner", "role")

    def __init__(self, owner: Open | None = None, role: str = DURING, dropped: int = 0) -> None:
        self.dropped = dropped
        self.owner = owner
        self.role = role


class EventQuota:
    """Counts the events of the application's own that still fit. Callers hold a lock.

    A flow that starts reserves two places, so that its end fits as surely as its start did. A flow
    whose start did not fit is not recorded at all.

    Args:
        places: how many there are, until `reset`.
    """

    __slots__ = ("_open", "_places", "_used")

    def __init__(self, places: int = MAX_OWN_EVENTS) -> None:
        self._open: list[Open] = []
        self._places = places
        self._used = 0

    def reserve(self, slot: Slot | None) -> bool:
        """Reserve a place for one more event; False if there is none."""
        if slot is None or slot.owner is None:
            return self._reserve(1)
        if slot.role == STARTS:
            if not self._reserve(2):
                return False
            self._open.append(slot.owner)
            return True
        if not any(one is slot.owner for one in self._open):
            return False
        if slot.role == ENDS:
            self.remove(slot.owner)
            return True
        return self._reserve(1)

    @property
    def full(self) -> bool:
        """Whether no place is left."""
        return self._used >= self._places

    def reset(self) -> None:
        """Free all places, except those of what is still open."""
        self._used = len(self._open)

    def latest(self) -> Open | None:
        """What started last of all that is open."""
        return self._open[-1] if self._open else None

    def remove(self, gone: Open) -> None:
        """Remove what is no longer open."""
        self._open = [one for one in self._open if one is not gone]

    def _reserve(self, count: int) -> bool:
        if self._used + count > self._places:
            return False
        self._used += count
        return True


class EventState:
    """What one invocation keeps.

    Args:
        clock: monotonic, in nanoseconds.

    Attributes:
        custom_runs: the numbers of its runs that are custom commands.
        identifies: how many identify facts there are.
        resources: records of resources, where they are kept for this invocation alone.
    """

    __slots__ = (
        *("_clock", "_context", "_ending", "_lock", "_publication", "_quota", "_reset_at"),
        *("custom_runs", "identifies", "resources"),
    )

    def __init__(self, clock: Callable[[], int] = monotonic_ns) -> None:
        self._clock = clock
        self._context: Context | None = None
        self._ending = False
        self._lock = RLock()  # a signal handler may track during a call
        self._publication = 0
        self._quota = EventQuota()
        self._reset_at = clock()
        self.custom_runs: set[int] = set()
        self.identifies = 0
        self.resources: dict[str, dict[str, Any]] = {}

    def merged(self, own: Mapping[str, Any]) -> Fact:
        """An event's properties, a new mapping: `set_context`, its own, `properties=`.

        Args:
            own: JSON values.
        """
        context = self._context
        return dict(own) if context is None else context.merged(own)

    def context(self) -> Context:
        """The properties of every event; made for an invocation that has any."""
        with self._lock:
            if self._context is None:
                from .properties import Context  # loads the scrubber, for what few use

                self._context = Context()
            return self._context

    def reserve(self, invocation: Invocation, slot: Slot | None = None) -> bool:
        """Reserve a place for one more event of the application's own; False if there is none.

        Args:
            invocation: the one whose state this is.
            slot: its part in a flow, or None.
        """
        with self._lock:
            if self._ending and slot is not None and slot.role == STARTS:
                return False
            if self._quota.full and self._clock() - self._reset_at >= PUBLISH_AFTER:
                # A server that records more than fits would never be published otherwise.
                publish(invocation)
                self._reset_at = self._clock()
            publication = invocation.sink.publication
            if publication != self._publication:
                self._publication = publication
                self._reset_at = self._clock()
                self._quota.reset()
            return self._quota.reserve(slot)

    def next_identify(self) -> int:
        """The number of one more identify fact."""
        with self._lock:
            self.identifies += 1
            return self.identifies

    def end_open(self) -> None:
        """The invocation ends: abandon the flows that are open, and start no other."""
        while True:
            with self._lock:
                left = self._quota.latest()
                if left is None:
                    self._ending = True
                    return
            # Outside the lock: a thread may be ending it now, and wait for the lock.
            left.abandon()
            with self._lock:
                self._quota.remove(left)


def publish(invocation: Invocation) -> None:
    """Publish what is written so far, unless this interrupts a write."""
    with invocation._lock:
        if not invocation._writing:
            invocation.sink.publish(invocation)


_creation = RLock()


def prepare(invocation: Invocation) -> EventState:
    """Create what an invocation keeps, and evaluate its `properties=`, outside any lock.

    Args:
        invocation: it has just opened, and nothing is written yet.
    """
    state = state_of(invocation)
    properties = invocation.settings.properties
    if properties:
        failed = state.context().declare(properties)
        if failed:
            note_dropped("declared", failed)
        invocation.count_dropped(failed)
    return state


def state_of(invocation: Invocation) -> EventState:
    """What an invocation keeps, made if this is its first event."""
    with _creation:
        found: EventState | None = invocation.events
        if found is None:
            found = invocation.events = EventState()
    return found


class Value(ABC):
    """Something to record, at once or when the first command begins."""

    __slots__ = ()

    slot: Slot | None = None
    """Its part in a flow."""

    def defer(self, root: Scope) -> None:
        """Keep it until a root's first command begins, if there is room for it."""
        deferred = root.deferred
        if not isinstance(deferred, Deferred):
            deferred = root.deferred = Deferred()
        if deferred.quota.reserve(self.slot):
            self.freeze()
            deferred.append(self)
        else:
            note_dropped("full")
            root.dropped += 1

    def freeze(self) -> None:  # noqa: B027  # most are made of snapshots
        """Take a snapshot of what it was given, once there is room for it."""

    @abstractmethod
    def record(self, invocation: Invocation, run: int) -> list[Fact]:
        """Change what the invocation keeps, and give the facts that are to be written.

        Args:
            invocation: it is open.
            run: the number of the run that it belongs to.
        """


class Deferred(list[Value]):
    """The values that wait for a root's first command."""

    __slots__ = ("quota",)

    def __init__(self) -> None:
        super().__init__()
        self.quota = EventQuota()

    def begin_run(self, root: Scope, command: str, flags: list[str]) -> Run:
        """Begin a root's first run, with the facts of these values before it, in one write.

        Args:
            root: its invocation is open.
            command: the path of the command.
            flags: the names of its explicit flags.
        """
        root.deferred = []
        invocation: Invocation = root.invocation
        number = invocation.runs + 1
        # Custom commands among the values take the numbers after that of the run itself.
        invocation.runs = number
        facts: list[Fact] = []
        for value in self:
            try:
                facts += value.record(invocation, number)
            except Exception as error:
                pass_on(error)
                invocation.count_dropped(1)
        following = invocation.runs
        invocation.runs = number - 1
        if sum(len(encode(fact)) for fact in facts) > MAX_DEFERRED:
            for fact in facts:  # each is dropped where the file is full, and the begin is not
                invocation.write([fact], lifecycle="event" not in fact)
            facts = []
        try:
            return invocation.begin_run(command, flags, before=facts)
        finally:
            invocation.runs = max(invocation.runs, following)


class SignIn(Value):
    """A user who has signed in, as a value.

    Args:
        user: the ID; None if the user has signed out.
        traits: JSON values.
        dropped: how many traits, or IDs, were dropped before.
        at: nanoseconds since the epoch; now by default.
    """

    __slots__ = ("_at", "_dropped", "_traits", "_user")

    def __init__(
        self,
        user: str | None,
        traits: Fact | None = None,
        *,
        dropped: int = 0,
        at: int | None = None,
    ) -> None:
        self._at = time_ns() if at is None else at
        self._dropped = dropped
        self._traits = {} if traits is None else traits
        self._user = user

    def record(self, invocation: Invocation, run: int) -> list[Fact]:
        """The fact of it. Without room, the user before is signed out."""
        state = state_of(invocation)
        if self._dropped:
            invocation.count_dropped(self._dropped)
        user = self._user
        if user is not None and not state.reserve(invocation):
            note_dropped("full")
            invocation.count_dropped(1)
            user = None
        if user is not None:
            number = state.next_identify()
            return [{"identify": user, "k": number, "at": self._at, "traits": self._traits}]
        # Each one, once there was a sign-in: another thread's may be written after our sign-out.
        return [{"identify": None, "at": self._at}] if state.identifies else []


class Track(Value):
    """An event of the application's own, as a value.

    Args:
        name: any object; what is no name is dropped and counted.
        properties: any object; see `properties.convert_properties`.
        slot: its part in a flow.
        at: nanoseconds since the epoch; now by default.
        dropped: how many of its properties were dropped before.
    """

    __slots__ = ("_dropped", "_frozen", "_name", "_properties", "at", "slot")

    def __init__(
        self,
        name: object,
        properties: Mapping[Any, Any] | None = None,
        *,
        slot: Slot | None = None,
        at: int | None = None,
        dropped: int = 0,
    ) -> None:
        self._dropped = dropped if slot is None else dropped + slot.dropped
        self._frozen = False
        self._name = name
        self._properties: Any = properties
        self.at = time_ns() if at is None else at
        self.slot = slot

    def freeze(self) -> None:
        """Convert the properties to JSON values."""
        if self._frozen:
            return
        from .properties import convert_properties  # loads the scrubber, not in a run that is off

        given = {} if self._properties is None else self._properties
        found, dropped = convert_properties(given)
        if dropped:
            note_dropped_properties(given)
        self._properties = found
        self._dropped += dropped
        self._frozen = True

    def record(self, invocation: Invocation, run: int) -> list[Fact]:
        """The fact of it, if there is room."""
        from .properties import sanitize_name  # as in `freeze`

        state = state_of(invocation)
        name = sanitize_name(self._name)
        if name is None or not state.reserve(invocation, self.slot):
            note_dropped("full" if name is not None else "name", self._name)
            invocation.count_dropped(1)
            return []
        # Without a lock: a value's own code may be slow, or wait for another thread's event.
        self.freeze()
        if self._dropped:
            invocation.count_dropped(self._dropped)
        fact: Fact = {"run": run, "n": 0, "at": self.at, "event": name}
        properties = state.merged(self._properties)
        if properties:
            fact["p"] = properties
        return [fact]
