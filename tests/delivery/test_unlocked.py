"""The spool where the file system has no locks: nothing is seen before it is whole (row 23)."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from click_telemetry.delivery import NOT_BEFORE
from click_telemetry.delivery.launcher import Letter, too_early, turn
from click_telemetry.delivery.sender.content import messages
from click_telemetry.delivery.spool import FILE_LIMIT, WHOLE, Full, SpoolClient
from click_telemetry.delivery.unlocked import TURN
from click_telemetry.events import COMMAND_COMPLETED, COMMAND_INVOKED

from .test_spool import Hand, message

fcntl = pytest.importorskip("fcntl")


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a spool will be, on a file system without locks."""

    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    return tmp_path / "state/spool/digest"


def test_file_appears_whole_at_the_end(directory: Path) -> None:
    """Until then nothing is there that a sender could take for a dead writer's."""
    hand = Hand()
    client = SpoolClient(str(directory), hand)
    client.record(message(COMMAND_INVOKED, sequence=1))
    client.record(message(sequence=2))
    client.record(message(COMMAND_COMPLETED, sequence=3))
    assert list(directory.iterdir()) == []
    client.close()
    (path,) = directory.iterdir()
    assert path.name.endswith(WHOLE)
    found = messages(path.read_bytes(), 0.0)
    assert [m["properties"]["sequence"] for m in found] == [1, 2, 3]
    assert hand.offs == 1


def test_memory_is_bounded_as_a_file_is(directory: Path) -> None:
    """The application's own events fill it to the same limit, and the pair still fits."""
    client = SpoolClient(str(directory), Hand())
    client.record(message(COMMAND_INVOKED))
    for number in range(21):
        client.record(message(sequence=number, text="x" * 20_000))
    with pytest.raises(Full):
        client.record(message(sequence=22, text="x" * 20_000))
    client.record(message(COMMAND_COMPLETED))
    client.close()
    (path,) = directory.iterdir()
    assert path.stat().st_size <= FILE_LIMIT
    assert messages(path.read_bytes(), 0.0)[-1]["event"] == COMMAND_COMPLETED


def test_file_that_cannot_be_written_leaves_nothing(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither half of it nor its temporary name."""

    def replace(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    hand = Hand()
    client = SpoolClient(str(directory), hand)
    client.record(message(COMMAND_INVOKED))
    monkeypatch.setattr(os, "replace", replace)
    client.close()
    assert list(directory.iterdir()) == []
    assert hand.offs == 0


def test_one_of_many_starts_a_sender(directory: Path) -> None:
    """A mark keeps the others from it for a minute, since no lock can."""
    directory.mkdir(parents=True)
    letter = Letter(str(directory), "https://example.com", "key", None, None)
    lock = turn(letter)
    assert lock is not None
    os.close(lock)
    assert letter.deliver
    assert too_early(str(directory))
    assert 0 < (directory / NOT_BEFORE).stat().st_mtime - time.time() <= TURN
    assert turn(letter) is None
