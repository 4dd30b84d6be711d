"""The hooks: callables in a command's instance `__dict__`, in front of its class's own methods.

A hook captures neither the root nor its settings, looks the original up when it is called, and
adds no frame to a traceback. What it learns is for `visit`, `flag` and `path` to understand.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from ..privacy.refusal import WATCH_VARIABLE, variable_saying_no
from . import flag
from .state import RefusedLine, contexts_from_root, mark_of, note

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..privacy.settings import Settings
    from .visit import Visit

_PACKAGE = __package__.partition(".")[0]

EXCLUDED = "excluded"


class Absent:
    """The instance had no attribute of its own. A class, since copies of it are itself."""


_OF_A_METHOD = ("__name__", "__qualname__", "__func__", "__self__")


class Hook:
    """Stands in front of one method of one command.

    Args:
        owner: the command.
        name: the method's name.
        own: what the instance held under that name before, or `Absent`.
    """

    __slots__ = ("name", "own", "owner")

    def __init__(self, owner: Any, name: str, own: Any) -> None:
        self.owner = owner
        self.name = name
        self.own = own

    def original(self, command: Any) -> Callable[..., Any]:
        """The method as it would be without us, as of now: a patched class counts."""
        if self.own is not Absent:
            return self.own  # type: ignore[no-any-return]
        kind = type(command)
        for cls in kind.__mro__:
            if self.name in cls.__dict__:
                found = cls.__dict__[self.name]
                bind = getattr(type(found), "__get__", None)
                return found if bind is None else bind(found, command, kind)  # type: ignore[no-any-return]
        raise AttributeError(f"{kind.__name__!r} object has no attribute {self.name!r}")

    def command(self, context: Any) -> Any:
        """Whom the call is for: a shallow copy holds this very hook and is not its owner."""
        running = getattr(context, "command", None)
        if running is not self.owner and running is not None:
            held = getattr(running, "__dict__", {}).get(self.name)
            if held is self:
                return running
        return self.owner

    @property
    def __wrapped__(self) -> Callable[..., Any]:
        return self.original(self.owner)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in _OF_A_METHOD:
            raise AttributeError(name)  # copying and pickling ask; the class answers for itself
        return getattr(self.original(self.owner), name)


class InvokeHook(Hook):
    """Sees a command run and end."""

    __slots__ = ()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Invoke the command."""
        context: Any = args[0] if args else kwargs.get("ctx")
        command = self.command(context)
        visit: Visit | RefusedLine | None = None
        try:
            visit = enter(command, context)
        except Exception:  # a fault of ours; the command runs as if we were not there
            visit = None
        try:
            result = self.original(command)(*args, **kwargs)
        except BaseException as error:
            if visit is not None:
                visit.raised(error)
            _pass_on(error)
            raise
        if visit is not None:
            visit.returned(result)
        return result


class ParseHook(Hook):
    """Sees the flag where Click would not, or where the application owns it."""

    __slots__ = ()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Parse the command's arguments."""
        context: Any = args[0] if args else kwargs.get("ctx")
        command = self.command(context)
        try:
            if len(args) == 2:
                args = (context, flag.before_parsing(command, context, args[1]))
            elif "args" in kwargs:
                kwargs["args"] = flag.before_parsing(command, context, kwargs["args"])
            if WATCH_VARIABLE in os.environ:
                _meet(context)
        except Exception:  # a fault of ours; the command parses what was typed
            pass
        try:
            result = self.original(command)(*args, **kwargs)
        except BaseException as error:
            _pass_on(error)
            raise
        try:
            flag.after_parsing(command, context)
        except Exception:  # likewise
            pass
        return result


