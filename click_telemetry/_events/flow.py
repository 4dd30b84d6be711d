"""One run of a flow, as events: one Started, then exactly one Completed, Aborted or Failed.

`flow_definition` knows blocks and functions, `flow_plan` the declaration. Its prompts are Click's,
and it records that one was shown, answered or cancelled. Click is not imported here but found: it
is the one whose command is running, which may be the copy that Typer contains. The prompt's text
and a free answer never leave the machine.
"""

from __future__ import annotations

import os
import sys
from threading import RLock
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from .._foreground import outcome
from .._instrument import pass_on
from .flow_plan import ABANDONED, CANCELLED, FlowPlan
from .scope import NOOP, count_dropped
from .state import DURING, ENDS, STARTS, Slot, Track
from .text import UNDECLARED, name_or_none, name_problem, word_or_none, word_problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .scope import Recorder
    from .text import Json

COMPLETED, ABORTED, FAILED = "Completed", "Aborted", "Failed"

_COPIES = ("typer._click", "click")
"""Typer contains a copy since 0.26, with the same modules."""

_CANCELLATIONS = (("asyncio.exceptions", "CancelledError"), ("trio", "Cancelled"))
"""What a cancelled task raises; Ctrl-C in `asyncio.run` is one inside the task."""


class Flow:
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
        self._lock = RLock()  # a signal handler may take a step during a call
        self._pid = os.getpid()
        self._reached: list[str] = []
        self._step: str | None = None
        self._undeclared = False
        self._properties, self._dropped = self._convert(properties)

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
        """Begin a step; it is the `step` of every later event of the flow.

        Args:
            name: a declared step. Another word is recorded with `undeclared`, what is no snake_case
                word as `<undeclared>`.

        Raises:
            DeclarationError: only in a test, for a step that is not declared.
        """
        step, problem = self._plan.step(name)
        self._recorder.report(problem)
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
                self._record("Step Reached", own, DURING)

    def set(self, **properties: Any) -> None:
        """Set properties of every later event of the flow, its end included.

        What becomes known on the way (the plan that was chosen) then separates the flows that
        stopped from those that did not, without a join. None removes a property.

        Raises:
            DeclarationError: only in a test, for a value that the flow declares otherwise.
        """
        found, dropped = self._convert(properties)
        if os.getpid() != self._pid:
            return
        with self._lock:
            self._dropped += dropped
            kept = {k: v for k, v in self._properties.items() if k not in properties}
            self._properties = {**kept, **found}

    def event(self, name: str, /, **properties: Any) -> None:
        """Record a moment of the flow: `f.event("Accepted Terms")`, for example.

        Its name is the flow's and this one: `Application Create Accepted Terms`.

        Args:
            name: what happened, in Title Case.
            **properties: of this event, in addition to the flow's own.

        Raises:
            DeclarationError: only in a test, for a name that cannot be used.
        """
        self._recorder.report(name_problem("the event's name", name))
        moment = name_or_none(name)
        if moment is None:
            count_dropped()
        else:
            self._record_event(moment, properties)

    def complete(self, **properties: Any) -> None:
        """Complete the flow: it remains Completed, also if an exception follows.

        Args:
            **properties: of the end.
        """
        self._end(COMPLETED, {}, properties)

    def abort(self, reason: str, /, **properties: Any) -> None:
        """Abort the flow: the person stopped, or was stopped. The block goes on.

        Args:
            reason: a declared one, or `cancelled`.
            **properties: of the end.

        Raises:
            DeclarationError: only in a test, for a reason that is not declared.
        """
        found, problem = self._plan.reason(reason)
        self._recorder.report(problem)
        own: dict[str, Json] = {"reason": found}
        if problem is not None:
            own["undeclared"] = True
        self._end(ABORTED, own, properties)

    def prompt(self, name: str, text: str, *args: Any, answer: bool = True, **options: Any) -> Any:
        """Ask as `click.prompt` does; record `Prompt Shown`, then whether it was answered.

        Args:
            name: what is asked for, as a snake_case word: the property `prompt`.
            text: the prompt, as Click shows it.
            *args: further arguments of `click.prompt`, such as the default.
            answer: whether an answer that is one of a `click.Choice`'s is recorded. False for
                choices that are the person's own, such as the names of their projects. Any other
                answer is never recorded.
            **options: further arguments of `click.prompt`.

        Returns:
            What `click.prompt` returns.

        Raises:
            click.Abort: Ctrl-C, or the end of the input.
            DeclarationError: only in a test, for a name that is no word.
        """
        ask = _click("prompt")
        word = self._shown(name)
        try:
            found = ask(text, *args, **options)
        except BaseException as error:
            self._cancelled(word, error)
            unlink(error)
            raise
        kind = options.get("type", args[3] if len(args) > 3 else None)
        hidden = options.get("hide_input", len(args) > 1 and args[1])
        recorded = _declared_choice(kind, found) if answer and not hidden else None
        self._record_event("Prompt Answered", {"prompt": word, "answer": recorded})
        return found

    def confirm(self, name: str, text: str, *args: Any, **options: Any) -> bool:
        """Ask as `click.confirm` does; the answer, yes or no, is recorded.

        Args:
            name: what is asked for, as a snake_case word: the property `prompt`.
            text: the prompt, as Click shows it.
            *args: further arguments of `click.confirm`, such as the default.
            **options: further arguments of `click.confirm`. `abort=True` raises after a no, which
                is recorded as the answer first.

        Raises:
            click.Abort: Ctrl-C, the end of the input, or a no with `abort=True`.
            DeclarationError: only in a test, for a name that is no word.
        """
        abort = options.pop("abort", False)
        if len(args) > 1:
            args, abort = (args[0], False, *args[2:]), args[1]
        ask = _click("confirm")
        word = self._shown(name)
        try:
            found = bool(ask(text, *args, **options))
        except BaseException as error:
            self._cancelled(word, error)
            unlink(error)
            raise
        self._record_event("Prompt Answered", {"prompt": word, "answer": found})
        if abort and not found:
            raise _click("Abort")()
        return found

    # For `flow_definition` and for the invocation -------------------------------------------------

    def begin(self) -> None:
        """Start it."""
        with self._lock:
            self._record("Started", {}, STARTS)

    def end_by(self, error: BaseException | None) -> None:
        """End it as its block has ended, by an exception or by itself. Never raises."""
        if self._ended:
            return
        try:
            moment, own = _end_of(error, self._plan, self._recorder)
        except Exception as problem:  # an exception's class whose own code fails
            pass_on(problem)
            moment, own = FAILED, {}
        self._end(moment, own, {})

    def end_call(self, error: BaseException) -> None:
        """End it as its function raised; the wrapper's frame leaves the traceback."""
        self.end_by(error)
        unlink(error)

    def abandon(self) -> None:
        """Abort it as the invocation ends; the recorded step is the furthest that was reached."""
        if os.getpid() != self._pid:
            return
        with self._lock:
            if self._furthest and not self._ended:
                self._step = (self._plan.steps or self._reached)[self._furthest - 1]
                self._undeclared = False
            self._end(ABORTED, {"reason": ABANDONED}, {})

    # -------------------------------------------------------------------------------------------

    def _shown(self, name: object) -> str:
        problem = word_problem("the prompt's name", name)
        self._recorder.report(problem)
        word = word_or_none(name) or UNDECLARED
        self._record_event("Prompt Shown", {"prompt": word})
        return word

    def _cancelled(self, word: str, error: BaseException) -> None:
        """Record it, if it was: a `value_proc` that fails is no cancelled prompt."""
        if "cancelled" in outcome.of_error(error, own="__main__"):
            self._record_event("Prompt Cancelled", {"prompt": word})

    def _record_event(self, moment: str, properties: Mapping[str, Any]) -> None:
        """One event of the flow, if it has not ended."""
        found, dropped = self._convert(properties)
        if os.getpid() != self._pid:
            return
        with self._lock:
            if not self._ended:
                self._dropped += dropped
                self._record(moment, found, DURING)

    def _end(self, moment: str, own: dict[str, Json], properties: Mapping[str, Any]) -> None:
        found, dropped = self._convert(properties)
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

    def _convert(self, properties: Mapping[str, Any]) -> tuple[dict[str, Json], int]:
        """A snapshot, made before our lock is acquired: a value's own code may be slow."""
        if not properties:
            return {}, 0
        given = {k: v for k, v in properties.items() if v is not None}
        mismatched: list[str] = []
        if self._plan.types:
            given, mismatched = self._plan.convert(given)
        if mismatched:
            kinds = [f"{one} is {type(properties[one]).__name__}" for one in mismatched]
            self._recorder.report(
                f"flow {self._plan.name!r} does not match its declaration: {', '.join(kinds)}, or "
                "out of its bounds. Pass what the annotation declares, or change the annotation"
            )
        found, dropped = self._recorder.convert(given)
        return found, dropped + len(mismatched)

    def _index(self, step: str) -> int | None:
        """A step's number, from 1: among the declared ones, else in the order they were reached."""
        steps = self._plan.steps or self._reached
        return steps.index(step) + 1 if step in steps else None

    def _elapsed(self) -> int:
        return (monotonic_ns() - self._started) // 1_000_000


