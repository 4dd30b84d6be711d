"""Tracebacks as they would be without us: takes the frames of ours out that call others' code."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType

_OURS = frozenset(
    f"{__package__}.{room}" for room in ("observe.hooks", "events.declared", "events.questions")
)


def unlink(error: BaseException) -> None:
    """Take our own frame out of the traceback of what passes through it.

    Only for the `except` clause around another's code, where the first entry is ours. From Python
    3.11 `raise` leaves it at that; 3.10 puts it back, and an outer hook takes the inner ones out.
    """
    traceback = error.__traceback__
    if traceback is None:
        return
    BaseException.with_traceback(error, traceback.tb_next)
    if sys.version_info < (3, 11):
        _unlink_below(traceback)


def unlink_at_close(context: Any) -> None:
    """On 3.10: take every frame of ours out when a root's context closes."""

    def at_close() -> None:
        error = sys.exc_info()[1]
        if error is not None and error.__traceback__ is not None:
            _unlink_below(error.__traceback__)

    context.call_on_close(at_close)


def _unlink_below(traceback: TracebackType) -> None:
    entry: TracebackType | None = traceback
    while entry is not None:
        following = entry.tb_next
        while following is not None and following.tb_frame.f_globals.get("__name__") in _OURS:
            following = following.tb_next
        if following is not entry.tb_next:
            entry.tb_next = following
        entry = following
