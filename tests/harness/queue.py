"""A spool with files of facts written by hand, and real sender processes for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click_telemetry
from click_telemetry._launcher import BOOT
from click_telemetry._sender.queue import compose
from click_telemetry._sender.state import SenderState
from click_telemetry._spool import GUARD, NOT_BEFORE

from .facts import Fact, file_name, head, lines, pair
from .server import Server

NS = 1_000_000_000
DAY = 86_400.0
"""Seconds."""

OFFLINE = """\
import socket
known = socket.getaddrinfo
def only_loopback(host, *args, **kwargs):
    if host != "127.0.0.1":
        raise socket.gaierror(-2, "Name or service not known")
    return known(host, *args, **kwargs)
socket.getaddrinfo = only_loopback
"""
"""What `before` is for a sender that would contact a name server otherwise."""

MAX_MEMORY = 100_000
"""Kilobytes that a sender may have had at most, whatever it was given."""

PACKAGE = os.path.dirname(os.path.abspath(click_telemetry.__file__))


def writing_peak(path: Path) -> str:
    """Python for `before`: the sender writes its state to a file when it ends (proc(5))."""
    return (
        "import atexit\n"
        "def note():\n"
        f"    with open('/proc/self/status') as status, open({str(path)!r}, 'w') as peak:\n"
        "        peak.write(status.read())\n"
        "atexit.register(note)\n"
    )


def peak_of(path: Path) -> int:
    """The most memory that a sender had, in kilobytes, by that file."""
    (most,) = [line for line in path.read_text().splitlines() if line.startswith("VmHWM")]
    return int(most.split()[1])


class Queue:
    """A spool, and the senders that are started for it.

    Args:
        path: its directory; created if it is missing.
        host: where its messages are sent.
    """

    def __init__(self, path: Path, host: str) -> None:
        self.path = path
        self.host = host
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._created = 0

    def put(
        self,
        content: list[Fact] | bytes | None = None,
        *,
        age: float = 0.0,
        marks: str = "",
    ) -> Path:
        """Write a file, of one command that ran by default.

        Args:
            content: its facts without a head, or its bytes.
            age: seconds, by its name and by its modification time.
            marks: what a sender has added to its name, such as `.tried-17`.
        """
        self._created += 1
        at = int((time.time() - age) * NS)
        path = self.path / file_name(self._created, marks, at=at)
        facts = pair() if content is None else content
        path.write_bytes(facts if isinstance(facts, bytes) else lines([head(), *facts]))
        path.chmod(0o600)
        os.utime(path, ns=(at, at))
        return path

    @property
    def names(self) -> list[str]:
        """The names of the files that are queued."""
        return sorted(path.name for path in self.path.glob("*.facts"))

    @property
    def state(self) -> SenderState:
        """What senders have saved."""
        return SenderState(str(self.path))

    @property
    def wait(self) -> float | None:
        """Seconds until a sender may be started, or None if none was postponed."""
        try:
            return os.stat(self.path / NOT_BEFORE).st_mtime - time.time()
        except FileNotFoundError:
            return None

    def start(
        self,
        *,
        wrapper: tuple[str, ...] = (),
        env: dict[str, str] | None = None,
        before: str = "",
        pause: float | None = None,
        **job: Any,
    ) -> subprocess.Popen[bytes]:
        """Start a sender.

        Args:
            wrapper: a command that runs it, such as strace's.
            env: its variables, besides those that every sender has.
            before: Python that runs in it first.
            pause: seconds without progress, instead of its own.
            job: other values in its job.
        """
        written: dict[str, Any] = {
            "spool": str(self.path),
            "host": self.host,
            "write_key": "key",
            "setting": None,
            "anonymous_id": None,
            "token": None,
            "deliver": True,
            "package": PACKAGE,
            "paths": [os.path.dirname(PACKAGE)],
            **job,
        }
        boot = BOOT if pause is None else BOOT.replace("main(job)", f"main(job, {pause})")
        process = subprocess.Popen(
            [*wrapper, sys.executable, "-I", "-c", before + boot],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": "/usr/bin:/bin", "NETRC": os.devnull, GUARD: "1", **(env or {})},
            cwd="/",
            start_new_session=True,
        )
        assert process.stdin is not None
        with process.stdin:
            process.stdin.write(json.dumps(written).encode() + b"\n")
        return process

    def send(self, **how: Any) -> int:
        """Run a sender to its end, even if it is postponed, and return its exit status."""
        (self.path / NOT_BEFORE).unlink(missing_ok=True)
        process = self.start(**how)
        try:
            return process.wait(60)
        finally:
            process.kill()
            process.wait()


def messages_of(path: Path) -> list[dict[str, Any]]:
    """The messages that a file gives, as the sender composes them."""
    return compose(path.name, path.read_bytes(), writer_gone=True).messages


def ids(messages: list[dict[str, Any]]) -> list[str]:
    """The IDs of messages, sorted."""
    return sorted(message["messageId"] for message in messages)


def reports(server: Server) -> list[int]:
    """The counts of dropped events that the accepted messages report."""
    return [m["properties"]["dropped"] for m in server.messages if "dropped" in m["properties"]]


def strace(inject: str) -> tuple[str, ...]:
    """A command that runs a sender with a fault at one of its system calls."""
    call = inject.partition(":")[0]
    quiet = ("strace", "-f", "-qq", "-o", "/dev/null")
    return (*quiet, "-e", f"trace={call}", "-e", f"inject={inject}")


def wait_until(condition: Callable[[], bool], timeout: float = 30.0) -> None:
    """Return as soon as a condition is true; fail if it does not become true."""
    until = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > until:
            raise AssertionError(f"waited {timeout} s in vain for {condition}")
        time.sleep(0.02)
