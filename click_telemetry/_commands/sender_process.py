"""A sender process that this process waits for, as an application starts it, without its sleep.

It has the same command line, environment and job. It takes the sender's lock itself, and ends at
once if another sender holds it. `acme telemetry flush` and `click-telemetry watch` use it.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any, NamedTuple

from .._launcher import command_line, environment, package_roots
from .._sender.queue import parse
from .._spool import PACKAGE

if TYPE_CHECKING:
    from collections.abc import Mapping


class SenderJob(NamedTuple):
    """What a sender is given.

    Attributes:
        spool: the directory of its queue.
        host: an origin.
        write_key: Segment's; empty if a token is used.
        setting: the path of the saved setting, which it checks before each request; or None.
        anonymous_id: the ID that it identifies once at the destination, or None.
        token: of the signed-in user, or None.
        deliver: whether it may use the network.
        site_setting: the path of the administrator's setting, or None.
        transport: what the sender needs of another destination than Segment, or None.
    """

    spool: str
    host: str
    write_key: str
    setting: str | None
    anonymous_id: str | None
    token: str | None = None
    deliver: bool = True
    site_setting: str | None = None
    transport: Mapping[str, Any] | None = None


def encode(job: SenderJob) -> bytes:
    """A job as the line that a sender reads, as `_launcher.job` writes it."""
    # No writer is waited for (`after`): the command that asks has none.
    line = {**job._asdict(), "after": None, "package": PACKAGE, "paths": package_roots()}
    return json.dumps(line).encode("ascii") + b"\n"


def file_key(name: str) -> object:
    """The parts of a file's name that stay the same when a sender re-dates or marks the file."""
    parsed = parse(name)
    return None if parsed is None else (parsed.digits, parsed.part)


class SenderProcess:
    """At most one sender at a time, for one spool.

    Attributes:
        exit_status: of the last one; None before the first has ended, and if it was killed here.
        problem: the system's message if the last one could not be started; else empty.
    """

    def __init__(self) -> None:
        self.exit_status: int | None = None
        self.problem = ""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        """Whether a sender is running."""
        if self._process is None:
            return False
        status = self._process.poll()
        if status is None:
            return True
        self.exit_status = status
        self._process = None
        return False

    def start(self, job: SenderJob) -> None:
        """Start a sender, unless one is running."""
        if self.is_running:
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
                start_new_session=True,  # the terminal sends Ctrl-C to this process alone
            )
        except OSError as error:
            self.problem = error.strerror or type(error).__name__
            return
        assert self._process.stdin is not None
        try:
            with self._process.stdin:
                self._process.stdin.write(encode(job))
        except OSError:
            return  # it ended before it read the job; its exit status is reported

    def kill(self) -> None:
        """Kill the sender that is running, if any; it has ended when this returns."""
        if self.is_running and self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = self.exit_status = None
