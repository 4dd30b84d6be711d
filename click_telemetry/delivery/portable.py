"""Starting the sender where there is no posix_spawn: Windows, and the one place that knows it."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from .launcher import command_line, environment

if TYPE_CHECKING:
    from .launcher import Letter


def start(letter: Letter) -> None:
    """Windows, and systems without posix_spawn: the child takes the lock itself."""
    import subprocess

    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
    child = subprocess.Popen(
        command_line(),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(os.environ),
        cwd=letter.spool,
        start_new_session=True,
        creationflags=flags,
    )
    assert child.stdin is not None
    with child.stdin:
        child.stdin.write(letter.written())
    child.returncode = 0  # given away: Popen would warn that it still runs
