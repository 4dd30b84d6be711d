"""One run of an instrumented root as Click performs it: decides at its first leaf, ends with it.

Before the first leaf nothing is decided, stored or started; what is tracked until then waits.
"""

from __future__ import annotations

import os
import sys
from threading import current_thread, main_thread
from time import time
from typing import TYPE_CHECKING, Any

from ..events.active import ACTIVE, LIVE
from ..privacy.consent import NOTHING, Decision, decide
from ..privacy.refusal import WATCH_VARIABLE
from . import flag, path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType

    from ..events.active import Speaker
    from ..events.bound import Bound, Place
    from ..events.invocation import Invocation
    from ..events.run import Run
    from ..events.text import Json
    from ..privacy.facts import RealFacts
    from ..privacy.settings import Settings

WAITING_EVENTS = 200


class Root:
    """A root command's run.

    Attributes:
        settings: what the application declared.
        decision: what became of it, once the first leaf began.
    """

    __slots__ = (
        "_bound",
        "_enclosing",
        "_invocation",
        "_leaving",
        "_lost",
        "_runs",
        "_unrun",
        "_waiting",
        "decision",
        "settings",
    )

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.decision: Decision | None = None
        self._bound: Bound | None = None
        self._enclosing = ACTIVE.get()
        self._invocation: Invocation | None = None
        self._leaving = False
        self._lost = 0
        self._runs: list[Run] = []
        self._unrun: list[Run] = []
        self._waiting: list[Callable[[Run], None]] = []

    @property
    def session_id(self) -> str | None:
        """The session, once there is one."""
        return self._invocation.session_id if self._invocation is not None else None

    @property
    def running(self) -> bool:
        """Whether a leaf is running now."""
        return any(run.live for run in self._runs)

    def track(
        self, name: object, properties: Mapping[Any, Any] | None, place: Place | None = None
    ) -> None:
        """Record an event outside any leaf: a group's callback, a result callback."""
        if self._runs:
            self.now_speaking().track(name, properties, place)
        elif self._waits(place):
            from ..events.values import plain_properties

            snapshot, lost = plain_properties(properties) if properties else ({}, 0)
            self._lost += lost
            at = time()
            self._waiting.append(lambda run: run.invocation.track(name, snapshot, run, at, place))

    def act(self, do: Callable[[Run], None]) -> None:
        """Do something with the run that speaks: now, or once the first leaf begins."""
        if self._runs:
            self.now_speaking().act(do)
        elif self._waits(None):
            self._waiting.append(do)

    def now_speaking(self) -> Speaker:
        """The innermost live run, else the latest, else the root itself."""
        if not self._runs:
            return self
        live = [run for run in self._runs if run.live]
        return (live or self._runs)[-1]

    def start(self, contexts: list[Any]) -> Run | None:
        """A leaf is about to run; None when it is not recorded.

        Args:
            contexts: from the root's context down to the leaf's.
        """
        if self.decision is None:
            self._begin(contexts[0])
        if self._invocation is None:
            return None
        run = self._invocation.start(
            path.command_path(self.settings.app, contexts),
            path.flag_names(contexts, flag.DESTINATION),
            self._take_waiting(),
        )
        self._runs.append(run)
        return run

    def postpone(self, run: Run) -> None:
        """A leaf gave back work that has not been done (a coroutine): it ends with the root."""
        self._unrun.append(run)

    def close(self, ending: dict[str, Json]) -> None:
        """The root has ended.

        Args:
            ending: how, for the runs that were postponed.
        """
        for run in self._unrun:
            run.finish(ending)
        if self._invocation is not None:
            self._leaving = LIVE.alone(self) and main_ends_the_process()
            self._invocation.close()

    def _waits(self, place: Place | None) -> bool:
        """Whether one more may wait for the first leaf; what is too much is counted."""
        if self.decision is not None:
            return False  # nothing is recorded, so there is nothing to wait for
        if self._bound is None:
            from ..events.bound import Bound

            self._bound = Bound(WAITING_EVENTS)
        if self._bound.take(place):
            return True
        self._lost += 1
        return False

    def _take_waiting(self) -> list[Callable[[Run], None]]:
        waiting, self._waiting = self._waiting, []
        return waiting

    def _begin(self, context: Any) -> None:
        """Decide, and open what the decision asks for.

        Args:
            context: the root's.
        """
        facts: list[RealFacts] = []

        def look() -> RealFacts:
            from ..privacy.facts import RealFacts

            facts.append(RealFacts(self.settings, os.environ, sys.stdout))
            return facts[0]

        # Should anything below fail, the run is off; it must not be tried again at each leaf.
        self.decision = Decision(NOTHING, "not_storable")
        decision = decide(os.environ, self.settings.variable_prefix, flag=False, look=look)
        if WATCH_VARIABLE in os.environ:
            from ..privacy.watched import tell

            tell(os.environ, self.settings.app, decision)
        if decision.mode == NOTHING:
            self.decision = decision
            if decision.reason == "notice_not_shown":
                _show_notice(self.settings, facts[0], context)
            return
        from ..delivery.choose import choose
        from ..events.invocation import Invocation

        client, anonymous_id = choose(decision, facts[0], lambda: self._leaving)
        self._invocation = Invocation(
            self.settings,
            client,
            anonymous_id,
            os.environ,
            self._enclosing.session_id if self._enclosing is not None else None,
            self._lost + LIVE.take_strays(),
        )
        self.decision = decision


def main_ends_the_process() -> bool:
    """Whether the `main` that runs us calls `sys.exit` when it is done, in the main thread.

    Click's own and its relatives' are told by their parameter `standalone_mode`.
    """
    if current_thread() is not main_thread():
        return False
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if "standalone_mode" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
            return bool(frame.f_locals["standalone_mode"])
        frame = frame.f_back
    return False


def _show_notice(settings: Settings, facts: RealFacts, context: Any) -> None:
    from ..privacy import notice

    if facts.places is not None:
        notice.show(facts.places.notice, lambda: _notice_text(settings, context))


def _notice_text(settings: Settings, context: Any) -> str:
    from .told import notice_text

    return notice_text(settings, context)
