"""The words of a declaration: Title Case names of events, snake_case words for steps and the like.

Says what is wrong with one, and what to write instead. Pure.
"""

from __future__ import annotations

from .text import plain_text

MAX_DECLARED = 100
"""Characters of a declared name: a flow's events add up to 16 to it, and 128 is the limit."""
MAX_WORD = 64
UNDECLARED = "<undeclared>"
"""Stands for a word that is none: it may have been made from a value."""


def word_or_none(word: object) -> str | None:
    """A snake_case word, plain, or None for what is none. An enumeration of `str` counts."""
    text = _plain(word)
    if not text or len(text) > MAX_WORD or not text.isascii() or not text.isidentifier():
        return None
    return text if text == text.lower() and text[0] != "_" else None


def word_problem(what: str, word: object) -> str | None:
    """What is wrong with a word, in a sentence that names the fix; None if nothing is."""
    if word_or_none(word) is not None:
        return None
    text = _plain(word)
    if text is None:
        return f"{what} must be a snake_case word, not {type(word).__name__}"
    return (
        f"{what} {short(text)} is no snake_case word of at most {MAX_WORD} characters: it names "
        f"a place in the code, not what a person typed. Write {_snake(text)!r}, for example"
    )


def name_problem(what: str, name: object) -> str | None:
    """What is wrong with an event's or a flow's name, and the fix; None if nothing is."""
    text = _plain(name)
    if text is None:
        return f'{what} must be a name such as "Application Create", not {type(name).__name__}'
    if not text.strip():
        return f'{what} is empty: name what it is about, such as "Application Create"'
    if len(text) > MAX_DECLARED:
        return f"{what} is longer than {MAX_DECLARED} characters: shorten {text[:20]!r}…"
    if not text.isprintable() or text != " ".join(text.split()) or text != plain_text(text):
        return f"{what} {text!r} has an unprintable character or a stray space: remove it"
    if text[0].islower() or "_" in text:
        return f"{what} {text!r} is not in Title Case: write {_title(text)!r}"
    return None


def spaced(name: str) -> str:
    """A class's name as an event's: `PlanChanged` to `Plan Changed`, `APIUsed` to `API Used`."""
    text = ""
    for place, letter in enumerate(name):
        before, after = name[place - 1 : place], name[place + 1 : place + 2]
        begins = letter.isupper() and (not before.isupper() or after.islower())
        if begins and text and before != "_":
            text += " "
        text += " " if letter == "_" else letter
    return " ".join(text.split())


def _snake(word: str) -> str:
    kept = "".join(c if c.isascii() and c.isalnum() else "_" for c in spaced(word).lower())
    word = "_".join(part for part in kept.split("_") if part)[:MAX_WORD]
    return word if word_or_none(word) else "a_word"


def _title(text: str) -> str:
    return " ".join(word[:1].upper() + word[1:] for word in text.replace("_", " ").split())


def _plain(text: object) -> str | None:
    try:
        return str.__str__(text) if isinstance(text, str) else None
    except TypeError:  # it says that it is a text and is none
        return None


def short(thing: object) -> str:
    """How a sentence to a developer shows a thing: a text itself, of anything else its class."""
    text = _plain(thing)
    if text is None:
        return type(thing).__name__
    return repr(text if len(text) <= 40 else text[:40] + "…")
