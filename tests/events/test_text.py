"""Text and JSON as they may leave: ASCII on one line, and nothing that only looks like text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from click_telemetry._events.text import MAX_NAME, name_or_none, sanitize_text
from click_telemetry._recorder import encode

from ..harness.values import ANY_TEXT, BrokenText, Colour, Faceless, Level, liar, strict

REPLACED = "\ufffd"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("plain", "plain"),
        ("ümlaut", "ümlaut"),
        ("a\0b", f"a{REPLACED}b"),
        ("ü\0", f"ü{REPLACED}"),
        ("\ud800", REPLACED),
        ("a\udfffb\udc80", f"a{REPLACED}b{REPLACED}"),
        ("\u202egnp.exe", f"{REPLACED}gnp.exe"),
        ("\u2066\u2067\u2068\u2069", REPLACED * 4),
        ("\u200e\u200f\u061c", REPLACED * 3),
        ("line\nline\r\u2028\u2029\x85", "line\nline\r\u2028\u2029\x85"),
        ("\x1b[31mred", "\x1b[31mred"),
        ("\ufeff", "\ufeff"),
        ("👩\u200d💻", "👩\u200d💻"),
    ],
)
def test_text_is_text_for_every_reader(text: str, expected: str) -> None:
    """No surrogate, no NUL, no change of direction; everything else as it is."""
    assert sanitize_text(text) == expected
    assert sanitize_text(BrokenText(text)) == expected


def test_exactly_these_characters_are_replaced() -> None:
    """NUL, what turns the reading direction (Unicode's Bidi_Control), and half characters."""
    replaced = [code for code in range(0x1_1000) if sanitize_text(chr(code)) != chr(code)]
    marks = [0, 0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
    assert replaced == [*marks, *range(0xD800, 0xE000)]


@given(ANY_TEXT)
def test_every_text_is_utf_8_and_goes_one_way(text: str) -> None:
    """What is sent can be written down anywhere."""
    found = sanitize_text(text)
    found.encode("utf-8")
    assert type(found) is str
    assert len(found) == len(text)
    assert not re.search("[\0\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]", found)
    assert all(new in (old, REPLACED) for old, new in zip(text, found, strict=True))
    assert sanitize_text(found) == found


NAMES: list[tuple[Callable[[], Any], str | None]] = [
    (lambda: "Plan Changed", "Plan Changed"),
    (lambda: BrokenText("Plan Changed"), "Plan Changed"),
    (lambda: Level.HIGH, "high"),
    (lambda: "x" * MAX_NAME, "x" * MAX_NAME),
    (lambda: "x" * (MAX_NAME + 1), None),
    (lambda: "", None),
    (lambda: "a\0", f"a{REPLACED}"),
    (lambda: None, None),
    (lambda: 42, None),
    (lambda: b"Plan Changed", None),
    (lambda: Colour.RED, None),
    (lambda: str, None),
    (lambda: liar(str), None),
    (Faceless, None),
]


@pytest.mark.parametrize(("make", "found"), NAMES)
def test_a_name_is_a_short_text_or_none(make: Callable[[], Any], found: str | None) -> None:
    """An event without a usable name is none; no name makes `track` raise."""
    name = name_or_none(make())
    assert name == found
    assert name is None or type(name) is str


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | ANY_TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner),
)


@pytest.mark.extended
@given(PLAIN)
def test_messages_are_encoded_as_json_encodes_them(value: Any) -> None:
    """Our encoder, which spares an import, gives what the standard library gives."""
    text = encode(value)
    assert text == json.dumps(value, separators=(",", ":"))
    assert text.isascii()
    assert strict(text) == value


@pytest.mark.parametrize(
    "text",
    ["\n", "\r\n", "\u2028", "\u2029", "\x85", "\x0b\x0c\x1c\x1d\x1e", "\x1b]0;x\x07", "\x9b"],
)
def test_a_record_is_one_line_that_no_terminal_obeys(text: str) -> None:
    """Line ends and escape sequences come through as text."""
    line = encode({"text": text, text: [text]})
    assert len(line.splitlines()) == 1
    assert line.isprintable()
    assert strict(line) == {"text": text, text: [text]}


def test_without_the_accelerator_the_encoder_gives_the_same() -> None:
    """On PyPy, which has no `_json`, messages are the same."""
    source = 'a"\\\n\x01\x7fé\u2028🎉\ud800'
    assert json.encoder.py_encode_basestring_ascii(source) == encode(source)
