"""The saved setting: one small file that a person may keep with their dotfiles.

A file that cannot be understood is an opt-out: whoever wrote it meant something.
"""

from __future__ import annotations

import json
import os

from .._recorder import SETTING_LIMIT
from .._storage import TooLarge, make_private_directory, read_small, replace_file

NONE = "none"
ENABLED = "enabled"
DISABLED = "disabled"
UNREADABLE = "unreadable"


def parse(content: bytes) -> str:
    """What a file says: `enabled`, `disabled` or `unreadable`."""
    enabled = _object(content).get("enabled")
    if not isinstance(enabled, bool):
        return UNREADABLE
    return ENABLED if enabled else DISABLED


def write(path: str, *, enabled: bool) -> None:
    """Save a setting; whatever else the file holds is kept.

    Raises:
        OSError: it could not be saved, or what is there is no file of this user.
    """
    kept: dict[str, object] = {}
    target = os.path.realpath(path)
    try:
        kept = _object(read_small(target, limit=SETTING_LIMIT))
    except (FileNotFoundError, TooLarge):
        pass  # there is none, or none worth keeping
    # Any other error is raised: replacing would destroy what the file is linked to, /dev/null say.
    kept["enabled"] = enabled
    directory = os.path.dirname(path)
    if not os.path.isdir(directory):
        make_private_directory(directory)
    replace_file(target, json.dumps(kept).encode("ascii") + b"\n")


def _object(content: bytes) -> dict[str, object]:
    """The JSON object that a file holds; an empty one where it holds none."""
    try:
        stored = json.loads(content.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        return {}
    return stored if isinstance(stored, dict) else {}


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found
