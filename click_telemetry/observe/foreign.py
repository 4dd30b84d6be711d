"""Commands that are not Click's: a slash-command, a skill, a line of a REPL; the same pair.

Knows no Click. The name is what the application declares; what a person typed is never told.
"""

from __future__ import annotations

from time import monotonic_ns, time
from typing import TYPE_CHECKING, Any, TypeVar

from ..events import ending
from ..events.loud import complain
from ..privacy.settings import DeclarationError
from .path import DYNAMIC

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Token

    from ..events.active import Speaker
    from ..events.run import Run
    from ..events.text import Json

    Function = TypeVar("Function", bound=Callable[..., Any])

SOURCES = ("command", "skill", "mcp", "repl")
"""Where such a command may come from."""

MAX_NAME = 64
"""Characters."""
MAX_WORDS = 4
"""More words are a sentence, and a sentence is what a person typed."""

_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_IN_A_NAME = _LETTERS | frozenset("_-.:")
_IN_AN_ID = _LETTERS | frozenset("_-")


def track_command(
    name: str, source: str = "command", message_id: str | None = None
) -> ForeignCommand:
    """Record a command that is not Click's: `Command Invoked`, then `Command Completed`.

        with track_command("review", source="skill", message_id=message.id):
            review()

    It is a context manager (`async with` too) and a decorator of functions and coroutine functions.
    Both events have a `run_id` of their own, `command` (the application's name and this one),
    `source` and `message_id`; how it ended is told as of a Click command, and an exception passes
    untouched. What is tracked inside belongs to it. It counts as one event of the application's
    own. Outside any invocation it is dropped and counted, as `track` is; where nothing is recorded
    it does nothing.

    Args:
        name: declared in the code, never what was typed: at most four words of letters, digits and
            `_-.:`, perhaps a slash before them, 64 characters.
        source: `command`, `skill`, `mcp` or `repl`.
        message_id: the ID of the message that asked for it: at most 64 letters, digits, `_`, `-`.

    Raises:
        DeclarationError: in a test alone, for what cannot be said. At a prompt a name is told as
            `<dynamic>`, anything else left out and counted.
    """
    own: dict[str, Json] = {}
    problems = []
    if not _is_name(name):
        problems.append(
            f"track_command() takes a name that is declared in the code: at most {MAX_WORDS} words "
            f'of letters, digits and _-.:, {MAX_NAME} characters, as in track_command("review")'
        )
        name = DYNAMIC
    if source in SOURCES:
        own["source"] = source
    else:
        problems.append(f"track_command(): source is one of {', '.join(map(repr, SOURCES))}")
    if message_id is not None:
        if _is_id(message_id):
            own["message_id"] = message_id
        else:
            problems.append(
                f"track_command(): message_id is an ID, at most {MAX_NAME} letters, digits, _ and -"
            )
    if problems:
        from ..events.active import speaker

        complain("; ".join(problems), speaker())
    return ForeignCommand(name, own, len(problems))


class ForeignCommand:
    """What `track_command` gives."""

    __slots__ = ("_begun", "_lost", "_name", "_own")

    def __init__(self, name: str, own: dict[str, Json], lost: int) -> None:
        self._name = name
        self._own = own
        self._lost = lost
        self._begun: list[_Pair] = []

    def __enter__(self) -> None:
        """It begins."""
        self._begun.append(_Pair(self._name, self._own, self._lost))

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """It has ended; an exception passes."""
        self._begun.pop().end(error)

    async def __aenter__(self) -> None:
        """As `with`."""
        self.__enter__()

    async def __aexit__(self, kind: object, error: BaseException | None, _: object) -> None:
        """As `with`."""
        self.__exit__(kind, error, None)

    def __call__(self, function: Function) -> Function:
        """Decorate a function: each call of it is such a command.

        Raises:
            DeclarationError: it is no function that ends when its call ends.
        """
        import inspect
        from functools import wraps

        if isinstance(function, type) or not callable(function):
            raise DeclarationError("track_command decorates a function")
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise DeclarationError(
                "track_command cannot decorate a generator, whose call ends before its work "
                "begins: write `with track_command(…):` around the work"
            )
        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def awaited(*args: Any, **kwargs: Any) -> Any:
                with ForeignCommand(self._name, self._own, self._lost):
                    return await function(*args, **kwargs)

            return awaited  # type: ignore[return-value]

        @wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            with ForeignCommand(self._name, self._own, self._lost):
                return function(*args, **kwargs)

        return called  # type: ignore[return-value]


class _Pair:
    """One such command that began, whether it is recorded or not. Nothing in it raises."""

    __slots__ = ("_own", "_runs", "_speaker", "_started", "_token")

    def __init__(self, name: str, own: dict[str, Json], lost: int) -> None:
        from ..events.active import ACTIVE, LIVE, speaker

        self._own = own
        self._runs: list[Run] = []  # one, unless nothing is recorded or no leaf has begun yet
        self._token: Token[Speaker | None] | None = None
        self._speaker = speaker()
        at = time()

        def begin(outer: Run) -> None:
            invocation = outer.invocation
            invocation.lose(lost)
            if invocation.has_room():
                command = f"{invocation.settings.app} {name}"
                self._runs.append(invocation.start(command, [], own={**own}, at=at))
            else:
                invocation.lose(1)

        if self._speaker is None:
            LIVE.stray()
        else:
            self._speaker.act(begin)
        if self._runs:
            self._token = ACTIVE.set(self._runs[0])
        self._started = monotonic_ns()

    def end(self, error: BaseException | None) -> None:
        duration = (monotonic_ns() - self._started) // 1_000_000
        at = time()
        if self._token is not None:
            from ..events.active import ACTIVE

            try:
                ACTIVE.reset(self._token)
            except ValueError:
                pass  # it was resumed in another context, which never saw our value
        settings = self._speaker.settings if self._speaker is not None else None
        if self._speaker is None or settings is None:
            return
        try:
            ended: dict[str, Json] = (
                {"exit_code": 0, "succeeded": True, "outcome": ending.SUCCESS}
                if error is None
                else ending.raised(error, own=settings.package, packages=settings.error_packages)
            )
        except Exception:  # a fault of ours; then it stays without its end
            return

        def finish(_: Run) -> None:
            for run in self._runs:
                run.finish({**self._own, **ended, "duration_ms": duration}, at)

        self._speaker.act(finish)


def _is_name(name: object) -> bool:
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
        return False
    words = name.removeprefix("/").split(" ")  # a slash within is a path
    return len(words) <= MAX_WORDS and all(word and _IN_A_NAME.issuperset(word) for word in words)


def _is_id(message_id: object) -> bool:
    return (
        isinstance(message_id, str)
        and 0 < len(message_id) <= MAX_NAME
        and _IN_AN_ID.issuperset(message_id)
    )
