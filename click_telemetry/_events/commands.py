"""Custom commands, errors and warnings: what an application reports in the terms of its commands.

Custom commands are not Click's: a slash-command, a skill, an MCP tool, a line of a REPL. They have
the same two events, and the name is what the application declares, never what was typed. Errors
and warnings that did not end the command are reported by classes, codes and the names of `errno`;
messages and arguments of exceptions are never read.
"""

from __future__ import annotations

import errno
from time import monotonic_ns, time_ns
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from .._foreground.outcome import error_class_of
from .._instrument import pass_on
from .._recorder import DYNAMIC, Run
from .scope import SCOPE, current_recorder, current_scope
from .state import Track, Value, state_of
from .text import declaration_error

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Token

    from .._instrument import Scope
    from .._recorder import Invocation
    from .scope import AnyScope, Recorder
    from .text import Json

    Function = TypeVar("Function", bound=Callable[..., Any])
    Fact = dict[str, Any]

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
) -> CustomCommand:
    """Record a command that is not Click's: `Command Invoked`, then `Command Completed`.

        with track_command("review", source="skill", message_id=message.id):
            review()

    It is a context manager (`async with` too) and a decorator of functions and coroutine functions.
    Both events have a `run_id` of their own, `command` (the application's name and this one),
    `source` and `message_id`; how it ended is recorded as of a Click command, and an exception
    passes unchanged. What is tracked inside belongs to it. It counts as one event of the
    application's own. Outside any invocation it is dropped and counted, as `track` is; where
    nothing is recorded it does nothing.

    Args:
        name: declared in the code, never what was typed: at most four words of letters, digits and
            `_-.:`, perhaps a slash before them, 64 characters.
        source: `command`, `skill`, `mcp` or `repl`.
        message_id: the ID of the message that asked for it: at most 64 letters, digits, `_`, `-`.

    Raises:
        DeclarationError: only in a test, for what cannot be recorded. Elsewhere a name is recorded
            as `<dynamic>`, anything else left out and counted. A name that contains what looks like
            a secret is recorded as `<dynamic>` too.
    """
    own: Fact = {}
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
        current_recorder().report("; ".join(problems))
    return CustomCommand(name, own, len(problems))


class CustomCommand:
    """What `track_command` returns."""

    __slots__ = ("_begun", "_dropped", "_name", "_own")

    def __init__(self, name: str, own: Fact, dropped: int) -> None:
        self._name = name
        self._own = own
        self._dropped = dropped
        self._begun: list[_Call] = []

    def __enter__(self) -> None:
        """It begins."""
        self._begun.append(_Call(self._name, self._own, self._dropped))

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
            raise declaration_error("track_command decorates a function")
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise declaration_error(
                "track_command cannot decorate a generator, whose call ends before its work "
                "begins: write `with track_command(…):` around the work"
            )
        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def awaited(*args: Any, **kwargs: Any) -> Any:
                with CustomCommand(self._name, self._own, self._dropped):
                    return await function(*args, **kwargs)

            return awaited  # type: ignore[return-value]

        @wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            with CustomCommand(self._name, self._own, self._dropped):
                return function(*args, **kwargs)

        return called  # type: ignore[return-value]


class _Call:
    """One custom command that began, whether it is recorded or not. Nothing in it raises."""

    __slots__ = ("_begin", "_own", "_recorder", "_started", "_token")

    def __init__(self, name: str, own: Fact, dropped: int) -> None:
        self._own = own
        self._recorder = current_recorder().for_block()
        self._token: Token[AnyScope | None] | None = None
        self._begin = _Begin(name, own, dropped)
        outer = current_scope()
        self._recorder.record(self._begin)
        run = self._begin.run
        if run is not None and outer is not None:
            self._token = SCOPE.set(_CommandScope(outer.root, run, outer.thread))
        self._started = monotonic_ns()

    def end(self, error: BaseException | None) -> None:
        """It has ended.

        Args:
            error: what ended it, or None.
        """
        duration = (monotonic_ns() - self._started) // 1_000_000
        at = time_ns()
        if self._token is not None:
            try:
                SCOPE.reset(self._token)
            except ValueError:
                pass  # it was resumed in another context, which never had our value
        outcome: Fact = {"exit": 0}
        if error is not None:
            try:
                from .._foreground.outcome import of_error  # loaded when a command fails

                outcome = of_error(error, *self._recorder.packages)
            except Exception as problem:
                pass_on(problem)
                return  # a fault of ours; it stays without its end
        fact = {"exit": outcome["exit"], "ms": duration, **outcome}
        self._recorder.record(_End(self._begin, self._own, fact, at))


class _CommandScope(NamedTuple):
    """The scope of a custom command, for what is recorded inside."""

    root: Scope
    run: Run
    thread: int
    excluded: bool = False
    is_leaf: bool = True
    opted_out: str = ""


