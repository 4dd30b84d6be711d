"""The Segment transport: one POST by segment-analytics-python, and what came of it.

Only `segment.analytics.request.post` is used, which leaves messages as they are; never the
client's threads or its retries. Its session is private, so what we need of it is checked.
"""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, Any

from ...privacy.origin import origin
from .answer import GIVEN_UP, LATER, MUCH_LATER, Answer, of_response
from .bounded import BoundedAdapter
from .segment import segment_request

if TYPE_CHECKING:
    from .patience import Patience

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
        patience: how long somebody waits for it, or None where nobody does.

    Raises:
        RuntimeError: segment-analytics-python no longer has what keeps credentials in.
    """

    def __init__(
        self,
        host: str,
        write_key: str,
        token: str | None = None,
        patience: Patience | None = None,
    ) -> None:
        # Neither a netrc file's password in the place of ours, nor any redirect; a proxy that was
        # asked for this machine would be given the events, and find its own.
        request = segment_request()
        session = request._session
        session.auth = _keep
        session.max_redirects = 0
        direct = is_loopback(host)
        for scheme in ("https://", "http://"):
            session.mount(
                scheme, BoundedAdapter(MOST_OF_AN_ANSWER, direct=direct, patience=patience)
            )
        self._session = session
        self._patience = patience
        self._request = request
        self._host = host
        self._write_key = write_key
        self._bearer = Bearer(token) if token is not None else None

    def post(self, batch: list[dict[str, Any]]) -> Answer:
        """Send a batch once. Never raises for what a network or a server can do."""
        answer = self._post(batch, *self._timeouts())
        if self._patience is not None and self._patience.left() <= 0 and answer.status is None:
            return Answer(GIVEN_UP)
        return answer

    def close(self) -> None:
        """Leave no connection behind."""
        self._session.close()

    def _timeouts(self) -> tuple[float, float]:
        if self._patience is None:
            return CONNECT_TIMEOUT, READ_TIMEOUT
        left = max(self._patience.left(), 0.001)  # 0 would be no timeout
        return min(left, CONNECT_TIMEOUT), min(left, READ_TIMEOUT)

    def _post(self, batch: list[dict[str, Any]], connect: float, read: float) -> Answer:
        try:
            response = self._request.post(
                self._write_key,
                self._host,
                gzip=True,
                timeout=(connect, read),
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
