"""The Segment transport: one POST by segment-analytics-python, and what came of it.

Only `segment.analytics.request.post` is used, which leaves messages as they are; never the
client's threads or its retries. Its session is private, so what we need of it is checked.
"""

from __future__ import annotations

import os
from time import time
from typing import Any

from ...privacy.origin import origin
from .answer import LATER, MUCH_LATER, Answer, of_response

CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 10.0
"""Seconds, per read; the sender's deadline bounds the whole."""
MOST_OF_AN_ANSWER = 64 * 1024
"""Bytes that are read of an answer."""


class SegmentTransport:
    """Posts batches to one destination.

    Args:
        host: an origin.
        write_key: Segment's write key; empty with a token.
        token: what to authorise with instead, or None.

    Raises:
        RuntimeError: segment-analytics-python no longer has what keeps credentials in.
    """

    def __init__(self, host: str, write_key: str, token: str | None = None) -> None:
        if is_loopback(host):
            # A proxy that was asked for this machine would be given the events, and find its own.
            for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
                del os.environ[name]
        # A `default` entry in ~/.netrc would replace the write key by the user's own password.
        os.environ["NETRC"] = os.devnull
        from segment.analytics import request

        from .bounded import BoundedAdapter

        session = getattr(request, "_session", None)
        if session is None or not hasattr(session, "mount"):
            raise RuntimeError("segment-analytics-python has changed its session: pin it below")
        session.auth = _keep
        session.max_redirects = 0
        session.mount("https://", BoundedAdapter(MOST_OF_AN_ANSWER))
        session.mount("http://", BoundedAdapter(MOST_OF_AN_ANSWER))
        self._request = request
        self._host = host
        self._write_key = write_key
        self._bearer = Bearer(token) if token is not None else None

    def post(self, batch: list[dict[str, Any]]) -> Answer:
        """Send a batch once. Never raises for what a network or a server can do."""
        try:
            response = self._request.post(
                self._write_key,
                self._host,
                gzip=True,
                timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
                oauth_manager=self._bearer,
                batch=batch,
            )
        except self._request.APIError as error:
            response = getattr(error, "response", None)
            if response is None:
                return Answer(LATER, error="unknown")
        except Exception as error:  # requests' many, and those of what lies below it
            return Answer(_verdict(error), error=type(error).__name__)
        if response.history:
            return Answer(MUCH_LATER, response.status_code, error="redirected")
        return of_response(
            response.status_code,
            response.content,
            response.headers.get("Content-Type", ""),
            response.headers.get("Retry-After"),
            time(),
        )


class Bearer:
    """A token, as the client asks its `oauth_manager` for one: `Authorization: Bearer`."""

    def __init__(self, token: str) -> None:
        self._token = token

    def get_token(self) -> str:
        """The token; there is no other to be had in this process."""
        return self._token

    def clear_token(self) -> None:
        """The client says that it was refused; `Delivery` knows by the answer."""


def _verdict(error: Exception) -> str:
    return MUCH_LATER if type(error).__name__ == "TooManyRedirects" else LATER


def _keep(request: Any) -> Any:
    """As an `auth` of requests': the headers stay as the client made them."""
    return request


def is_loopback(host: str) -> bool:
    """Whether an origin is this machine."""
    found = origin(host)
    return found is not None and found[1]
