"""What went wrong and was noticed: classes, codes and errno's names; never a message or a value."""

from __future__ import annotations

import errno
from time import time
from typing import TYPE_CHECKING

from . import ERROR_OCCURRED, WARNING_OCCURRED
from .ending import error_class_of
from .loud import complain

if TYPE_CHECKING:
    from .run import Run
    from .text import Json

MAX_CODE = 64
"""Characters."""

_LOWER = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_")
_UPPER = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")

_NUMBERS_OF_THEIR_OWN = frozenset(
    (("ssl", "SSLError"), ("socket", "gaierror"), ("socket", "herror"))
)
"""Subclasses of OSError whose `errno` is OpenSSL's or the resolver's, not the system's."""


def track_error(error: BaseException, handled: bool = True, code: str | None = None) -> None:
    """Record an error that did not end the command: `Error Occurred`.

    One that ends it is told by `Command Completed` already.

    Args:
        error: the exception. Of it leave its class (`error_class`, named or masked as that of
            `Command Completed`) and, for one of the system's, the symbolic `errno` (`ENOSPC`).
            Neither its message nor its arguments are looked at.
        handled: whether the application coped with it.
        code: a code of the application's own, such as `"billing_required"`; see `track_warning`.

    Raises:
        DeclarationError: in a test alone, for what is no exception or no code. At a prompt the
            event goes without it, and the loss is counted.
    """
    own: dict[str, Json] = {"handled": bool(handled)}
    _occurred(ERROR_OCCURRED, own, code, error)


def track_warning(code: str) -> None:
    """Record that the application warned: `Warning Occurred`.

    Args:
        code: which warning: `snake_case` or `UPPER_CASE` letters, digits and underscores, at most
            64, declared in the code. No text: a sentence may hold what a person typed.

    Raises:
        DeclarationError: in a test alone, for what is no code. At a prompt the event goes without
            it, and the loss is counted.
    """
    _occurred(WARNING_OCCURRED, {}, code)


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
        if (cls.__module__, cls.__name__) in _NUMBERS_OF_THEIR_OWN:
            return None
    # Past any property of a subclass: reading it would run the application's code.
    number = OSError.__dict__["errno"].__get__(error)
    return errno.errorcode.get(number) if type(number) is int else None


_NO_ERROR = object()


def _occurred(event: str, own: dict[str, Json], code: object, error: object = _NO_ERROR) -> None:
    from .active import LIVE, speaker

    found = speaker()
    problem = None
    if code is not None or event == WARNING_OCCURRED:
        if is_code(code):
            own["code"] = str(code)
        else:
            problem = (
                f"a code is snake_case or UPPER_CASE, at most {MAX_CODE} characters, and declared "
                'in the code, as in track_warning("deprecated_config"); no text'
            )
    if error is not _NO_ERROR and not isinstance(error, BaseException):
        problem = f"track_error() takes the exception itself, not {type(error).__name__}"
    if found is None:
        LIVE.stray()
    elif found.settings is not None:
        if isinstance(error, BaseException):
            settings = found.settings
            own["error_class"], masked = error_class_of(
                error, settings.package, settings.error_packages
            )
            if masked:
                own["error_class_masked"] = True
            name = errno_name(error)
            if name is not None:
                own["errno"] = name
        at = time()

        def do(run: Run) -> None:
            run.invocation.lose(problem is not None)
            run.invocation.track(event, own, run, at)

        found.act(do)
    complain(problem, found)
