"""What a server's answer means for the messages of a request: a pure function, with its table.

Sources: Segment's HTTP API (nearly everything is answered 200), RudderStack (`OK`), RFC 9110.
"""

from __future__ import annotations

ACCEPTED = "accepted"
SPLIT = "split"
LATER = "later"
MUCH_LATER = "much later"
UNASKED = "unasked"

_PAGE = (b"<!doctype", b"<html", b"<head", b"<body", b"<?xml")
LONGEST_RETRY_AFTER = 24 * 3600.0
"""Seconds; a server that asks for more is asked again after a day."""


class Answer:
    """How a request ended.

    Attributes:
        verdict: ACCEPTED; SPLIT, one of its messages is at fault; LATER, the server or the network
            is; MUCH_LATER, the configuration is; UNASKED, the request was not made, or nobody
            waited for its answer.
        status: of HTTP, or None when no answer came.
        retry_after: seconds that the server asked for, or None.
        error: one word for people, never a server's text.
        open: whether messages left and nobody knows what became of them.
    """

    __slots__ = ("error", "open", "retry_after", "status", "verdict")

    def __init__(
        self,
        verdict: str,
        status: int | None = None,
        retry_after: float | None = None,
        error: str = "",
        *,
        open: bool = False,  # noqa: A002
    ) -> None:
        self.verdict = verdict
        self.status = status
        self.retry_after = retry_after
        self.error = error
        self.open = open


def of_response(
    status: int, body: bytes, content_type: str = "", retry_after: str | None = None, now: float = 0
) -> Answer:
    """The meaning of an answer.

    Args:
        status: of HTTP.
        body: its first bytes.
        content_type: of the answer; a captive portal says `text/html`.
        retry_after: the header, if there was one.
        now: seconds since the epoch, for a Retry-After that is a date.
    """
    if 200 <= status < 300:
        start = body.removeprefix(b"\xef\xbb\xbf").lstrip()[:16].lower()
        if "html" in content_type.lower() or start.startswith(_PAGE):
            return Answer(LATER, status, error="html")
        return Answer(ACCEPTED, status)
    error = f"http_{status}"
    if status in (400, 413, 422):
        return Answer(SPLIT, status, error=error)
    if status in (401, 403, 404) or 300 <= status < 400:
        return Answer(MUCH_LATER, status, error=error)
    return Answer(LATER, status, seconds(retry_after, now), error=error)


def seconds(retry_after: str | None, now: float) -> float | None:
    """A Retry-After header in seconds from now, or None where it says nothing usable."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:12]), LONGEST_RETRY_AFTER)
    from email.utils import parsedate_to_datetime  # it loads socket, where there may be no network

    try:
        wait = parsedate_to_datetime(text).timestamp() - now
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return min(wait, LONGEST_RETRY_AFTER) if wait > 0 else None
