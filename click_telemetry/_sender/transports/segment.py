"""The Segment transport: one POST by segment-analytics-python, and its result.

Only `segment.analytics.request.post` is used, which does not change messages; never the client's
threads or its retries. Its own opinion about the response is not used (`adapter`).
"""

from __future__ import annotations

import base64
import warnings
from importlib.util import find_spec, module_from_spec
from time import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from . import NOT_SENT, RETRY, DeliveryResult, Withdrawn, result_of
from .adapter import DestinationAdapter

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..watchdog import Timeout, Watchdog

CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 10.0
"""Seconds, per read; the sender's watchdog bounds the whole."""


class SegmentTransport:
    """Posts batches to one Segment-compatible host.

    Args:
        host: an origin.
        write_key: Segment's write key; empty with a token.
        token: what to authorise with instead, or None.
        timeout: bounds how long a request may take.

    Raises:
        ImportError: the client is missing, or damaged.
        RuntimeError: segment-analytics-python posts in another way than we know.
    """

    def __init__(
        self, host: str, write_key: str, token: str | None, timeout: Watchdog | Timeout
    ) -> None:
        # The session is our own, and no variable is changed: the process may be the application's.
        # A proxy that was asked for this machine would be given the events, and find its own.
        request = _own_request_module()
        self._adapter = DestinationAdapter(
            host,
            _basic(write_key) if token is None else f"Bearer {token}",
            direct=is_loopback(host),
            on_connect=timeout.on_connect,
        )
        self._session = request._session
        self._session.auth = _keep
        self._session.mount("https://", self._adapter)
        self._session.mount("http://", self._adapter)
        self._timeout = timeout
        self._request = request
        self._host = host
        self._write_key = write_key

    def post(self, batch: list[dict[str, Any]], on_send: Callable[[], object]) -> DeliveryResult:
        """As `Transport.post`.

        Raises:
            Withdrawn: `on_send` did, and nothing was sent.
            RuntimeError: the client has not posted through its session.
        """
        adapter = self._adapter
        adapter.on_send = on_send
        adapter.reset()
        left = max(self._timeout.left(), 0.001)  # 0 would be no timeout
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
        except Exception as error:  # requests' many, those of what is below it, the client's own
            if adapter.response is None:
                verdict = RETRY if self._timeout.left() > 0 else NOT_SENT
                return DeliveryResult(verdict, error=type(error).__name__, ambiguous=adapter.sent)
        response = adapter.response
        if response is None:
            raise RuntimeError("segment-analytics-python posts in another way: pin it below")
        return result_of(
            response.status, response.start, response.content_type, response.retry_after, time()
        )

    def close(self) -> None:
        """Close every connection."""
        self._session.close()


def is_loopback(host: str) -> bool:
    """Whether an origin is this machine."""
    name = (urlsplit(host).hostname or "").lower()
    numbers = name.split(".")
    return name in ("localhost", "::1") or (
        len(numbers) == 4
        and numbers[0] == "127"
        and all(n.isascii() and n.isdigit() and len(n) <= 3 and int(n) < 256 for n in numbers)
    )


def _own_request_module() -> Any:
    """A copy of `segment.analytics.request` with a session of its own, which logs nothing.

    An application may use the module itself. It logs keys at debug level, and errors to stderr
    where logging is not configured.

    Raises:
        ImportError: the client is missing, or damaged.
        RuntimeError: it has no session any more that we could make our own.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # requests warns about versions of its dependencies
        spec = find_spec("segment.analytics.request")
        if spec is None or spec.loader is None:
            raise ImportError("segment-analytics-python is not installed")
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
    session = getattr(module, "_session", None)
    if not hasattr(session, "mount") or not hasattr(module, "logging"):
        raise RuntimeError("segment-analytics-python has changed its session: pin it below")
    vars(module)["logging"] = _NoLogging
    return module


class _NoLogging:
    """In place of `logging` and of its loggers."""

    @classmethod
    def getLogger(cls, name: str) -> type[_NoLogging]:
        return cls

    @staticmethod
    def debug(*args: object) -> None:
        """Keys and events are not logged."""

    error = warning = info = debug


def _basic(write_key: str) -> str:
    return "Basic " + base64.b64encode(f"{write_key}:".encode()).decode("ascii")


def _keep(request: Any) -> Any:
    """As an `auth` of requests': leave the headers as they are."""
    return request
