"""Certificates are always verified, proxies are used: real senders, a CA of the tests' own."""

from __future__ import annotations

import datetime
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from ..harness.proxy import Proxy
from ..harness.queue import OFFLINE, Queue
from ..harness.server import Server

pytestmark = pytest.mark.contract

HOST = "events.example"
"""No name server resolves it: a request for it came through a proxy."""


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    """An authority that is trusted only where a variable names it."""
    return trustme.CA()


@pytest.fixture
def trusted(ca: trustme.CA, tmp_path: Path) -> dict[str, str]:
    """An environment that trusts it."""
    path = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return {"REQUESTS_CA_BUNDLE": str(path)}


@pytest.fixture
def secure() -> Iterator[Callable[[trustme.LeafCert], Server]]:
    """Starts a server with a certificate."""
    started: list[Server] = []

    def start(certificate: trustme.LeafCert) -> Server:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        certificate.configure_cert(context)
        server = Server(context)
        server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def through() -> Iterator[Callable[..., Proxy]]:
    """Starts a proxy that forwards every request to a server."""
    started: list[Proxy] = []

    def start(server: Server, *, refuses: bool = False) -> Proxy:
        proxy = Proxy(server.port, refuses=refuses)
        proxy.start()
        started.append(proxy)
        return proxy

    yield start
    for proxy in started:
        proxy.stop()


Secure = Callable[[trustme.LeafCert], Server]
Through = Callable[..., Proxy]


def test_server_with_a_trusted_certificate_gets_messages(
    queue: Queue, secure: Secure, ca: trustme.CA, trusted: dict[str, str]
) -> None:
    """The control for the three below; a company's own authority is used."""
    server = secure(ca.issue_cert("127.0.0.1"))
    queue.host = server.url
    queue.put()
    assert queue.send(before=OFFLINE, env=trusted) == 0
    assert (len(server.messages), queue.names) == (2, [])


def expired(ca: trustme.CA) -> trustme.LeafCert:
    yesterday = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
    return ca.issue_cert("127.0.0.1", not_after=yesterday)


CERTIFICATES: dict[str, Callable[[trustme.CA], trustme.LeafCert]] = {
    "expired": expired,
    "another host": lambda ca: ca.issue_cert("127.0.0.2", "localhost"),
    "unknown authority": lambda _: trustme.CA().issue_cert("127.0.0.1"),
}


@pytest.mark.sample(1)
@pytest.mark.parametrize("which", CERTIFICATES)
def test_server_with_a_wrong_certificate_gets_nothing(
    which: str, queue: Queue, secure: Secure, ca: trustme.CA, trusted: dict[str, str]
) -> None:
    """Not a byte of an event, and no mark: the file is kept."""
    server = secure(CERTIFICATES[which](ca))
    queue.host = server.url
    name = queue.put().name
    # Variables that disable the verification of some tools.
    lax = {"PYTHONHTTPSVERIFY": "0", "CURL_INSECURE": "1", "NODE_TLS_REJECT_UNAUTHORIZED": "0"}
    assert queue.send(before=OFFLINE, env={**trusted, **lax}) == 0
    assert (server.requests, queue.names) == ([], [name])
    assert queue.state.last_error == "SSLError"


def test_proxy_forwards_a_secure_request_and_cannot_read_it(
    queue: Queue, secure: Secure, through: Through, ca: trustme.CA, trusted: dict[str, str]
) -> None:
    """CONNECT, and the server's own certificate behind it."""
    server = secure(ca.issue_cert(HOST))
    proxy = through(server)
    queue.host = f"https://{HOST}"
    queue.put()
    assert queue.send(before=OFFLINE, env={**trusted, "HTTPS_PROXY": proxy.url}) == 0
    assert proxy.asked == [("CONNECT", f"{HOST}:443")]
    assert (len(server.messages), queue.names) == (2, [])


def test_proxy_with_its_own_certificate_gets_nothing(
    queue: Queue, secure: Secure, through: Through, ca: trustme.CA, trusted: dict[str, str]
) -> None:
    """It would read the events."""
    server = secure(trustme.CA().issue_cert(HOST))
    proxy = through(server)
    queue.host = f"https://{HOST}"
    name = queue.put().name
    assert queue.send(before=OFFLINE, env={**trusted, "HTTPS_PROXY": proxy.url}) == 0
    assert (server.requests, queue.names) == ([], [name])


@pytest.mark.extended
def test_proxy_forwards_a_plain_request(queue: Queue, server: Server, through: Through) -> None:
    """Only for hosts that are not excepted."""
    proxy = through(server)
    queue.host = f"http://{HOST}"
    queue.put()
    assert queue.send(before=OFFLINE, env={"http_proxy": proxy.url}) == 0
    assert proxy.asked == [("POST", f"http://{HOST}/v1/batch")]
    assert (len(server.messages), queue.names) == (2, [])
    name = queue.put().name
    assert queue.send(before=OFFLINE, env={"http_proxy": proxy.url, "no_proxy": HOST}) == 0
    assert len(proxy.asked) == 1
    assert queue.names == [name]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxy_that_requires_a_password_postpones_delivery(
    scheme: str, queue: Queue, server: Server, through: Through
) -> None:
    """407 is not about the events, and there is no mark."""
    proxy = through(server, refuses=True)
    queue.host = f"{scheme}://{HOST}"
    name = queue.put().name
    assert queue.send(before=OFFLINE, env={f"{scheme}_proxy": proxy.url}) == 0
    assert len(proxy.asked) == 1
    assert (server.requests, queue.names, queue.state.failures) == ([], [name], 1)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxy_that_does_not_answer_postpones_delivery(scheme: str, queue: Queue) -> None:
    """It is never bypassed."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    queue.host = f"{scheme}://{HOST}"
    name = queue.put().name
    assert queue.send(before=OFFLINE, env={f"{scheme}_proxy": f"http://127.0.0.1:{port}"}) == 0
    assert (queue.names, queue.state.last_error) == ([name], "ProxyError")


@pytest.mark.sample(1)
@pytest.mark.parametrize("value", ["socks5://127.0.0.1:9", "socks5h://127.0.0.1:9", "!?", "x://y"])
def test_proxy_that_cannot_be_used_postpones_delivery(value: str, queue: Queue) -> None:
    """SOCKS without its package, or no proxy at all: it is never bypassed."""
    queue.host = f"https://{HOST}"
    name = queue.put().name
    assert queue.send(before=OFFLINE, env={"all_proxy": value}) == 0
    assert (queue.names, queue.state.failures) == ([name], 1)
    assert queue.state.last_error
