"""Programs whose packages lie in many places: an unpacked PEX, `pip install --target`, Bazel, Nix.

Only asked where the Segment client is neither beside us nor in Python's own site-packages.
"""

from __future__ import annotations

import os
import sys


def scattered_roots() -> list[str]:
    """The directories that this program imports from, but never where somebody just stands.

    The current directory is left out, and that of the script: what lies there was not installed.
    """
    script = os.path.dirname(os.path.abspath(sys.argv[0])) if sys.argv and sys.argv[0] else ""
    try:
        nowhere = {script, os.getcwd(), os.path.abspath(os.environ.get("PWD", script))}
    except OSError:
        nowhere = {script}
    return [
        path
        for path in sys.path
        if os.path.isabs(path) and os.path.isdir(path) and path not in nowhere
    ]