def _end_of(
    error: BaseException | None, plan: FlowPlan, recorder: Recorder
) -> tuple[str, dict[str, Json]]:
    """The last word in the name of the event that ends a flow, and its properties.

    What was declared in `aborts` comes first, also inside wrappers. Then:

    - Abort, Ctrl-C, the end of the input and a cancelled task are Aborted, `cancelled`;
    - a generator that is closed is Aborted, `abandoned`: its consumer went away;
    - `ctx.exit()` and `sys.exit()` are Completed with code 0, else Failed without a class, as
      `Command Completed` has it;
    - everything else is Failed, with the class that may be named.

    Args:
        error: what ended the block; None if nothing did.
        plan: the flow's declaration.
        recorder: has the packages whose exceptions' classes may be named.
    """
    if error is None:
        return COMPLETED, {}
    package, packages = recorder.packages
    reason = _declared(error, plan, package)
    if reason is not None:
        return ABORTED, {"reason": reason}
    if isinstance(error, GeneratorExit):
        return ABORTED, {"reason": ABANDONED}
    if any((cls.__module__, cls.__name__) in _CANCELLATIONS for cls in outcome.ancestry(error)):
        return ABORTED, {"reason": CANCELLED}
    ended = outcome.of_error(error, package, packages)
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


# Prompts ------------------------------------------------------------------------------------------


