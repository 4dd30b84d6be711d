"""One walk through a flow, as its events: owns that there is one Started and one end, in order.

It is told how its block ended: `declared` knows blocks and functions, `flow_plan` the declaration.
"""

from __future__ import annotations

import os
from threading import RLock
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from .active import LIVE, SILENT
from .bound import AMID, ENDS, STARTS, Place
from .flow_plan import ABANDONED, FlowPlan
from .loud import complain
from .outcome import ABORTED, COMPLETED, FAILED, outcome
from .questions import Questions
from .text import name_or_none
from .words import name_problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .active import Speaker
    from .text import Json


class Flow(Questions):
    """A flow that is being walked; what `with flow(…) as f` gives, and a helper's parameter.

    After its end, whichever came first, nothing changes it and every method does nothing. No
    method raises but in a test, where a step or a reason that was not declared does. It may be
    handed to threads and tasks; it belongs to the invocation that it began in.
    """

    __slots__ = (
        "_began",
        "_ended",
        "_furthest",
        "_lock",
        "_lost",
        "_pid",
        "_plan",
        "_properties",
        "_reached",
        "_speaker",
        "_step",
        "_undeclared",
    )

    def __init__(self, plan: FlowPlan, properties: Mapping[str, Any], speaker: Speaker) -> None:
        self._plan = plan
        self._speaker = speaker
        self._began = monotonic_ns()
        self._ended = False
        self._furthest = 0
        self._lock = RLock()  # a signal's handler may take a step amid another
        self._pid = os.getpid()
        self._reached: list[str] = []
        self._step: str | None = None
        self._undeclared = False
        self._properties, self._lost = self._plain(properties)

    @staticmethod
    def of(flow: Flow | None) -> Flow:
        """The flow itself, or for None one that is silent.

        For a helper that several flows share and that some callers use without any:

            def choose_plan(f: Flow | None = None) -> str:
                f = Flow.of(f)
                f.step("plan")
        """
        return flow if flow is not None else Flow(FlowPlan("Nothing"), {}, SILENT)

    def step(self, name: str, /) -> None:
        """A step begins; every later event of the flow says so in `step`.

        Args:
            name: a declared step. One that is not is recorded with `undeclared`, a word that is
                no snake_case as `<undeclared>`.

        Raises:
            DeclarationError: in a test, for a step that was not declared.
        """
        step, problem = self._plan.step(name)
        complain(problem, self._speaker)
        if os.getpid() != self._pid:
            return  # a forked child: its parent says what happens, and holds our lock perhaps
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
                self._say("Step Reached", own, AMID)

    def set(self, **properties: Any) -> None:
        """Properties that every later event of the flow has, its end included.

        What becomes known on the way (the plan that was chosen) then divides those who stopped
        from those who did not, without a join. None takes a property away again.
        """
        found, lost = self._plain(properties)
        if os.getpid() != self._pid:
            return
        with self._lock:
            self._lost += lost
            kept = {k: v for k, v in self._properties.items() if k not in properties}
            self._properties = {**kept, **found}

    def event(self, name: str, /, **properties: Any) -> None:
        """A moment of the flow: `f.event("Accepted Terms")` is `Application Create Accepted Terms`.

        Args:
            name: what happened, in Title Case.
            **properties: facts of this event, beside the flow's own.

        Raises:
            DeclarationError: in a test, for a name that is none.
        """
        complain(name_problem("the event's name", name), self._speaker)
        moment = name_or_none(name)  # an object's own words are nobody's business
        if moment is None:
            LIVE.stray()
        else:
            self._tell(moment, properties)

    def complete(self, **properties: Any) -> None:
        """It is done: whatever happens after this line, it stays Completed.

        Args:
            **properties: facts of the end.
        """
        self._end(COMPLETED, {}, properties)

    def abort(self, reason: str, /, **properties: Any) -> None:
        """Somebody stopped, or was stopped. It ends the flow, not the block.

        Args:
            reason: a declared one, or `cancelled`.
            **properties: facts of the end.

        Raises:
            DeclarationError: in a test, for a reason that was not declared.
        """
        found, problem = self._plan.reason(reason)
        complain(problem, self._speaker)
        own: dict[str, Json] = {"reason": found}
        if problem is not None:
            own["undeclared"] = True
        self._end(ABORTED, own, properties)

    # For `declared` and for the invocation -----------------------------------------------------

    def begin(self) -> None:
        """It starts."""
        if self._speaker is not SILENT:
            with self._lock:
                self._say("Started", {}, STARTS)

    def end_by(self, error: BaseException | None) -> None:
        """Its block has ended, by an exception or by itself. Never raises."""
        if self._ended or self._speaker is SILENT:
            return
        try:
            moment, own = outcome(error, self._plan, self._speaker.settings)
        except Exception:  # an exception's class whose own code fails
            moment, own = FAILED, {}
        self._end(moment, own, {})

    def abandon(self) -> None:
        """The invocation ends; the step it tells is the furthest that was reached."""
        if os.getpid() != self._pid:
            return
        with self._lock:
            if self._furthest and not self._ended:
                self._step = (self._plan.steps or self._reached)[self._furthest - 1]
                self._undeclared = False
            self._end(ABORTED, {"reason": ABANDONED}, {})

    # -------------------------------------------------------------------------------------------

    def _tell(self, moment: str, properties: Mapping[str, Any]) -> None:
        """One event of the flow, if it goes on."""
        found, lost = self._plain(properties)
        if os.getpid() != self._pid:
            return
        with self._lock:
            if not self._ended:
                self._lost += lost
                self._say(moment, found, AMID)

    def _end(self, moment: str, own: dict[str, Json], properties: Mapping[str, Any]) -> None:
        found, lost = self._plain(properties)
        if os.getpid() != self._pid:
            return
        with self._lock:
            if self._ended:
                return
            self._ended = True
            self._lost += lost
            try:
                self._say(moment, {**found, **own, "duration_ms": self._elapsed()}, ENDS)
            except BaseException:
                # Ctrl-C struck in here. Said twice it cannot be: the place of an end is taken once.
                self._ended = False
                raise

    def _say(self, moment: str, own: Mapping[str, Json], role: str) -> None:
        at: dict[str, Json] = {} if self._step is None else {"step": self._step}
        if self._undeclared:
            at["undeclared"] = True
        lost, self._lost = self._lost, 0
        try:
            self._speaker.track(
                f"{self._plan.name} {moment}",
                {**self._properties, **own, **at},
                Place(self, role, lost),
            )
        except Exception:  # a fault of ours
            LIVE.stray()

    def _plain(self, properties: Mapping[str, Any]) -> tuple[dict[str, Json], int]:
        """A snapshot, made before our lock is taken: a value's own code may be slow."""
        if not properties or self._speaker is SILENT:
            return {}, 0
        from .values import plain_properties

        return plain_properties({k: v for k, v in properties.items() if v is not None})

    def _index(self, step: str) -> int | None:
        """A step's place, from 1: among the declared ones, else in the order they were reached."""
        steps = self._plan.steps or self._reached
        return steps.index(step) + 1 if step in steps else None

    def _elapsed(self) -> int:
        return (monotonic_ns() - self._began) // 1_000_000
