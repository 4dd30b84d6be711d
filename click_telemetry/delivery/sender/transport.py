"""The Segment transport: one POST by segment-analytics-python, and what came of it.

Only `segment.analytics.request.post` is used, which leaves messages as they are; never the
client's threads or its retries. What it makes of an answer is not believed (`adapter`).
"""

from __future__ import annotations

import base64
import os
from time import time
from typing import TYPE_CHECKING, Any

from ...privacy.origin import origin
from .answer import LATER, Answer, of_response
from .attempt import Withdrawn

if TYPE_CHECKING:
    from collections.abc import Callable

CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 10.0
"""Seconds, per read; the sender's deadline bounds the whole."""


class SegmentTransport:
    """Posts batches to one destination.

    Args:
        host: an origin.
        write_key: Segment's write key; empty with a token.
        token: what to authorise with instead, or None.

    Raises:
        RuntimeError: segment-analytics-python posts in another way than we know.
    """

    def __init__(self, host: str, write_key: str, token: str | None = None) -> None:
        if is_loopback(host):
            # A proxy that was asked for this machine would be given the events, and find its own.
            for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
                del os.environ[name]
        # A `default` entry in ~/.netrc would replace the write key by the user's own password.
        os.environ["NETRC"] = os.devnull
        from segment.analytics import request

        from .adapter import OneOrigin

        session = getattr(request, "_session", None)
        if not callable(getattr(session, "mount", None)):
            raise RuntimeError("segment-analytics-python has changed its session: pin it below")
        self._adapter = OneOrigin(host, _bearer(token) if token is not None else _basic(write_key))
        session.auth = _keep  # type: ignore[union-attr]
        session.mount("https://", self._adapter)  # type: ignore[union-attr]
        session.mount("http://", self._adapter)  # type: ignore[union-attr]
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
        try:
            self._request.post(
                self._write_key,
                self._host,
                gzip=True,
                timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
                batch=batch,
            )
        except Withdrawn:
            raise
        except Exception as error:  # requests' many, those of what lies below, the client's own
            if adapter.seen is None:
                return Answer(LATER, error=type(error).__name__, open=adapter.left)
        seen = adapter.seen
        if seen is None:
            raise RuntimeError("segment-analytics-python posts in another way: pin it below")
        return of_response(seen.status, seen.start, seen.content_type, seen.retry_after, time())


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
