"""Starting the sender without posix_spawn: on Windows, and on macOS before 10.15.

The one place that knows of it. Such a child takes the sender's lock itself, once ours is free.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from .child import SCRIPT_AWAY, SHELL, command_line, environment, written

if TYPE_CHECKING:
    from subprocess import Popen

    from .launcher import Letter

CREATE_NEW_PROCESS_GROUP = 0x00000200
CREATE_BREAKAWAY_FROM_JOB = 0x01000000
CREATE_NO_WINDOW = 0x08000000
"""Of Windows' CreateProcess. Not DETACHED_PROCESS: with it Python would open a window after all."""


def start(letter: Letter) -> None:
    """Start a sender that outlives this process.

    Raises:
        OSError: it could not be started.
    """
    windows = sys.platform == "win32"
    command = command_line()
    if not windows and os.access(SHELL, os.X_OK):
        # Its parent ends at once and is reaped; standard input is given to what is left behind.
        command = [SHELL, "-c", "exec 4<&0; " + SCRIPT_AWAY, "sh", *command]
    child = open_child(letter, command)
    if command[0] == SHELL:
        child.wait()
    else:
        child.returncode = 0  # given away: Popen would warn that it still runs


def run(letter: Letter, timeout: float) -> None:
    """Start a sender, wait for it, and end it when the time is over.

    Args:
        letter: what it is told.
        timeout: seconds.

    Raises:
        OSError: it could not be started.
    """
    from subprocess import TimeoutExpired

    child = open_child(letter, command_line(), detached=False)
    try:
        child.wait(timeout)
    except (TimeoutExpired, KeyboardInterrupt):
        return  # whoever presses Ctrl-C now wants the prompt, and has it
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()


def open_child(letter: Letter, command: list[str], *, detached: bool = True) -> Popen[bytes]:
    """A child with the letter on its standard input and nothing else of ours.

    Args:
        letter: what it is told.
        command: its command line.
        detached: whether it should leave the job that a terminal or a CI service may end.

    Raises:
        OSError: it could not be started.
    """
    flags = 0
    if sys.platform == "win32":
        flags = CREATE_NO_WINDOW | CREATE_NEW_PROCESS_GROUP
        if detached:
            flags |= CREATE_BREAKAWAY_FROM_JOB
    try:
        child = _popen(letter, command, flags)
    except PermissionError:
        if not flags & CREATE_BREAKAWAY_FROM_JOB:
            raise
        # A job may forbid to leave it: then the child lives as long as the job does.
        child = _popen(letter, command, flags & ~CREATE_BREAKAWAY_FROM_JOB)
    assert child.stdin is not None
    try:
        with child.stdin:
            child.stdin.write(written(letter))
    except OSError:
        pass  # it has ended already; the spool keeps everything
    return child


def _popen(letter: Letter, command: list[str], flags: int) -> Popen[bytes]:
    import subprocess  # 2.2 ms: on these systems alone

    options: dict[str, Any] = {"creationflags": flags} if flags else {"start_new_session": True}
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(os.environ),
        cwd=letter.spool,
        **options,
    )
