"""JSON strings that are not plainly printable ASCII."""

from __future__ import annotations

try:
    from _json import encode_basestring_ascii  # json itself takes 1.7 ms to load
except ImportError:
    from json.encoder import encode_basestring_ascii


def quote(text: str) -> str:
    """A JSON string of ASCII alone."""
    return encode_basestring_ascii(text)
