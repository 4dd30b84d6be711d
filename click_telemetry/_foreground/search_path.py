"""Where the sender finds its dependencies in programs whose packages are in many directories.

An unpacked PEX, `pip install --target`, Bazel, Nix: where the Segment client is neither next to
this package nor in Python's own site-packages.
"""

from __future__ import annotations

import os
import sys

MAX_PATHS = 60
"""A longer search path is cut down to what the sender needs: its job has to fit in a pipe."""

DEPENDENCIES = (
    *("segment", "requests", "urllib3", "certifi", "idna", "charset_normalizer", "chardet"),
    *("backoff", "dateutil", "six.py", "jwt", "cryptography", "cffi", "platformdirs", "click"),
)
"""Packages that the Segment client and the sender import."""


def installed() -> list[str]:
    """The directories that this program imports from, but not the cwd or the script's.

    What is in those two was not installed.
    """
    script = os.path.dirname(os.path.abspath(sys.argv[0])) if sys.argv and sys.argv[0] else ""
    try:
        excluded = {script, os.getcwd(), os.path.abspath(os.environ.get("PWD", script))}
    except OSError:
        excluded = {script}
    found = [
        path
        for path in sys.path
        if os.path.isabs(path) and os.path.isdir(path) and path not in excluded
    ]
    if len(found) <= MAX_PATHS:
        return found
    return [path for path in found if _has_dependency(path)][:MAX_PATHS]


def _has_dependency(path: str) -> bool:
    return any(os.path.exists(os.path.join(path, name)) for name in DEPENDENCIES)
