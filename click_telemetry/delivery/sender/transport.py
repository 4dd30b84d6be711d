"""The Segment transport: one POST by segment-analytics-python, and what came of it.

Only `segment.analytics.request.post` is used, which leaves messages as they are; never the
client's threads or its retries. What it makes of an answer is not believed (`adapter`).
"""

from __future__ import annotations

import base64
from time import time
from typing import TYPE_CHECKING, Any

from ...privacy.origin import origin
from .adapter import OneOrigin
from .answer import LATER, UNASKED, Answer, of_response
from .attempt import Withdrawn
from .segment import segment_request

if TYPE_CHECKING:
    from collections.abc import Callable

    from .deadline import Deadline
    from .patience import Patience

CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 10.0
"""Seconds, per read; the sender's deadline bounds the whole."""


class SegmentTransport:
    """Posts batches to one destination.

    Args:
        host: an origin.
        write_key: Segment's write key; empty with a token.
        token: what to authorise with instead, or None.
        deadline: bounds how long a request may take.

    Raises:
        RuntimeError: segment-analytics-python posts in another way than we know.
    """

    def __init__(
        self,
        host: str,
        write_key: str,
        token: str | None = None,
        deadline: Deadline | Patience | None = None,
    ) -> None:
        # The session is our own, and no variable is changed: the process may be the application's.
        # A proxy that was asked for this machine would be given the events, and find its own.
        request = segment_request()
        self._adapter = OneOrigin(
            host,
            _bearer(token) if token is not None else _basic(write_key),
            direct=is_loopback(host),
            holds=id if deadline is None else deadline.holds,
        )
        self._session = request._session
        self._session.auth = _keep
        self._session.mount("https://", self._adapter)
        self._session.mount("http://", self._adapter)
        self._deadline = deadline
        self._request = request
        self._host = host
        self._write_key = write_key

    def post(self, batch: list[dict[str, Any]], leaving: Callable[[], object] = int) -> Answer:
        """Send a batch once. Never raises for what a network or a server can do.

        Args:
            batch: messages.
            leaving: called when the first of their bytes is about to leave.

        Raises:
            Withdrawn: `leaving` did, and nothing left.
            RuntimeError: the client has not posted through its session.
        """
        adapter = self._adapter
        adapter.leaving = leaving
        adapter.forget()
        left = max(self._left(), 0.001)  # 0 would be no timeout
        try:
            self._request.post(
                self._write_key,
                self._host,
                gzip=True,
                timeout=(min(left, CONNECT_TIMEOUT), min(left, READ_TIMEOUT)),
                batch=batch,
            )
        except Withdrawn:
            raise
        except Exception as error:  # requests' many, those of what lies below, the client's own
            if adapter.seen is None:
                verdict = LATER if self._left() > 0 else UNASKED
                return Answer(verdict, error=type(error).__name__, open=adapter.left)
        seen = adapter.seen
        if seen is None:
            raise RuntimeError("segment-analytics-python posts in another way: pin it below")
        return of_response(seen.status, seen.start, seen.content_type, seen.retry_after, time())

    def close(self) -> None:
        """Leave no connection behind."""
        self._session.close()

    def _left(self) -> float:
        return READ_TIMEOUT if self._deadline is None else self._deadline.left()


def _basic(write_key: str) -> str:
    return "Basic " + base64.b64encode(f"{write_key}:".encode()).decode("ascii")


def _bearer(token: str) -> str:
    return f"Bearer {token}"


def _keep(request: Any) -> Any:
    """As an `auth` of requests': the headers stay as the client made them."""
    return request


def is_loopback(host: str) -> bool:
    """Whether an origin is this machine."""
    found = origin(host)
    return found is not None and found[1]
