"""What a server's response means."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from click_telemetry._sender.transports import (
    ACCEPTED,
    MISCONFIGURED,
    RETRY,
    SPLIT,
    result_of,
    seconds,
)

NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("status", "body", "content_type", "verdict"),
    [
        (200, b'{"success":true}', "application/json", ACCEPTED),
        (200, b"OK", "text/plain", ACCEPTED),
        (204, b"", "", ACCEPTED),
        (200, b"<!DOCTYPE html><html>", "text/plain", RETRY),
        (200, b"\n  <html>", "", RETRY),
        (200, b"Welcome", "text/html; charset=utf-8", RETRY),
        (301, b"", "", MISCONFIGURED),
        (307, b"", "", MISCONFIGURED),
        (304, b"", "", MISCONFIGURED),
        (400, b"", "", SPLIT),
        (413, b"", "", SPLIT),
        (422, b"", "", SPLIT),
        (401, b"", "", MISCONFIGURED),
        (403, b"", "", MISCONFIGURED),
        (404, b"", "", MISCONFIGURED),
        (408, b"", "", RETRY),
        (429, b"", "", RETRY),
        (500, b"", "", RETRY),
        (503, b"", "", RETRY),
        (511, b"<html>", "text/html", RETRY),
    ],
)
def test_response_means_what_its_status_and_body_show(
    status: int, body: bytes, content_type: str, verdict: str
) -> None:
    """Accepted is 2xx and no page; the fault of a message, the server, the configuration."""
    assert result_of(status, body, content_type).verdict == verdict


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        (None, None),
        ("", None),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("-5", None),
        ("soon", None),
        ("1e9", None),
        ("99999999999999999999", 86400.0),
        (formatdate(NOW + 60, usegmt=True), 60.0),
        (formatdate(NOW - 60, usegmt=True), None),
        (formatdate(NOW + 10**8, usegmt=True), 86400.0),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_at_most_a_day(
    header: str | None, wait: float | None
) -> None:
    """A value that cannot be used counts as absent."""
    assert seconds(header, NOW) == wait


def test_error_is_one_word_of_ours() -> None:
    """Never a server's text: `telemetry status` prints it."""
    assert result_of(503, b"secret words").error == "http_503"
