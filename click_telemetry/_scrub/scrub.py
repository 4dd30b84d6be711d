"""Replaces secrets and personal data in a text by markers that name their kind.

Best effort: it knows forms and names, not meanings. It never raises, and changes nothing but texts.
Scrubbing twice gives the same as scrubbing once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import pairs
from .rules import RULES, marker

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .rules import Rule

_ROUNDS = 4
_SHORT = 14
"""Characters; fewer letters and digits alone have no form of a secret."""


def scrub(text: str, extra: Iterable[Rule] = ()) -> str:
    """A text without secrets and personal data, in time linear to its length.

    Each secret is replaced by a marker that names its kind: `[redacted:github-token]`.

    Args:
        text: anything. Drop what is too long before, truncate after: half a secret is still one.
        extra: further rules, applied after ours.
    """
    rules = (*RULES, *extra)
    if len(text) < _SHORT and text.isalnum() and len(rules) == len(RULES):
        return text
    for _ in range(_ROUNDS):
        found = _once(text, rules)
        if found == text:
            return text
        text = found
    # One rule's replacement made another rule match, again and again: no text of prose does that.
    return marker("text")


def _once(text: str, rules: Iterable[Rule]) -> str:
    text = pairs.redact(text, text.lower(), lambda value: _by_form(value, rules))
    return _by_form(text, rules)


def _by_form(text: str, rules: Iterable[Rule]) -> str:
    lowered = text.lower()
    for rule in rules:
        text = rule.redact(text, lowered)
    return text


def scrub_under(name: str, text: str) -> str:
    """The value of a name: one under `password` is a secret, whatever it looks like.

    Args:
        name: a property's key.
        text: anything.
    """
    return pairs.under(name, scrub(text))
