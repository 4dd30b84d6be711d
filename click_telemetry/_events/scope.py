"""Which invocation the running code belongs to: `track`, `current` and the recorder behind both.

A context variable follows tasks and copied contexts. A thread that Python started without one is
part of the process's only invocation, if there is exactly one. What is recorded is a value
(`state.Value`): it is written at once, or deferred until a root's first command begins. Where
nothing is recorded, the recorder is NOOP, and callers need not test for it. Importing this module
costs `contextvars` alone, because an application that imports `track` pays for it in each run.
"""

from __future__ import annotations

import os
import sys
from contextvars import ContextVar
from threading import RLock, get_ident
from typing import TYPE_CHECKING, Any, overload

from .. import _instrument
from .._instrument import SCOPES, pass_on

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import ClassVar, Protocol

    from .._instrument import Scope
    from .._recorder import Invocation, Run
    from .state import Value
    from .text import Json

    class Event(Protocol):
        """A typed event, as `click_telemetry.Event` makes them."""

        __telemetry__: ClassVar[Any]

    class AnyScope(Protocol):
        """A call of a command, Click's or custom."""

        @property
        def excluded(self) -> bool:
            """Whether the application excludes the command."""

        @property
        def is_leaf(self) -> bool:
            """Whether the command does its own work."""

        @property
        def opted_out(self) -> str:
            """The reason if a person's opt-out applies."""

        @property
        def root(self) -> Scope:
            """Of the root command."""

        @property
        def run(self) -> Run | None:
            """What is recorded of it."""

        @property
        def thread(self) -> int:
            """The thread that it runs in."""


SCOPE: ContextVar[AnyScope | None] = ContextVar("click_telemetry", default=None)
"""The innermost call of a command in this context."""


# Called by the foreground -------------------------------------------------------------------------


def enter(scope: Scope) -> None:
    """A call of a command begins: what this context records belongs to it."""
    scope.token = SCOPE.set(scope)


def leave(scope: Scope) -> None:
    """A call of a command has ended."""
    try:
        SCOPE.reset(scope.token)
    except ValueError:
        pass  # it was resumed in another context, which never had our value


def is_in_run() -> bool:
    """Whether this context belongs to a recorded run that has not ended."""
    scope = SCOPE.get()
    return scope is not None and scope.run is not None and scope.run.live


audit: Any = None  # in a test, `_kit.events.Audit`: why something is dropped; under watch, its like
observer: Any = None  # `_doctor.examination`, under watch and doctor

_lock = RLock()  # a signal handler may track during a call
_dropped = 0


def _renew_lock() -> None:
    """A forked child does not wait for a thread that it does not have."""
    global _lock
    _lock = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def count_dropped(reason: str = "ended", what: object = None) -> None:
    """Count an event that belongs to no known invocation, or to one that has ended."""
    global _dropped
    if audit is not None:
        audit.note(reason, what)
    with _lock:
        _dropped += 1


def take_dropped() -> int:
    """How many were counted since the last call; the next invocation reports them."""
    global _dropped
    with _lock:
        dropped, _dropped = _dropped, 0
    return dropped


# Which invocation ---------------------------------------------------------------------------------


def current_scope() -> AnyScope | None:
    """The call of a command that this code belongs to; None if that is unknown."""
    scope = SCOPE.get()
    if scope is not None:
        return scope
    running = list(SCOPES)
    thread = get_ident()
    for scope in reversed(running):
        if scope.thread == thread:
            return scope  # this module was imported after the command had begun
    for scope in running:
        if scope.opted_out:
            return scope  # the thread may be part of it
    roots = [scope for scope in running if scope.root is scope]
    return roots[0] if len(roots) == 1 else None  # a choice between two would be a guess


def session_id(scope: AnyScope) -> str | None:
    """The session that a call of a command belongs to; None where nothing is recorded (yet)."""
    run = scope.run
    invocation = run.invocation if run is not None else scope.root.invocation
    if invocation is None:
        return None
    inherited: str | None = invocation.head.get("session")
    if inherited is None:
        from .._reader import SESSION_ID, derived_id  # 0.2 ms, for nested roots and children

        return derived_id(invocation.digits, SESSION_ID)
    return inherited


def enclosing_session(root: Scope) -> str | None:
    """The session of the invocation that a root was started in; None if there is none."""
    token = root.token
    if token is None:
        enclosing = SCOPE.get()  # the root has not been entered yet
    else:
        # Not `token.MISSING`: a sub-interpreter of Python 3.13 has none.
        enclosing = token.old_value if hasattr(token.old_value, "root") else None
    return None if enclosing is None else session_id(enclosing)


