"""Classes of rich-click, where it is installed: an application does not need it."""

from __future__ import annotations

from typing import Any


def rich_classes(name: str) -> list[Any]:
    """A class of rich-click in a list; an empty one where it is not installed."""
    try:
        import rich_click
    except ImportError:
        return []
    return [getattr(rich_click, name)]
