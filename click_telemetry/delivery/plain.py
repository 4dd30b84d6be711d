"""The clients that keep nothing: one that forgets, one that prints."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ..events.text import encode

if TYPE_CHECKING:
    from ..events.text import Json


class NullClient:
    """Takes everything and does nothing: what stands in when no other client can be made."""

    __slots__ = ()

    read_only = True
    """Nothing is stored for it: neither by us nor in an application's own records."""

    def record(self, message: dict[str, Json], /) -> None:
        """Forget the message."""

    def close(self) -> None:
        """Nothing was kept."""


class LogClient:
    """Prints each message on stderr, exactly as it would be sent, and sends nothing.

    The JSON is ASCII: no value can move a cursor or turn the reading direction.
    """

    __slots__ = ()

    read_only = True
    """Nothing is stored for it: neither by us nor in an application's own records."""

    def record(self, message: dict[str, Json], /) -> None:
        """Print one line."""
        sys.stderr.write(encode(message) + "\n")
        sys.stderr.flush()

    def close(self) -> None:
        """Every line was flushed when it was printed."""