def _innermost_run(invocation: Invocation) -> Run | None:
    """The last run that goes on, else the latest; custom commands are their own context's."""
    state = invocation.events
    custom = state.custom_runs if state is not None else ()
    for number, run in reversed(list(invocation.open_runs.items())):
        if run.live and number not in custom:
            return run
    return invocation.latest


class Recorder:
    """Records for one invocation; may be passed to a thread or a callback.

    It remains valid: what is recorded with it after the invocation has ended is dropped.
    """

    __slots__ = ("_root", "_run")

    def __init__(self, root: Scope, run: Run | None = None) -> None:
        self._root = root
        self._run = run

    @overload
    def track(self, event: Event, /) -> None: ...
    @overload
    def track(self, event: str, properties: Mapping[str, Any] | None = ...) -> None: ...
    def track(self, event: str | Event, properties: Mapping[str, Any] | None = None) -> None:
        """Record an event of the application's own, as `click_telemetry.track` does."""
        plan = None if isinstance(event, str) else getattr(type(event), "__telemetry__", None)
        record = getattr(plan, "record", None)
        if plan is None:
            self._track(event, properties)
        elif record is None:
            count_dropped()  # a class that only looks like an `Event`
        else:
            record(self, event)

    def reset(self) -> None:
        """The user has signed out: later messages have no `userId`, as after `identify(None)`."""
        from .state import SignIn  # 0.6 ms, which an application that records nothing does not pay

        self.record(SignIn(None))

    @property
    def is_recording(self) -> bool:
        """Whether there is an invocation that may be recorded."""
        return True

    # For the other modules ------------------------------------------------------------------------

    @property
    def packages(self) -> tuple[str, tuple[str, ...]]:
        """The application's package, and others whose exception classes may be named."""
        settings = self._root.settings
        return settings.package, tuple(settings.packages)

    @property
    def is_strict(self) -> bool:
        """Whether a test of the application runs this code, so that a mistake raises."""
        return _is_test() or self._root.settings.test_double

    def report(self, problem: str | None) -> None:
        """Raise a problem in strict mode (`DeclarationError`), and note it for `audit`."""
        if problem is not None and audit is not None:
            audit.note_problem(problem)
            audit.check()  # raises it in a test, and remembers that it was raised here
        if problem is not None and self.is_strict:
            from .text import declaration_error  # only a mistake in a test needs it

            raise declaration_error(problem)

    def for_block(self) -> Recorder:
        """The recorder of what begins now and ends later; no known invocation is counted once."""
        return self

    def convert(self, properties: Mapping[Any, Any]) -> tuple[dict[str, Json], int]:
        """Convert properties to JSON, as a snapshot; also returns how many were dropped."""
        from .properties import convert_properties  # compiles the scrubber's patterns

        found = convert_properties(properties)
        if found[1] and audit is not None:
            audit.note_properties(properties)
        return found

    def record(self, value: Value) -> None:
        """Record a value now, or when the root's first command begins; a failure is counted.

        Never raises, but in a test that asks for the reason of what is dropped.
        """
        self._record(value)
        if audit is not None:
            audit.check()

    def _record(self, value: Value) -> None:
        invocation: Invocation | None = None
        try:
            run = self._run
            if run is None:
                if not self._root.decided:
                    value.defer(self._root)
                    return
                if self._root.invocation is None:
                    return
                run = _innermost_run(self._root.invocation)
                if run is None:
                    count_dropped("unbegun")
                    return
            invocation = run.invocation
            if not invocation.is_own:
                return  # a forked child: the parent records, and may hold a lock
            if invocation.closed:
                count_dropped()
                return
            facts = value.record(invocation, run.number)
            if facts:
                invocation.write(facts)
        except Exception as error:
            pass_on(error)  # else a fault of ours, or of an object that was passed to us
            if invocation is not None:
                invocation.count_dropped(1)
            else:
                count_dropped()

    def _track(self, name: object, properties: Mapping[str, Any] | None) -> None:
        if observer is not None:
            observer.tracked(name)
        try:
            problem, forged = self._problems(name, properties)
            from .state import Track  # as in `reset`

            value = Track(name, properties)
        except Exception as error:  # an interpreter that shuts down
            pass_on(error)
            count_dropped()
            return
        self.report(problem)
        self.record(value)
        self.report(forged)

    def _problems(self, name: object, properties: object) -> tuple[str | None, str | None]:
        """In strict mode, and under watch, what is wrong with a name, and with properties."""
        if audit is None and not self.is_strict:
            return None, None
        from .._foreground.options import replaced_property, undeclared_event  # in tests alone

        declared = self._root.settings.events
        undeclared = undeclared_event(name, declared) if declared is not None else None
        return undeclared, replaced_property(name, properties)