def unlink(error: BaseException) -> None:
    """Remove our own frame from the traceback of an exception that passes through it.

    Only for the `except` clause around another's code, where the first entry is ours.
    """
    traceback = error.__traceback__
    if traceback is None:
        return
    BaseException.with_traceback(error, traceback.tb_next)
    if sys.version_info < (3, 11):  # `raise` puts it back there
        from .. import _tracebacks  # Python 3.10 alone needs it

        _tracebacks.unlink_below(traceback)


def _click(name: str) -> Any:
    """A function of `termui`, or its Abort, of the Click whose command is running."""
    for copy in _COPIES:
        running, asking = sys.modules.get(f"{copy}.globals"), sys.modules.get(f"{copy}.termui")
        if (
            running is not None
            and asking is not None
            and running.get_current_context(silent=True) is not None
        ):
            return getattr(asking, name)
    import click.termui  # no command is running: the ordinary one

    return getattr(click.termui, name)


def _declared_choice(kind: Any, answer: Any) -> Any:
    """The answer, if it is one of a Choice's, as the code declares it; else None."""
    choices = getattr(kind, "choices", None)
    if isinstance(choices, (list, tuple)):
        for choice in choices:
            if choice is answer or (type(choice) is type(answer) and choice == answer):
                return choice
    return None
