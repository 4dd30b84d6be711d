"""The declaration of a flow, checked: its name, steps and reasons. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._instrument import pass_on
from .._reader import BASE_PROPERTIES
from .text import UNDECLARED, abbreviate, name_problem, word_or_none, word_problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .schema import EventProperty

CANCELLED = "cancelled"
"""The reason for Ctrl-C, the end of the input, Abort, and a cancelled task."""
ABANDONED = "abandoned"
"""The reason if the invocation ended, or a generator was closed, before the flow had an end."""

FLOW_PROPERTIES = frozenset(
    (
        *("step", "step_index", "elapsed_ms", "duration_ms", "reason", "prompt", "answer"),
        *("error_class", "error_class_masked", "undeclared"),
    )
)
"""Properties that the events of a flow have from us."""


class FlowPlan:
    """A flow as it was declared, usable even if the declaration is wrong.

    Attributes:
        name: the flow's name; None for one that no event could carry.
        steps: its steps in order; empty if it declares none, then every word is one.
        reasons: why it may be aborted, in addition to CANCELLED and ABANDONED; empty if it
            declares none.
        aborts: the exceptions that abort it, each with its reason.
        step_events: whether each step is an event.
        types: by name, the properties whose values are declared by an annotation.
        problem: what is wrong with the declaration and the fix, or None.
    """

    __slots__ = ("aborts", "name", "problem", "reasons", "step_events", "steps", "types")

    def __init__(
        self,
        name: str,
        steps: Iterable[str] = (),
        reasons: Iterable[str] = (),
        aborts: Mapping[type[BaseException], str] | None = None,
        step_events: bool = False,
    ) -> None:
        self.problem = name_problem("the flow's name", name)
        self.name = None if self.problem else name
        about = f"flow {abbreviate(name)}: "
        self.steps = self._words(about, "step", steps)
        self.reasons = self._words(about, "reason", reasons)
        self.aborts = self._aborts(about, {} if aborts is None else aborts)
        self.step_events = step_events
        self.types: dict[str, EventProperty] = {}

    def declare(self, properties: Mapping[str, Any]) -> dict[str, Any]:
        """Note the properties that are annotations, such as `plan=Literal["free", "pro"]`.

        Returns:
            The others, which are values.
        """
        annotations = {name: one for name, one in properties.items() if _is_annotation(one)}
        if annotations:
            from .schema import EventProperty, UnsupportedAnnotation  # few flows declare types

            for name, annotation in annotations.items():
                try:
                    self.types[name] = EventProperty(name, annotation)
                except UnsupportedAnnotation as error:
                    self._wrong(f"flow {self.name!r}: {name} {error}")
        return {name: one for name, one in properties.items() if name not in annotations}

    def convert(self, properties: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """Convert what is declared to JSON; also returns the names of what does not match."""
        kept: dict[str, Any] = {}
        mismatched: list[str] = []
        for name, value in properties.items():
            try:
                kept[name] = self.types[name].convert(value) if name in self.types else value
            except Exception as error:  # a mismatch, or a value whose own code fails
                pass_on(error)
                mismatched.append(name)
        return kept, mismatched

    def check_properties(self, properties: Iterable[str]) -> None:
        """Note properties that every event of a flow has already."""
        for name in properties:
            if name in BASE_PROPERTIES or name in FLOW_PROPERTIES:
                self._wrong(
                    f"flow {self.name!r}: its events have {name!r} already: rename the property, "
                    f"for example to {'flow_' + name!r}"
                )

    def step(self, word: object) -> tuple[str, str | None]:
        """A step as it is recorded, and what is wrong with it."""
        return self._known("step", word, self.steps, ())

    def reason(self, word: object) -> tuple[str, str | None]:
        """A reason as it is recorded, and what is wrong with it."""
        return self._known("reason", word, self.reasons, (CANCELLED, ABANDONED))

    def _known(
        self, what: str, word: object, declared: tuple[str, ...], always: tuple[str, ...]
    ) -> tuple[str, str | None]:
        found = word_or_none(word)
        if found is None:
            return UNDECLARED, f"flow {self.name!r}: {word_problem(what, word)}"
        if not declared or found in declared or found in always:
            return found, None
        return found, (
            f"flow {self.name!r} declares no {what} {found!r}: add it to {what}s=, which has "
            f"{', '.join(declared)}"
        )

    def _words(self, about: str, what: str, words: Any) -> tuple[str, ...]:
        if isinstance(words, str):
            self._wrong(f"{about}{what}s is a string: write {what}s=({abbreviate(words)},)")
            return ()
        try:
            given = tuple(words)
        except Exception as error:  # not even iterable
            pass_on(error)
            self._wrong(f"{about}{what}s must be a tuple of words, not {type(words).__name__}")
            return ()
        kept: list[str] = []
        for one in given:
            word = word_or_none(one)
            if word is None:
                self._wrong(f"{about}{word_problem(what, one)}")
            elif word in kept:
                self._wrong(f"{about}{what} {word!r} is declared twice: remove one of them")
            else:
                kept.append(word)
        return tuple(kept)

    def _aborts(self, about: str, aborts: Any) -> tuple[tuple[type, str], ...]:
        how = 'write aborts={BillingRequired: "billing_required"}'
        if not hasattr(type(aborts), "items"):
            self._wrong(f"{about}aborts must be a mapping, not {type(aborts).__name__}: {how}")
            return ()
        kept = []
        for kind, reason in aborts.items():
            word = word_or_none(reason)
            if not isinstance(kind, type) or not issubclass(kind, BaseException):
                self._wrong(f"{about}aborts has {kind!r}, which is no exception class: {how}")
            elif word is None:
                self._wrong(f"{about}{word_problem('reason', reason)}")
            else:
                kept.append((kind, word))
                if self.reasons and word not in self.reasons:
                    self.reasons += (word,)
        return tuple(kept)

    def _wrong(self, problem: str) -> None:
        self.problem = self.problem or problem


def _is_annotation(value: object) -> bool:
    return isinstance(value, type) or type(value).__module__ in ("typing", "types")
