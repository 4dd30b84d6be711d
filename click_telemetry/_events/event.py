"""`Event`: a class whose instances are events, typed by its annotations.

It owns how such a class is declared and how its instances are recorded; `schema` reads the
annotations. `EventPlan`, on the class itself, is what a tracking plan or a JSON Schema can be made
from; there is no registry.
"""

from __future__ import annotations

import inspect
import sys
import typing
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, ClassVar

from .._instrument import pass_on
from .._reader import BASE_PROPERTIES, OUR_EVENTS
from .schema import EventProperty, Mismatch, UnsupportedAnnotation
from .scope import NOOP, current_recorder
from .state import Track
from .text import declaration_error, name_problem, split_words, word_problem

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from typing_extensions import dataclass_transform

    from .scope import Recorder
    from .text import Json
else:

    def dataclass_transform(**_: Any) -> Any:
        """For type checkers; in `typing` since Python 3.11 (PEP 681)."""
        return lambda cls: cls


WAREHOUSE_COLUMNS = frozenset(
    (
        *("id", "event", "event_text", "timestamp", "original_timestamp", "sent_at"),
        *("received_at", "user_id", "anonymous_id", "uuid", "uuid_ts"),
    )
)
"""Columns of Segment's warehouses that a property of this name would fill or hide.

https://segment.com/docs/connections/storage/warehouses/schema
"""


@dataclass_transform(frozen_default=True)
class Event:
    """A typed event: the class is its plan, an instance is what happened.

        class PlanChanged(Event):
            '''A user changed the plan.'''

            direction: Literal["upgrade", "downgrade"]
            to_plan: Plan                                 # an Enum
            note: Annotated[str, 64] | None = None        # a text has a bound

        track(PlanChanged(direction="upgrade", to_plan=Plan.PRO))

    It is named after the class, `Plan Changed`, or as in `class PlanChanged(Event, name="…")`.
    Instances are frozen; `@dataclass(frozen=True)` above the class is possible and not needed.
    The plan is `PlanChanged.__telemetry__`: name, description (the docstring), properties.

    Raises:
        DeclarationError: at the class, for an annotation that is no bounded value, a name
            that cannot be used, or a property that every event has; its message names the fix. At
            an instance only in a test: elsewhere a value that does not match its declaration is
            left out when it is tracked, its property's name is in `invalid`, and it is counted in
            `dropped`.
    """

    __slots__ = ()
    __telemetry__: ClassVar[EventPlan]

    def __init_subclass__(cls, *, name: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if name is None and "__telemetry__" in cls.__dict__:
            return  # @dataclass(slots=True) makes the class again, without its keywords
        _declare(cls, name if name is not None else split_words(cls.__name__))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        names = list(type(self).__telemetry__.properties)
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        problem = _arguments_problem(type(self), names, len(args), kwargs, given)
        if problem is not None:
            current_recorder().report(problem)
        for name, value in given.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: make another one")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: make another one")

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return _values(self) == _values(other)

    def __hash__(self) -> int:
        return hash((type(self), tuple(_values(self).items())))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in _values(self).items())
        return f"{type(self).__qualname__}({shown})"

    def timed(self) -> Timed:
        """A block that is recorded as this event, with its duration and whether it succeeded.

            with ToolCall(name="search").timed():
                search()

        The event is recorded when the block ends, with `duration_ms`, `succeeded`, and
        `error_class` if an exception ended it.
        """
        return Timed(self)


class EventPlan:
    """An event as it was declared.

    Attributes:
        name: the event's name.
        description: the class's docstring, or "".
        properties: by name, in order.
    """

    __slots__ = ("description", "name", "properties")

    def __init__(
        self, name: str, description: str, properties: Mapping[str, EventProperty]
    ) -> None:
        self.name = name
        self.description = description
        self.properties = dict(properties)

    def convert(self, event: Event) -> tuple[dict[str, Json], list[str]]:
        """Convert the properties to JSON; also returns the names of those that do not match."""
        kept: dict[str, Json] = {}
        mismatched: list[str] = []
        for name, declared in self.properties.items():
            try:
                value = getattr(event, name)
                if value is None and declared.optional:
                    continue
                kept[name] = declared.convert(value)
            except Exception as error:  # missing, mismatched, or a value whose own code fails
                pass_on(error)
                mismatched.append(name)
        return kept, mismatched

    def record(
        self, recorder: Recorder, event: Event, measured: Mapping[str, Json] | None = None
    ) -> None:
        """Record an event of this plan.

        What does not match is left out, named in `invalid` and counted: names of properties are
        declared in the code.

        Args:
            recorder: records it.
            event: an instance of the class.
            measured: properties that were measured, in addition to the declared ones.

        Raises:
            DeclarationError: in a test, for a value that does not match its declaration.
        """
        own, mismatched = self.convert(event)
        if mismatched:
            kinds = [f"{name} is {_kind(event, name)}" for name in mismatched]
            recorder.report(
                f"{type(event).__name__} does not match its declaration ({', '.join(kinds)}): pass "
                "what the annotation declares, or change the annotation"
            )
            own["invalid"] = [*mismatched]
        recorder.record(Track(self.name, {**own, **(measured or {})}, dropped=len(mismatched)))


def _arguments_problem(
    cls: type[Event], names: list[str], count: int, named: dict[str, Any], given: dict[str, Any]
) -> str | None:
    """The problem with an instance's arguments, or None."""
    unknown = sorted(named.keys() - names)
    if unknown:
        return f"{cls.__name__} has no {', '.join(unknown)}: declare it in the class, or drop it"
    if count > len(names) or len(given) < count + len(named):
        return f"{cls.__name__} takes each of {', '.join(names) or 'no properties'} once"
    missing = [name for name in names if name not in given and not hasattr(cls, name)]
    return f"{cls.__name__} needs {', '.join(missing)} too" if missing else None


