"""A receiver on loopback that answers as Segment's HTTP API does, and keeps what arrived.

It believes nobody: what is no message is answered 400 and forgotten, and nothing is ever printed.
Source: https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/
"""

from __future__ import annotations

import json
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType
    from typing import TypeAlias

    Message: TypeAlias = dict[str, Any]

LIMIT = 500 * 1024
"""Bytes of one request's body, before and after decompression; Segment takes 500 KB."""

TYPES = ("track", "identify", "page", "screen", "group", "alias")
BATCH = "batch"
PATHS = {f"/v1/{name}": name for name in (BATCH, *TYPES)}

PATIENCE = 10.0
"""Seconds that a client may keep silent."""

_UNREAD = 8 * 1024 * 1024
"""Bytes of a refused body that are read and forgotten: closing early would reset the client before
it has read our answer."""


class Refused(Exception):
    """A request that the API would not take; its text says why, in our own words."""


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
        self._thread.join(PATIENCE)

    @property
    def messages(self) -> list[Message]:
        """What arrived, in order of arrival; of messages with one ID the first, as with Segment."""
        with self._lock:
            return [*self._messages]

    def keep(self, messages: list[Message]) -> None:
        """Keep the messages of one request, except those whose ID is known."""
        with self._lock:
            for message in messages:
                message_id = message.get("messageId")
                if isinstance(message_id, str):
                    if message_id in self._known:
                        continue
                    self._known.add(message_id)
                self._messages.append(message)


def unpacked(body: bytes, encoding: str) -> bytes:
    """A request's body, decompressed if it says so.

    Args:
        body: as it came.
        encoding: the header `Content-Encoding`, or an empty string.

    Raises:
        Refused: another encoding, no gzip, or too large.
    """
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding != "gzip":
        raise Refused("the only Content-Encoding is gzip")
    inflater = zlib.decompressobj(wbits=31)  # 16 + 15: a gzip header and the largest window
    try:
        found = inflater.decompress(body, LIMIT + 1)
    except zlib.error:
        raise Refused("the body is no gzip") from None
    if len(found) > LIMIT:
        raise Refused(f"the body is larger than {LIMIT} bytes")
    if not inflater.eof or inflater.unused_data:
        raise Refused("the gzip body ends too early, or goes on after its end")
    return found


def messages_of(path: str, body: bytes) -> list[Message]:
    """The messages in a request.

    Args:
        path: such as `/v1/batch`.
        body: decompressed.

    Raises:
        Refused: it is not what the API describes.
    """
    expected = PATHS[path]
    try:
        found = json.loads(body.decode("utf-8"))
        json.dumps(found, allow_nan=False)  # NaN, and 1e999, are read though no JSON can say them
    except (ValueError, RecursionError):
        raise Refused("the body is no JSON") from None
    if not isinstance(found, dict):
        raise Refused("the body is no JSON object")
    if expected != BATCH:
        return [_checked({"type": expected, **found})]
    batch = found.get("batch")
    if not isinstance(batch, list):
        raise Refused("batch is no list")
    return [_checked(message) for message in batch]


def _checked(message: object) -> Message:
    if not isinstance(message, dict):
        raise Refused("a message is no JSON object")
    if message.get("type") not in TYPES:
        raise Refused(f"a message's type is none of {', '.join(TYPES)}")
    if message["type"] == "track" and not (
        isinstance(message.get("event"), str) and message["event"]
    ):
        raise Refused("a track message has no event name")
    for name in ("properties", "traits", "context"):
        if not isinstance(message.get(name, {}), (dict, type(None))):
            raise Refused(f"a message's {name} are no JSON object")
    return message


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        super().__init__(("127.0.0.1", 0), _Handler)

    def server_bind(self) -> None:
        """Bind, without HTTPServer's question to the name service who 127.0.0.1 might be."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away, or never spoke HTTP, is nobody's news."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = PATIENCE
    server_version = "click-telemetry"
    sys_version = ""

    def do_POST(self) -> None:
        path = self.path.partition("?")[0]
        try:
            body = self._body()
            if path not in PATHS:
                self._answer(404, f"there is no such path; the paths are {', '.join(PATHS)}")
                return
            messages = messages_of(path, unpacked(body, self.headers.get("Content-Encoding", "")))
        except Refused as refused:
            self._answer(400, str(refused))
            return
        self.server.receiver.keep(messages)
        self._answer(200)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the base class refuses by itself: another method, a line that is no HTTP."""
        self._answer(code, "this is no POST request of HTTP")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Print nothing: the terminal is the watched command's."""

    def _body(self) -> bytes:
        given = self.headers.get("Content-Length", "")
        if not (given.isascii() and given.isdigit()):
            raise Refused("there is no Content-Length")
        length = int(given[:12])
        if length > LIMIT:
            self._forget(length)
            raise Refused(f"the body is larger than {LIMIT} bytes")
        body = self.rfile.read(length)
        if len(body) < length:
            raise Refused("the body is shorter than Content-Length")
        return body

    def _forget(self, length: int) -> None:
        left = min(length, _UNREAD)
        while left > 0:
            piece = self.rfile.read(min(left, 64 * 1024))
            if not piece:
                return
            left -= len(piece)

    def _answer(self, status: int, problem: str = "") -> None:
        answer = {"success": False, "message": problem} if problem else {"success": True}
        content = json.dumps(answer).encode("ascii")
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)
