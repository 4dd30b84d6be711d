"""A sender started directly, as `watch` does, on a spool with files as writers leave them."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

from click_telemetry.delivery import NOT_BEFORE
from click_telemetry.delivery.child import BOOT, command_line, environment, written
from click_telemetry.delivery.launcher import Letter
from click_telemetry.delivery.sender.standing import Standing
from click_telemetry.events.message import completion_id, timestamp
from click_telemetry.identifiers import random_id

OFFLINE = """\
import socket
known = socket.getaddrinfo
def only_loopback(host, *args, **kwargs):
    if host != "127.0.0.1":
        raise socket.gaierror(-2, "Name or service not known")
    return known(host, *args, **kwargs)
socket.getaddrinfo = only_loopback
"""
"""What `before` is for a sender that would ask a name server otherwise."""

ANONYMOUS = "0b5c1a3e-8255-4e5a-84e5-9c79b8f0db98"
NS = 1_000_000_000


def message(event: str, sequence: int = 1, run: str | None = None, **own: Any) -> dict[str, Any]:
    """An event as a writer records it."""
    run = run or random_id()
    ended = event == "Command Completed"
    return {
        "type": "track",
        "event": event,
        "properties": {"command": "acme go", "run_id": run, "sequence": sequence, **own},
        "messageId": completion_id(run) if ended else random_id(),
        "anonymousId": ANONYMOUS,
        "timestamp": timestamp(time.time()),
        "context": {"app": {"name": "acme", "version": "1"}},
    }


def pair(**own: Any) -> list[dict[str, Any]]:
    """A command that ran."""
    run = random_id()
    return [
        message("Command Invoked", 1, run, **own),
        message("Command Completed", 2, run, succeeded=True, **own),
    ]


def lines(messages: list[dict[str, Any]]) -> bytes:
    """Messages as they stand in a file."""
    return b"".join(json.dumps(m, separators=(",", ":")).encode() + b"\n" for m in messages)


class Spool:
    """A spool, and the senders that are started for it.

    Args:
        path: its directory; made where there is none.
        host: where its messages go.
    """

    def __init__(self, path: Path, host: str) -> None:
        self.path = path
        self.host = host
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._made = 0

    def put(
        self,
        content: list[dict[str, Any]] | bytes | None = None,
        *,
        age: float = 0.0,
        marks: str = "",
    ) -> Path:
        """Lay down a file, of one command that ran by default.

        Args:
            content: its messages, or its bytes.
            age: seconds, by its name and by its date.
            marks: what stands in its name before the suffix, such as `.tried-17`.
        """
        self._made += 1
        at = int((time.time() - age) * NS) + self._made
        path = self.path / f"{at:020d}-{self._made:016x}{marks}.jsonl"
        said = pair() if content is None else content
        path.write_bytes(said if isinstance(said, bytes) else lines(said))
        path.chmod(0o600)
        os.utime(path, ns=(at, at))
        return path

    @property
    def names(self) -> list[str]:
        """The names of the files that wait."""
        return sorted(path.name for path in self.path.glob("*.jsonl"))

    @property
    def standing(self) -> Standing:
        """What senders remember."""
        return Standing(str(self.path))

    @property
    def wait(self) -> float | None:
        """Seconds until a sender may be started, or None where nothing was put off."""
        try:
            return os.stat(self.path / NOT_BEFORE).st_mtime - time.time()
        except FileNotFoundError:
            return None

    def due_now(self) -> None:
        """Forget a put-off, as if the time had passed."""
        (self.path / NOT_BEFORE).unlink(missing_ok=True)

    def start(
        self,
        *,
        wrapper: tuple[str, ...] = (),
        env: dict[str, str] | None = None,
        before: str = "",
        deadline: float | None = None,
        **letter: Any,
    ) -> subprocess.Popen[bytes]:
        """Start a sender.

        Args:
            wrapper: a command that runs it, such as strace's.
            env: further variables of the foreground's; the sender gets what it may see.
            before: Python that runs in it first.
            deadline: seconds, instead of its own.
            letter: what its letter says otherwise.
        """
        plain = written(Letter(str(self.path), self.host, "key", None, None))
        told = {**json.loads(plain), **letter}
        boot = BOOT if deadline is None else BOOT.replace("(letter))", f"(letter, {deadline}))")
        process = subprocess.Popen(
            [*wrapper, *command_line()[:-1], before + boot],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment({**os.environ, **(env or {})}),
            cwd="/",
            start_new_session=True,
        )
        assert process.stdin is not None
        with process.stdin:
            process.stdin.write(json.dumps(told).encode() + b"\n")
        return process

    def send(self, **how: Any) -> int:
        """Run a sender to its end, whatever was put off, and give its exit status."""
        self.due_now()
        process = self.start(**how)
        try:
            return process.wait(60)
        finally:
            process.kill()
            process.wait()
