"""Writing facts to a real directory: at once, privately, and never in the command's way."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from click_telemetry import _spool
from click_telemetry._sender import queue
from click_telemetry._sender.queue import claim, compose, oldest_names
from click_telemetry._spool import FILE_LIMIT, LINE_LIMIT, SpoolFile

from ..harness.interpreter import environment, open_descriptors, python
from ..harness.processes import Cli
from ..harness.writing import Writer, claimed, dropped, messages_of, sequences

if sys.platform != "win32":
    import fcntl


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    """An invocation whose first run has not begun."""
    return Writer(tmp_path)


@contextmanager
def full_disk(after: int = 0) -> Iterator[None]:
    """A disk that takes so many more bytes."""
    real, left = os.write, after

    def write(descriptor: int, content: bytes) -> int:
        nonlocal left
        if not left:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = real(descriptor, content[:left])
        left -= written
        return written

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "write", write)
        yield


# Files --------------------------------------------------------------------------------------------


def test_nothing_is_created_before_the_first_fact(writer: Writer) -> None:
    """An invocation that records nothing leaves no directory."""
    writer.close()
    assert not writer.path.exists()
    assert writer.spool.hand_overs == 0


def test_facts_are_on_disk_at_once(writer: Writer) -> None:
    """They survive the death of the process."""
    run = writer.begin()
    writer.event(run)
    (path,) = writer.files
    head, *lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert head == writer.invocation.head
    assert [line["n"] for line in lines] == [1, 2]


def test_head_and_first_begin_are_one_write(writer: Writer) -> None:
    """A process that is killed leaves both or none."""
    writes = []
    real = os.write

    def write(descriptor: int, content: bytes) -> int:
        writes.append(content)
        return real(descriptor, content)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "write", write)
        run = writer.begin()
        writer.end(run)
    assert [content.count(b"\n") for content in writes] == [2, 1]


def test_name_has_the_time_the_digits_and_the_part(writer: Writer) -> None:
    """As the format has it."""
    writer.begin()
    (path,) = writer.files
    found = re.fullmatch(r"([0-9]{20})-([0-9a-f]{32})-0001\.facts", path.name)
    assert found is not None
    assert found[2] == writer.invocation.digits
    assert abs(int(found[1]) - path.stat().st_mtime_ns) < 10**10


def test_file_and_directory_are_private_under_any_umask(tmp_path: Path) -> None:
    """Files 0600, directories 0700."""
    for umask in (0, 0o777):
        before = os.umask(umask)
        try:
            writer = Writer(tmp_path / f"umask-{umask:o}")
            writer.end(writer.begin())
            writer.close()
        finally:
            os.umask(before)
        for directory in (writer.path, writer.path.parent, writer.path.parent.parent):
            assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        (path,) = writer.files
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_descriptor_is_high_and_not_inherited(writer: Writer) -> None:
    """Scripts use the low numbers."""
    writer.begin()
    assert writer.descriptor >= 10
    assert not os.get_inheritable(writer.descriptor)


def test_file_with_a_writer_cannot_be_claimed(writer: Writer) -> None:
    """Its lock is held until the invocation ends."""
    run = writer.begin()
    (name,) = oldest_names(str(writer.path))
    assert claim(str(writer.path), name) is None
    writer.end(run)
    writer.close()
    ((begun, ended),) = claimed(writer.path)
    assert [begun["event"], ended["event"]] == ["Command Invoked", "Command Completed"]
    assert writer.files == []


def test_close_hands_over_once(writer: Writer) -> None:
    """Only when the invocation has ended."""
    writer.end(writer.begin())
    assert writer.spool.hand_overs == 0
    writer.close()
    writer.close()
    assert writer.spool.hand_overs == 1


def test_no_descriptor_is_left(writer: Writer) -> None:
    """Nor in a program that goes on."""
    before = open_descriptors()
    run = writer.begin()
    writer.later()
    writer.event(run)
    writer.end(run)
    writer.close()
    assert open_descriptors() == before


@pytest.mark.parametrize("kind", ["symlink", "group-writable", "file"])
@pytest.mark.parametrize("level", [0, 1])
def test_spool_that_is_not_ours_alone_is_not_used(kind: str, level: int, writer: Writer) -> None:
    """Nothing is written to it, on either of its levels."""
    directory = [writer.path, writer.path.parent][level]
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
    writer.end(writer.begin())
    writer.close()
    assert kind == "file" or list(directory.iterdir()) == []
    assert writer.spool.hand_overs == 0


# Locks --------------------------------------------------------------------------------------------


def test_without_locks_nothing_is_recorded(writer: Writer) -> None:
    """Without them no sender could know that a file is complete. The run is off from then on."""
    calls = []

    def flock(*_: object) -> None:
        calls.append(len(writer.files))
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    before = open_descriptors()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fcntl, "flock", flock)
        run = writer.begin()
        assert writer.files == []
        writer.event(run)
        writer.end(run)
        writer.close()
    assert list(writer.path.iterdir()) == []
    assert writer.spool.hand_overs == 0
    assert open_descriptors() == before
    assert calls == [1], "a file was created for each fact"


def test_file_that_a_sender_removed_before_it_was_locked_is_created_again(writer: Writer) -> None:
    """A sender removes an empty file; the begin line is in the next one."""
    real = fcntl.flock
    removed: list[Path] = []

    def flock(descriptor: int, operation: int) -> None:
        if not removed:
            removed.extend(writer.files)
            os.unlink(removed[0])
        real(descriptor, operation)

    before = open_descriptors()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fcntl, "flock", flock)
        run = writer.begin()
    assert open_descriptors() == before
    writer.end(run)
    writer.close()
    (path,) = writer.files
    assert path != removed[0]
    assert sequences(messages_of(path)) == [1, 2]
    assert dropped(messages_of(path)) == 0


def test_forked_child_does_not_keep_the_lock(writer: Writer) -> None:
    """The file is unlocked before it is closed: a child may hold the same lock."""
    writer.end(writer.begin())
    inherited = os.dup(writer.descriptor)
    try:
        writer.close()
        assert len(claimed(writer.path)) == 1
    finally:
        os.close(inherited)


def test_file_of_another_process_is_not_written_to(tmp_path: Path) -> None:
    """A new file is created exclusively."""
    path = tmp_path / "file"
    path.write_bytes(b"ours")
    with pytest.raises(FileExistsError):
        SpoolFile(str(path))
    assert path.read_bytes() == b"ours"


# Descriptors and deletion -------------------------------------------------------------------------


def test_command_that_closes_our_descriptor_gets_no_byte_of_ours(
    writer: Writer, tmp_path: Path
) -> None:
    """It opens its own file on that number; recording stops."""
    run = writer.begin()
    number = writer.descriptor
    os.close(number)
    own = os.open(tmp_path / "own", os.O_WRONLY | os.O_CREAT)
    if own != number:
        os.dup2(own, number)
        os.close(own)
    try:
        writer.event(run)
        writer.end(run)
        writer.close()
        assert (tmp_path / "own").read_bytes() == b""
        assert os.fstat(number).st_size == 0  # still open: it is not ours to close
    finally:
        os.close(number)
    (path,) = writer.files
    assert sequences(messages_of(path)) == [1]


def test_recording_stops_when_the_command_has_closed_our_descriptor(writer: Writer) -> None:
    """A sender may have the file already: what follows would contradict it."""
    run = writer.begin()
    writer.vanish()
    writer.event(run)
    ((begun, ended),) = claimed(writer.path)
    assert (begun["event"], ended["properties"]["outcome"]) == ("Command Invoked", "unfinished")
    second = writer.begin()
    writer.end(second)
    writer.end(run)
    writer.close()
    assert writer.files == []
    assert writer.spool.hand_overs == 0


def test_recording_stops_when_the_file_is_deleted(writer: Writer) -> None:
    """The person wants it forgotten; no sender unlinks a file that it cannot lock."""
    run = writer.begin()
    writer.files[0].unlink()
    writer.event(run)
    writer.end(run)
    writer.close()
    assert list(writer.path.iterdir()) == []
    assert writer.spool.hand_overs == 0


@pytest.mark.parametrize("level", [0, 1, 2])
def test_deleted_spool_is_not_created_again(level: int, writer: Writer) -> None:
    """A server that goes on does not bring it back."""
    run = writer.begin()
    writer.end(run)
    writer.later()
    writer.event(run)  # published: no run is open, and no file
    assert writer.spool.file is None
    directory = [writer.path, *writer.path.parents][level]
    for path in (*writer.files, *[writer.path, *writer.path.parents][: level + 1]):
        path.unlink() if path.is_file() else path.rmdir()
    second = writer.begin()
    writer.end(second)
    writer.close()
    assert not directory.exists()


def test_forked_child_writes_nothing_and_keeps_no_lock(tmp_path: Path) -> None:
    """Of a file that is open in its parent."""
    source = """
