"""An adapter for requests that reads no more of an answer than it needs.

Segment's client reads answers whole; a server may send one without end.
"""

from __future__ import annotations

from typing import Any

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter


class BoundedAdapter(HTTPAdapter):
    """Reads at most a given number of bytes of each answer, and leaves the connection after.

    Args:
        most: bytes, after decompression.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        super().__init__(max_retries=0)

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        """Send a request and give its answer, read already.

        Raises:
            requests.RequestException: as `HTTPAdapter.send`.
        """
        kwargs["stream"] = True
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
        return response
