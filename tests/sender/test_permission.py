"""What a sender may not do: settings, variables, purges, foreign locks, files and directories."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

import pytest

from ..harness.facts import ANONYMOUS, begin, event, file_name
from ..harness.queue import DAY, Queue, ids, messages_of, reports
from ..harness.server import Reply, Request, Server

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform != "linux", reason="file locks and signals of Linux"),
]


def put_for_two_requests(queue: Queue) -> None:
    for _ in range(60):
        queue.put()


def test_setting_that_is_disabled_stops_the_next_request(
    queue: Queue, server: Server, tmp_path: Path
) -> None:
    """The sender reads it before each request."""
    setting = tmp_path / "telemetry.json"
    setting.write_text('{"enabled": true}\n')

    def reply(request: Request) -> Reply:
        setting.write_text('{"enabled": false}\n')
        return Reply()

    server.reply = reply
    put_for_two_requests(queue)
    assert queue.send(setting=str(setting)) == 0
    assert len(server.requests) == 1
    assert len(queue.names) == 11
    assert queue.state.failures == 0
    assert queue.wait is None, "there was no failure"


def test_setting_that_is_disabled_stops_the_next_half_of_a_request(
    queue: Queue, server: Server, tmp_path: Path
) -> None:
    """Each half of a rejected request is preceded by the same check."""
    setting = tmp_path / "telemetry.json"

    def reply(request: Request) -> Reply:
        setting.write_text('{"enabled": "perhaps"}\n')
        return Reply(413)

    server.reply = reply
    queue.put()
    assert queue.send(setting=str(setting)) == 0
    assert len(server.requests) == 1
    assert len(queue.names) == 1


@pytest.mark.parametrize("content", ['{"enabled": false}', "{", '{"enabled": 1}', "[]", "\ufeff{}"])
def test_disabled_or_unreadable_setting_sends_nothing(
    content: str, queue: Queue, server: Server, tmp_path: Path
) -> None:
    """A setting that cannot be read counts as an opt-out."""
    setting = tmp_path / "telemetry.json"
    setting.write_text(content)
    name = queue.put().name
    assert queue.send(setting=str(setting)) == 0
    assert (server.connections, queue.names) == (0, [name])


def test_administrators_setting_sends_nothing(queue: Queue, server: Server, tmp_path: Path) -> None:
    """A sender that starts after it was made sends nothing more."""
    setting = tmp_path / "telemetry.json"
    name = queue.put().name
    setting.write_text('{"enabled": false}')
    assert queue.send(site_setting=str(setting)) == 0
    assert (server.connections, queue.names) == (0, [name])
    setting.unlink()
    assert queue.send(site_setting=str(setting)) == 0
    assert queue.names == []


@pytest.mark.parametrize("variable", ["DO_NOT_TRACK", "NO_ANALYTICS", "CLICK_TELEMETRY_OFF"])
def test_opt_out_variable_keeps_a_sender_from_running(
    variable: str, queue: Queue, server: Server
) -> None:
    """If a user starts one by hand."""
    name = queue.put(age=30 * DAY).name
    assert queue.send(env={variable: "1"}) == 0
    assert (server.connections, queue.names) == (0, [name])
    assert queue.send(env={variable: "0"}) == 0
    assert queue.names == []


def test_what_was_recorded_after_a_purge_is_purged_too(
    queue: Queue, server: Server, tmp_path: Path
) -> None:
    """A command that had decided right before creates the spool again."""
    setting = tmp_path / "telemetry.json"
    setting.write_text('{"enabled": false}\n')
    queue.put()
    assert queue.send(setting=str(setting), anonymous_id=ANONYMOUS) == 0
    assert server.connections == 0
    assert not queue.path.parent.parent.exists()


@pytest.mark.parametrize("replaced", [False, True])
def test_lock_without_a_name_stops_the_next_request(
    replaced: bool, queue: Queue, server: Server
) -> None:
    """Its folder was deleted; another sender may have a lock of its own."""

    def reply(request: Request) -> Reply:
        (queue.path / "lock").unlink()
        if replaced:
            (queue.path / "lock").touch(0o600)
        return Reply()

    server.reply = reply
    put_for_two_requests(queue)
    assert queue.send() == 0
    assert len(server.requests) == 1


def test_files_that_are_deleted_during_a_request_are_not_sent(queue: Queue, server: Server) -> None:
    """A purge between two requests."""

    def reply(request: Request) -> Reply:
        for name in queue.names:
            (queue.path / name).unlink()
        return Reply()

    server.reply = reply
    put_for_two_requests(queue)
    assert queue.send() == 0
    assert len(server.requests) == 1
    assert queue.names == []


def test_file_that_is_deleted_at_the_last_moment_is_not_sent(queue: Queue, server: Server) -> None:
    """While the connection is being made; the other files are."""
    path = queue.put()
    stays = messages_of(queue.put())
    before = (
        "import os, socket\n"
        "known = socket.getaddrinfo\n"
        "def resolve(*a, **k):\n"
        f"    for name in os.listdir({str(queue.path)!r}):\n"
        f"        if name.startswith({path.name[:53]!r}):\n"
        f"            os.unlink({str(queue.path)!r} + '/' + name)\n"
        "    return known(*a, **k)\n"
        "socket.getaddrinfo = resolve\n"
    )
    assert queue.send(before=before) == 0
    assert server.messages == stays
    assert queue.names == []


def test_spool_that_others_may_write_to_is_not_touched(queue: Queue, server: Server) -> None:
    """Nor one behind a symlink."""
    name = queue.put().name
    queue.path.chmod(0o770)
    assert queue.send() == 0
    queue.path.chmod(0o700)
    link = queue.path.parent / "link"
    link.symlink_to(queue.path)
    assert queue.send(spool=str(link)) == 0
    assert (server.requests, queue.names) == ([], [name])


def test_foreign_files_do_not_obstruct_delivery(queue: Queue, server: Server) -> None:
    """Links, pipes, directories are left alone; unreadable files are counted."""
    os.mkfifo(queue.path / file_name(1, at=0))
    (queue.path / file_name(2, at=0)).mkdir()
    (queue.path / file_name(3, at=0)).symlink_to("/dev/zero")
    linked = queue.put()
    (queue.path / "copy").hardlink_to(linked)
    queue.put(b"")
    queue.put(b"\0" * 4096)
    queue.put(b"\xff\xfe{]\n")
    queue.put(b"x" * (512 * 1024 + 1))
    expected = messages_of(queue.put())
    began = time.monotonic()
    assert queue.send() == 0
    assert time.monotonic() - began < 20
    assert ids(server.messages) == ids(expected)
    assert [name for name in queue.names if not name.startswith("0000")] == [linked.name]
    assert len(queue.names) == 4
    assert reports(server) == [2] == [queue.state.dropped]


@pytest.mark.sample(1)
@pytest.mark.parametrize("kind", ["directory", "link", "FIFO"])
def test_unusable_lock_sends_nothing_and_the_bounds_are_kept(
    kind: str, queue: Queue, server: Server
) -> None:
    """`telemetry status` can report it; when it is removed, delivery goes on."""
    lock = queue.path / "lock"
    if kind == "directory":
        lock.mkdir()
    elif kind == "link":
        lock.symlink_to("/dev/null")
    else:
        os.mkfifo(lock)
    for n in range(1_004):
        queue.put([event("Never Begun"), begin(n=3), {"next": True}], age=8 * DAY - n)
    queue.put()
    assert queue.send() == 0
    assert (server.connections, len(queue.names)) == (0, 1)
    assert (queue.state.last_error, queue.state.dropped) == ("lock", 2008)
    assert queue.wait is not None
    assert queue.wait > 1700
    shutil.rmtree(lock) if kind == "directory" else lock.unlink()
    assert queue.send() == 0
    assert (len(server.messages), queue.names) == (2, [])
    assert reports(server) == [2008]