class LookingHook(Hook):
    """Lets a method answer, then looks at the answer."""

    __slots__ = ()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the method, and give what `seen` makes of its answer."""
        context: Any = args[0] if args else kwargs.get("ctx")
        command = self.command(context)
        try:
            result = self.original(command)(*args, **kwargs)
        except BaseException as error:
            _pass_on(error)
            raise
        try:
            return self.seen(command, context, result)
        except Exception:  # a fault of ours; the answer is the command's own
            return result

    def seen(self, command: Any, context: Any, result: Any) -> Any:
        """What the caller gets; the very answer, unless a subclass adds to it."""
        return result


class ParametersHook(LookingHook):
    """Adds our option, and remembers what a command was parsed with."""

    __slots__ = ()

    def seen(self, command: Any, context: Any, result: Any) -> Any:
        """The parameters and our option."""
        if context.command is command:
            note(context).parameters = result
        return flag.with_option(command, context, result)


class UngroupedHook(LookingHook):
    """Adds our option where cloup and click-extra build their help from."""

    __slots__ = ()

    def seen(self, command: Any, context: Any, result: Any) -> Any:
        """The options that are in no group, and ours."""
        return flag.with_option(command, context, list(result))


class ResolveHook(LookingHook):
    """Hooks a sub-command when it is resolved, so that lazy groups stay lazy."""

    __slots__ = ()

    def seen(self, command: Any, context: Any, result: Any) -> Any:
        """The same: `resolve_command`'s (name, command, rest), or `get_command`'s command."""
        install(result[1] if isinstance(result, tuple) else result)
        return result


_HOOKS: tuple[tuple[str, type[Hook]], ...] = (
    ("invoke", InvokeHook),
    ("parse_args", ParseHook),
    ("get_params", ParametersHook),
    ("get_ungrouped_options", UngroupedHook),
    ("get_command", ResolveHook),
    ("resolve_command", ResolveHook),
)


def install(command: Any) -> None:
    """Put the hooks in front of a command's methods; again is harmless, name by name.

    Args:
        command: what a group resolved; anything that is no command is left alone.
    """
    held = getattr(command, "__dict__", None)
    if held is None or not hasattr(type(command), "invoke"):
        return
    for name, kind in _HOOKS:
        if not isinstance(held.get(name), Hook) and hasattr(type(command), name):
            held[name] = kind(command, name, held.get(name, Absent))


def enter(command: Any, context: Any) -> Visit | RefusedLine | None:
    """A command is about to be invoked; None when there is nothing to observe.

    A context is visited once: invoking it again, or by another command, is part of the first. A
    *no* that costs nothing to see is heard before anything is loaded.
    """
    contexts = contexts_from_root(context)
    if not contexts or getattr(context, "resilient_parsing", False):
        return None
    own = note(context)
    if own.seen:
        return None
    own.seen = True
    settings: Settings = mark_of(contexts[0].command).settings  # type: ignore[union-attr, assignment]
    reason, detail = _refusal(settings, contexts)
    if reason:
        if WATCH_VARIABLE in os.environ:
            from ..privacy.consent import NOTHING, Decision
            from ..privacy.watched import tell

            tell(os.environ, settings.app, Decision(NOTHING, reason, detail))
        refused = reason != EXCLUDED
        if f"{_PACKAGE}.events.active" not in sys.modules:
            # Nobody has anything to record, so there is nobody to silence.
            return RefusedLine() if refused else None
        from .visit import silence

        return silence(command, refused=refused)
    from .visit import visit  # with all that records: 2 ms

    return visit(command, context, contexts, settings)


def _refusal(settings: Settings, contexts: list[Any]) -> tuple[str, str]:
    """Why these contexts are silent, and the variable that says so; two empty strings else."""
    if any(_is_excluded(context.command) for context in contexts):
        return EXCLUDED, ""
    if flag.opted_out(contexts):
        return "flag", ""
    if note(contexts[0]).root is None:  # what was decided for a root stands for all that is below
        variable = variable_saying_no(os.environ, settings.variable_prefix)
        if variable is not None:
            return "variable", variable
    return "", ""


def _is_excluded(command: Any) -> bool:
    found = mark_of(command)
    return found is not None and found.excluded


def _meet(context: Any) -> None:
    """A root is about to parse: the watcher learns that there is one, should nothing follow."""
    found = mark_of(context.command)
    if (
        found is not None
        and found.settings is not None
        and not context.resilient_parsing
        and len(contexts_from_root(context)) == 1
    ):
        from ..privacy.watched import tell

        tell(os.environ, found.settings.app, None)


def _pass_on(error: BaseException) -> None:
    """Let an exception through without a trace of ours; only for the `except` of a hook."""
    try:
        from ..frames import unlink  # a command that comes back does not pay for it

        unlink(error)
    except Exception:  # at the edge of the stack, say: then our frame is seen
        return
