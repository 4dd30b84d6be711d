"""Consent in full: the saved setting, and a sentence for each reason of `_recorder.decide`.

The setting is one small file that a person may keep with their dotfiles. A file that cannot be
understood is an opt-out: whoever wrote it meant something.
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
    """What a file contains: `enabled`, `disabled` or `unreadable`."""
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
    # Any other error is raised: replacing would destroy what the file is linked to (/dev/null).
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


REASONS = {
    "flag": "--no-telemetry was given",
    "variable": "an environment variable opts out",
    "setting": "telemetry is disabled by a saved setting",
    "unreadable_setting": "the saved setting cannot be read, so telemetry stays off",
    "other_user": "the process runs as another user, or HOME belongs to another user",
    "excluded": "the application excludes this command",
    "test_run": "a test suite runs the command",
    "ci": "a CI service runs the command",
    "no_destination": "the application has no write key, or no name of its own",
    "not_storable": "the state directory cannot be used",
    "not_opted_in": "telemetry is opt-in for this application, and is not enabled",
    "notice_not_shown": "the notice has not been shown yet",
}
