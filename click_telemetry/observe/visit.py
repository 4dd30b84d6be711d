"""One call of a command's `invoke` that may be recorded: what is done before it, and after.

Owns the order of things; how a leaf is named and how it ended are told elsewhere.
"""

from __future__ import annotations

import sys
from time import monotonic_ns
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import TYPE_CHECKING, Any

from ..events.active import ACTIVE, LIVE, REFUSED, SILENT
from ..privacy.consent import INHERITED
from .root import Root
from .state import RefusedLine, note

if TYPE_CHECKING:
    from contextvars import Token

    from ..events.active import Speaker
    from ..events.run import Run
    from ..events.text import Json
    from ..privacy.settings import Settings


class Visit:
    """One command being invoked.

    Args:
        command: the command.
        token: what to give back to the context variable.
        root: the root's run, unless the call is silent.
        run: the leaf's run, where this is a recorded leaf.
        owner: whether the root's run ends with this call.
    """

    __slots__ = ("_command", "_owner", "_root", "_run", "_started", "_token")

    def __init__(
        self,
        command: Any,
        token: Token[Speaker | None],
        root: Root | None = None,
        run: Run | None = None,
        *,
        owner: bool = False,
    ) -> None:
        self._command = command
        self._token = token
        self._root = root
        self._run = run
        self._owner = owner
        self._started = monotonic_ns()

    def returned(self, result: object) -> None:
        """The command came back. Never raises."""
        self._leave(monotonic_ns(), None, result)

    def raised(self, error: BaseException) -> None:
        """The command ended by an exception. Never raises."""
        self._leave(monotonic_ns(), error, None)

    def _leave(self, ended: int, error: BaseException | None, result: object) -> None:
        try:
            root = self._root
            if root is not None and (self._run is not None or self._owner):
                ending = self._ending(root, error)
                if self._run is not None and is_unrun(result):
                    root.postpone(self._run)
                elif self._run is not None:
                    duration = (ended - self._started) // 1_000_000
                    self._run.finish({**ending, "duration_ms": duration})
                if self._owner:
                    root.close(ending)
        except Exception:  # a fault of ours; the command must not notice, the spool keeps the rest
            return
        finally:
            _give_back(self._token, self._root if self._owner else None)

    def _ending(self, root: Root, error: BaseException | None) -> dict[str, Json]:
        if error is None:
            return {"exit_code": 0, "succeeded": True, "outcome": "success"}
        from ..events import ending

        return ending.raised(
            error,
            own=root.settings.package,
            packages=root.settings.error_packages,
            typer=any(cls.__module__.startswith("typer.") for cls in type(self._command).__mro__),
        )


def visit(
    command: Any, context: Any, contexts: list[Any], settings: Settings
) -> Visit | RefusedLine:
    """A command of a tree that nobody has silenced so far is about to be invoked.

    Args:
        command: the command.
        context: its context.
        contexts: from the root's context down to this one.
        settings: the root's.
    """
    first = note(contexts[0])
    if first.root is not None:
        return _visit(command, context, contexts, first.root, owner=False)
    first.root = Root(settings)
    LIVE.enter(first.root)
    if sys.version_info < (3, 11):
        from ..frames import unlink_at_close

        unlink_at_close(contexts[0])
    return _visit(command, context, contexts, first.root, owner=True)


def silence(command: Any, *, refused: bool) -> Visit | RefusedLine:
    """What is tracked inside goes nowhere, not to an enclosing application's invocation either.

    Args:
        command: the command.
        refused: whether a person said no; else the application excludes it.
    """
    visit = Visit(command, ACTIVE.set(REFUSED if refused else SILENT))
    return RefusedLine(visit) if refused else visit


def is_leaf(command: Any, context: Any) -> bool:
    """Whether a command does its own work, rather than hand on to a sub-command.

    A group does only when it may be invoked alone and nothing is left to dispatch. Both lists are
    read from `__dict__`: the property `protected_args` warns from Click 8.2.
    """
    if not hasattr(command, "resolve_command"):
        return True
    if not getattr(command, "invoke_without_command", False):
        return False
    found = context.__dict__
    return not (found.get("_protected_args") or found.get("protected_args") or found.get("args"))


def is_unrun(result: object) -> bool:
    """Whether a result is work that has yet to be done: a coroutine, a generator, a future.

    Looks at the type alone: `isinstance` would run a proxy's own code.
    """
    kind = type(result)
    return kind in (CoroutineType, GeneratorType, AsyncGeneratorType) or hasattr(kind, "__await__")


def _visit(
    command: Any, context: Any, contexts: list[Any], root: Root, *, owner: bool
) -> Visit | RefusedLine:
    speaker: Speaker = root
    run = None
    if is_leaf(command, context):
        try:
            run = root.start(contexts)
        except Exception:  # a fault of ours; the command runs, and its owner still closes the root
            run = None
        refused = root.decision is not None and root.decision.reason in INHERITED
        speaker = run or (REFUSED if refused else SILENT)
    visit = Visit(command, ACTIVE.set(speaker), root, run, owner=owner)
    return RefusedLine(visit) if speaker is REFUSED else visit


def _give_back(token: Token[Speaker | None], ended: Root | None) -> None:
    if ended is not None:
        LIVE.leave(ended)
    try:
        ACTIVE.reset(token)
    except ValueError:
        return  # the command was resumed in another context, which never saw our value
