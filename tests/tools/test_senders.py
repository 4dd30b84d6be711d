"""The delivery of a watched run, with the library's own sender in real processes."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from click_telemetry._foreground.sinks import WRITE_KEY
from click_telemetry._recorder import Destination
from click_telemetry._tools.receiver import Receiver
from click_telemetry._tools.senders import Remainder, deliver

from ..harness.facts import begin, end, file_name, head, lines
from ..harness.server import Reply, Server

if sys.platform != "win32":
    import fcntl

pytestmark = pytest.mark.contract


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def spool_of(state: Path, host: str, app: str = "acme") -> Path:
    """A watched run's spool, as the foreground creates it."""
    spool = state / app / "spool" / Destination(host, WRITE_KEY).digest
    spool.mkdir(parents=True, mode=0o700, exist_ok=True)
    for directory in (spool, spool.parent, spool.parent.parent):
        directory.chmod(0o700)
    return spool


def write(
    state: Path,
    host: str,
    *facts: dict[str, Any],
    number: int = 0,
    command: str = "acme deploy",
    app: str = "acme",
) -> Path:
    """The file of a run that has ended, of one command by default."""
    path = spool_of(state, host, app) / file_name(number, at=time.time_ns())
    path.write_bytes(lines([head(app=app), *(facts or (begin(command=command), end()))]))
    path.chmod(0o600)
    return path


def deliver_all(
    state: Path, host: str, max_wait: float = 10.0
) -> tuple[list[Remainder], list[str]]:
    """What remains, and what was printed during the wait."""
    printed: list[str] = []
    remainders = deliver(
        str(state), host, stop=lambda: False, report=printed.append, max_wait=max_wait
    )
    return remainders, printed


def test_every_applications_spool_is_delivered(tmp_path: Path, receiver: Receiver) -> None:
    """Two applications in one command: all their events arrive, and nothing is left."""
    write(tmp_path, receiver.origin, command="acme a")
    write(tmp_path, receiver.origin, number=1, command="acme b")
    write(tmp_path, receiver.origin, number=2, command="beta c", app="beta")
    assert deliver_all(tmp_path, receiver.origin) == ([], [])
    commands = sorted(message["properties"]["command"] for message in receiver.messages)
    assert commands == [*["acme a"] * 2, *["acme b"] * 2, *["beta c"] * 2]
    assert list(tmp_path.rglob("*.facts")) == []


def test_nothing_spooled_is_not_waited_for(tmp_path: Path, receiver: Receiver) -> None:
    """A run that recorded nothing is over at once."""
    (tmp_path / "acme" / "spool" / "0123456789abcdef").mkdir(parents=True)
    began = time.monotonic()
    assert deliver_all(tmp_path, receiver.origin) == ([], [])
    assert time.monotonic() - began < 1


def test_a_proxy_of_the_environment_is_not_used(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A company's proxy never receives the events for this machine."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        write(tmp_path, receiver.origin)
        assert deliver_all(tmp_path, receiver.origin)[0] == []
        assert len(receiver.messages) == 2
        proxy.settimeout(0.05)
        with pytest.raises(TimeoutError):
            proxy.accept()


def test_a_receiver_that_cannot_be_reached_is_reported(tmp_path: Path) -> None:
    """When the sender cannot deliver, its error is known, and the events are kept."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        host = f"http://127.0.0.1:{gone.getsockname()[1]}"
    write(tmp_path, host)
    began = time.monotonic()
    remainders, _ = deliver_all(tmp_path, host)
    assert remainders == [Remainder("acme", undelivered=1, error="ConnectionError", exit_status=0)]
    assert time.monotonic() - began < 8


@pytest.mark.extended
def test_a_receiver_that_never_responds_is_not_waited_for(tmp_path: Path) -> None:
    """The wait ends, the sender with it, and what was not delivered is reported."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host = f"http://127.0.0.1:{listener.getsockname()[1]}"
        write(tmp_path, host)
        remainders, _ = deliver_all(tmp_path, host, max_wait=2.0)
    assert remainders == [Remainder("acme", undelivered=1)]


@pytest.mark.extended
def test_a_running_process_is_waited_for(tmp_path: Path, receiver: Receiver) -> None:
    """A file that a process still writes is reported as locked, and the wait is printed once."""
    path = write(tmp_path, receiver.origin, begin())
    with path.open("rb") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        remainders, printed = deliver_all(tmp_path, receiver.origin, max_wait=1.5)
    assert remainders == [Remainder("acme", locked=1)]
    assert len(printed) == 1
    assert "Ctrl-C" in printed[0]
    assert deliver_all(tmp_path, receiver.origin) == ([], [])
    assert [message["properties"]["outcome"] for message in receiver.messages[1:]] == ["unfinished"]


def test_the_wait_can_be_ended(tmp_path: Path, receiver: Receiver) -> None:
    """Ctrl-C ends the wait for a process that outlives the command."""
    path = write(tmp_path, receiver.origin, begin())
    began = time.monotonic()
    with path.open("rb") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        remainders = deliver(
            str(tmp_path), receiver.origin, stop=lambda: True, report=lambda _: None
        )
    assert remainders == [Remainder("acme", locked=1)]
    assert time.monotonic() - began < 1


def test_messages_that_a_receiver_rejects_are_reported(tmp_path: Path, server: Server) -> None:
    """They are counted, with the reason."""
    server.reply = Reply(400)
    write(tmp_path, server.url)
    remainders, _ = deliver_all(tmp_path, server.url)
    assert remainders == [Remainder("acme", rejected=2, error="http_400", exit_status=0)]


def test_a_file_of_another_kind_is_not_changed(tmp_path: Path, receiver: Receiver) -> None:
    """A FIFO with the name of a file of facts is neither sent nor waited for long."""
    os.mkfifo(spool_of(tmp_path, receiver.origin) / file_name())
    remainders, _ = deliver_all(tmp_path, receiver.origin, max_wait=0.2)
    assert receiver.messages == []
    assert remainders == [Remainder("acme", locked=1)]
