"""One run of a flow, as events: one Started, then exactly one Completed, Aborted or Failed.

`flow_definition` knows blocks and functions, `flow_plan` the declaration.
"""

from __future__ import annotations

import os
from threading import RLock
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from .._foreground import outcome
from .._instrument import pass_on
from . import strict
from .current import NOOP, count_dropped
from .flow_plan import ABANDONED, CANCELLED, FlowPlan
from .prompts import Prompts
from .state import AMID, ENDS, STARTS, Slot, Track
from .text import name_or_none, name_problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._recorder import Settings
    from .current import Recorder
    from .text import Json

COMPLETED, ABORTED, FAILED = "Completed", "Aborted", "Failed"

_CANCELLATIONS = (("asyncio.exceptions", "CancelledError"), ("trio", "Cancelled"))
"""What a cancelled task raises; Ctrl-C in `asyncio.run` is one inside the task."""


class Flow(Prompts):
    """A flow that is running; what `with flow(…) as f` gives, and a helper's parameter.

    After its end, whichever came first, every method does nothing. No method raises except in a
    test, for a step or a reason that is not declared. It may be passed to threads and tasks; it
    belongs to the invocation that it began in.
    """

    __slots__ = (
        "_dropped",
        "_ended",
        "_furthest",
        "_lock",
        "_pid",
        "_plan",
        "_properties",
        "_reached",
        "_recorder",
        "_started",
        "_step",
        "_undeclared",
    )

    def __init__(self, plan: FlowPlan, properties: Mapping[str, Any], recorder: Recorder) -> None:
        self._plan = plan
        self._recorder = recorder
        self._started = monotonic_ns()
        self._ended = False
        self._furthest = 0
        self._lock = RLock()  # a signal's handler may take a step amid another
        self._pid = os.getpid()
        self._reached: list[str] = []
        self._step: str | None = None
        self._undeclared = False
        self._properties, self._dropped = self._plain(properties)

    @staticmethod
    def of(flow: Flow | None) -> Flow:
        """The flow itself, or for None one that records nothing.

        For a helper that several flows share, and that some callers use without a flow:

            def choose_plan(f: Flow | None = None) -> str:
                f = Flow.of(f)
                f.step("plan")
        """
        return flow if flow is not None else Flow(FlowPlan("Nothing"), {}, NOOP)

    def step(self, name: str, /) -> None:
        """A step begins; it is the `step` of every later event of the flow.

        Args:
            name: a declared step. Another word is recorded with `undeclared`, what is no snake_case
                word as `<undeclared>`.

        Raises:
            DeclarationError: only in a test, for a step that is not declared.
        """
        step, problem = self._plan.step(name)
        strict.report(problem, self._recorder)
        if os.getpid() != self._pid:
            return  # a forked child: the parent records, and may hold our lock
        with self._lock:
            if self._ended:
                return
            self._step, self._undeclared = step, problem is not None
            if not self._plan.steps and step not in self._reached:
                self._reached.append(step)
            index = self._index(step)
            self._furthest = max(self._furthest, index or 0)
            if self._plan.step_events:
                own: dict[str, Json] = {"elapsed_ms": self._elapsed()}
                if index is not None:
                    own["step_index"] = index
                self._record("Step Reached", own, AMID)

    def set(self, **properties: Any) -> None:
        """Set properties of every later event of the flow, its end included.

        What becomes known on the way (the plan that was chosen) then separates the flows that
        stopped from those that did not, without a join. None removes a property.
        """
        found, dropped = self._plain(properties)
        if os.getpid() != self._pid:
            return
        with self._lock:
            self._dropped += dropped
            kept = {k: v for k, v in self._properties.items() if k not in properties}
            self._properties = {**kept, **found}

    def event(self, name: str, /, **properties: Any) -> None:
        """A moment of the flow: `f.event("Accepted Terms")` is `Application Create Accepted Terms`.

        Args:
            name: what happened, in Title Case.
            **properties: of this event, in addition to the flow's own.

        Raises:
            DeclarationError: only in a test, for a name that cannot be used.
        """
        strict.report(name_problem("the event's name", name), self._recorder)
        moment = name_or_none(name)
        if moment is None:
            count_dropped()
        else:
            self._record_event(moment, properties)

    def complete(self, **properties: Any) -> None:
        """It is complete: whatever happens after this line, it remains Completed.

        Args:
            **properties: of the end.
        """
        self._end(COMPLETED, {}, properties)

    def abort(self, reason: str, /, **properties: Any) -> None:
        """The person stopped, or was stopped. It ends the flow, not the block.

        Args:
            reason: a declared one, or `cancelled`.
            **properties: of the end.

        Raises:
            DeclarationError: only in a test, for a reason that is not declared.
        """
        found, problem = self._plan.reason(reason)
        strict.report(problem, self._recorder)
        own: dict[str, Json] = {"reason": found}
        if problem is not None:
            own["undeclared"] = True
        self._end(ABORTED, own, properties)

    # For `flow_definition` and for the invocation -------------------------------------------------

    def begin(self) -> None:
        """It starts."""
        if self._recorder.is_recording:
            with self._lock:
                self._record("Started", {}, STARTS)

    def end_by(self, error: BaseException | None) -> None:
        """Its block has ended, by an exception or by itself. Never raises."""
        if self._ended or not self._recorder.is_recording:
            return
        try:
            moment, own = _end_of(error, self._plan, self._recorder.settings)
        except Exception as problem:  # an exception's class whose own code fails
            pass_on(problem)
            moment, own = FAILED, {}
        self._end(moment, own, {})

    def abandon(self) -> None:
        """The invocation ends; the recorded step is the furthest that was reached."""
        if os.getpid() != self._pid:
            return
        with self._lock:
            if self._furthest and not self._ended:
                self._step = (self._plan.steps or self._reached)[self._furthest - 1]
                self._undeclared = False
            self._end(ABORTED, {"reason": ABANDONED}, {})

    # -------------------------------------------------------------------------------------------

    def _record_event(self, moment: str, properties: Mapping[str, Any]) -> None:
        """One event of the flow, if it has not ended."""
        found, dropped = self._plain(properties)
        if os.getpid() != self._pid:
            return
        with self._lock:
            if not self._ended:
                self._dropped += dropped
                self._record(moment, found, AMID)

    def _end(self, moment: str, own: dict[str, Json], properties: Mapping[str, Any]) -> None:
        found, dropped = self._plain(properties)
        if os.getpid() != self._pid:
            return
        with self._lock:
            if self._ended:
                return
            self._ended = True
            self._dropped += dropped
            try:
                self._record(moment, {**found, **own, "duration_ms": self._elapsed()}, ENDS)
            except BaseException:
                # Ctrl-C struck here. An end has one place in the quota: it is not recorded twice.
                self._ended = False
                raise

    def _record(self, moment: str, own: Mapping[str, Json], role: str) -> None:
        at: dict[str, Json] = {} if self._step is None else {"step": self._step}
        if self._undeclared:
            at["undeclared"] = True
        dropped, self._dropped = self._dropped, 0
        self._recorder.record(
            Track(
                f"{self._plan.name} {moment}",
                {**self._properties, **own, **at},
                slot=Slot(self, role, dropped),
            )
        )

    def _plain(self, properties: Mapping[str, Any]) -> tuple[dict[str, Json], int]:
        """A snapshot, made before our lock is acquired: a value's own code may be slow."""
        if not properties or not self._recorder.is_recording:
            return {}, 0
        from .values import plain_properties

        return plain_properties({k: v for k, v in properties.items() if v is not None})

    def _index(self, step: str) -> int | None:
        """A step's number, from 1: among the declared ones, else in the order they were reached."""
        steps = self._plan.steps or self._reached
        return steps.index(step) + 1 if step in steps else None

    def _elapsed(self) -> int:
        return (monotonic_ns() - self._started) // 1_000_000


