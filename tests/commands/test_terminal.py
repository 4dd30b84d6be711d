"""Text on a terminal."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from click_telemetry._commands.terminal import describe_delivery_error, escape

_patient = settings(suppress_health_check=[HealthCheck.too_slow])
"""Hypothesis needs seconds for its first text on a busy machine."""


@_patient
@given(st.text(st.characters(codec=None)))
def test_no_text_reaches_a_terminal_unescaped(text: str) -> None:
    """Whatever a message contains, only printable characters are shown."""
    shown = escape(text)
    assert shown.isprintable()
    shown.encode()


@_patient
@given(st.text(st.characters(codec=None)), st.integers(2, 80))
def test_a_long_text_is_cut_to_the_length_asked_for(text: str, most: int) -> None:
    """A value of thousands of characters is not longer than the limit."""
    assert len(escape(text, most)) <= most


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("acme deploy", "acme deploy"),
        ("Größe 大", "Größe 大"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\x1b]8;;http://x\x07", "\\x1b]8;;http://x\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("\u2028", "\\u2028"),
        ("\ud800", "\\ud800"),
        ("[red]markup[/red]", "[red]markup[/red]"),
    ],
)
def test_an_escape_sequence_is_escaped(text: str, shown: str) -> None:
    """A control character is shown as its Python escape."""
    assert escape(text) == shown


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("ConnectionError", "the server could not be reached"),
        ("http_401", "the server does not accept the application's key (401)"),
        ("http_503", "the server failed (503)"),
        ("http_418", "the server rejected the request (418)"),
        ("http_307", "the server redirects to another address (307), which is not followed"),
        ("ProtocolError", "the server's response was incomplete"),
        ("ReadTimeoutError", "the server's response did not end in time"),
        ("file_ELOOP", "the path is a link, which is not followed"),
        ("file_EROFS", "the file cannot be written (Read-only file system)"),
        (
            "html",
            "the response is a web page, not the server's (a network's login page, perhaps)",
        ),
        ("SomethingNew", "delivery failed (SomethingNew)"),
        ("http_", "delivery failed (http_)"),
        ("", "delivery failed ()"),
    ],
)
def test_a_failed_delivery_is_described(error: str, words: str) -> None:
    """An unknown error is shown as it is."""
    assert describe_delivery_error(error) == words
