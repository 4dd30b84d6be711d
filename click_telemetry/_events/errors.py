"""Errors and warnings that did not end the command: classes, codes and the names of `errno`.

Messages and arguments of exceptions are never read.
"""

from __future__ import annotations

import errno
from time import time_ns
from typing import TYPE_CHECKING

from .._foreground.outcome import error_class_of
from .scope import current_recorder
from .state import Track

if TYPE_CHECKING:
    from .scope import Recorder
    from .text import Json

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