class _Begin(Value):
    """The begin of a custom command, as a value.

    Attributes:
        run: its run, once it is recorded; None if it is not.
    """

    __slots__ = ("_at", "_dropped", "_name", "_own", "run")

    def __init__(self, name: str, own: Fact, dropped: int) -> None:
        self._at = time_ns()
        self._dropped = dropped
        self._name = name
        self._own = own
        self.run: Run | None = None

    def record(self, invocation: Invocation, run: int) -> list[Fact]:
        """Its begin, where there is room."""
        state = state_of(invocation)
        dropped = self._dropped
        if not state.reserve(invocation):
            invocation.count_dropped(dropped + 1)
            return []
        if dropped:
            invocation.count_dropped(dropped)
        from .._scrub import scrub  # loaded for what is recorded

        name = self._name if scrub(self._name) == self._name else DYNAMIC
        command = f"{invocation.settings.app} {name}"
        if invocation.latest is not None:
            latest = invocation.latest
            self.run = invocation.begin_run(command, [], own={**self._own}, at=self._at)
            # What a thread or a group's callback records later is no part of this command.
            if invocation.latest is self.run:
                invocation.latest = latest
            state.custom_runs.add(self.run.number)
            return []
        # Deferred: it is written together with the begin of the first run.
        invocation.runs += 1
        fact: Fact = {"run": invocation.runs, "n": 0, "at": self._at}
        fact["command"] = command
        fact["flags"] = []
        fact["p"] = state.merged(self._own)
        self.run = Run(invocation, invocation.runs, fact)
        invocation.open_runs[self.run.number] = self.run
        state.custom_runs.add(self.run.number)
        return [fact]


class _End(Value):
    """The end of a custom command, as a value."""

    __slots__ = ("_at", "_begin", "_outcome", "_own")

    def __init__(self, begin: _Begin, own: Fact, outcome: Fact, at: int) -> None:
        self._at = at
        self._begin = begin
        self._outcome = outcome
        self._own = own

    def record(self, invocation: Invocation, run: int) -> list[Fact]:
        """Its end, if its begin was recorded."""
        ended = self._begin.run
        if ended is None or not ended.live:
            return []
        if invocation.latest is not None:
            invocation.end_run(ended, self._outcome, own={**self._own}, at=self._at)
            state_of(invocation).custom_runs.discard(ended.number)
            return []
        ended.live = False
        invocation.open_runs.pop(ended.number, None)
        fact: Fact = {"run": ended.number, "n": 0, "at": self._at, **self._outcome}
        fact["p"] = state_of(invocation).merged(self._own)
        return [fact]


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


ERROR_OCCURRED = "Error Occurred"
WARNING_OCCURRED = "Warning Occurred"

MAX_CODE = 64
"""Characters."""

_LOWER = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_")
_UPPER = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")

_OTHER_NUMBERS = frozenset((("ssl", "SSLError"), ("socket", "gaierror"), ("socket", "herror")))
"""Subclasses of OSError whose `errno` is OpenSSL's or the resolver's, not the system's."""


def track_error(error: BaseException, handled: bool = True, code: str | None = None) -> None:
    """Record an error that did not end the command: `Error Occurred`.

    `Command Completed` contains the error that ends a command.

    Args:
        error: the exception. Recorded are its class (`error_class`, named or masked as that of
            `Command Completed`) and, for one of the system's, the symbolic `errno` (`ENOSPC`).
            Neither its message nor its arguments are read.
        handled: whether the application recovered from it.
        code: a code of the application's own, such as `"billing_required"`; see `track_warning`.

    Raises:
        DeclarationError: only in a test, for what is no exception or no code. Elsewhere the event
            is recorded without it, and the code is counted as dropped.
    """
    own: dict[str, Json] = {"handled": bool(handled)}
    problem = _code_problem(code, own) if code is not None else None
    given: object = error
    if not isinstance(given, BaseException):
        problem = f"track_error() takes the exception itself, not {type(given).__name__}"
    recorder = current_recorder()
    if isinstance(given, BaseException):
        own |= _error_properties(given, recorder)
    _record(recorder, ERROR_OCCURRED, own, problem)


def track_warning(code: str) -> None:
    """Record that the application warned: `Warning Occurred`.

    Args:
        code: which warning: `snake_case` or `UPPER_CASE` letters, digits and underscores, at most
            64, declared in the code. No sentence: it may contain what a person typed.

    Raises:
        DeclarationError: only in a test, for what is no code. Elsewhere the event is recorded
            without it, and the code is counted as dropped.
    """
    own: dict[str, Json] = {}
    problem = _code_problem(code, own)
    _record(current_recorder(), WARNING_OCCURRED, own, problem)


def is_code(code: object) -> bool:
    """Whether something is an identifier in `snake_case` or `UPPER_CASE`."""
    if not isinstance(code, str) or not 0 < len(code) <= MAX_CODE or not code[0].isalpha():
        return False
    return _LOWER.issuperset(code) or _UPPER.issuperset(code)


def errno_name(error: BaseException) -> str | None:
    """The symbolic name of a system error's number, or None."""
    if not isinstance(error, OSError):
        return None
    for cls in type(error).__mro__:
        if (cls.__module__, cls.__name__) in _OTHER_NUMBERS:
            return None
    # Past any property of a subclass: reading it would run the application's code.
    number = OSError.__dict__["errno"].__get__(error)
    return errno.errorcode.get(number) if type(number) is int else None


def _code_problem(code: object, own: dict[str, Json]) -> str | None:
    """Add a code to an event's properties, or return the problem with it."""
    if is_code(code):
        own["code"] = str(code)
        return None
    return (
        f"a code is snake_case or UPPER_CASE, at most {MAX_CODE} characters, and declared "
        'in the code, as in track_warning("deprecated_config"); no sentence'
    )


def _error_properties(error: BaseException, recorder: Recorder) -> dict[str, Json]:
    own: dict[str, Json] = {}
    own["error_class"], masked = error_class_of(error, *recorder.packages)
    if masked:
        own["error_class_masked"] = True
    name = errno_name(error)
    if name is not None:
        own["errno"] = name
    return own


def _record(recorder: Recorder, event: str, own: dict[str, Json], problem: str | None) -> None:
    recorder.record(Track(event, own, at=time_ns(), dropped=problem is not None))
    recorder.report(problem)
