"""Where events go, where that is more than a host and a write key in the code.

A host from the environment, a host that a function returns, a token of a signed-in user, another
destination than Segment.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from .._recorder import Destination

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .._recorder import Settings

MAX_TOKEN = 16 * 1024
"""Characters; servers refuse larger headers, and a pipe must hold it with the rest of the job."""
MAX_DELAY = 60
"""Seconds; of a delay from the environment."""

_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_ADDRESS_LETTERS = frozenset(":.0123456789abcdefABCDEF")


def find(settings: Settings, environ: Mapping[str, str]) -> Destination | None:
    """Where the events of a run go; None for nowhere.

    Each of the application's functions is asked once. With a token events go only to the host that
    the code names: neither Segment nor a host from the environment may see it.

    Args:
        settings: what the application declared.
        environ: the process's environment.
    """
    if not settings.app_known:
        return None
    token = ask(settings.auth) if settings.auth is not None else None
    if token is not None:
        return identified(settings, token)
    # A host from the environment counts only on loopback: a foreign `.env` must not move events. A
    # write key from there counts only with such a host: it must not start them, either.
    given = origin(environ.get(settings.prefix + "_TELEMETRY_HOST"))
    loopback = given[0] if given is not None and given[1] else None
    if settings.destination is not None:
        host = loopback if loopback is not None and settings.destination.is_http else None
        return _declared(settings.destination, environ, host)
    write_key = settings.write_key
    if write_key is None and loopback is not None:
        write_key = environ.get(settings.prefix + "_TELEMETRY_WRITE_KEY", "").strip()
    if not write_key or not write_key.isprintable():
        return None
    host = loopback or own_host(settings)
    return Destination(host, write_key) if host is not None else None


def identified(settings: Settings, token: str) -> Destination | None:
    """Where the events of a signed-in user go; None where the code names no host for them.

    Args:
        settings: what the application declared.
        token: the user's; empty if only the destination matters.
    """
    if settings.destination is not None:
        return _declared(settings.destination, {}, None, token)
    host = own_host(settings) if settings.declared.get("host") is not None else None
    return Destination(host, "", token) if host is not None else None


def _declared(
    declared: Any, environ: Mapping[str, str], host: str | None, token: str | None = None
) -> Destination | None:
    """What a sender needs of a destination that is not Segment's.

    Args:
        declared: a `DeclaredDestination`.
        environ: the process's environment, for a path in the home directory.
        host: an origin in place of the declared one.
        token: of a signed-in user.
    """
    transport = {"class": declared.transport, "address": declared.address, **declared.options}
    found = host or declared.host
    if found.startswith("file://~/"):
        home = environ.get("HOME", "")
        if not os.path.isabs(home):
            return None
        found = "file://" + os.path.join(home, found[9:])
    if found.startswith("custom:"):
        transport = {"class": declared.transport, "address": "", "options": declared.options}
        module = declared.transport.partition(":")[0]
        transport["package"] = _location(module.partition(".")[0])
    return Destination(found, declared.key, token, transport)


def _location(package: str) -> list[str] | None:
    """Where the sender finds a package that this process has loaded: its folders, or its file.

    A namespace package has a folder for each distribution that is installed in it.
    """
    module = sys.modules.get(package)
    paths = [*getattr(module, "__path__", ())] or [getattr(module, "__file__", None)]
    found = [os.path.abspath(path) for path in paths if isinstance(path, str)]
    return found or None


def delay_of(given: str, host: str, default: int) -> int:
    """Seconds that a sender sleeps before it delivers.

    A delay from the environment counts only where events go to this machine.

    Args:
        given: the variable's value.
        host: the origin that the sender posts to.
        default: what counts instead of an invalid value.
    """
    found = origin(host)
    local = host.startswith("file://") or (found is not None and found[1])
    valid = given.isascii() and given.isdigit() and len(given) <= 2
    return int(given) if local and valid and int(given) <= MAX_DELAY else default


def own_host(settings: Settings) -> str | None:
    """The host that the code gives: an https origin or a loopback one; None without an answer."""
    host = settings.host
    if isinstance(host, str):
        return host
    try:
        found = origin(host())
    except Exception:  # the application's own function: without an answer there is no host
        return None
    if found is None or not (found[1] or found[0].startswith("https://")):
        return None
    return found[0]


def ask(auth: Callable[[], object]) -> str | None:
    """The token that the application's function returns; None where it fails or returns none.

    Ctrl-C is the person's, and passes.
    """
    try:
        found = auth()
    except (Exception, SystemExit):
        return None
    return found if isinstance(found, str) and is_token(found) else None


def is_token(found: object) -> bool:
    """Whether this is visible ASCII, and nothing that would end a header or begin another one.

    (RFC 6750, section 2.1. Nothing is cut off: a token with a newline is no token.)
    """
    return (
        type(found) is str
        and 0 < len(found) <= MAX_TOKEN
        and found.isascii()
        and found.isprintable()
        and " " not in found
    )


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