def _end_of(
    error: BaseException | None, plan: FlowPlan, settings: Settings | None
) -> tuple[str, dict[str, Json]]:
    """The last word of the event that ends a flow, and its own properties.

    What was declared in `aborts` comes first, whatever wraps the exception. Then:

    - Abort, Ctrl-C, the end of the input and a cancelled task are Aborted, `cancelled`;
    - a generator that is closed is Aborted, `abandoned`: its consumer went away;
    - `ctx.exit()` and `sys.exit()` are Completed with code 0, else Failed without a class, as
      `Command Completed` has it;
    - everything else is Failed, with the class that may be named.

    Args:
        error: what ended the block; None if nothing did.
        plan: the flow's declaration.
        settings: the application's, whose exceptions' classes may be named.
    """
    if error is None:
        return COMPLETED, {}
    package = settings.package if settings is not None else "__main__"
    reason = _declared(error, plan, package)
    if reason is not None:
        return ABORTED, {"reason": reason}
    if isinstance(error, GeneratorExit):
        return ABORTED, {"reason": ABANDONED}
    if any((cls.__module__, cls.__name__) in _CANCELLATIONS for cls in outcome.ancestry(error)):
        return ABORTED, {"reason": CANCELLED}
    packages = tuple(settings.packages) if settings is not None else ()
    ended = outcome.of_error(error, own=package, packages=packages)
    if "cancelled" in ended:
        return ABORTED, {"reason": CANCELLED}
    if ended["exit"] == 0:
        return COMPLETED, {}
    own: dict[str, Json] = {}
    if "error" in ended:
        own["error_class"] = ended["error"]
    if "masked" in ended:
        own["error_class_masked"] = True
    return FAILED, own


def _declared(error: BaseException, plan: FlowPlan, package: str) -> str | None:
    """The reason of the nearest declared class, of the outermost exception that has one."""
    if not plan.aborts:
        return None
    for one in outcome.unwrapped(error, package):
        for cls in outcome.ancestry(one):
            for declared, reason in plan.aborts:
                if declared is cls:
                    return reason
    return None
