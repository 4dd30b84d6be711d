"""How the sender posts: the protocol of a transport, and one module for each.

A transport sends a batch once and reports the result. Consent, the queue, retries and waiting are
the sender's, and the same for all transports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..response import DeliveryResult


class Transport(Protocol):
    """Posts batches to one destination."""

    def post(self, batch: list[dict[str, Any]], on_send: Callable[[], object]) -> DeliveryResult:
        """Send a batch once. Never raises for what a network or a server can do.

        Args:
            batch: messages.
            on_send: called when the first of their bytes is about to be sent. What it raises
                (`Withdrawn`) keeps them here, and passes through.
        """

    def close(self) -> None:
        """Close every connection."""
