"""The writing side of the spool, against a real directory."""

from __future__ import annotations

import fcntl
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from click_telemetry.delivery import locked as locked_module
from click_telemetry.delivery.locked import LockedFile
from click_telemetry.delivery.sender.content import messages
from click_telemetry.delivery.sender.waiting import claim, waiting
from click_telemetry.delivery.spool import FILE_LIMIT, Erased, Full, SpoolClient
from click_telemetry.events import COMMAND_COMPLETED, COMMAND_INVOKED
from click_telemetry.storage import try_lock

from ..privacy.opened import descriptors


def message(event: str = "Exported", run: str = "r", sequence: int = 1, **own: Any) -> Any:
    return {
        "type": "track",
        "event": event,
        "messageId": f"{run}-{event}-{sequence}",
        "anonymousId": "a",
        "properties": {"run_id": run, "sequence": sequence, **own},
    }


class Hand:
    """Counts the hand-offs."""

    def __init__(self) -> None:
        self.offs = 0

    def __call__(self) -> None:
        self.offs += 1


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where a spool will be."""
    return tmp_path / "state/spool/digest"


def descriptor_of(client: SpoolClient) -> int:
    """The number of the open file."""
    assert isinstance(client._file, LockedFile)
    return client._file._descriptor


def said(path: Path, event: str) -> list[Any]:
    """The properties of a file's events of one name."""
    return [m["properties"] for m in messages(path.read_bytes(), 0.0) if m["event"] == event]


def only_file(directory: Path) -> Path:
    (found,) = directory.glob("*.jsonl")
    return found


def test_nothing_is_made_before_the_first_event(directory: Path) -> None:
    """A client that records nothing leaves no directory behind."""
    hand = Hand()
    SpoolClient(str(directory), hand).close()
    assert not directory.exists()
    assert hand.offs == 0


def test_events_are_on_disk_at_once(directory: Path) -> None:
    """What was recorded outlives the process, whatever comes."""
    client = SpoolClient(str(directory), Hand())
    client.record(message(sequence=1))
    client.record(message(sequence=2))
    lines = only_file(directory).read_text().splitlines()
    assert [json.loads(line)["properties"]["sequence"] for line in lines] == [1, 2]


def test_file_and_directory_are_private_under_any_umask(directory: Path) -> None:
    """Files 0600, directories 0700 (row 25)."""
    for umask in (0, 0o777):
        before = os.umask(umask)
        try:
            place = directory.with_name(f"umask-{umask:o}")
            client = SpoolClient(str(place), Hand())
            client.record(message())
            client.close()
        finally:
            os.umask(before)
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
        assert stat.S_IMODE(only_file(place).stat().st_mode) == 0o600


def test_descriptor_is_out_of_the_way(directory: Path) -> None:
    """Ten or more, and closed on exec: scripts use the small numbers."""
    client = SpoolClient(str(directory), Hand())
    client.record(message())
    assert descriptor_of(client) >= 10
    assert not os.get_inheritable(descriptor_of(client))


def test_living_writers_file_cannot_be_claimed(directory: Path) -> None:
    """The lock tells the living from the dead."""
    client = SpoolClient(str(directory), Hand())
    client.record(message())
    (name,) = waiting(str(directory))
    assert claim(str(directory), name) is None
    client.close()
    taken = claim(str(directory), name)
    assert taken is not None
    assert [m["event"] for m in taken.messages] == ["Exported"]
    taken.acknowledge()
    assert waiting(str(directory)) == []


def test_closing_hands_off_once(directory: Path) -> None:
    """A sender is asked for when the invocation has ended, and only then."""
    hand = Hand()
    client = SpoolClient(str(directory), hand)
    client.record(message())
    assert hand.offs == 0
    client.close()
    client.close()
    assert hand.offs == 1


def test_file_that_a_sender_took_first_is_made_anew(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between making a file and locking it a sender may find it empty and remove it."""
    taken: list[str] = []
    real = try_lock

    def slow_lock(descriptor: int) -> bool:
        if not taken:
            taken.append(os.path.realpath(f"/proc/self/fd/{descriptor}"))
            os.unlink(taken[0])
        return real(descriptor)

    monkeypatch.setattr(locked_module, "try_lock", slow_lock)
    client = SpoolClient(str(directory), Hand())
    client.record(message())
    assert str(only_file(directory)) != taken[0]
    assert only_file(directory).read_text().count("\n") == 1


def test_command_that_closes_our_descriptor_gets_not_a_byte_of_ours(
    directory: Path, tmp_path: Path
) -> None:
    """A daemonising command closes what it did not open, and reuses the number (row 99)."""
    client = SpoolClient(str(directory), Hand())
    client.record(message(sequence=1))
    number = descriptor_of(client)
    os.close(number)
    own = os.open(tmp_path / "own", os.O_WRONLY | os.O_CREAT)
    if own != number:
        os.dup2(own, number)
        os.close(own)
    try:
        client.record(message(sequence=2))
        client.close()
        assert (tmp_path / "own").read_bytes() == b""
        assert os.fstat(number).st_size == 0  # still open: it is not ours to close
    finally:
        os.close(number)
    (line, later) = only_file(directory).read_text().splitlines()
    assert [json.loads(text)["properties"]["sequence"] for text in (line, later)] == [1, 2]


def test_file_that_was_taken_after_its_descriptor_was_closed_is_left_to_the_sender(
    directory: Path,
) -> None:
    """Who closes our descriptor gives the lock away; what follows goes to a file of its own."""
    client = SpoolClient(str(directory), Hand())
    client.record(message(COMMAND_INVOKED, sequence=1))
    number = descriptor_of(client)
    with open(os.devnull, "rb") as own:
        os.dup2(own.fileno(), number)
    (name,) = waiting(str(directory))
    taken = claim(str(directory), name)
    assert taken is not None
    client.record(message(sequence=2))
    assert (directory / name).read_text().count("\n") == 1
    taken.acknowledge()
    client.close()
    os.close(number)
    assert [m["sequence"] for m in said(only_file(directory), "Exported")] == [2]


def test_torn_line_is_lost_and_its_neighbours_are_not(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A short write on a full disk (row 14)."""
    client = SpoolClient(str(directory), Hand())
    client.record(message(sequence=1))
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:20]))
    monkeypatch.setattr(locked_module, "write_all", _full_disk)
    with pytest.raises(OSError, match="No space"):
        client.record(message(sequence=2))
    monkeypatch.undo()
    client.record(message(sequence=3))
    client.close()
    found = messages(only_file(directory).read_bytes(), 0.0)
    assert [m["properties"]["sequence"] for m in found] == [1, 3]


