"""Parts of a page in Markdown: values of properties in plain words, tables and lists."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .model import REDACTED, TRUE, UUID

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .model import Property, Schema


def properties_table(properties: Iterable[Property]) -> Iterator[str]:
    """A row for each property."""
    rows = []
    for one in properties:
        meaning = prose(one.meaning)
        rows.append((f"`{one.name}`", values(one), meaning))
    if rows:
        yield from table(("property", "values", "meaning"), rows)
        yield ""


def values(one: Property) -> str:
    """Which values a property has."""
    if not one.is_declared:
        return "what the program gives"
    return _of_schema(one.schema)


def _of_schema(schema: Schema) -> str:
    """A property's values in words."""
    if schema is TRUE:  # and not a property of the application's that is always true
        return "true, or missing"
    if "const" in schema:
        return f"always `{json.dumps(schema['const'], ensure_ascii=False)}`"
    if "enum" in schema:
        shown = [one if isinstance(one, str) else json.dumps(one) for one in schema["enum"]]
        return " or ".join(f"`{cell(one)}`" for one in shown)
    if "anyOf" in schema:
        others = [one for one in schema["anyOf"] if one != REDACTED]
        return " or ".join(_of_schema(one) for one in others)
    if schema.get("type") == "array":
        return f"a list: {_of_schema(schema['items'])}"
    if schema == UUID or "-[47]" in schema.get("pattern", ""):
        return "a random ID"
    if "maxLength" in schema:
        return f"a text of at most {schema['maxLength']} characters"
    kind: Any = schema.get("format", schema.get("type"))
    kind = kind[0] if isinstance(kind, list) else kind
    words = {
        "boolean": "yes or no",
        "integer": "a whole number",
        "number": "a number",
        "date": "a date",
        "date-time": "a time",
        "string": "a name in the program" if "pattern" in schema else "a text",
    }
    return words.get(kind, "any")


def list_of(words: Iterable[str]) -> str:
    """Words of the program, as a list."""
    return ", ".join(f"`{cell(word)}`" for word in words)


def cell(text: str) -> str:
    """A text in a cell of a table: one line, no column's end."""
    return " ".join(text.split()).replace("|", "\\|")


def prose(text: str) -> str:
    """A sentence in a cell of a table; `<file>` in it is no HTML."""
    return cell(text).replace("<", "&lt;")


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The lines of a table."""
    yield f"| {' | '.join(headings)} |"
    yield "|" + "---|" * len(headings)
    for row in rows:
        yield f"| {' | '.join(row)} |".replace("  |", " |")