import os
from pathlib import Path
from tests.harness.writing import Writer, claimed
writer = Writer(Path(sys.argv[1]))
run = writer.begin()
reader, writing = os.pipe()
if not os.fork():
    os.close(writing)
    writer.event(run)
    writer.end(run)
    writer.close()
    os.read(reader, 1)  # until the parent has looked
    os._exit(0)
writer.end(run)
writer.close()
(found,) = claimed(writer.path)
print([message["event"] for message in found])
os.close(writing)
os.wait()
"""
    done = subprocess.run(
        [*python(source, tmp_path)[:1], *python(source, tmp_path)[2:]],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stderr, done.stdout) == ("", "['Command Invoked', 'Command Completed']\n")


# Full disks and bounds ----------------------------------------------------------------------------


def test_torn_line_costs_its_neighbours_nothing(writer: Writer) -> None:
    """A short write on a full disk loses one event, and it is reported once."""
    run = writer.begin()
    with full_disk(after=20):
        writer.event(run)
    writer.event(run)
    writer.end(run)
    writer.close()
    (path,) = writer.files
    composed = compose(path.name, path.read_bytes(), writer_gone=True)
    assert sequences(composed.messages) == [1, 3, 4]
    assert dropped(composed.messages) + composed.lost == 1


def test_begin_that_a_full_disk_did_not_take_is_written_with_the_next_fact(writer: Writer) -> None:
    """It costs an event of the application's own, not the run."""
    with full_disk():
        run = writer.begin()
        writer.event(run)
    writer.event(run)
    writer.end(run)
    writer.close()
    (path,) = writer.files
    assert sequences(messages_of(path)) == [1, 3, 4]
    assert dropped(messages_of(path)) == 1


