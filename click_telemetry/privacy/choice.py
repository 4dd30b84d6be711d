"""The person's stored choice: one small file that they may copy with their dotfiles.

A file that cannot be understood counts as no: whoever wrote it meant something.
"""

from __future__ import annotations

import os

from ..storage import (
    TooLarge,
    make_private_directory,
    read_small,
    replace_file,
)

NONE = "none"
ENABLED = "enabled"
DISABLED = "disabled"
UNREADABLE = "unreadable"

LIMIT = 64 * 1024
"""Bytes; a choice is a few dozen."""

_PLAIN = {b'{"enabled": true}\n': ENABLED, b'{"enabled": false}\n': DISABLED}


def read(path: str) -> str:
    """The stored choice: NONE, ENABLED, DISABLED or UNREADABLE."""
    try:
        content = read_small(path, limit=LIMIT, follow=True)
    except (FileNotFoundError, NotADirectoryError):
        return NONE
    except OSError:
        return UNREADABLE
    plain = _PLAIN.get(content)
    if plain is not None:
        return plain
    stored = parse(content)
    if stored is None:
        return UNREADABLE
    return ENABLED if stored["enabled"] else DISABLED


def parse(content: bytes) -> dict[str, object] | None:
    """A choice file's object, or None unless `enabled` is a plain true or false."""
    stored = _object(content)
    return stored if isinstance(stored.get("enabled"), bool) else None


def write(path: str, *, enabled: bool) -> None:
    """Store a choice; what else the file holds is kept.

    Raises:
        OSError: it could not be stored, or what lies there is no file of this user.
    """
    import json

    kept: dict[str, object] = {}
    target = os.path.realpath(path)
    try:
        kept = _object(read_small(target, limit=LIMIT))
    except (FileNotFoundError, TooLarge):
        pass  # there was none, or none worth keeping: the new one stands alone
    # What else fails stays so: replacing would destroy what the file is linked to, /dev/null say.
    kept["enabled"] = enabled
    directory = os.path.dirname(path)
    if not os.path.isdir(directory):
        make_private_directory(directory)
    replace_file(target, json.dumps(kept).encode("ascii") + b"\n")


def _object(content: bytes) -> dict[str, object]:
    """The JSON object that a file holds; an empty one where it holds none."""
    import json  # 1.7 ms: only for a file that another hand has touched

    try:
        stored = json.loads(content.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        return {}
    return stored if isinstance(stored, dict) else {}


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found
