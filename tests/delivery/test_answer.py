"""What a server's answer means."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from click_telemetry.delivery.sender.answer import (
    ACCEPTED,
    LATER,
    MUCH_LATER,
    SPLIT,
    of_response,
    seconds,
)

NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("status", "body", "content_type", "verdict"),
    [
        (200, b'{"success":true}', "application/json", ACCEPTED),
        (200, b"OK", "text/plain", ACCEPTED),
        (204, b"", "", ACCEPTED),
        (200, b"<!DOCTYPE html><html>", "text/plain", LATER),
        (200, b"\n  <html>", "", LATER),
        (200, b"Welcome", "text/html; charset=utf-8", LATER),
        (301, b"", "", MUCH_LATER),
        (307, b"", "", MUCH_LATER),
        (304, b"", "", MUCH_LATER),
        (400, b"", "", SPLIT),
        (413, b"", "", SPLIT),
        (422, b"", "", SPLIT),
        (401, b"", "", MUCH_LATER),
        (403, b"", "", MUCH_LATER),
        (404, b"", "", MUCH_LATER),
        (408, b"", "", LATER),
        (429, b"", "", LATER),
        (500, b"", "", LATER),
        (503, b"", "", LATER),
        (511, b"<html>", "text/html", LATER),
    ],
)
def test_answer_means_what_decision_7_says(
    status: int, body: bytes, content_type: str, verdict: str
) -> None:
    """Accepted is 2xx and no page; a message's fault, the server's, the configuration's."""
    assert of_response(status, body, content_type).verdict == verdict


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
    """What says nothing usable counts as absent (row 51)."""
    assert seconds(header, NOW) == wait


def test_error_is_one_word_of_ours() -> None:
    """Never a server's text: it ends up in front of people."""
    assert of_response(503, b"secret words").error == "http_503"