def test_end_that_a_full_disk_did_not_take_is_written_at_the_end(writer: Writer) -> None:
    """It is tried once more when the invocation ends."""
    run = writer.begin()
    with full_disk():
        writer.end(run)
    writer.close()
    (path,) = writer.files
    assert sequences(messages_of(path)) == [1, 2]
    assert dropped(messages_of(path)) == 0
    assert writer.spool.hand_overs == 1


def test_line_that_a_full_disk_took_in_part_is_written_once(writer: Writer) -> None:
    """An end that was cut short is complete in the file, and nothing is counted."""
    run = writer.begin()
    with full_disk(after=20):
        writer.end(run)
    writer.close()
    (path,) = writer.files
    composed = compose(path.name, path.read_bytes(), writer_gone=True)
    assert sequences(composed.messages) == [1, 2]
    assert dropped(composed.messages) + composed.lost == 0


@pytest.mark.parametrize("after", [0, 1, 100, 300])
def test_head_that_a_full_disk_did_not_take_is_written_later(after: int, writer: Writer) -> None:
    """Without a head the whole file could not be read."""
    with full_disk(after):
        run = writer.begin()
    writer.event(run)
    writer.end(run)
    writer.close()
    (path,) = writer.files
    composed = compose(path.name, path.read_bytes(), writer_gone=True)
    assert sequences(composed.messages) == [1, 2, 3]
    assert dropped(composed.messages) + composed.lost == 0


def test_disk_that_stays_full_leaves_no_file_and_starts_no_sender(writer: Writer) -> None:
    """No empty file is queued."""
    with full_disk():
        run = writer.begin()
        writer.end(run)
        writer.close()
    assert list(writer.path.iterdir()) == []
    assert writer.spool.hand_overs == 0


def test_own_events_leave_room_for_begin_and_end(writer: Writer) -> None:
    """A file is bounded, and the end of its run fits in it."""
    run = writer.begin()
    for _ in range(30):
        writer.event(run, text="x" * 20_000)
    writer.end(run)
    writer.close()
    (path,) = writer.files
    assert path.stat().st_size <= FILE_LIMIT
    messages = messages_of(path)
    assert messages[-1]["event"] == "Command Completed"
    assert len(messages) + dropped(messages) == 32


def test_line_that_is_too_long_is_dropped_and_counted(writer: Writer) -> None:
    """No server takes it."""
    run = writer.begin()
    writer.event(run, text="x" * LINE_LIMIT)
    writer.end(run)
    writer.close()
    (path,) = writer.files
    assert sequences(messages_of(path)) == [1, 3]
    assert dropped(messages_of(path)) == 1


@pytest.mark.contract
def test_deferred_events_are_bounded_as_a_file_is(make_cli: Callable[..., Cli]) -> None:
    """A group's callback may record more than a file may have; its command is recorded."""
    cli = make_cli(
        """
        import click
        from click_telemetry import instrument, track

        @click.group()
        def cli():
            for _ in range(60):
                track("Exported", {f"key_{n}": "ab cd " * 600 for n in range(5)})

        @cli.command()
        def go(): pass

        instrument(cli, app="acme", write_key="key", host="http://127.0.0.1:9", notice=False)
        cli()
        """
    )
    assert cli.run("go").returncode == 0
    (path,) = cli.home.spooled()
    assert path.stat().st_size <= FILE_LIMIT
    messages = messages_of(path)
    assert [message["event"] for message in messages[-2:]] == [
        "Command Invoked",
        "Command Completed",
    ]
    assert len(messages) + dropped(messages) == 62


def test_limits_are_those_of_the_sender() -> None:
    """A file that is larger could not be read."""
    assert _spool.FILE_LIMIT == queue.FILE_LIMIT
