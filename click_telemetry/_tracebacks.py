"""Exceptions that come out of our code, or pass through it.

Python 3.10 puts frames that were removed from a traceback back into it; a signal handler of the
application may raise while our code runs.
"""

from __future__ import annotations

import sys
from inspect import CO_VARARGS
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType

_PACKAGE = __name__.partition(".")[0]
_OURS = frozenset(
    f"{_PACKAGE}.{module}" for module in ("_instrument", "_events.flow_definition", "_events.flow")
)


def unlink_at_close(context: Any) -> None:
    """Remove every frame of ours when a root's context closes."""

    def at_close() -> None:
        error = sys.exc_info()[1]
        if error is not None and error.__traceback__ is not None:
            unlink_below(error.__traceback__)

    context.call_on_close(at_close)


def unlink_below(traceback: TracebackType) -> None:
    """Remove our frames from everything below an entry of a traceback."""
    entry: TracebackType | None = traceback
    while entry is not None:
        following = entry.tb_next
        while following is not None and following.tb_frame.f_globals.get("__name__") in _OURS:
            following = following.tb_next
        if following is not entry.tb_next:
            entry.tb_next = following
        entry = following


def raise_from_handler(error: BaseException) -> None:
    """Raise an exception again if a signal handler of the application raised it in our code.

    A handler is called with the interrupted frame: in the traceback, a frame that has the one
    before it among its arguments is a handler's.

    Raises:
        BaseException: the exception itself.
    """
    entry = error.__traceback__
    while entry is not None and entry.tb_next is not None:
        interrupted, entry = entry.tb_frame, entry.tb_next
        frame = entry.tb_frame
        code = frame.f_code
        count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & CO_VARARGS)
        for name in code.co_varnames[:count]:
            value = frame.f_locals.get(name)
            # By identity: comparing would run the values' own code.
            for one in (value, *value) if type(value) is tuple else (value,):
                if one is interrupted:
                    raise error
