"""`flow`: the definition of a flow, which runs as a block or around a function.

It observes how blocks and functions end, and changes nothing of what they do.
"""

from __future__ import annotations

import inspect
import sys
from functools import wraps
from threading import get_ident
from typing import TYPE_CHECKING, Any, TypeVar, overload

from .flow_plan import FlowPlan
from .text import declaration_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType

    from .flow import Flow

    Function = TypeVar("Function", bound=Callable[..., Any])


def flow(
    name: str,
    /,
    *,
    steps: Iterable[str] = (),
    reasons: Iterable[str] = (),
    aborts: Mapping[type[BaseException], str] | None = None,
    step_events: bool = False,
    when: bool = True,
    **properties: Any,
) -> FlowDefinition:
    """Define a flow: something that a person goes through, and may stop in the middle of.

    Run it with `with flow(…) as f`, `async with`, or as a function's decorator. It records
    `<Name> Started`, then exactly one of `<Name> Completed`, `<Name> Aborted` and `<Name> Failed`,
    each with `duration_ms` and the `step` that was reached. Defined once, at the top of a module,
    it runs when it is called: `with APPLICATION_CREATE(plan=plan) as f`.

    Args:
        name: what it is about, in Title Case: `Application Create`.
        steps: its steps in order, snake_case. Once there are any, others are mistakes.
        reasons: why `f.abort(reason)` may end it, snake_case. `cancelled` and `abandoned` need no
            declaration.
        aborts: exceptions that end it as Aborted and not as Failed, each with its reason; they
            pass through unchanged.
        step_events: whether each step is an event, `<Name> Step Reached`.
        when: False for what must not be counted, such as a dry run: nothing is recorded then.
        **properties: on every event of the flow; None is left out. An annotation, such as
            `plan=Literal["free", "pro"]`, declares what is set later, as in a class of `Event`: a
            value that does not match is left out and counted.

    Raises:
        DeclarationError: for a mistake at a module's top level, in a decorator or in a test; its
            message names the fix. Elsewhere what can be recorded is.
    """
    plan = FlowPlan(name, steps, reasons, aborts, step_events)
    plan.check_properties(properties)
    made = FlowDefinition(plan, plan.declare(properties), when)
    if plan.problem is not None and _at_top_level():
        raise declaration_error(plan.problem)
    return made


class FlowDefinition:
    """What `flow` returns.

    Attributes:
        plan: the declaration, checked.
    """

    __slots__ = ("_entered", "_properties", "_when", "plan")

    def __init__(self, plan: FlowPlan, properties: Mapping[str, Any], when: bool) -> None:
        self.plan = plan
        self._properties = properties
        self._when = when
        self._entered: list[tuple[object, Flow]] = []

    @overload
    def __call__(self, function: Function, /) -> Function: ...
    @overload
    def __call__(self, /, *, when: bool = ..., **properties: Any) -> FlowDefinition: ...
    def __call__(self, function: Any = None, /, *, when: bool = True, **properties: Any) -> Any:
        """Around a function, or the same flow with more properties.

        Args:
            function: each call of it is one run of the flow. That of a coroutine function lasts
                until it has been awaited, of a generator function until it is exhausted or closed.
            when: False: nothing is recorded, this time.
            **properties: on every event, in addition to the declared ones.

        Raises:
            DeclarationError: it cannot be put around this; the message names the fix.
        """
        if function is None:
            self.plan.check_properties(properties)
            both = {**self._properties, **properties}
            return FlowDefinition(self.plan, both, self._when and when)
        if self.plan.problem is not None:
            raise declaration_error(self.plan.problem)
        return _decorate(self, function)

    if not TYPE_CHECKING:  # it would accept every name

        def __getattr__(self, name: str) -> Any:
            """Raise for what a running flow has, such as `step`; the message names the fix."""
            # Only for a mistake.
            from .._foreground.options import MisplacedAttribute
            from .flow import Flow  # the same

            if name.startswith("_") or not hasattr(Flow, name):
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            raise MisplacedAttribute(
                f"the flow {self.plan.name!r} is declared here, and .{name}() is of one that runs: "
                f"write `with … as f:`, and in it f.{name}(…)"
            )

    def __enter__(self) -> Flow:
        """Start it."""
        running = self.start()
        self._entered.append((_current_task(), running))
        return running

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """End it, if it has not ended already; an exception passes through."""
        self._leave(error)

    async def __aenter__(self) -> Flow:
        """Start it."""
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """End it, as `__exit__` does."""
        self._leave(error)

    def start(self) -> Flow:
        """A run of the flow that has started.

        Raises:
            DeclarationError: in a test, for a mistake in the declaration.
        """
        # Not before the first run: these modules take about 1.5 ms.
        from .flow import Flow
        from .scope import NOOP, UNATTRIBUTED, current_recorder  # with the flow

        recorder = current_recorder()
        recorder.report(self.plan.problem)
        # Without a name no event can be recorded: it is counted as one without an invocation is.
        recorder = (recorder if self.plan.name is not None else UNATTRIBUTED).for_block()
        started = Flow(self.plan, self._properties, recorder if self._when else NOOP)
        started.begin()
        return started

    def _leave(self, error: BaseException | None) -> None:
        """End the run that this block is: a definition may be entered in several places at once."""
        here = _current_task()
        entered = list(self._entered)
        found = next((one for one in reversed(entered) if one[0] == here), None)
        if found is None:  # left in another thread or task than it was entered in
            if not entered:
                return
            found = entered[-1]
        self._entered.remove(found)
        found[1].end_by(error)


def _current_task() -> object:
    """This thread and, where there are any, this task."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return get_ident(), None
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no loop runs in this thread
        task = None
    return get_ident(), task


def _decorate(definition: FlowDefinition, function: Any) -> Any:
    problem = _decoration_problem(function)
    if problem:
        raise declaration_error(f"flow {definition.plan.name!r} cannot be put around {problem}")

    if inspect.iscoroutinefunction(function):

        @wraps(function)
        async def called(*args: Any, **kwargs: Any) -> Any:
            running = definition.start()
            try:
                result = await function(*args, **kwargs)
            except BaseException as error:
                running.end_call(error)
                raise
            running.end_by(None)
            return result

    elif inspect.isgeneratorfunction(function):

        @wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            running = definition.start()
            try:
                result = yield from function(*args, **kwargs)
            except BaseException as error:
                running.end_call(error)
                raise
            running.end_by(None)
            return result

    else:

        @wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            running = definition.start()
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                running.end_call(error)
                raise
            running.end_by(None)
            return result

    return called


def _decoration_problem(function: Any) -> str:
    if hasattr(function, "make_context"):
        return (
            "a command: put @flow(…) below the decorator that makes the command (@cli.command(), "
            "then @flow(…))"
        )
    if isinstance(function, type) or not callable(function):
        return f"{function!r}: it takes a function"
    if inspect.isasyncgenfunction(function):
        return f"an asynchronous generator: write `with flow(…) as f:` inside {function.__name__}"
    return ""


def _at_top_level() -> bool:
    """Whether `flow` was called by a module's own code, which runs when it is imported."""
    return sys._getframe(2).f_code.co_name == "<module>"
