"""Python 3.10: removes our frames from tracebacks that `raise` puts them back into."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType

_PACKAGE = __name__.partition(".")[0]
_OURS = frozenset(
    f"{_PACKAGE}.{module}" for module in ("_instrument", "_events.flow", "_events.prompts")
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
