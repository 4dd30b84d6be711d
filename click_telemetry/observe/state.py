"""What we keep on the application's own objects: a mark on commands, a note on contexts.

Both live in the instance's `__dict__` under one private name, never in `ctx.meta`, which the
application sees. A hook captures nothing: everything is found again by walking `ctx.parent`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..privacy.settings import Settings
    from .root import Root
    from .visit import Visit

KEY = "_click_telemetry"


REFUSED_LINES: set[object] = set()
"""The commands running now that a person said no to: a register of what runs, and not state."""


class RefusedLine:
    """A command that runs though a person said no: what it starts is to be silent too.

    A thread or a task that asks cannot be told by a context variable, which a run that is off
    would have to import.

    Args:
        visit: what else is done at the command's end, if anything.
    """

    __slots__ = ("_visit",)

    def __init__(self, visit: Visit | None = None) -> None:
        self._visit = visit
        REFUSED_LINES.add(self)

    def returned(self, result: object) -> None:
        """The command came back."""
        REFUSED_LINES.discard(self)
        if self._visit is not None:
            self._visit.returned(result)

    def raised(self, error: BaseException) -> None:
        """The command ended by an exception."""
        REFUSED_LINES.discard(self)
        if self._visit is not None:
            self._visit.raised(error)


class Mark:
    """On a command: it is a root with these settings and this flag, or excluded, or both."""

    __slots__ = ("excluded", "option", "settings")

    def __init__(self) -> None:
        self.settings: Settings | None = None
        self.option: Any = None
        self.excluded = False


class Note:
    """On a context: what was seen of it so far."""

    __slots__ = ("opted_out", "parameters", "root", "seen")

    def __init__(self) -> None:
        self.opted_out = False
        self.parameters: list[Any] | None = None
        self.root: Root | None = None
        self.seen = False


def mark_of(command: Any) -> Mark | None:
    """A command's mark, if it has one."""
    found = command.__dict__.get(KEY)
    return found if isinstance(found, Mark) else None


def mark(command: Any) -> Mark:
    """A command's mark, made if it has none."""
    found = mark_of(command)
    if found is None:
        found = command.__dict__[KEY] = Mark()
    return found


def note(context: Any) -> Note:
    """A context's note, made if it has none."""
    found = context.__dict__.get(KEY)
    if not isinstance(found, Note):
        found = context.__dict__[KEY] = Note()
    return found


def contexts_from_root(context: Any) -> list[Any]:
    """The contexts from the outermost instrumented command down to this one.

    Empty where no command above, or this one, is instrumented: that is plain Click.
    """
    chain: list[Any] = []
    outermost = 0
    while context is not None:
        chain.append(context)
        found = mark_of(context.command)
        if found is not None and found.settings is not None:
            outermost = len(chain)
        context = context.parent
    return chain[:outermost][::-1]


def on_command_line(context: Any, name: str) -> bool:
    """Whether a parameter's value was typed; its source's *name* is what Click keeps stable."""
    return getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
