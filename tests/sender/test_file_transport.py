"""The file of `destinations.File`: exactly the messages, whole lines, within its bounds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from click_telemetry._sender.transports import ACCEPTED, MISCONFIGURED, RETRY
from click_telemetry._sender.transports.file import FileTransport
from click_telemetry._sender.watchdog import Timeout
from click_telemetry.destinations import File

from ..harness.destinations import deliver, destination_of, job_of
from ..harness.facts import begin, event, events
from ..harness.queue import Queue, messages_of

if sys.platform != "win32":
    import resource

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform == "win32", reason="limits, locks and modes of POSIX"),
]


def job(queue: Queue, path: Path, **options: int) -> dict[str, Any]:
    return job_of(destination_of(File(str(path), **options)), queue)


def transport(path: Path, left: float = 10.0, **options: int) -> FileTransport:
    given = {"host": f"file://{path}", "max_bytes": 1 << 20, "keep": 5, **options}
    return FileTransport(given, Timeout(time.monotonic() + left))


def written(path: Path) -> list[dict[str, Any]]:
    """The messages in a file, each line one."""
    content = path.read_bytes()
    assert content.endswith(b"\n")
    return [json.loads(line) for line in content.splitlines()]


def test_lines_are_exactly_the_messages(queue: Queue, tmp_path: Path) -> None:
    """Appended in order; the directory is made, and private."""
    path = tmp_path / "logs/acme/events.jsonl"
    expected = messages_of(queue.put())
    assert deliver(queue, job(queue, path)) is True
    expected += messages_of(queue.put(events(3)))
    assert deliver(queue, job(queue, path)) is True
    assert written(path) == expected
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert (queue.names, queue.state.delivered) == ([], len(expected))


def test_file_is_renamed_before_it_exceeds_its_size(queue: Queue, tmp_path: Path) -> None:
    """The oldest go; what is kept are whole files."""
    path = tmp_path / "events.jsonl"
    sent = []
    for _ in range(12):
        sent += messages_of(queue.put([begin(), event("X", p={"text": "x" * 25_000})]))
        assert deliver(queue, job(queue, path, max_bytes=64 * 1024, keep=2)) is True
    files = [path.with_name("events.jsonl.2"), path.with_name("events.jsonl.1"), path]
    assert sorted(tmp_path.glob("events*")) == sorted(files)
    assert all(file.stat().st_size <= 64 * 1024 for file in files)
    kept = [message for file in files for message in written(file)]
    assert kept == sent[-len(kept) :]
    assert deliver(queue, job(queue, path, max_bytes=64 * 1024, keep=0)) is True


def test_without_kept_files_the_full_one_is_deleted(queue: Queue, tmp_path: Path) -> None:
    """`keep=0` bounds what is on the disk."""
    path = tmp_path / "events.jsonl"
    for _ in range(4):
        queue.put([begin(), event("X", p={"text": "x" * 30_000})])
        assert deliver(queue, job(queue, path, max_bytes=64 * 1024, keep=0)) is True
    assert [file.name for file in tmp_path.glob("events*")] == ["events.jsonl"]
    assert path.stat().st_size <= 64 * 1024


def test_start_of_a_line_that_a_killed_sender_left_is_removed(queue: Queue, tmp_path: Path) -> None:
    """Its messages are written again."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"whole":1}\n{"torn":')
    expected = messages_of(queue.put())
    assert deliver(queue, job(queue, path)) is True
    assert written(path) == [{"whole": 1}, *expected]


@pytest.mark.extended
def test_killed_sender_loses_no_message(queue: Queue, tmp_path: Path) -> None:
    """At any moment of a write; duplicates have one message ID."""
    path = tmp_path / "events.jsonl"
    expected = {m["messageId"] for _ in range(8) for m in messages_of(queue.put(events(50)))}
    for pause in (0.2, 0.35, 0.5):
        process = queue.start(**job(queue, path))
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert queue.send(**job(queue, path)) == 0
    assert {m["messageId"] for m in written(path)} == expected
    assert queue.names == []


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda path: path.mkdir(), "file_EISDIR"),
        (lambda path: path.symlink_to("/dev/null"), "file_ELOOP"),
        (lambda path: os.mkfifo(path), "file_unusable"),
    ],
    ids=["directory", "link", "fifo"],
)
def test_path_that_is_no_file_of_mine_is_left_alone(
    make: Any, error: str, queue: Queue, tmp_path: Path
) -> None:
    """A person must change it: the next attempt is in an hour."""
    path = tmp_path / "events.jsonl"
    make(path)
    name = queue.put().name
    assert deliver(queue, job(queue, path)) is False
    assert (queue.names, queue.state.last_error) == ([name], error)
    assert queue.wait is not None
    assert 1700 < queue.wait <= 3600