def _full_disk(descriptor: int, content: bytes) -> None:
    raise OSError(28, "No space left on device")


def test_own_events_never_take_the_lifecycles_room(directory: Path) -> None:
    """A file has a bound, and the pair always fits in it (row 68)."""
    client = SpoolClient(str(directory), Hand())
    client.record(message(COMMAND_INVOKED))
    for number in range(2, 23):
        client.record(message(sequence=number, text="x" * 20_000))
    with pytest.raises(Full):
        client.record(message(sequence=23, text="x" * 20_000))
    client.record(message(COMMAND_COMPLETED, sequence=1000))
    client.close()
    path = only_file(directory)
    assert path.stat().st_size <= FILE_LIMIT
    assert messages(path.read_bytes(), 0.0)[-1]["event"] == COMMAND_COMPLETED


@pytest.mark.parametrize("kind", ["symlink", "group-writable", "file"])
def test_spool_that_is_not_ours_alone_is_not_used(kind: str, directory: Path) -> None:
    """A symlink, a directory that others may write to, a file (row 20)."""
    directory.parent.mkdir(parents=True)
    elsewhere = directory.with_name("elsewhere")
    if kind == "symlink":
        elsewhere.mkdir()
        directory.symlink_to(elsewhere)
    elif kind == "file":
        directory.write_text("")
    else:
        directory.mkdir()
        directory.chmod(0o770)
    with pytest.raises(OSError, match=r"director|others"):
        SpoolClient(str(directory), Hand()).record(message())
    assert kind == "file" or list(directory.iterdir()) == []


def test_forked_child_does_not_keep_the_lock(directory: Path) -> None:
    """The writer unlocks before it closes: a child that lives on holds the same lock (row 103)."""
    client = SpoolClient(str(directory), Hand())
    client.record(message())
    inherited = os.dup(descriptor_of(client))
    try:
        client.close()
        probe = os.open(only_file(directory), os.O_RDWR)
        fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(probe)
    finally:
        os.close(inherited)


def test_event_of_the_pair_that_could_not_be_written_is_written_with_the_next(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full for a moment costs an event of the application's own, not the pair."""
    client = SpoolClient(str(directory), Hand())
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda fd, data: _full_disk(fd, data))
        client.record(message(COMMAND_INVOKED, sequence=1))
        with pytest.raises(OSError, match="No space"):
            client.record(message(sequence=2))
    client.record(message(sequence=3))
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda fd, data: _full_disk(fd, data))
        client.record(message(COMMAND_COMPLETED, sequence=4))
    client.close()
    found = messages(only_file(directory).read_bytes(), 0.0)
    assert [m["properties"]["sequence"] for m in found] == [1, 3, 4]


def test_what_cannot_be_written_at_all_leaves_nothing_and_asks_for_nobody(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No empty file waits, and no sender is started for it."""
    hand = Hand()
    client = SpoolClient(str(directory), hand)
    monkeypatch.setattr(os, "write", lambda fd, data: _full_disk(fd, data))
    for event in (COMMAND_INVOKED, COMMAND_COMPLETED):
        client.record(message(event))
    client.close()
    assert list(directory.iterdir()) == []
    assert hand.offs == 0


def test_spool_that_somebody_deletes_is_not_made_again(directory: Path) -> None:
    """Deleting it forgets everything; a server that goes on running does not bring it back."""
    client = SpoolClient(str(directory), Hand())
    client.record(message())
    client.close()
    only_file(directory).unlink()
    directory.rmdir()
    with pytest.raises(Erased):
        client.record(message())
    assert not directory.exists()


def test_new_file_is_given_up_when_every_one_is_taken(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The foreground waits for nobody, not even for senders that are quicker than it."""
    monkeypatch.setattr(locked_module, "try_lock", lambda descriptor: False)
    before = descriptors()
    with pytest.raises(OSError, match="taken"):
        SpoolClient(str(directory), Hand()).record(message())
    assert descriptors() == before
