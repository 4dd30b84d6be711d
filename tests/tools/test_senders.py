"""The delivery of a watched run, with the library's own sender in real processes."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from click_telemetry.delivery.spool import SpoolClient
from click_telemetry.privacy.directories import Directories
from click_telemetry.privacy.watched import WRITE_KEY
from click_telemetry.tools.receiver import Receiver
from click_telemetry.tools.senders import Left, deliver

from .messages import Message, pair

pytestmark = pytest.mark.contract


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def client(state: Path, host: str, app: str = "acme") -> SpoolClient:
    """A watched run's spool, as the foreground writes it."""
    spool = Directories("", str(state / app)).spool(host, WRITE_KEY)
    return SpoolClient(spool, lambda: None)


def spooled(state: Path, host: str, messages: list[Message], app: str = "acme") -> None:
    """A run that has ended."""
    writer = client(state, host, app)
    for message in messages:
        writer.record(message)
    writer.close()


def delivered(state: Path, host: str, longest: float = 10.0) -> tuple[list[Left], list[str]]:
    """What is left, and what was said while waiting."""
    said: list[str] = []
    left = deliver(str(state), host, stop=lambda: False, say=said.append, longest=longest)
    return left, said


def test_every_applications_spool_is_delivered(tmp_path: Path, receiver: Receiver) -> None:
    """Two applications in one command: all their events arrive, and nothing is left."""
    spooled(tmp_path, receiver.origin, pair("acme a"))
    spooled(tmp_path, receiver.origin, pair("acme b", invocation="two"))
    spooled(tmp_path, receiver.origin, pair("beta c", invocation="three"), app="beta")
    assert delivered(tmp_path, receiver.origin) == ([], [])
    commands = sorted(message["properties"]["command"] for message in receiver.messages)
    assert commands == [*["acme a"] * 2, *["acme b"] * 2, *["beta c"] * 2]
    assert list(tmp_path.rglob("*.jsonl")) == []


def test_nothing_spooled_is_not_waited_for(tmp_path: Path, receiver: Receiver) -> None:
    """A run that recorded nothing is over at once."""
    (tmp_path / "acme" / "spool" / "0123456789abcdef").mkdir(parents=True)
    began = time.monotonic()
    assert delivered(tmp_path, receiver.origin) == ([], [])
    assert time.monotonic() - began < 1


def test_a_proxy_of_the_environment_is_not_asked(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A company's proxy never gets the events that are for this machine."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        spooled(tmp_path, receiver.origin, pair())
        assert delivered(tmp_path, receiver.origin)[0] == []
        assert len(receiver.messages) == 2
        proxy.settimeout(0.05)
        with pytest.raises(TimeoutError):
            proxy.accept()


def test_a_receiver_that_cannot_be_reached_is_told(tmp_path: Path) -> None:
    """When the sender cannot deliver, its own word for it is known, and the events are kept."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        host = f"http://127.0.0.1:{gone.getsockname()[1]}"
    spooled(tmp_path, host, pair())
    began = time.monotonic()
    left, _ = delivered(tmp_path, host)
    assert left == [Left("acme", undelivered=1, error="ConnectionError", exit_status=0)]
    assert time.monotonic() - began < 8


def test_a_receiver_that_never_answers_is_given_up(tmp_path: Path) -> None:
    """The wait has an end, the sender with it, and what was not delivered is told."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"http://127.0.0.1:{silent.getsockname()[1]}"
        spooled(tmp_path, host, pair())
        left, _ = delivered(tmp_path, host, longest=2.0)
    assert left == [Left("acme", undelivered=1)]


def test_a_living_process_is_waited_for(tmp_path: Path, receiver: Receiver) -> None:
    """Events that a process still holds are told as held, and the wait for it is said once."""
    writer = client(tmp_path, receiver.origin)
    writer.record(pair()[0])
    left, said = delivered(tmp_path, receiver.origin, longest=1.5)
    assert left == [Left("acme", held=1)]
    assert len(said) == 1
    assert "Ctrl-C" in said[0]
    writer.close()
    assert delivered(tmp_path, receiver.origin) == ([], [])
    assert [message["properties"]["outcome"] for message in receiver.messages[1:]] == ["unfinished"]


def test_whoever_is_tired_of_waiting_need_not(tmp_path: Path, receiver: Receiver) -> None:
    """Ctrl-C ends the wait for a process that outlives the command."""
    writer = client(tmp_path, receiver.origin)
    writer.record(pair()[0])
    began = time.monotonic()
    left = deliver(str(tmp_path), receiver.origin, stop=lambda: True, say=lambda _: None)
    assert left == [Left("acme", held=1)]
    assert time.monotonic() - began < 1
    writer.close()


def test_a_message_that_the_receiver_refuses_is_told(tmp_path: Path, receiver: Receiver) -> None:
    """One message that Segment would not take is counted, its neighbours arrive."""
    poison = {**pair()[0], "event": "", "messageId": "poison"}
    spooled(tmp_path, receiver.origin, [*pair(), poison])
    left, _ = delivered(tmp_path, receiver.origin)
    assert left == [Left("acme", refused=1, error="http_400", exit_status=0)]
    assert len(receiver.messages) == 2


def test_a_spool_that_is_not_ours_is_left_alone(tmp_path: Path, receiver: Receiver) -> None:
    """A file that only looks like one of the spool is neither sent nor waited for long."""
    spool = Path(Directories("", str(tmp_path / "acme")).spool(receiver.origin, WRITE_KEY))
    spool.mkdir(parents=True, mode=0o700)
    os.mkfifo(spool / f"{1:020d}-{1:016x}.jsonl")
    left, _ = delivered(tmp_path, receiver.origin, longest=0.2)
    assert receiver.messages == []
    assert left == [Left("acme", held=1)]
