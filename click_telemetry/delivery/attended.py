"""A sender that somebody waits for: what an application leaves behind, without its sleep.

The same command line, the same code and the same letter on its standard input; it takes its lock
itself, and ends at once where another sender holds it.
"""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from .child import command_line, environment, written

if TYPE_CHECKING:
    from .launcher import Letter


class Attended:
    """At most one sender at a time, for one spool.

    Attributes:
        exit_status: the last one's; None before the first has ended, and where it was ended here.
        problem: why the last one could not be started, in the system's words; empty otherwise.
    """

    def __init__(self) -> None:
        self.exit_status: int | None = None
        self.problem = ""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def busy(self) -> bool:
        """Whether a sender is at work."""
        if self._process is None:
            return False
        status = self._process.poll()
        if status is None:
            return True
        self.exit_status = status
        self._process = None
        return False

    def start(self, letter: Letter) -> None:
        """Start one, unless one is at work.

        Args:
            letter: what it is told.
        """
        if self.busy:
            return
        self.exit_status, self.problem = None, ""
        try:
            self._process = subprocess.Popen(
                command_line(),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment(os.environ),
                cwd=os.sep,
                start_new_session=True,  # Ctrl-C is not for it
            )
        except OSError as error:
            self.problem = error.strerror or type(error).__name__
            return
        assert self._process.stdin is not None
        try:
            with self._process.stdin:
                self._process.stdin.write(written(letter))
        except OSError:
            return  # it ended before it had read; its exit status will tell

    def end(self) -> None:
        """End the one that is at work: nothing of it is left when this returns."""
        if self.busy and self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = self.exit_status = None