class NoOpRecorder(Recorder):
    """Where nothing is recorded: an excluded command, or a run that is off."""

    __slots__ = ()

    def __init__(self) -> None:
        pass

    @property
    def is_recording(self) -> bool:
        """False."""
        return False

    @property
    def packages(self) -> tuple[str, tuple[str, ...]]:
        """None of the application's is known."""
        return "__main__", ()

    @property
    def is_strict(self) -> bool:
        """The same, without a client."""
        return _is_test()

    def convert(self, properties: Mapping[Any, Any]) -> tuple[dict[str, Json], int]:
        """No properties; none is read."""
        return {}, 0

    def record(self, value: Value) -> None:
        """Do nothing."""

    def _track(self, name: object, properties: Mapping[str, Any] | None) -> None:
        pass


class UnattributedRecorder(NoOpRecorder):
    """Where no invocation is known: what is recorded is dropped and counted."""

    __slots__ = ()

    def for_block(self) -> Recorder:
        """Count it, and record neither its begin nor its end."""
        self._drop("a flow")
        return NOOP

    def record(self, value: Value) -> None:
        """Count it."""
        self._drop("what is recorded")

    def _track(self, name: object, properties: Mapping[str, Any] | None) -> None:
        self._drop(f"track({name!r})")

    def _drop(self, what: str) -> None:
        count_dropped("outside", what)
        if audit is not None:
            audit.check()


NOOP = NoOpRecorder()
UNATTRIBUTED = UnattributedRecorder()


def current_recorder() -> Recorder:
    """Records for the invocation that this code belongs to. Never raises."""
    try:
        return _recorder_of(current_scope())
    except Exception as error:  # an interpreter that shuts down
        pass_on(error)
        return UNATTRIBUTED


def _recorder_of(scope: AnyScope | None) -> Recorder:
    if scope is None:
        return UNATTRIBUTED
    root = scope.root
    if scope.opted_out or scope.excluded:
        return NOOP
    if scope.run is not None:
        return Recorder(root, scope.run)
    if not root.decided:
        return Recorder(root)
    if root.invocation is None or scope.is_leaf:
        return NOOP
    # A thread keeps the run that was the innermost when it asked; a group asks anew each time.
    own = SCOPE.get() is scope or scope.thread == get_ident()
    return Recorder(root, None if own else _innermost_run(root.invocation))


def _is_test() -> bool:
    """Whether pytest or a runner of Click or Typer runs this very code.

    Narrower than what consent calls a test run: a command that another project's suite starts
    inherits pytest's variables, and one that runs pytest itself loads it; neither is a test of the
    application.
    """
    if "_pytest" in sys.modules and "PYTEST_CURRENT_TEST" in os.environ:
        return True
    return type(sys.stdout).__module__.endswith(("click.testing", "typer.testing"))


# The public functions -----------------------------------------------------------------------------


@overload
def track(event: Event, /) -> None: ...
@overload
def track(event: str, properties: Mapping[str, Any] | None = ...) -> None: ...
def track(event: str | Event, properties: Mapping[str, Any] | None = None) -> None:
    """Record an event of the application's own. Does not wait, and raises only in tests.

    It belongs to the running command; in a thread without a context, to the process's only running
    invocation. Without one, or with more than one, it is dropped and counted.

    Args:
        event: what happened: an `Event`, whose properties are declared; or, for the quick case,
            its name, object and past-tense action in Title Case: `Invoice Exported`.
        properties: of this event. Values that are not JSON are converted or left out; those that
            every event has (`sequence`, `command` …) cannot be set.

    Raises:
        DeclarationError: only in a test, for an `Event` whose values do not match its declaration,
            and for a name that the option `events` of the root does not declare, where it is given.
    """
    current_recorder().track(event, properties)  # type: ignore[arg-type]  # as overloaded


def current() -> Recorder:
    """A handle for the running invocation; it does nothing where nothing runs or is recorded."""
    found = current_recorder()
    return NOOP if found is UNATTRIBUTED else found


_instrument.events = sys.modules[__name__]
