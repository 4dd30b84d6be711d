"""The Segment transport: one POST by segment-analytics-python, and its result.

Only `segment.analytics.request.post` is used, which does not change messages; never the client's
threads or its retries. Its own opinion about the response is not used (`adapter`).
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from .adapter import HttpTransport, own_module

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..watchdog import Timeout, Watchdog
    from . import DeliveryResult


class SegmentTransport(HttpTransport):
    """Posts batches to one Segment-compatible host.

    Args:
        options: `host`, an origin; `write_key`, empty with a `token`, which authorises instead.
        timeout: bounds how long a request may take.

    Raises:
        ImportError: the client is missing, or damaged.
        RuntimeError: segment-analytics-python posts in another way than we know.
    """

    client = "segment.analytics.request"
    """The client's module, 110 ms to import."""

    def __init__(self, options: Mapping[str, Any], timeout: Watchdog | Timeout) -> None:
        # The session is our own, and no variable is changed: the process may be the application's.
        self._request = own_module(self.client)
        self._host: str = options["host"]
        self._write_key: str = options["write_key"]
        token = options["token"]
        authorization = _basic(self._write_key) if token is None else f"Bearer {token}"
        super().__init__(self._host, authorization, timeout, self._request._session)

    def post(self, batch: list[dict[str, Any]], on_send: Callable[[], object]) -> DeliveryResult:
        """As `Transport.post`.

        Raises:
            Withdrawn: `on_send` did, and nothing was sent.
            RuntimeError: the client has not posted through its session.
        """
        return self.attempt(
            lambda: self._request.post(
                self._write_key, self._host, gzip=True, timeout=self.timeouts, batch=batch
            ),
            on_send,
        )


def _basic(write_key: str) -> str:
    return "Basic " + base64.b64encode(f"{write_key}:".encode()).decode("ascii")
