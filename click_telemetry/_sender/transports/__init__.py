"""How the sender posts: the protocol of a transport, the result of a request, a module for each.

A transport sends a batch once and reports the result. Consent, the queue, retries and waiting are
the sender's, and the same for all transports. What a response means is a pure function; its
sources are Segment's HTTP API (which answers nearly everything 200), RudderStack (`OK`), RFC 9110.

`click_telemetry.destinations` makes the protocol public.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from os.path import isdir, isfile, join
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..watchdog import Timeout, Watchdog

SEGMENT = "click_telemetry._sender.transports.segment:SegmentTransport"

ACCEPTED = "accepted"
SPLIT = "split"
RETRY = "retry"
MISCONFIGURED = "misconfigured"
NOT_SENT = "not sent"

_PAGE = (b"<!doctype", b"<html", b"<head", b"<body", b"<?xml")
MAX_RETRY_AFTER = 24 * 3600.0
"""Seconds; a server that asks for more is asked again after a day."""


class Withdrawn(Exception):
    """The messages must not be sent: their files are gone, or cannot be marked."""


class DeliveryResult(NamedTuple):
    """How a request ended.

    Attributes:
        verdict: ACCEPTED; SPLIT, the server rejects one of the messages; RETRY, the server or the
            network failed; MISCONFIGURED, a person must change the configuration; NOT_SENT, the
            request was not made, or its response was not waited for.
        status: of HTTP, or None without a response.
        retry_after: seconds that the server asked for, or None.
        error: one word for people, never a server's text.
        ambiguous: whether messages were sent and may have arrived.
        rejected: how many of the messages an acceptance leaves out; they are not sent again.
    """

    verdict: str
    status: int | None = None
    retry_after: float | None = None
    error: str = ""
    ambiguous: bool = False
    rejected: int = 0


def result_of(
    status: int, body: bytes, content_type: str = "", retry_after: str | None = None, now: float = 0
) -> DeliveryResult:
    """The meaning of a complete response.

    Args:
        status: of HTTP.
        body: its first bytes.
        content_type: of the response; a captive portal sends `text/html`.
        retry_after: the header, if there is one.
        now: seconds since the epoch, for a Retry-After that is a date.
    """
    if 200 <= status < 300:
        start = body.removeprefix(b"\xef\xbb\xbf").lstrip()[:16].lower()
        if "html" in content_type.lower() or start.startswith(_PAGE):
            return DeliveryResult(RETRY, status, error="html")
        return DeliveryResult(ACCEPTED, status)
    error = f"http_{status}"
    if status in (400, 413, 422):
        return DeliveryResult(SPLIT, status, error=error)
    if status in (401, 403, 404) or 300 <= status < 400:
        return DeliveryResult(MISCONFIGURED, status, error=error)
    return DeliveryResult(RETRY, status, seconds(retry_after, now), error=error)


def seconds(retry_after: str | None, now: float) -> float | None:
    """A Retry-After header in seconds from now, or None if it has no usable value."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:12]), MAX_RETRY_AFTER)
    from email.utils import parsedate_to_datetime  # it loads socket, which a trim does not need

    try:
        wait = parsedate_to_datetime(text).timestamp() - now
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return min(wait, MAX_RETRY_AFTER) if wait > 0 else None


class TimeLimit(Protocol):
    """How long a request may take; the sender makes it."""

    def left(self) -> float:
        """Seconds. What takes longer is terminated, and tried again later."""


class Transport(Protocol):
    """Delivers batches to one destination.

    Its class is called with the options of the destination, JSON values by name, and a `TimeLimit`.
    That happens only when there is something to send.
    """

    def post(self, batch: list[dict[str, Any]], on_send: Callable[[], object]) -> DeliveryResult:
        """Send a batch once. Never raises for what a network or a server can do.

        What is not accepted is posted again later, by another process: the same messages, equal to
        the byte and with the same `messageId`, perhaps in another batch.

        Args:
            batch: messages, as `acme telemetry show` prints them; not to be changed.
            on_send: called when the first of their bytes is about to be sent. What it raises
                (`Withdrawn`) keeps them here, and passes through.
        """

    def close(self) -> None:
        """Close every connection."""


class MissingExtra(ImportError):
    """A client that an extra of this library installs is missing.

    Attributes:
        word: of the error, as `SenderState.last_error` keeps it.
    """

    def __init__(self, extra: str) -> None:
        super().__init__(f"pip install 'click-telemetry[{extra}]'")
        self.word = f"extra_{extra}"


def open_transport(job: Mapping[str, Any], timeout: Watchdog | Timeout) -> Transport:
    """The transport of a job's destination.

    Args:
        job: of the sender; a transport of ours gets its host, key and token with the options.
        timeout: the process's watchdog, or the timeout of an in-process delivery.

    Raises:
        Exception: of any class, since a transport may be the application's own.
    """
    declared = job.get("transport") or {"class": SEGMENT}
    options = declared.get("options")
    if options is None:
        given = {name: job.get(name) for name in ("host", "write_key", "token")}
        options = {**declared, **given}
    transport: Transport = transport_class(declared)(options, timeout)
    return transport


def load_transport(job: Mapping[str, Any]) -> None:
    """Import the class of a job's transport, and its client, before there is anything to send.

    Never raises: the delivery reports what fails.
    """
    try:
        client = getattr(
            transport_class(job.get("transport") or {"class": SEGMENT}), "client", None
        )
        if isinstance(client, str):
            import_module(client)
    except Exception:
        return


def transport_class(declared: Mapping[str, Any]) -> Any:
    """The class of a destination's transport, imported.

    Args:
        declared: of the job.

    Raises:
        Exception: of any class, since a module may be the application's own.
    """
    module, _, name = declared["class"].partition(":")
    if declared.get("package") is not None:
        _load_package(module.partition(".")[0], declared["package"])
    return getattr(import_module(module), name)


def _load_package(name: str, paths: list[str]) -> None:
    """Load the application's package by its paths; no directory is searched for it.

    Args:
        name: of the package, or of a module that is none.
        paths: of its folders, or of its file.

    Raises:
        ImportError: it is not there.
    """
    if name in sys.modules:
        return
    file, folders = paths[0], None
    if isdir(file):
        file, folders = join(file, "__init__.py"), paths
        if not isfile(file):  # a namespace package
            sys.modules[name] = module = ModuleType(name)
            module.__path__ = folders
            return
    spec = spec_from_file_location(name, file, submodule_search_locations=folders)
    if spec is None or spec.loader is None:
        raise ImportError(file)
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
