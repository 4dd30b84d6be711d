"""PID namespaces: a command whose processes all end with the first one, as in a container."""

from __future__ import annotations

import functools
import shutil
import subprocess

CONTAINER = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
"""Begins a command line whose command is the first process of a container."""


@functools.cache
def missing() -> str:
    """Why no namespace can be made here; empty if one can."""
    if shutil.which("unshare") is None:
        return "needs unshare"
    tried = subprocess.run([*CONTAINER, "true"], check=False, capture_output=True, text=True)
    return "" if tried.returncode == 0 else f"needs a PID namespace: {tried.stderr.strip()}"