def test_full_disk_leaves_whole_lines_and_tries_again(tmp_path: Path) -> None:
    """What was written of a batch is removed."""
    path = tmp_path / "events.jsonl"
    posting = transport(path)
    assert posting.post([{"n": 1}], int).verdict == ACCEPTED
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, hard))
    try:
        result = posting.post([{"text": "x" * 100}], int)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert (result.verdict, result.error, result.ambiguous) == (
        MISCONFIGURED,
        "file_EFBIG",
        False,
    )
    assert written(path) == [{"n": 1}]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is full")
def test_error_of_a_full_device_is_temporary() -> None:
    """The space may come back by itself."""
    from click_telemetry._sender.transports.file import _failed

    with pytest.raises(OSError, match="No space") as caught, open("/dev/full", "wb", 0) as full:
        full.write(b"x")
    assert _failed(caught.value).verdict == RETRY


def test_file_that_another_process_has_locked_is_tried_again_later(
    queue: Queue, tmp_path: Path
) -> None:
    """Bounded by the time that the command waits."""
    import fcntl

    path = tmp_path / "events.jsonl"
    with path.open("w") as held:
        path.chmod(0o600)
        fcntl.flock(held, fcntl.LOCK_EX)
        queue.put()
        assert deliver(queue, job(queue, path), left=0.2) is False
    assert (queue.state.last_error, path.read_bytes()) == ("file_busy", b"")
    assert deliver(queue, job(queue, path)) is True


def test_file_that_was_renamed_meanwhile_is_not_written_to(tmp_path: Path) -> None:
    """Another sender renamed or deleted it while this one waited for its lock."""
    import fcntl

    path = tmp_path / "events.jsonl"
    with path.open("w") as held:
        path.chmod(0o600)
        fcntl.flock(held, fcntl.LOCK_EX)
        results: list[str] = []
        posting = transport(path)
        thread = threading.Thread(
            target=lambda: results.append(posting.post([{"n": 1}], int).verdict)
        )
        thread.start()
        time.sleep(0.1)
        path.unlink()
        fcntl.flock(held, fcntl.LOCK_UN)
        thread.join()
    assert results == [ACCEPTED]
    assert written(path) == [{"n": 1}]


def test_senders_of_several_applications_share_a_file(tmp_path: Path) -> None:
    """Each line is whole, and renaming loses none of the batches that are kept."""
    path = tmp_path / "events.jsonl"
    failed = []

    def append(writer: int) -> None:
        posting = transport(path, 30.0, max_bytes=64 * 1024, keep=200)
        for number in range(40):
            batch = [{"writer": writer, "number": number, "text": "x" * 2_000}] * 5
            if posting.post(batch, int).verdict != ACCEPTED:
                failed.append((writer, number))

    threads = [threading.Thread(target=append, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    found = [message for file in tmp_path.iterdir() for message in written(file)]
    assert len(found) == 4 * 40 * 5
    assert len(list(tmp_path.iterdir())) > 4


def test_nothing_heavy_is_loaded_for_a_file(queue: Queue, tmp_path: Path) -> None:
    """An air-gapped machine needs no client, not even requests."""
    noted = tmp_path / "noted"
    before = (
        "import atexit, sys\n"
        f"atexit.register(lambda: open({str(noted)!r}, 'w').write(' '.join(sys.modules)))\n"
    )
    queue.put()
    assert queue.send(before=before, **job(queue, tmp_path / "events.jsonl")) == 0
    assert queue.names == []
    modules = set(noted.read_text().split())
    assert not modules & {"requests", "urllib3", "ssl", "socket", "segment"}


def test_the_file_can_be_followed_by_other_programs(queue: Queue, tmp_path: Path) -> None:
    """`tail -F`, or a shipper of logs, reads line by line."""
    path = tmp_path / "events.jsonl"
    queue.put()
    assert deliver(queue, job(queue, path)) is True
    counted = subprocess.run(["wc", "-l", str(path)], capture_output=True, text=True, check=True)
    assert counted.stdout.split()[0] == "2"
