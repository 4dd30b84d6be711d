"""Certificates are always checked, proxies honoured: real senders, a CA of the tests' own."""

from __future__ import annotations

import datetime
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from ..harness.direct import OFFLINE, Spool
from ..harness.proxy import Proxy
from ..harness.server import Server

pytestmark = pytest.mark.contract

HOST = "events.example"
"""No name server knows it: what arrives for it came through a proxy."""


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    """An authority that nobody trusts unless told."""
    return trustme.CA()


@pytest.fixture
def trusted(ca: trustme.CA, tmp_path: Path) -> dict[str, str]:
    """A person's environment that trusts it."""
    path = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return {"REQUESTS_CA_BUNDLE": str(path)}


@pytest.fixture
def secure() -> Iterator[Callable[[trustme.LeafCert], Server]]:
    """Starts a server that shows a certificate."""
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
    """Starts a proxy that carries everything to a server."""
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


def test_certificate_that_is_trusted_is_spoken_to(
    spool: Spool, secure: Secure, ca: trustme.CA, trusted: dict[str, str]
) -> None:
    """The control for the three below; a company's own authority is honoured."""
    server = secure(ca.issue_cert("127.0.0.1"))
    spool.host = server.url
    spool.put()
    assert spool.send(before=OFFLINE, env=trusted) == 0
    assert (len(server.messages), spool.names) == (2, [])


def expired(ca: trustme.CA) -> trustme.LeafCert:
    yesterday = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
    return ca.issue_cert("127.0.0.1", not_after=yesterday)


CERTIFICATES: dict[str, Callable[[trustme.CA], trustme.LeafCert]] = {
    "expired": expired,
    "another host's": lambda ca: ca.issue_cert("127.0.0.2", "localhost"),
    "nobody's": lambda _: trustme.CA().issue_cert("127.0.0.1"),
}


@pytest.mark.parametrize("which", CERTIFICATES)
def test_certificate_that_is_not_right_is_not_spoken_to(
    which: str, spool: Spool, secure: Secure, ca: trustme.CA, trusted: dict[str, str]
) -> None:
    """Not a byte of an event, and no clock: it waits until the certificate is mended (row 43)."""
    server = secure(CERTIFICATES[which](ca))
    spool.host = server.url
    name = spool.put().name
    # Variables that some tools take for leave not to look.
    lax = {"PYTHONHTTPSVERIFY": "0", "CURL_INSECURE": "1", "NODE_TLS_REJECT_UNAUTHORIZED": "0"}
    assert spool.send(before=OFFLINE, env={**trusted, **lax}) == 0
    assert (server.requests, spool.names) == ([], [name])
    assert spool.standing.last_error == "SSLError"


def test_proxy_carries_a_secure_request_and_cannot_read_it(
    spool: Spool, secure: Secure, through: Through, ca: trustme.CA, trusted: dict[str, str]
) -> None:
    """CONNECT, and the server's own certificate behind it (row 44)."""
    server = secure(ca.issue_cert(HOST))
    proxy = through(server)
    spool.host = f"https://{HOST}"
    spool.put()
    assert spool.send(before=OFFLINE, env={**trusted, "HTTPS_PROXY": proxy.url}) == 0
    assert proxy.asked == [("CONNECT", f"{HOST}:443")]
    assert (len(server.messages), spool.names) == (2, [])


def test_proxy_that_shows_its_own_certificate_is_not_spoken_to(
    spool: Spool, secure: Secure, through: Through, ca: trustme.CA, trusted: dict[str, str]
) -> None:
    """Somebody in between who wants to read along (rows 43, 44)."""
    server = secure(trustme.CA().issue_cert(HOST))
    proxy = through(server)
    spool.host = f"https://{HOST}"
    name = spool.put().name
    assert spool.send(before=OFFLINE, env={**trusted, "HTTPS_PROXY": proxy.url}) == 0
    assert (server.requests, spool.names) == ([], [name])


def test_proxy_carries_a_plain_request(spool: Spool, server: Server, through: Through) -> None:
    """And only for hosts that are not excepted (row 44)."""
    proxy = through(server)
    spool.host = f"http://{HOST}"
    spool.put()
    assert spool.send(before=OFFLINE, env={"http_proxy": proxy.url}) == 0
    assert proxy.asked == [("POST", f"http://{HOST}/v1/batch")]
    assert (len(server.messages), spool.names) == (2, [])
    name = spool.put().name
    assert spool.send(before=OFFLINE, env={"http_proxy": proxy.url, "no_proxy": HOST}) == 0
    assert len(proxy.asked) == 1
    assert spool.names == [name]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxy_that_wants_a_password_is_waited_for(
    scheme: str, spool: Spool, server: Server, through: Through
) -> None:
    """407 is no fault of the events', and no clock runs (row 44)."""
    proxy = through(server, refuses=True)
    spool.host = f"{scheme}://{HOST}"
    name = spool.put().name
    assert spool.send(before=OFFLINE, env={f"{scheme}_proxy": proxy.url}) == 0
    assert len(proxy.asked) == 1
    assert (server.requests, spool.names, spool.standing.failures) == ([], [name], 1)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxy_that_is_gone_is_waited_for(scheme: str, spool: Spool) -> None:
    """Nothing goes around it (row 44)."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    spool.host = f"{scheme}://{HOST}"
    name = spool.put().name
    assert spool.send(before=OFFLINE, env={f"{scheme}_proxy": f"http://127.0.0.1:{port}"}) == 0
    assert (spool.names, spool.standing.last_error) == ([name], "ProxyError")


@pytest.mark.parametrize("value", ["socks5://127.0.0.1:9", "socks5h://127.0.0.1:9", "!?", "x://y"])
def test_proxy_that_cannot_be_spoken_to_keeps_everything(value: str, spool: Spool) -> None:
    """SOCKS without what it needs, or no proxy at all: no fault, and nothing goes around it."""
    spool.host = f"https://{HOST}"
    name = spool.put().name
    assert spool.send(before=OFFLINE, env={"all_proxy": value}) == 0
    assert (spool.names, spool.standing.failures) == ([name], 1)
    assert spool.standing.last_error
