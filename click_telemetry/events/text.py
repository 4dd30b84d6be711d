"""JSON, and the text in it, as it may leave: ASCII on one line, nothing that only looks like text.

Knows no event. `values` makes plain what `encode` takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TypeAlias

    Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

_SPECIAL = frozenset('"\\')

MAX_NAME = 128
MAX_TEXT = 4096
"""Characters; a longer string is left out whole, since half a secret is still one."""

_REPLACED = dict.fromkeys((0, 1564, 8206, 8207, *range(8234, 8239), *range(8294, 8298)), "�")


def plain_text(text: str) -> str:
    """Text that every reader takes for text: no surrogate, no NUL, no change of direction."""
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
    """An event's or a command's name as it may leave, or None."""
    try:
        if isinstance(name, str) and 0 < str.__len__(name) <= MAX_NAME:
            return plain_text(name)
    except Exception:  # an object whose own code fails, or that says it is a text and is none
        pass
    return None


def _quote(text: str) -> str:
    """A JSON string; what is plain needs no encoder, whose library is 0.2 ms to load."""
    if text.isascii() and text.isprintable() and _SPECIAL.isdisjoint(text):
        return f'"{text}"'
    try:
        from _json import encode_basestring_ascii  # json itself costs 1.7 ms
    except ImportError:
        from json.encoder import encode_basestring_ascii
    return encode_basestring_ascii(text)


def copied(value: Json) -> Json:
    """A plain value anew, to the last list."""
    if isinstance(value, dict):
        return {name: copied(item) for name, item in value.items()}
    return [copied(item) for item in value] if isinstance(value, list) else value


def encode(value: Json) -> str:
    """JSON text, ASCII alone, on one line; only for what this module made plain."""
    if isinstance(value, str):
        return _quote(value)
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, dict):
        return "{" + ",".join([f"{_quote(k)}:{encode(v)}" for k, v in value.items()]) + "}"
    if isinstance(value, list):
        return "[" + ",".join([encode(item) for item in value]) + "]"
    return repr(value)
