"""A URL's origin, read strictly: scheme, host and port, and whether it is this machine."""

from __future__ import annotations

_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_ADDRESS_LETTERS = frozenset(":.0123456789abcdefABCDEF")


def is_loopback_host(host: str) -> bool:
    """Whether a URL's host part, without port, names this machine and nothing else."""
    host = host.lower()
    if host in ("localhost", "[::1]"):
        return True
    numbers = host.split(".")
    return (
        len(numbers) == 4
        and numbers[0] == "127"
        and all(n.isascii() and n.isdigit() and len(n) <= 3 and int(n) < 256 for n in numbers)
    )


def origin(url: object) -> tuple[str, bool] | None:
    """A URL's origin and whether it is loopback; None for what is no plain origin.

    An origin is scheme, host and port, with at most a trailing slash: anything more (a path, a
    query, a user name) would be silently dropped or sent somewhere unexpected.
    """
    if not isinstance(url, str) or not url.isascii():
        return None
    scheme, separator, rest = url.partition("://")
    if scheme not in ("https", "http") or not separator:
        return None
    rest = rest.removesuffix("/")
    end = rest.find("]") + 1  # an IPv6 address has colons of its own
    host, colon, port = rest[end:].partition(":")
    host = rest[:end] + host
    if not _is_host(host) or (colon and not _is_port(port)):
        return None
    return f"{scheme}://{rest}", is_loopback_host(host)


def _is_host(host: str) -> bool:
    if host.startswith("["):
        inner = host[1:-1]
        return host[-1] == "]" and ":" in inner and _ADDRESS_LETTERS.issuperset(inner)
    return all(
        label and label.strip("-") == label and all(c in _LETTERS or c == "-" for c in label)
        for label in host.split(".")
    )


def _is_port(port: str) -> bool:
    # The length first: int() raises for thousands of digits.
    return port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536
