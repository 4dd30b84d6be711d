"""The writing side of the spool, against a real directory."""

from __future__ import annotations

import fcntl
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from click_telemetry.delivery import spool as spool_module
from click_telemetry.delivery.sender.content import messages
from click_telemetry.delivery.sender.waiting import claim, waiting
from click_telemetry.delivery.spool import FILE_LIMIT, Full, SpoolClient
from click_telemetry.events.names import COMMAND_COMPLETED, COMMAND_INVOKED
from click_telemetry.storage import try_lock


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
    assert client._descriptor is not None
    assert client._descriptor >= 10
    assert not os.get_inheritable(client._descriptor)


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

    monkeypatch.setattr(spool_module, "try_lock", slow_lock)
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
    number = client._descriptor
    assert number is not None
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
    assert len(waiting(str(directory))) == 2


def test_torn_line_is_lost_and_its_neighbours_are_not(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A short write on a full disk (row 14)."""
    client = SpoolClient(str(directory), Hand())
    client.record(message(sequence=1))
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:20]))
    monkeypatch.setattr(spool_module, "write_all", _full_disk)
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


def test_long_lived_invocation_publishes_as_it_goes(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first record 5 s after the last publication is published with what came before."""
    now = [100.0]
    monkeypatch.setattr(spool_module, "monotonic", lambda: now[0])
    hand = Hand()
    client = SpoolClient(str(directory), hand)
    client.record(message(COMMAND_INVOKED, sequence=1))
    now[0] += 4.9
    client.record(message(sequence=2))
    assert hand.offs == 0
    now[0] += 0.2
    client.record(message(sequence=3))
    assert (hand.offs, client.publication) == (1, 1)
    first, second = waiting(str(directory))
    taken = claim(str(directory), first)
    assert taken is not None
    assert [m["event"] for m in taken.messages] == [COMMAND_INVOKED, "Exported", "Exported"]
    taken.release()
    assert claim(str(directory), second) is None


def test_writer_that_vanishes_after_a_publication_is_found_unfinished(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next file is held from then on, and says which runs were open."""
    now = [100.0]
    monkeypatch.setattr(spool_module, "monotonic", lambda: now[0])
    client = SpoolClient(str(directory), Hand())
    run = "5c871acc-8255-4e5a-84e5-9c79b8f0db98"
    client.record(message(COMMAND_INVOKED, run, sequence=1))
    now[0] += 6
    client.record(message("Exported", run, sequence=2))
    _, second = waiting(str(directory))
    assert client._descriptor is not None
    os.close(client._descriptor)  # what the kernel does when the process dies
    taken = claim(str(directory), second)
    assert taken is not None
    (ended,) = taken.messages
    taken.release()
    assert (ended["event"], ended["properties"]["outcome"]) == (COMMAND_COMPLETED, "unfinished")
    assert ended["properties"]["sequence"] == 3


def test_forked_child_does_not_keep_the_lock(directory: Path) -> None:
    """The writer unlocks before it closes: a child that lives on holds the same lock (row 103)."""
    client = SpoolClient(str(directory), Hand())
    client.record(message())
    assert client._descriptor is not None
    inherited = os.dup(client._descriptor)
    try:
        client.close()
        probe = os.open(only_file(directory), os.O_RDWR)
        fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(probe)
    finally:
        os.close(inherited)
