"""One attempt over HTTP, and an adapter for requests: to one origin, with our own credentials.

Whatever a vendor's client, requests or a server do with a request, it passes through here. A
response counts only with complete headers, and no more of it is read than is needed.
"""

from __future__ import annotations

import http.client
import warnings
import zlib
from importlib.util import find_spec, module_from_spec
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import requests
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter

from . import NOT_SENT, RETRY, DeliveryResult, Withdrawn, result_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..watchdog import Timeout, Watchdog

CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 10.0
"""Seconds, per read; the sender's watchdog bounds the whole."""

MAX_RESPONSE = 64 * 1024
"""Bytes that are read of a response's body."""
_START = 4096
"""Bytes of it that are kept: they show whether it is an HTML page, or what was rejected."""


class RawResponse(NamedTuple):
    """A response that arrived in full.

    Attributes:
        status: of HTTP.
        start: the body's first bytes.
        content_type: the header, or an empty string.
        retry_after: the header, if there was one.
    """

    status: int
    start: bytes
    content_type: str
    retry_after: str | None


class HttpTransport:
    """Posts to one origin by a session of requests, which may be a vendor's client's.

    Args:
        origin: scheme, host and port.
        authorization: the header's value; None leaves it to the request.
        timeout: bounds how long a request may take.
        session: not shared with any other code of the process.
    """

    def __init__(
        self,
        origin: str,
        authorization: str | None,
        timeout: Watchdog | Timeout,
        session: requests.Session,
    ) -> None:
        # A proxy that was asked for this machine would be given the events, and find its own.
        self._adapter = DestinationAdapter(
            origin, authorization, direct=is_loopback(origin), on_connect=timeout.on_connect
        )
        session.auth = _keep
        session.mount("https://", self._adapter)
        session.mount("http://", self._adapter)
        self._session = session
        self._timeout = timeout

    @property
    def timeouts(self) -> tuple[float, float]:
        """Seconds for a connection and for each read, as requests takes them."""
        left = max(self._timeout.left(), 0.001)  # 0 would be no timeout
        return min(left, CONNECT_TIMEOUT), min(left, READ_TIMEOUT)

    def attempt(self, send: Callable[[], object], on_send: Callable[[], object]) -> DeliveryResult:
        """Make one request.

        Args:
            send: makes it with the session. What it returns or raises does not matter.
            on_send: as for `Transport.post`.

        Raises:
            Withdrawn: `on_send` did, and nothing was sent.
            RuntimeError: `send` has not posted by the session.
        """
        adapter = self._adapter
        adapter.on_send = on_send
        adapter.reset()
        try:
            send()
        except Withdrawn:
            raise
        except Exception as error:  # requests' many, those of what is below it, the client's own
            if adapter.response is None:
                verdict = RETRY if self._timeout.left() > 0 else NOT_SENT
                return DeliveryResult(verdict, error=type(error).__name__, ambiguous=adapter.sent)
        response = adapter.response
        if response is None:
            raise RuntimeError("the client posts in another way: pin it below this version")
        return result_of(
            response.status, response.start, response.content_type, response.retry_after, time()
        )

    def close(self) -> None:
        """Close every connection."""
        self._session.close()


class WrongOrigin(Exception):
    """A request was about to go to another origin than the destination."""


