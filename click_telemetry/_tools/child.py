"""A command as a child process that has the terminal: started, waited for, and what it reports.

Signals from the terminal are handled by the child. Signals that would end the watcher are passed on
to it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import rich_click as click

from .._commands.terminal import escape
from .._storage import read_small

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import FrameType, TracebackType

_FROM_TERMINAL = ("SIGINT", "SIGQUIT")
_PASSED_ON = ("SIGTERM", "SIGHUP")


class CannotStart(click.ClickException):
    """The command could not be started; the message names the fix.

    The exit codes are those of a shell (POSIX, 2.8.2).
    """

    exit_code = 126


class NotFound(CannotStart):
    """The command does not exist."""

    exit_code = 127


class Signals:
    """While this is entered, no signal of a terminal or a supervisor ends this process.

    The terminal sends SIGINT and SIGQUIT to the child as well; SIGTERM and SIGHUP are passed on.
    These are handlers and not SIG_IGN, which the child would inherit. An ignored signal stays
    ignored, for both.

    Attributes:
        arrived: whether one has arrived since this was last set to False.
    """

    def __init__(self) -> None:
        self.arrived = False
        self._child: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []
        self._previous: list[tuple[int, object]] = []

    def __enter__(self) -> Signals:
        for name in (*_FROM_TERMINAL, *_PASSED_ON):
            number = getattr(signal, name, None)  # Windows has two of them
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                self._previous.append((number, signal.signal(number, self._receive)))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._previous:
            signal.signal(number, handler)  # type: ignore[arg-type]

    def wait(self, child: subprocess.Popen[bytes]) -> int:
        """Wait for the end of the child, and return its exit status as Popen does."""
        self._child = child
        for number in self._early:
            child.send_signal(number)
        try:
            return child.wait()
        finally:
            self._child = None
            self.arrived = False  # they were meant for the child

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.arrived = True
        if signal.Signals(number).name not in _PASSED_ON:
            return
        if self._child is not None:
            self._child.send_signal(number)
        else:
            self._early.append(number)


def run(
    command: Sequence[str],
    signals: Signals,
    variables: Mapping[str, str],
    *,
    stdout_to_stderr: bool,
) -> int:
    """Run a command to its end.

    Args:
        command: its words.
        signals: entered already.
        variables: added to our environment.
        stdout_to_stderr: whether its standard output is its standard error.

    Returns:
        Its exit status; 128 + N if signal N ended it, as in a shell.

    Raises:
        CannotStart: the command does not exist, or cannot be executed.
    """
    try:
        child = subprocess.Popen(
            [*command],
            env={**os.environ, **variables},
            stdout=_stderr() if stdout_to_stderr else None,
        )
    except (OSError, ValueError) as error:
        raise cannot_start(command[0], error) from None
    status = signals.wait(child)
    return 128 - status if status < 0 else status


def cannot_start(name: str, error: OSError | ValueError) -> CannotStart:
    """The error message for a command that did not start.

    Args:
        name: the command's first word.
        error: what Popen raised.
    """
    shown = escape(name)
    if isinstance(error, FileNotFoundError):
        if shutil.which(name) is not None:
            return CannotStart(
                f"{shown} cannot be executed: the interpreter in its first line is missing. "
                "Reinstall the application."
            )
        neighbour = os.path.join(os.path.dirname(sys.executable), name)
        if os.path.basename(name) == name and os.access(neighbour, os.X_OK):
            return NotFound(
                f"{shown} is not on PATH, but it is installed in the environment of "
                f"click-telemetry: activate that environment, or use {escape(neighbour)}"
            )
        return NotFound(
            f"{shown} was not found: check the spelling, install it into the active environment, "
            "or use its path."
        )
    instead = f"name its interpreter, as in: python {shown}"
    if isinstance(error, PermissionError):
        return CannotStart(f"{shown} cannot be executed: make it executable, or {instead}")
    why = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return CannotStart(f"{shown} cannot be executed ({escape(why)}): {instead}")


# What it reports ----------------------------------------------------------------------------------

MAX_REPORT = 1024 * 1024
"""Bytes of a file."""


@contextmanager
def private_state(purpose: str) -> Iterator[str]:
    """A state directory for one run, deleted afterwards.

    Args:
        purpose: a word of its name.
    """
    state = os.path.realpath(tempfile.mkdtemp(prefix=f"click-telemetry-{purpose}-"))
    try:
        yield state
    finally:
        shutil.rmtree(state, ignore_errors=True)


def reports_in(directory: str) -> list[dict[str, Any]]:
    """The JSON objects that applications wrote to a directory, in order.

    A file that cannot be read is skipped.
    """
    found: list[tuple[int, str, dict[str, Any]]] = []
    try:
        names = [name for name in os.listdir(directory) if name.endswith(".json")]
    except OSError:
        return []
    for name in names:
        path = os.path.join(directory, name)
        try:
            values = json.loads(read_small(path, limit=MAX_REPORT))
            if isinstance(values, dict):
                found.append((os.stat(path).st_mtime_ns, name, values))
        except (OSError, ValueError, RecursionError):
            continue
    return [values for _, _, values in sorted(found, key=lambda one: one[:2])]


def _stderr() -> int:
    try:
        os.fstat(2)
    except OSError:
        return subprocess.DEVNULL  # ours is closed; the child's output must not mix with ours
    return 2
