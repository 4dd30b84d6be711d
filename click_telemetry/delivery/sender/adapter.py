"""The one place where messages meet the wire: an adapter for requests that believes nobody.

Whatever Segment's client, requests, or a server make of a request, through here it goes to one
origin, with our own credentials, once; and of the answer it takes no more than it needs.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter

from .connections import let_be_shut

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_OF_AN_ANSWER = 64 * 1024
"""Bytes that are read of an answer."""
_START = 512
"""Bytes of it that tell a page from an answer."""


class Seen(NamedTuple):
    """What came back.

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


class Elsewhere(Exception):
    """A request was about to go to another origin than ours."""


class OneOrigin(HTTPAdapter):
    """Sends to one origin, with given credentials, and follows nobody.

    Args:
        origin: scheme, host and port.
        authorization: the header's value, whatever else was put there (`~/.netrc`, say).
        direct: whether no proxy is asked, whatever the environment says.
        holds: called with each connection's socket, for whoever may want to shut it.

    Attributes:
        leaving: called right before the first byte of a body leaves, when the connection stands
            and has shown its certificate; what it raises keeps the body here.
        left: whether a body has begun to leave in the last request.
        seen: the last request's answer; None where none came whole.
    """

    def __init__(
        self,
        origin: str,
        authorization: str,
        *,
        direct: bool = False,
        holds: Callable[[Any], object] = id,
    ) -> None:
        self._direct = direct
        self._holds = holds
        self._origin = _parts(origin)
        self._authorization = authorization
        self.leaving: Callable[[], object] = int
        self.left = False
        self.seen: Seen | None = None
        super().__init__(max_retries=0)

    def forget(self) -> None:
        """Know nothing of an earlier request."""
        self.left, self.seen = False, None

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        """Send a request and give its answer without its body, which `seen` has the start of.

        Raises:
            Elsewhere: the request is for another origin.
            requests.RequestException: as `HTTPAdapter.send`.
        """
        self.forget()
        if _parts(request.url or "") != self._origin:
            raise Elsewhere
        request.headers["Authorization"] = self._authorization
        request.headers["Accept-Encoding"] = "identity"
        request.body = _Leaving(self, request.body or b"")  # type: ignore[assignment]
        kwargs["stream"] = True
        if self._direct:
            kwargs["proxies"] = {}
        response = super().send(request, *args, **kwargs)
        self.seen = _read(response)
        # The client would parse the body of an error and log it, and requests would go where a
        # Location points: there is neither.
        response._content = b""
        response.headers.pop("Location", None)
        return response

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """As requests does, with connections that can be shut."""
        super().init_poolmanager(*args, **kwargs)
        let_be_shut(self.poolmanager, self._holds)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """As requests does, with connections that can be shut."""
        manager = super().proxy_manager_for(*args, **kwargs)
        let_be_shut(manager, self._holds)
        return manager


class _Leaving:
    """A request's body that says when it is first asked for, which is when bytes leave."""

    def __init__(self, adapter: OneOrigin, content: bytes | str) -> None:
        self._adapter = adapter
        self._left = content.encode() if isinstance(content, str) else content

    def read(self, size: int = -1) -> bytes:
        if not self._adapter.left:
            self._adapter.leaving()
            self._adapter.left = True
        size = len(self._left) if size < 0 else size
        piece, self._left = self._left[:size], self._left[size:]
        return piece


def _read(response: Response) -> Seen:
    """The answer's facts; the connection is kept only when its body has ended.

    Raises:
        Exception: many; an acceptance whose body did not come whole is none.
    """
    raw = response.raw
    content = b""
    try:
        while len(content) < MOST_OF_AN_ANSWER:
            piece = raw.read(8192, decode_content=False)
            if not piece:
                raw.release_conn()
                break
            content += piece
    except Exception:  # of urllib3 and what lies below it
        if 200 <= response.status_code < 300:
            raise
    finally:
        response.close()
    headers = response.headers
    return Seen(
        response.status_code,
        _plain(content, headers.get("Content-Encoding", "")),
        headers.get("Content-Type", ""),
        headers.get("Retry-After"),
    )


def _plain(content: bytes, encoding: str) -> bytes:
    """A body's start; inflated, as far as needed, where a server did so unasked."""
    if encoding.strip().lower() in ("gzip", "x-gzip", "deflate"):
        try:
            return zlib.decompressobj(wbits=47).decompress(content, _START)
        except zlib.error:
            pass  # then it says nothing
    return content[:_START]


def _parts(url: str) -> tuple[str, str | None, int | None]:
    split = urlsplit(url)
    return split.scheme, split.hostname, split.port
