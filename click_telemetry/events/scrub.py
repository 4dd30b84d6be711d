"""The net below the allow-list: takes secrets and personal marks out of texts, and says which.

Best effort: it knows forms and names, not meanings. It never raises, never makes an error of a
text, and changes nothing but text. What it says is final: scrubbing twice is scrubbing once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import pairs
from .patterns import FAMILIES, marker

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .patterns import Family

_ROUNDS = 4
_SHORT = 14
"""Letters and digits alone hide nothing that is told by its form in fewer."""


def scrub(text: str, extra: Iterable[Family] = ()) -> str:
    """A text without what looks like a secret or a person's, in time linear to its length.

    Each secret is replaced by a marker that says what it was: `[redacted:github-token]`.

    Args:
        text: anything. Drop what is too long before, truncate after: half a secret is still one.
        extra: further families, looked for after ours.
    """
    families = (*FAMILIES, *extra)
    if len(text) < _SHORT and text.isalnum() and len(families) == len(FAMILIES):
        return text
    for _ in range(_ROUNDS):
        found = _once(text, families)
        if found == text:
            return text
        text = found
    # What one row took let another one see something new, again and again: nobody's prose.
    return marker("text")


def _once(text: str, families: Iterable[Family]) -> str:
    text = pairs.taken(text, text.lower(), lambda value: _by_form(value, families))
    return _by_form(text, families)


def _by_form(text: str, families: Iterable[Family]) -> str:
    lowered = text.lower()
    for family in families:
        text = family.taken(text, lowered)
    return text


def scrub_under(name: str, text: str) -> str:
    """A text that stands under a name: a value under `password` is one, whatever it looks like.

    Args:
        name: a property's key.
        text: anything.
    """
    return pairs.under(name, scrub(text))