class DestinationAdapter(HTTPAdapter):
    """Posts to one origin with given credentials, and follows no redirect.

    Args:
        origin: scheme, host and port.
        authorization: the header's value, in place of any other value (such as that of `~/.netrc`);
            None leaves it to the request.
        direct: whether no proxy is used, whatever the environment contains.
        on_connect: called with each connection's socket, so that it can be shut down.

    Attributes:
        on_send: called right before the first byte of a body is sent, when the connection is made
            and its certificate is verified. If it raises, the body is not sent.
        sent: whether the last request's body has begun to be sent.
        response: the last request's; None if none arrived in full.
    """

    def __init__(
        self,
        origin: str,
        authorization: str | None,
        *,
        direct: bool = False,
        on_connect: Callable[[Any], object] = id,
    ) -> None:
        self._direct = direct
        self._on_connect = on_connect
        self._connections = 0
        self._origin = _parts(origin)
        self._authorization = authorization
        self.on_send: Callable[[], object] = int
        self.sent = False
        self.response: RawResponse | None = None
        super().__init__(max_retries=0)

    def reset(self) -> None:
        """Forget the last request."""
        self.sent, self.response = False, None

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        """Send a request; the response has no body, and `response` has the body's start.

        A server may close an idle connection at the moment when it is used again: then the request
        is sent once more, at once, on a new connection.

        Raises:
            WrongOrigin: the request is for another origin.
            requests.RequestException: as `HTTPAdapter.send`.
        """
        self.reset()
        if _parts(request.url or "") != self._origin:
            raise WrongOrigin
        if self._authorization is not None:
            request.headers["Authorization"] = self._authorization
        request.headers["Accept-Encoding"] = "identity"
        content = request.body or b""
        kwargs["stream"] = True
        if self._direct:
            kwargs["proxies"] = {}
        connections = self._connections
        try:
            request.body = _Body(self, content)  # type: ignore[assignment]
            response = super().send(request, *args, **kwargs)
        except requests.ConnectionError as error:
            if self._connections != connections or not _was_closed(error):
                raise
            super().close()  # every connection that is open
            request.body = _Body(self, content)  # type: ignore[assignment]
            response = super().send(request, *args, **kwargs)
        self.response = _read(response)
        # The client would parse and log the body of an error, and requests would follow a Location.
        response._content = b""
        response.headers.pop("Location", None)
        return response

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """As requests does, with connections of our own class."""
        super().init_poolmanager(*args, **kwargs)
        self._use_own_connections(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """As requests does, with connections of our own class."""
        manager = super().proxy_manager_for(*args, **kwargs)
        self._use_own_connections(manager)
        return manager

    def _use_own_connections(self, manager: Any) -> None:
        """Let a pool manager's connections report themselves and require complete headers."""
        pools = manager.pool_classes_by_scheme
        manager.pool_classes_by_scheme = {
            scheme: _own_pool(pools[scheme], self) for scheme in pools
        }

    def connect(self, connect: Callable[[], object], connection: Any) -> None:
        """Make a connection: count it before, since it may fail, and report it afterwards."""
        self._connections += 1
        connect()
        self._on_connect(connection.sock)


class _Body:
    """A request's body that reports when its first byte is read, which is when it is sent."""

    def __init__(self, adapter: DestinationAdapter, content: bytes | str) -> None:
        self._adapter = adapter
        self._begun = False
        self._left = content.encode() if isinstance(content, str) else content

    def read(self, size: int = -1) -> bytes:
        if not self._begun:
            self._adapter.on_send()
            self._adapter.sent = self._begun = True
        size = len(self._left) if size < 0 else size
        piece, self._left = self._left[:size], self._left[size:]
        return piece


class _CompleteResponse(http.client.HTTPResponse):
    """A response of HTTP/1.x whose headers are complete.

    http.client takes the end of the stream for the end of the headers, and HTTP/0.9 for 1.0.
    """

    def begin(self) -> None:
        lines = _Lines(self.fp)
        stream: Any = lines
        self.fp = stream
        super().begin()
        if self.fp is stream:
            self.fp = lines.file
        if lines.last not in (b"\r\n", b"\n") or not lines.first.startswith(b"HTTP/1."):
            self.close()
            raise http.client.BadStatusLine("incomplete headers")


class _Lines:
    """A stream that keeps the first and the last line that was read of it."""

    def __init__(self, file: Any) -> None:
        self.file = file
        self.first = self.last = b""

    def readline(self, limit: int = -1) -> bytes:
        self.last = self.file.readline(limit)
        self.first = self.first or self.last
        return self.last

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


def _own_pool(pool: Any, adapter: DestinationAdapter) -> Any:
    class Connection(pool.ConnectionCls):  # type: ignore[misc]
        response_class = _CompleteResponse

        def connect(self) -> None:
            adapter.connect(super().connect, self)

    return type(pool.__name__, (pool,), {"ConnectionCls": Connection})


def _was_closed(error: BaseException) -> bool:
    """Whether a connection was closed or reset before any byte of a response."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ConnectionError) or type(cause).__name__ == "SSLEOFError":
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _read(response: Response) -> RawResponse:
    """What is needed of a response; the connection is kept only when its body has ended.

    Raises:
        Exception: of many classes; an acceptance whose body is incomplete is none.
    """
    raw = response.raw
    headers = response.headers
    accepted = 200 <= response.status_code < 300
    content = b""
    try:
        while len(content) < MAX_RESPONSE:
            piece = raw.read(8192, decode_content=False)
            if not piece:
                if getattr(raw, "length_remaining", None):  # urllib3 before 2.0 does not mind
                    raise http.client.IncompleteRead(content, raw.length_remaining)
                raw.release_conn()
                break
            content += piece
    except Exception:  # of urllib3 and what is below it
        if accepted:
            raise
    finally:
        response.close()
    return RawResponse(
        response.status_code,
        _inflated(content, headers.get("Content-Encoding", "")),
        headers.get("Content-Type", ""),
        headers.get("Retry-After"),
    )


def _inflated(content: bytes, encoding: str) -> bytes:
    """A body's start, inflated if a server compressed it although we do not accept that."""
    if encoding.strip().lower() in ("gzip", "x-gzip", "deflate"):
        try:
            return zlib.decompressobj(wbits=47).decompress(content, _START)
        except zlib.error:
            pass  # it is not what its header claims
    return content[:_START]


def _parts(url: str) -> tuple[str, str | None, int | None]:
    split = urlsplit(url)
    return split.scheme, split.hostname, split.port


def is_loopback(host: str) -> bool:
    """Whether an origin is this machine."""
    name = (urlsplit(host).hostname or "").lower()
    numbers = name.split(".")
    return name in ("localhost", "::1") or (
        len(numbers) == 4
        and numbers[0] == "127"
        and all(n.isascii() and n.isdigit() and len(n) <= 3 and int(n) < 256 for n in numbers)
    )


def own_module(name: str) -> Any:
    """A copy of a client's module with a session of its own, which logs nothing.

    An application may use the module itself. It logs keys at debug level, and errors to stderr
    where logging is not configured.

    Raises:
        ImportError: the client is missing, or damaged.
        RuntimeError: it has no session any more that we could make our own.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # requests warns about versions of its dependencies
        spec = find_spec(name)
        if spec is None or spec.loader is None:
            raise ImportError(f"{name} is not installed")
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
    session = getattr(module, "_session", None)
    if not hasattr(session, "mount") or not hasattr(module, "logging"):
        raise RuntimeError(f"{name} has changed its session: pin it below this version")
    vars(module)["logging"] = _NoLogging
    return module


class _NoLogging:
    """In place of `logging` and of its loggers."""

    @classmethod
    def getLogger(cls, name: str) -> type[_NoLogging]:
        return cls

    DEBUG = 10

    @staticmethod
    def isEnabledFor(level: int) -> bool:
        return False

    @staticmethod
    def debug(*args: object) -> None:
        """Keys and events are not logged."""

    error = warning = info = debug


def _keep(request: Any) -> Any:
    """As an `auth` of requests': leave the headers as they are."""
    return request
