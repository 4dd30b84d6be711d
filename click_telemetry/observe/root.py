"""One run of an instrumented root as Click performs it: decides at its first leaf, ends with it.

Before the first leaf nothing is decided, stored or started; what is tracked until then waits.
"""

from __future__ import annotations

import os
import sys
from time import time
from typing import TYPE_CHECKING, Any

from ..privacy.consent import NOTHING, WATCH_VARIABLE, Decision, decide, refused
from . import flag
from .state import mark_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..events.active import Speaker
    from ..events.invocation import Invocation, Run
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
        "_enclosing",
        "_invocation",
        "_lost",
        "_runs",
        "_unrun",
        "_waiting",
        "decision",
        "settings",
    )

    def __init__(self, settings: Settings, enclosing: Speaker | None) -> None:
        self.settings = settings
        self.decision: Decision | None = None
        self._enclosing = enclosing
        self._invocation: Invocation | None = None
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

    def track(self, name: object, properties: Mapping[Any, Any] | None) -> None:
        """Record an event outside any leaf: a group's callback, a result callback."""
        if self._runs:
            self.now_speaking().track(name, properties)
        elif self._may_wait():
            from ..events.values import plain_properties

            snapshot, lost = plain_properties(properties) if properties else ({}, 0)
            self._lost += lost
            at = time()
            self._waiting.append(lambda run: run.invocation.track(name, snapshot, run, at))

    def act(self, do: Callable[[Run], None]) -> None:
        """Do something with the run that speaks: now, or once the first leaf begins."""
        if self._runs:
            self.now_speaking().act(do)
        elif self._may_wait():
            self._waiting.append(do)

    def _may_wait(self) -> bool:
        """Whether what is said before the first leaf is remembered; what is too much is counted."""
        if self.decision is not None:
            return False  # nothing is recorded, so there is nothing to wait for
        if len(self._waiting) >= WAITING_EVENTS:
            self._lost += 1
            return False
        return True

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
            self._begin()
        if self._invocation is None:
            return None
        from . import path

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
            self._invocation.close()

    def _take_waiting(self) -> list[Callable[[Run], None]]:
        waiting, self._waiting = self._waiting, []
        return waiting

    def _begin(self) -> None:
        """Decide, and open what the decision asks for."""
        facts: list[RealFacts] = []

        def look() -> RealFacts:
            from ..privacy.facts import RealFacts

            facts.append(RealFacts(self.settings, os.environ, sys.stdout))
            return facts[0]

        # Should anything below fail, the run is off; it must not be tried again at each leaf.
        self.decision = Decision(NOTHING, "not_storable")
        decision = decide(os.environ, self.settings.variable_prefix, flag=False, look=look)
        tell_watcher(self.settings, decision)
        if decision.mode == NOTHING:
            self.decision = decision
            if decision.reason == "notice_not_shown":
                _show_notice(self.settings, facts[0])
            return
        from ..delivery.choose import choose
        from ..events.active import LIVE
        from ..events.invocation import Invocation

        client, anonymous_id = choose(decision, facts[0])
        self._invocation = Invocation(
            self.settings,
            client,
            anonymous_id,
            os.environ,
            self._enclosing.session_id if self._enclosing is not None else None,
            self._lost + LIVE.take_strays(),
        )
        self.decision = decision


def tell_watcher(settings: Settings, decision: Decision | None) -> None:
    """Tell `click-telemetry watch`, if it watches, what was decided; None: nothing so far."""
    if WATCH_VARIABLE in os.environ:
        from ..privacy.watched import tell

        tell(os.environ, settings.app, decision)


def refused_already(settings: Settings, contexts: list[Any]) -> Decision | None:
    """The *no* that costs nothing to see, before anything is loaded: a mark, a flag, a variable."""
    return refused_here(contexts) or refused(os.environ, settings.variable_prefix, flag=False)


def refused_here(contexts: list[Any]) -> Decision | None:
    """The *no* of a mark or a flag on these contexts, from the root's down to a command's."""
    if is_excluded(contexts):
        return Decision(NOTHING, "excluded")
    if flag.opted_out(contexts):
        return Decision(NOTHING, "flag")
    return None


def is_excluded(contexts: list[Any]) -> bool:
    """Whether one of these contexts' commands is marked with `exclude`."""
    for context in contexts:
        found = mark_of(context.command)
        if found is not None and found.excluded:
            return True
    return False


def _show_notice(settings: Settings, facts: RealFacts) -> None:
    from ..privacy import notice

    if facts.places is None:
        return
    text = settings.notice
    if not isinstance(text, str):
        text = notice.TEXT.format(app=settings.app, prefix=settings.variable_prefix)
    notice.show(facts.places.notice, text if text.endswith("\n") else text + "\n")
