"""Names of events, words for steps and reasons, sanitized texts. Pure.

For a text that cannot be used it names the problem and the fix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import _instrument
from .._instrument import pass_on

if TYPE_CHECKING:
    from typing import TypeAlias

    Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

MAX_INTEGER = 2**63
"""A number is at least -MAX_INTEGER and less than MAX_INTEGER: 64 bits, as a warehouse has them."""
MAX_NAME = 128
MAX_TEXT = 4096
"""Characters; a longer string is left out whole: half a secret is still one."""

_REPLACED = dict.fromkeys((0, 1564, 8206, 8207, *range(8234, 8239), *range(8294, 8298)), "�")


def sanitize_text(text: str) -> str:
    """Replace surrogates, NUL and changes of the reading direction in a text."""
    text = str.__str__(text)
    if text.isascii() and "\0" not in text:
        return text
    text = text.translate(_REPLACED)
    try:
        text.encode()
    except UnicodeEncodeError:
        text = "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text)
    return text


def name_or_none(name: object) -> str | None:
    """The sanitized name of an event or a command, or None for what is no name."""
    try:
        if isinstance(name, str) and 0 < str.__len__(name) <= MAX_NAME:
            return sanitize_text(name)
    except Exception as error:  # an object whose own code fails, or that only claims to be a text
        pass_on(error)
    return None


def deep_copy(value: Json) -> Json:
    """Copy a JSON value."""
    if isinstance(value, dict):
        return {name: deep_copy(item) for name, item in value.items()}
    return [deep_copy(item) for item in value] if isinstance(value, list) else value


def declaration_error(problem: str) -> Exception:
    """The exception for a declaration that cannot be used."""
    from .._foreground.options import DeclarationError  # loaded for those who need it

    return DeclarationError(problem)


def note_dropped(reason: str, what: object = None) -> None:
    """Note why something is dropped, for a test that asks for it (`scope.audit`)."""
    audit = getattr(_instrument.events, "audit", None)
    if audit is not None:
        audit.note(reason, what)


def note_dropped_properties(given: object) -> None:
    """Note which properties are dropped, and why, for a test that asks for it."""
    audit = getattr(_instrument.events, "audit", None)
    if audit is not None:
        audit.note_properties(given)


# Names and words ----------------------------------------------------------------------------------

MAX_DECLARED = 100
"""Characters of a declared name: a flow's events add up to 16 to it, and 128 is the limit."""
MAX_WORD = 64
UNDECLARED = "<undeclared>"
"""Replaces what is no word: it may have been made from a value."""


def word_or_none(word: object) -> str | None:
    """A snake_case word, or None for anything else. A member of an enumeration of `str` is one."""
    text = _as_text(word)
    if not text or len(text) > MAX_WORD or not text.isascii() or not text.isidentifier():
        return None
    return text if text == text.lower() and text[0] != "_" else None


def word_problem(what: str, word: object) -> str | None:
    """The problem with a word, and the fix, as a sentence; None if there is none."""
    if word_or_none(word) is not None:
        return None
    text = _as_text(word)
    if text is None:
        return f"{what} must be a snake_case word, not {type(word).__name__}"
    return (
        f"{what} {abbreviate(text)} is no snake_case word of at most {MAX_WORD} characters: it "
        f"names a place in the code, not what a person typed. Write {_snake(text)!r}, for example"
    )


def name_problem(what: str, name: object) -> str | None:
    """The problem with the name of an event or a flow, and the fix; None if there is none."""
    text = _as_text(name)
    if text is None:
        return f'{what} must be a name such as "Application Create", not {type(name).__name__}'
    if not text.strip():
        return f'{what} is empty: name what it is about, such as "Application Create"'
    if len(text) > MAX_DECLARED:
        return f"{what} is longer than {MAX_DECLARED} characters: shorten {text[:20]!r}…"
    if not text.isprintable() or text != " ".join(text.split()) or text != sanitize_text(text):
        return f"{what} {text!r} has an unprintable character or an unneeded space: remove it"
    if text[0].islower() or "_" in text:
        return f"{what} {text!r} is not in Title Case: write {_title(text)!r}"
    return None


def split_words(name: str) -> str:
    """Split a class's name: `PlanChanged` to `Plan Changed`, `APIUsed` to `API Used`."""
    text = ""
    for place, letter in enumerate(name):
        before, after = name[place - 1 : place], name[place + 1 : place + 2]
        begins = letter.isupper() and (not before.isupper() or after.islower())
        if begins and text and before != "_":
            text += " "
        text += " " if letter == "_" else letter
    return " ".join(text.split())


def _snake(word: str) -> str:
    kept = "".join(c if c.isascii() and c.isalnum() else "_" for c in split_words(word).lower())
    word = "_".join(part for part in kept.split("_") if part)[:MAX_WORD]
    return word if word_or_none(word) else "a_word"


def _title(text: str) -> str:
    return " ".join(word[:1].upper() + word[1:] for word in text.replace("_", " ").split())


def _as_text(text: object) -> str | None:
    try:
        return str.__str__(text) if isinstance(text, str) else None
    except TypeError:  # it only claims to be a text
        return None


def abbreviate(thing: object) -> str:
    """Abbreviate a value for an error message: a text itself, of anything else the class."""
    text = _as_text(thing)
    if text is None:
        return type(thing).__name__
    return repr(text if len(text) <= 40 else text[:40] + "…")
