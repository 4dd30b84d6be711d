"""Foreign text made safe for a terminal: nothing in it moves a cursor or turns a direction."""

from __future__ import annotations


def visible(text: str, most: int | None = None) -> str:
    """Text of printable characters alone; any other stands as its Python escape.

    Args:
        text: from a message, a note or a command line.
        most: characters to show; what is longer ends in `…`.
    """
    shown = "".join(c if c.isprintable() else _escaped(c) for c in text)
    if most is not None and len(shown) > most:
        return shown[: most - 1] + "…"
    return shown


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