def _values(event: Event) -> dict[str, Any]:
    names = type(event).__telemetry__.properties
    return {name: getattr(event, name) for name in names if hasattr(event, name)}


def _declare(cls: type[Event], name: str) -> None:
    wrong = name_problem(f"the name of {cls.__name__}", name)
    if wrong is None and name in OUR_EVENTS:
        wrong = f"{cls.__name__} is named {name!r}, which is an event of ours: rename it"
    if wrong is not None:
        raise declaration_error(wrong)
    properties: dict[str, EventProperty] = {}
    for base in reversed(cls.__mro__[1:]):
        if base is not Event and isinstance(base.__dict__.get("__telemetry__"), EventPlan):
            properties.update(base.__dict__["__telemetry__"].properties)
    for one, annotation in _annotations(cls).items():
        if typing.get_origin(annotation) is ClassVar or annotation is ClassVar:
            continue
        where = f"{cls.__name__}.{one}"
        problem = _property_problem(where, one)
        if problem is not None:
            raise declaration_error(problem)
        try:
            properties[one] = EventProperty(one, annotation)
        except UnsupportedAnnotation as error:
            raise declaration_error(f"{where} {error}") from None
        _check_default(where, properties[one], cls.__dict__.get(one, _NO_DEFAULT))
    cls.__telemetry__ = EventPlan(name, _description(cls), properties)


_NO_DEFAULT = object()


def _check_default(where: str, declared: EventProperty, default: Any) -> None:
    if default is _NO_DEFAULT or type(default).__module__ == "dataclasses":
        return  # `field(…)`: a dataclass's own business
    if isinstance(default, (list, dict, set)):
        raise declaration_error(f"{where} has a default that all share: write a tuple, or None")
    try:
        if not (default is None and declared.optional):
            declared.convert(default)
    except Mismatch:
        raise declaration_error(
            f"{where} has the default {default!r}, which its annotation does not allow: change one "
            "of them"
        ) from None


def _property_problem(where: str, name: str) -> str | None:
    problem = word_problem(where, name)
    if problem is not None:
        return problem
    if name in BASE_PROPERTIES or name in ("invalid", "timed"):
        return f"{where} is a name of ours: rename it, for example to {'event_' + name!r}"
    if name in WAREHOUSE_COLUMNS or name.startswith("context_"):
        return (
            f"{where} would hide a column of Segment's warehouses: rename it, for example to "
            f"{'the_' + name!r}"
        )
    return None


def _annotations(cls: type) -> dict[str, Any]:
    """A class's own annotations, with the strings among them evaluated.

    The class's body has run in the frame that called `type`: names of a function are found there.
    """
    frame = sys._getframe(3)
    module = getattr(sys.modules.get(cls.__module__), "__dict__", {})
    space = {**module, **frame.f_globals, **frame.f_locals, **vars(cls)}
    found: dict[str, Any] = {}
    try:
        # Python 3.14 evaluates them when they are asked for (PEP 649), which this does.
        for name, annotation in inspect.get_annotations(cls).items():
            while isinstance(annotation, str):  # twice where quotes are within quotes
                annotation = eval(annotation, space)
            found[name] = annotation
    except NameError as error:
        raise declaration_error(
            f"the annotations of {cls.__name__} name {error.name!r}, which is not there when the "
            "class is made: import it above, and not under `if TYPE_CHECKING`"
        ) from None
    return found


def _description(cls: type) -> str:
    """The docstring without its indentation; a dataclass's own is made of its fields."""
    text = cls.__dict__.get("__doc__")
    return inspect.cleandoc(text) if isinstance(text, str) else ""


# Recording ----------------------------------------------------------------------------------------


class Timed:
    """What `Event.timed` returns; one for each block."""

    __slots__ = ("_event", "_recorder", "_started")

    def __init__(self, event: Event) -> None:
        self._event = event
        self._started = monotonic_ns()
        self._recorder: Recorder = NOOP

    def __enter__(self) -> None:
        """Start the clock."""
        self._recorder = current_recorder()
        self._started = monotonic_ns()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Record the event; an exception passes through."""
        own: dict[str, Json] = {"duration_ms": (monotonic_ns() - self._started) // 1_000_000}
        try:
            own |= self._ended(error)
        except Exception as problem:  # an exception's class whose own code fails
            pass_on(problem)
            own["succeeded"] = False
        type(self._event).__telemetry__.record(self._recorder, self._event, own)

    async def __aenter__(self) -> None:
        """Start the clock."""
        self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Record the event, as `__exit__` does."""
        self.__exit__(kind, error, traceback)

    def _ended(self, error: BaseException | None) -> dict[str, Json]:
        """As `Command Completed` has it, without the exit code."""
        if error is None:
            return {"succeeded": True}
        from .._foreground import outcome  # loaded when a block fails

        ended = outcome.of_error(error, *self._recorder.packages)
        own: dict[str, Json] = {"succeeded": ended["exit"] == 0}
        if "error" in ended:
            own["error_class"] = ended["error"]
        if "masked" in ended:
            own["error_class_masked"] = True
        if "cancelled" in ended:
            own["user_cancelled"] = True
        return own


def _kind(event: Event, name: str) -> str:
    missing = object()
    found = getattr(event, name, missing)
    return "missing" if found is missing else f"{type(found).__name__}, or out of its bounds"
