"""Where the sender finds its dependencies in programs whose packages are in many directories.

An unpacked PEX, `pip install --target`, Bazel, Nix: where the Segment client is neither beside this
package nor in Python's own site-packages.
"""

from __future__ import annotations

import os
import sys


def installed() -> list[str]:
    """The directories that this program imports from, but not the cwd or the script's.

    What is in those two was not installed.
    """
    script = os.path.dirname(os.path.abspath(sys.argv[0])) if sys.argv and sys.argv[0] else ""
    try:
        excluded = {script, os.getcwd(), os.path.abspath(os.environ.get("PWD", script))}
    except OSError:
        excluded = {script}
    return [
        path
        for path in sys.path
        if os.path.isabs(path) and os.path.isdir(path) and path not in excluded
    ]
