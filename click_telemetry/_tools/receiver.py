"""A receiver on loopback that responds as Segment's HTTP API does, and keeps what arrived.

It trusts no client: what is not a message gets a 400 and is forgotten. It prints nothing.
Source: https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/
"""

from __future__ import annotations

import json
import threading
import zlib
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType
    from typing import TypeAlias

    Message: TypeAlias = dict[str, Any]

MAX_BODY = 500 * 1024
"""Bytes of one request's body, before and after decompression; Segment takes 500 KB."""

TYPES = ("track", "identify", "page", "screen", "group", "alias")
BATCH = "batch"
PATHS = {f"/v1/{name}": name for name in (BATCH, *TYPES)}

TIMEOUT = 10.0
"""Seconds without a byte from a client."""

_GZIP = 16 + zlib.MAX_WBITS
"""A gzip header, and the largest window (zlib's manual, `inflateInit2`)."""

_MAX_DISCARDED = 8 * 1024 * 1024
"""Bytes of a rejected body that are read and discarded: closing early would reset the client before
it has read the response."""


class BadRequest(Exception):
    """A request that the API would reject; its text is ours, and gives the reason."""


class Receiver:
    """Listens on a free port of 127.0.0.1 while it is entered.

    Attributes:
        origin: where it listens, such as `http://127.0.0.1:40123`.
    """

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._known: set[str] = set()
        self._lock = threading.Lock()
        self._server = _Server(self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="receiver", daemon=True
        )
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(TIMEOUT)

    @property
    def messages(self) -> list[Message]:
        """What arrived, in order of arrival; of messages with the same ID the first, as Segment."""
        with self._lock:
            return [*self._messages]

    def keep(self, messages: list[Message]) -> None:
        """Keep the messages of one request, except those whose ID has arrived before."""
        with self._lock:
            for message in messages:
                message_id = message.get("messageId")
                if isinstance(message_id, str):
                    if message_id in self._known:
                        continue
                    self._known.add(message_id)
                self._messages.append(message)


def decompressed(body: bytes, encoding: str) -> bytes:
    """A request's body, decompressed if its encoding is gzip.

    Args:
        body: as it arrived.
        encoding: the header `Content-Encoding`, or an empty string.

    Raises:
        BadRequest: another encoding, invalid gzip, or too large.
    """
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding != "gzip":
        raise BadRequest("the only supported Content-Encoding is gzip")
    inflater = zlib.decompressobj(wbits=_GZIP)
    try:
        found = inflater.decompress(body, MAX_BODY + 1)
    except zlib.error:
        raise BadRequest("the body is not gzip") from None
    if len(found) > MAX_BODY:
        raise BadRequest(f"the body is larger than {MAX_BODY} bytes")
    if not inflater.eof or inflater.unused_data:
        raise BadRequest("the gzip body is cut short, or continues after its end")
    return found


def messages_of(path: str, body: bytes) -> list[Message]:
    """The messages in a request.

    Args:
        path: such as `/v1/batch`.
        body: decompressed.

    Raises:
        BadRequest: it is not what the API documents.
    """
    expected = PATHS[path]
    try:
        found = json.loads(body.decode("utf-8"))
        json.dumps(found, allow_nan=False)  # NaN and 1e999 are read, but are no JSON
    except (ValueError, RecursionError):
        raise BadRequest("the body is not JSON") from None
    if not isinstance(found, dict):
        raise BadRequest("the body is not a JSON object")
    if expected != BATCH:
        return [_checked({"type": expected, **found})]
    batch = found.get("batch")
    if not isinstance(batch, list):
        raise BadRequest("batch is not a list")
    return [_checked(message) for message in batch]


def _checked(message: object) -> Message:
    if not isinstance(message, dict):
        raise BadRequest("a message is not a JSON object")
    if message.get("type") not in TYPES:
        raise BadRequest(f"a message's type is none of {', '.join(TYPES)}")
    if message["type"] == "track" and not (
        isinstance(message.get("event"), str) and message["event"]
    ):
        raise BadRequest("a track message has no event name")
    for name in ("properties", "traits", "context"):
        if not isinstance(message.get(name, {}), (dict, type(None))):
            raise BadRequest(f"a message's {name} are not a JSON object")
    return message


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        super().__init__(("127.0.0.1", 0), _Handler)

    def server_bind(self) -> None:
        """Bind, without the reverse lookup of 127.0.0.1 that HTTPServer makes."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """Print nothing of a client that disconnects, or does not use HTTP."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = TIMEOUT
    server_version = "click-telemetry"
    sys_version = ""

    def do_POST(self) -> None:
        path = self.path.partition("?")[0]
        try:
            body = self._body()
            if path not in PATHS:
                self._respond(
                    HTTPStatus.NOT_FOUND, f"there is no such path; the paths are {', '.join(PATHS)}"
                )
                return
            messages = messages_of(
                path, decompressed(body, self.headers.get("Content-Encoding", ""))
            )
        except BadRequest as rejected:
            self._respond(HTTPStatus.BAD_REQUEST, str(rejected))
            return
        self.server.receiver.keep(messages)
        self._respond(HTTPStatus.OK)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Respond to what the base class rejects: another method, a line that is not HTTP."""
        self._respond(code, "this is not an HTTP POST request")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Print nothing: the terminal belongs to the watched command."""

    def _body(self) -> bytes:
        given = self.headers.get("Content-Length", "")
        if not (given.isascii() and given.isdigit()):
            raise BadRequest("Content-Length is missing")
        length = int(given[:12])
        if length > MAX_BODY:
            self._discard(length)
            raise BadRequest(f"the body is larger than {MAX_BODY} bytes")
        body = self.rfile.read(length)
        if len(body) < length:
            raise BadRequest("the body is shorter than Content-Length")
        return body

    def _discard(self, length: int) -> None:
        left = min(length, _MAX_DISCARDED)
        while left > 0:
            piece = self.rfile.read(min(left, 64 * 1024))
            if not piece:
                return
            left -= len(piece)

    def _respond(self, status: int, problem: str = "") -> None:
        result = {"success": False, "message": problem} if problem else {"success": True}
        content = json.dumps(result).encode("ascii")
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)
