"""An adapter for requests that reads no more of an answer than it needs, and asks no stranger.

Segment's client reads answers whole; a server may send one without end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

if TYPE_CHECKING:
    from .patience import Patience


class BoundedAdapter(HTTPAdapter):
    """Reads at most a given number of bytes of each answer, and leaves the connection after.

    Args:
        most: bytes, after decompression.
        direct: whether no proxy is asked, whatever the environment says.
        patience: how long somebody waits, or None where nobody does.
    """

    def __init__(
        self, most: int, *, direct: bool = False, patience: Patience | None = None
    ) -> None:
        self._most = most
        self._direct = direct
        self._patience = patience
        super().__init__(max_retries=0)

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        """Send a request and give its answer, read already.

        Raises:
            requests.RequestException: as `HTTPAdapter.send`.
        """
        kwargs["stream"] = True
        if self._direct:
            kwargs["proxies"] = {}
        response = super().send(request, *args, **kwargs)
        content = b""
        try:
            for piece in response.iter_content(8192):
                content += piece
                if len(content) >= self._most:
                    break
        finally:
            response.close()
        response._content = content[: self._most]
        response.encoding = response.encoding or "utf-8"  # nobody is asked to guess it, and to log
        return response

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """As requests does, with connections that can be shut from outside."""
        super().init_poolmanager(*args, **kwargs)
        self._let_be_shut(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """As requests does, with connections that can be shut from outside."""
        manager = super().proxy_manager_for(*args, **kwargs)
        self._let_be_shut(manager)
        return manager

    def _let_be_shut(self, manager: Any) -> None:
        if self._patience is not None:
            manager.pool_classes_by_scheme = _pools(self._patience)


def _pools(patience: Patience) -> dict[str, type[HTTPConnectionPool]]:
    """Connection pools whose connections somebody else may shut."""

    class Connection(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            patience.holds(self.sock)

    class TlsConnection(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            patience.holds(self.sock)

    class Pool(HTTPConnectionPool):
        ConnectionCls = Connection

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = TlsConnection

    return {"http": Pool, "https": TlsPool}
