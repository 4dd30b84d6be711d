"""A command in a terminal of its own: a real pty, with a person at the keyboard."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if sys.platform != "win32":
    import pty

if TYPE_CHECKING:
    from .processes import Cli

# A new session has no terminal until a process in it takes one; Popen's `preexec_fn` is not for
# programs with threads. Tests under `nohup` ignore SIGHUP, and a shell at a terminal does not.
_WITH_TERMINAL = """\
import fcntl, os, signal, sys, termios
signal.signal(signal.SIGHUP, signal.SIG_DFL)
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


class Terminal:
    """Runs a command in a terminal of 80 columns.

    Args:
        command: its words.
        environ: its environment.
        cwd: where it runs.
    """

    def __init__(self, command: list[str], environ: dict[str, str], cwd: Path) -> None:
        self._master, slave = pty.openpty()
        self.shown = ""
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _WITH_TERMINAL, *command],
                stdin=slave,
                stdout=slave,
                stderr=slave,
                env={"TERM": "xterm", "COLUMNS": "80", **environ},
                cwd=cwd,
                start_new_session=True,
            )
        finally:
            os.close(slave)

    def wait_for(self, text: str, timeout: float = 30.0) -> None:
        """Read until a text is shown."""
        until = time.monotonic() + timeout
        while text not in self.shown:
            assert time.monotonic() < until, f"{text!r} was not shown, but {self.shown!r}"
            assert self._read(0.1), f"{text!r} was not shown before the end, but {self.shown!r}"

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._master, keys.encode())

    def interrupt(self, until: str) -> None:
        """Press Ctrl-C until a text is shown, as people do.

        A question is on the screen a moment before `input()` waits for the answer; a Ctrl-C in
        between is remembered and not acted upon before the next key. Bare CPython 3.13 does so.
        """
        for _ in range(10):
            self.type("\x03")
            again = time.monotonic() + 1.0
            while time.monotonic() < again:
                if until in self.shown:
                    return
                assert self._read(0.05), f"{until!r} was not shown, but {self.shown!r}"
        raise AssertionError(f"{until!r} was not shown, but {self.shown!r}")

    def close(self, timeout: float = 30.0) -> int:
        """Read to the end, and give the exit status."""
        until = time.monotonic() + timeout
        while self._read(0.1):
            assert time.monotonic() < until, f"it does not end: {self.shown!r}"
        os.close(self._master)
        return self._process.wait(timeout)

    def _read(self, timeout: float) -> bool:
        """Read a little; False when the terminal's last process has gone."""
        if not select.select([self._master], [], [], timeout)[0]:
            return True
        try:
            piece = os.read(self._master, 4096)
        except OSError:  # EIO on Linux: the other side is closed
            return False
        self.shown += piece.decode(errors="replace")
        return bool(piece)


def run_in_terminal(cli: Cli, *args: str) -> str:
    """Run a command that succeeds in a terminal of its own; gives all that the terminal shows."""
    terminal = Terminal(cli.command(*args), cli.env(), cli.home.path)
    assert terminal.close() == 0, terminal.shown
    return terminal.shown
