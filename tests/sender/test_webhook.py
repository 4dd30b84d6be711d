"""The request of `destinations.Webhook`, as its receiver sees it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time

import pytest

from click_telemetry import __version__
from click_telemetry.destinations import Webhook

from ..harness.destinations import deliver, destination_of, job_of
from ..harness.queue import Queue, messages_of
from ..harness.server import Reply, Request, Server

pytestmark = pytest.mark.contract

URL = "https://events.example.com/acme"


def post(webhook: Webhook, queue: Queue, server: Server, **job: object) -> Request:
    """The next request of a sender for a webhook."""
    destination = destination_of(webhook, ACME_TELEMETRY_HOST=server.url)
    deliver(queue, job_of(destination, queue, **job))
    return server.requests[-1]


def test_body_has_a_version_and_the_messages(queue: Queue, server: Server) -> None:
    """Exactly those that `acme telemetry show` prints, as JSON in ASCII."""
    expected = messages_of(queue.put())
    request = post(Webhook(URL, {"X-Api-Key": "secret"}), queue, server)
    assert request.body == {"version": 1, "messages": expected}
    assert request.raw.isascii()
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["User-Agent"] == f"click-telemetry/{__version__}"
    assert request.headers["X-Api-Key"] == "secret"
    assert "webhook-signature" not in request.headers


@pytest.mark.parametrize(
    ("secret", "key"),
    [
        ("a secret", b"a secret"),
        ("whsec_" + base64.b64encode(b"\x00\xffkey").decode(), b"\x00\xffkey"),
    ],
)
def test_signature_covers_id_time_and_body(
    secret: str, key: bytes, queue: Queue, server: Server
) -> None:
    """As https://www.standardwebhooks.com describes it, computed here anew."""
    queue.put()
    request = post(Webhook(URL, secret=secret), queue, server)
    identifier, at = request.headers["webhook-id"], request.headers["webhook-timestamp"]
    signed = f"{identifier}.{at}.".encode() + request.raw
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert request.headers["webhook-signature"] == f"v1,{expected}"
    assert abs(int(at) - time.time()) < 60
    assert secret not in json.dumps([request.headers, request.body])


def test_request_that_is_repeated_has_the_same_id(queue: Queue, server: Server) -> None:
    """A receiver that keeps the IDs of requests takes each once."""
    server.reply = Reply(503)
    queue.put()
    first = post(Webhook(URL), queue, server)
    server.reply = Reply()
    again = post(Webhook(URL), queue, server)
    assert first.headers["webhook-id"] == again.headers["webhook-id"]
    assert first.raw == again.raw
    queue.put()
    other = post(Webhook(URL), queue, server)
    assert other.headers["webhook-id"] != first.headers["webhook-id"]


def test_token_replaces_an_authorization_of_the_headers(queue: Queue, server: Server) -> None:
    """A signed-in user's; without one the header is that of the code."""
    webhook = Webhook(URL, {"Authorization": "Bearer of-the-application"})
    queue.put()
    assert post(webhook, queue, server).headers["Authorization"] == "Bearer of-the-application"
    queue.put()
    request = post(webhook, queue, server, token="tok-1")
    assert request.headers["Authorization"] == "Bearer tok-1"
