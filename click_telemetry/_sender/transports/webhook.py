"""The transport of `destinations.Webhook`: one POST of JSON, signed if there is a secret.

The signature is that of https://www.standardwebhooks.com, for which there are libraries in most
languages. The ID of a request derives from the IDs of its messages, so that it is the same for the
same batch at each attempt.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from time import time
from typing import TYPE_CHECKING, Any

import requests

from ... import __version__
from .adapter import HttpTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..watchdog import Timeout, Watchdog
    from . import DeliveryResult

VERSION = 1
"""Of the request's body."""
SECRET_PREFIX = "whsec_"
"""Of a secret in base64; any other text is used as it is, in UTF-8."""


class WebhookTransport(HttpTransport):
    """Posts batches to one URL.

    Args:
        options: `host` and `address`, which are the URL; `headers`; `secret` and `token`, or None.
        timeout: bounds how long a request may take.
    """

    def __init__(self, options: Mapping[str, Any], timeout: Watchdog | Timeout) -> None:
        token, secret = options["token"], options.get("secret")
        session = requests.Session()
        authorization = None if token is None else f"Bearer {token}"
        super().__init__(options["host"], authorization, timeout, session)
        self._url = options["host"] + options["address"]
        self._headers = {"User-Agent": f"click-telemetry/{__version__}", **options["headers"]}
        self._headers["Content-Type"] = "application/json"
        self._key = None if secret is None else key_of(secret)

    def post(self, batch: list[dict[str, Any]], on_send: Callable[[], object]) -> DeliveryResult:
        """As `Transport.post`.

        Raises:
            Withdrawn: `on_send` did, and nothing was sent.
        """
        content = body_of(batch)
        headers = {
            **self._headers,
            "webhook-id": id_of(batch),
            "webhook-timestamp": f"{time():.0f}",
        }
        if self._key is not None:
            headers["webhook-signature"] = signature(
                self._key, headers["webhook-id"], headers["webhook-timestamp"], content
            )
        return self.attempt(
            lambda: self._session.post(
                self._url,
                data=content,
                headers=headers,
                timeout=self.timeouts,
                allow_redirects=False,
            ),
            on_send,
        )


def body_of(batch: list[dict[str, Any]]) -> bytes:
    """A request's body: ASCII, the same for the same messages."""
    content = {"version": VERSION, "messages": batch}
    return json.dumps(content, separators=(",", ":"), allow_nan=False).encode("ascii")


def id_of(batch: list[dict[str, Any]]) -> str:
    """A request's ID, the same for the same messages."""
    ids = "\n".join(message["messageId"] for message in batch)
    return "msg_" + hashlib.sha256(ids.encode()).hexdigest()[:32]


def key_of(secret: str) -> bytes:
    """The key that a secret stands for."""
    if secret.startswith(SECRET_PREFIX):
        return base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    return secret.encode()


def signature(key: bytes, request_id: str, timestamp: str, content: bytes) -> str:
    """The header `webhook-signature`."""
    signed = f"{request_id}.{timestamp}.".encode() + content
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode("ascii")
