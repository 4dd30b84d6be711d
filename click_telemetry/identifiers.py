"""Random UUIDs (RFC 9562, version 4) as text: made, recognised, derived.

Not the module `uuid`: on Python 3.10 it loads `platform` and `subprocess`, which is 5 ms, and Click
8.1 has not loaded it already.
"""

from __future__ import annotations

import os

_HEX = frozenset("0123456789abcdef")
_DASHES = (8, 13, 18, 23)


def random_id() -> str:
    """A new one."""
    number = int.from_bytes(os.urandom(16), "big")
    return _text(number & ~(0xF << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62)


def is_random_id(text: str) -> bool:
    """Whether a text is a random UUID in its one canonical spelling."""
    return (
        len(text) == 36
        and all(text[place] == "-" for place in _DASHES)
        and set(text.replace("-", "")) <= _HEX
        and len(text.replace("-", "")) == 32
        and text[14] == "4"
        and text[19] in "89ab"
    )


def derived_id(text: str, mask: int) -> str:
    """Another UUID that belongs to one, the same in every process.

    Args:
        text: a UUID in its canonical spelling.
        mask: what tells the purposes apart; it leaves version and variant as they are.

    Raises:
        ValueError: it is no UUID.
    """
    if len(text) != 36 or any(text[place] != "-" for place in _DASHES):
        raise ValueError("not a UUID")
    return _text(int(text.replace("-", ""), 16) ^ mask)


def _text(number: int) -> str:
    digits = f"{number:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
