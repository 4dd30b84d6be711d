"""The sender may be killed, raced, forbidden and deceived: real processes on real queues."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from click_telemetry._reader import COMPLETED_ID, derived_id

from ..harness.facts import begin, end, event, events, file_name, head, lines, pair
from ..harness.queue import ANONYMOUS, Queue, messages_of, wait_until
from ..harness.raw import RawServer
from ..harness.senders import is_alive
from ..harness.server import Reply, Request, Server

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform != "linux", reason="inspects /proc and file locks"),
]

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")

DAY = 86_400.0


def strace(inject: str) -> tuple[str, ...]:
    """Runs what follows with a fault at one of its system calls."""
    call = inject.partition(":")[0]
    quiet = ("strace", "-f", "-qq", "-o", "/dev/null")
    return (*quiet, "-e", f"trace={call}", "-e", f"inject={inject}")


def ids(messages: list[dict[str, Any]]) -> list[str]:
    return sorted(message["messageId"] for message in messages)


def reports(server: Server) -> list[int]:
    return [m["properties"]["dropped"] for m in server.messages if "dropped" in m["properties"]]


def check_arrived_once(server: Server, wanted: list[str]) -> None:
    """Every message arrived, no other one did, and what arrived twice was the same."""
    texts: dict[str, set[str]] = {}
    for request in server.requests:
        for found in request.batch:
            texts.setdefault(found["messageId"], set()).add(json.dumps(found))
    assert {key: len(text) for key, text in texts.items() if len(text) > 1} == {}
    assert ids(server.messages) == sorted(wanted)


def test_command_is_delivered_in_the_words_of_its_facts(queue: Queue, server: Server) -> None:
    """What `telemetry show` prints is what arrives, with the write key and once."""
    expected = messages_of(queue.put([begin(p={"plan": "pro"}), event("Exported"), end(n=3)]))
    assert queue.send() == 0
    assert (server.messages, queue.names) == (expected, [])
    (request,) = server.requests
    assert request.headers["Authorization"] == "Basic a2V5Og=="
    assert queue.state.delivered == 3


def test_run_without_an_end_is_ended_in_the_same_words_however_often(
    queue: Queue, server: Server
) -> None:
    """Each sender dies after the server has it and before the file is gone."""
    path = queue.put([begin(flags=["x"])])
    server.reply = Reply(delay=30.0)
    for count in (1, 2, 3):
        process = queue.start()
        wait_until(lambda count=count: len(server.requests) == count)  # type: ignore[misc]
        process.kill()
        process.wait()
    server.reply = Reply()
    assert queue.send() == 0
    assert len({json.dumps(request.batch) for request in server.requests}) == 1
    _, ended = server.messages
    assert ended["messageId"] == derived_id(path.name.split("-")[1], COMPLETED_ID, 1)
    assert ended["properties"]["outcome"] == "unfinished"
    assert queue.names == []


KILLS = {"flock": 1, "sendto": 1, "write": 1, "openat": 37, "close": 37, "newfstatat": 97}


@pytest.mark.slow
@needs_strace
@pytest.mark.parametrize("call", KILLS)
def test_sender_that_is_killed_at_any_system_call_loses_and_changes_nothing(
    call: str, queue: Queue, server: Server
) -> None:
    """One after the other; where Python makes a thousand of them, every 37th."""
    _kill_at_every(call, queue, server, KILLS[call])


@needs_strace
@pytest.mark.parametrize("call", ["rename", "unlink"])
def test_sender_that_is_killed_at_a_change_of_the_spool_loses_and_changes_nothing(
    call: str, queue: Queue, server: Server
) -> None:
    """Between any two steps of delivering, dropping and reporting."""
    _kill_at_every(call, queue, server, 1)


def _kill_at_every(call: str, queue: Queue, server: Server, step: int) -> None:
    """Kill senders at the 1st, the 2nd … such call, until one needs no further one."""
    wanted: list[str] = []
    dropped = 0
    position = 1
    while True:
        queue.put(age=8 * DAY)  # which is dropped, counted and reported
        dropped += 2
        for facts in (pair(), [begin()], pair()):
            wanted += ids(messages_of(queue.put(facts)))
        status = queue.send(wrapper=strace(f"{call}:signal=SIGKILL:when={position}"))
        assert queue.send() == 0
        assert queue.names == []
        if status == 0:
            break
        position += step
    assert position > 1
    check_arrived_once(server, wanted)
    assert sum(reports(server)) == dropped == queue.state.dropped
    assert queue.state.delivered == len(wanted)
    assert sorted(path.name for path in queue.path.iterdir()) == ["lock", "state.json"]


@needs_strace
def test_what_cannot_be_unlinked_is_not_sent_again(queue: Queue, server: Server) -> None:
    """Neither by this sender nor by the next one, which sends nothing else either."""
    queue.put()
    refuses = strace("unlink:error=EACCES:when=1+")
    assert queue.send(wrapper=refuses) == 0
    assert len(server.requests) == 1
    assert queue.state.last_error == "unlink"
    queue.put()
    assert queue.send(wrapper=refuses) == 0
    assert len(server.requests) == 1
    assert queue.send() == 0
    assert (len(server.requests), len(server.messages), queue.names) == (2, 4, [])


@needs_strace
def test_what_cannot_be_marked_is_not_sent(queue: Queue, server: Server) -> None:
    """A directory that cannot be written to is detected before a message is sent."""
    name = queue.put().name
    assert queue.send(wrapper=strace("rename:error=EROFS:when=1+")) == 0
    assert (server.requests, queue.names) == ([], [name])
    assert queue.send() == 0
    assert len(server.messages) == 2


@needs_strace
def test_full_disk_is_drained_all_the_same(queue: Queue, server: Server) -> None:
    """Nothing can be saved, and what is sent makes room."""
    queue.put()
    assert queue.send(wrapper=strace("write:error=ENOSPC:when=1+")) == 0
    assert (len(server.messages), queue.names) == (2, [])


@needs_strace
def test_sender_without_locks_does_nothing(queue: Queue, server: Server) -> None:
    """A writer cannot be distinguished from a dead one there."""
    names = [queue.put(age=8 * DAY).name, queue.put().name]
    assert queue.send(wrapper=strace("flock:error=ENOLCK:when=1+")) == 0
    assert (server.connections, queue.names) == (0, names)
    assert queue.send() == 0
    assert len(server.messages) == 2


# Permission ----------------------------------------------------------------------------------


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


# Versions ------------------------------------------------------------------------------------


def test_file_of_a_newer_version_is_kept_for_it_and_counted_after_a_week(
    queue: Queue, server: Server
) -> None:
    """Two applications of one environment may have different versions of this library."""
    newer = lines([head(v=2), begin(), end()])
    kept = queue.put(newer, age=6.9 * DAY).name
    queue.put(newer, age=7.1 * DAY)
    queue.put()
    assert queue.send() == 0
    assert (len(server.messages), queue.names) == (2, [kept])
    assert reports(server) == [2] == [queue.state.dropped]
    began = time.monotonic()
    assert queue.send() == 0
    assert time.monotonic() - began < 20, "it is not checked for ever"
    assert len(server.requests) == 1


def test_unreadable_lines_are_counted_as_dropped(queue: Queue, server: Server) -> None:
    """By the next message of their file, or of another one."""
    queue.put(lines([{"type": "track"}, {"type": "track"}]))
    queue.put(lines([head(), {"run": 1, "sampled": True}, begin(), end()]))
    assert queue.send() == 0
    assert queue.names == []
    assert sum(reports(server)) == 3
    assert queue.send() == 0
    assert sum(reports(server)) == 3


# Responses -----------------------------------------------------------------------------------

ACCEPTANCE = b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Type: application/json\r\n\r\n"


@pytest.mark.parametrize(
    "response",
    [
        *(ACCEPTANCE[:cut] for cut in (5, 13, 15, 17, 25, 40, 59, 60, 61)),
        b'{"success":true}',
        b"HTTP/0.9 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nServ",
        b"",
    ],
)
def test_response_that_is_incomplete_is_not_an_acceptance(response: bytes, queue: Queue) -> None:
    """Broken off within its headers or its body, or HTTP/0.9: the messages are sent again."""
    acceptance = [False]

    def answer(connection: socket.socket, number: int) -> bool:
        connection.sendall(ACCEPTANCE if acceptance[0] else response)
        return False

    server = RawServer(answer)
    queue.host = server.url
    name = queue.put().name
    assert queue.send() == 0
    (kept,) = queue.names
    assert (kept[:53], ".tried-" in kept) == (name[:53], True)
    assert (queue.state.failures, queue.state.delivered) == (1, 0)
    assert len(server.requests) == 1
    acceptance[0] = True
    assert queue.send() == 0
    assert (queue.names, queue.state.delivered) == ([], 2)
    server.stop()


def test_connection_that_is_closed_between_two_requests_delays_nothing(queue: Queue) -> None:
    """A server's keep-alive ends at the moment of the second request: it is sent again at once."""

    def answer(connection: socket.socket, number: int) -> bool:
        if number == 1:
            body = b'{"success":true}'
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
            )
            return True
        linger = struct.pack("ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        return False  # the second request on this connection is read and then reset

    server = RawServer(answer)
    queue.host = server.url
    put_for_two_requests(queue)
    began = time.monotonic()
    assert queue.send() == 0
    assert time.monotonic() - began < 5
    assert (queue.names, queue.wait) == ([], None)
    assert (queue.state.delivered, queue.state.failures) == (120, 0)
    assert (server.connections, len(server.requests)) == (2, 3)
    server.stop()


def test_new_connection_that_is_closed_is_a_failure(queue: Queue) -> None:
    """One attempt a run: only an idle connection is replaced at once."""
    server = RawServer(lambda connection, number: False)
    queue.host = server.url
    queue.put()
    assert queue.send() == 0
    assert (len(queue.names), server.connections) == (1, 1)
    assert queue.state.last_error == "ConnectionError"
    server.stop()


def test_connection_that_cannot_be_made_is_tried_once(queue: Queue, tmp_path: Path) -> None:
    """A refused connection is not an idle one that was closed."""
    attempts = tmp_path / "attempts"
    before = (
        "import socket\n"
        "class Refusing(socket.socket):\n"
        "    def connect(self, address):\n"
        f"        with open({str(attempts)!r}, 'a') as file: file.write('x')\n"
        "        raise ConnectionRefusedError(111, 'refused')\n"
        "socket.socket = Refusing\n"
    )
    queue.host = "http://127.0.0.1:9"
    queue.put()
    assert queue.send(before=before) == 0
    assert attempts.read_text() == "x"


@pytest.mark.parametrize("status", [401, 403, 404])
def test_rejected_token_waits_for_a_constant_hour(
    status: int, queue: Queue, server: Server
) -> None:
    """Then the token that the run has is used; nothing of the old one is stored."""
    server.reply = Reply(status)
    name = queue.put().name
    for _ in range(3):
        assert queue.send(token="old-t0ken", write_key="") == 0
        assert queue.wait is not None
        assert 3590 < queue.wait <= 3600
        assert queue.names == [name]
    assert not any(b"old-t0ken" in path.read_bytes() for path in queue.path.iterdir())
    server.reply = Reply()
    assert queue.send(token="new-t0ken", write_key="") == 0
    assert server.requests[-1].headers["Authorization"] == "Bearer new-t0ken"
    assert queue.names == []


def test_anonymous_id_is_identified_once(queue: Queue, server: Server) -> None:
    """Before its first messages, by one sender of many."""
    for _ in range(2):
        queue.put()
        assert queue.send(anonymous_id=ANONYMOUS) == 0
    kinds = [[m["type"] for m in request.batch] for request in server.requests]
    assert kinds == [["identify", "track", "track"], ["track", "track"]]
    introduction = server.messages[0]
    assert introduction["anonymousId"] == ANONYMOUS
    assert introduction["context"]["app"] == {"name": "acme"}


# Senders beside each other -------------------------------------------------------------------


def test_only_one_of_many_senders_works(queue: Queue, server: Server) -> None:
    """The others end at once, with success."""
    alive: list[int] = []

    def reply(request: Request) -> Reply:
        alive.append(1)
        time.sleep(0.3)
        assert len(alive) == 1
        alive.pop()
        return Reply()

    server.reply = reply
    expected = ids(messages_of(queue.put(events(6))))
    processes = [queue.start() for _ in range(5)]
    assert [process.wait(60) for process in processes] == [0] * 5
    assert len(server.requests) == 1
    check_arrived_once(server, expected)


PAUSES = """\
import os
close, lock, paused = os.close, LOCK, []
def closing(number):
    ours = False
    try:
        ours = number >= 10 and os.fstat(number).st_ino == os.stat(lock).st_ino
    except OSError:
        pass
    first = ours and not paused
    if first and WHEN == "before":
        paused.append(open(BARRIER).read())
    close(number)
    if first and WHEN == "after":
        paused.append(open(BARRIER).read())
os.close = closing
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_no_wake_up_is_lost_around_the_release(
    when: str, queue: Queue, server: Server, tmp_path: Path
) -> None:
    """A file that is closed right before or after the sender's release is delivered.

    Before: the foreground finds the lock busy; the sender's last check finds the file.
    After: the foreground finds it free; it may start another sender, though this one checks too.
    """
    barrier, lock = tmp_path / "barrier", queue.path / "lock"
    os.mkfifo(barrier)
    before = PAUSES.replace("LOCK", repr(str(lock))).replace("BARRIER", repr(str(barrier)))
    queue.put()
    process = queue.start(before=before.replace("WHEN", repr(when)))
    with barrier.open("w"):  # opens when the sender has come to it
        assert len(server.messages) == 2
        queue.put()
        assert is_alive(lock) is (when == "before")
    assert process.wait(60) == 0
    assert (len(server.messages), queue.names) == (4, [])


def test_file_that_is_closed_during_a_request_is_delivered_too(
    queue: Queue, server: Server
) -> None:
    """A command that found the lock busy meanwhile relies on it."""
    wanted = ids(messages_of(queue.put()))
    left = [3]

    def reply(request: Request) -> Reply:
        if left[0]:
            left[0] -= 1
            wanted.extend(ids(messages_of(queue.put())))
        return Reply()

    server.reply = reply
    assert queue.send() == 0
    check_arrived_once(server, wanted)
    assert queue.names == []


# Bounds --------------------------------------------------------------------------------------

NOTES_MODULES = """\
import atexit, sys
def note():
    with open(FILE, "w") as file:
        file.write("\\n".join(sys.modules))
atexit.register(note)
"""

ONE = [begin(), {"next": True}]
"""Facts of one message."""


def test_sender_that_must_not_deliver_keeps_the_bounds_without_a_network(
    queue: Queue, server: Server, tmp_path: Path
) -> None:
    """While delivery is postponed: no socket, no Segment client."""
    for n in range(1_050):
        queue.put(ONE, age=float(n))
    modules = tmp_path / "modules"
    before = NOTES_MODULES.replace("FILE", repr(str(modules)))
    assert queue.send(before=before, deliver=False) == 0
    assert len(queue.names) == 1_000
    assert server.connections == 0
    assert not {"segment", "requests", "urllib3", "ssl", "socket"} & set(
        modules.read_text().split("\n")
    )
    assert queue.send() == 0
    assert (len(server.messages), reports(server)) == (1_000, [50])


def test_far_too_many_files_converge_to_the_bound(queue: Queue, server: Server) -> None:
    """Whatever created them; in memory that does not grow with them."""
    _converges(queue, server, 12_000)


@pytest.mark.slow
def test_a_million_files_converge_to_the_bound(queue: Queue, server: Server) -> None:
    """The same in earnest."""
    _converges(queue, server, 1_000_000)


def _converges(queue: Queue, server: Server, count: int) -> None:
    content = lines([head(), *ONE])
    now = time.time_ns()
    for n in range(count):
        with open(queue.path / file_name(n, at=now), "wb") as file:
            file.write(content)
    newest = file_name(count - 1, at=now)
    peak = queue.path.parent / "peak"
    before = (
        "import atexit\n"
        "def note():\n"
        f"    with open('/proc/self/status') as status, open({str(peak)!r}, 'w') as peak:\n"
        "        peak.write(status.read())\n"
        "atexit.register(note)\n"
    )
    server.reply = Reply(503)
    process = queue.start(before=before)
    assert process.wait(600) == 0
    assert len(server.requests) == 1
    assert len(queue.names) == 1_000
    assert newest in queue.names
    assert queue.state.dropped == count - 1_000
    (most,) = [line for line in peak.read_text().splitlines() if line.startswith("VmHWM")]
    assert int(most.split()[1]) < 100_000, most


@pytest.fixture
def killer(queue: Queue) -> Callable[..., int]:
    """Starts a sender and kills it after some seconds, unless it has ended."""

    def run(after: float, **how: Any) -> int:
        process = queue.start(**how)
        try:
            return process.wait(after)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    return run


def test_trimming_that_is_killed_again_and_again_counts_exactly(
    queue: Queue, server: Server, killer: Callable[..., int]
) -> None:
    """Every message is delivered or in a count that is, never in both."""
    for n in range(4_000):
        queue.put(ONE, age=float(n))
    statuses = Counter(killer(0.06 + 0.02 * (n % 10), deliver=False) for n in range(25))
    assert statuses[-9] > 3, statuses
    assert queue.send(deliver=False) == 0
    assert queue.send() == 0
    assert len(server.messages) == 1_000
    assert sum(reports(server)) == queue.state.dropped == 3_000


def test_other_destinations_files_are_dropped_when_they_are_too_old(
    queue: Queue, server: Server
) -> None:
    """A user who has signed out may never come back; nothing is sent for them."""
    other = Queue(queue.path.parent / "fedcba9876543210", server.url)
    (other.path / "lock").touch(0o600)
    other.put(age=8 * DAY)
    young = other.put(age=DAY).name
    foreign = Queue(queue.path.parent / "something", server.url)
    foreign.put(age=8 * DAY)
    queue.put()
    assert queue.send() == 0
    assert (other.names, other.state.dropped) == ([young], 2)
    assert len(foreign.names) == 1
    assert len(server.messages) == 2


# The client, the process ---------------------------------------------------------------------

CHANGES = """\
from importlib.machinery import SourceFileLoader
load = SourceFileLoader.exec_module
def exec_module(self, module):
    load(self, module)
    if module.__name__ == "segment.analytics.request":
        change(module)
SourceFileLoader.exec_module = exec_module
def change(module):
    CHANGE
"""
CHANGED = {
    "no session": CHANGES.replace("CHANGE", "del module._session"),
    "another session": CHANGES.replace(
        "CHANGE",
        "module._session = type('S', (), {'mount': id, 'post': lambda *a, **k: 1 / 0})",
    ),
    "no post": CHANGES.replace("CHANGE", "del module.post"),
    "a post that does nothing": CHANGES.replace("CHANGE", "module.post = lambda *a, **k: None"),
    "not installed": "import sys\nsys.modules['segment'] = None\n",
}


@pytest.mark.parametrize("how", CHANGED)
def test_client_that_has_changed_delivers_nothing(how: str, queue: Queue, server: Server) -> None:
    """Nothing is lost, and the error is saved for `telemetry status`."""
    name = queue.put().name
    queue.send(before=CHANGED[how])
    assert (server.requests, queue.names) == ([], [name])
    assert (queue.state.failures, bool(queue.state.last_error)) == (1, True)
    assert queue.wait is not None
    assert queue.wait > 14


def test_sender_keeps_nothing_of_its_parent(queue: Queue, server: Server, tmp_path: Path) -> None:
    """Neither descriptors, nor streams, nor directory, nor signal mask."""
    server.reply = Reply(delay=20.0)
    queue.put()
    lock = queue.path / "lock"
    lock.touch(0o600)
    before = (
        "import os, signal, fcntl\n"
        f"os.dup2(os.open({str(lock)!r}, os.O_RDWR), 3)\n"
        "fcntl.flock(3, fcntl.LOCK_EX)\n"
        f"for n in (5, 7, 8): os.dup2(os.open({str(tmp_path / 'own')!r}, 66, 0o600), n)\n"
        f"os.chdir({str(tmp_path)!r})\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})\n"
    )
    process = queue.start(before="import sys\n" + before)
    try:
        wait_until(lambda: len(server.requests) == 1)
        assert is_alive(lock)
        pid = process.pid
        found = {int(n): os.readlink(f"/proc/{pid}/fd/{n}") for n in os.listdir(f"/proc/{pid}/fd")}
        ours = {n: path for n, path in found.items() if path.startswith(str(queue.path))}
        (name,) = queue.names
        held = Counter(os.path.basename(path) for path in ours.values())
        assert held[name] == 1
        assert held["lock"] >= 1
        assert all(n >= 10 for n in ours)
        assert all(found[n] == "/dev/null" for n in (0, 1, 2))
        assert str(tmp_path / "own") not in found.values()
        assert os.readlink(f"/proc/{pid}/cwd") == "/"
        status = dict(
            line.split(":\t", 1)
            for line in Path(f"/proc/{pid}/status").read_text().splitlines()
            if ":\t" in line
        )
        assert int(status["SigBlk"], 16) == 0
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert "Max core file size        0 " in limits
        assert "Max address space         536870912 " in limits
    finally:
        process.kill()
        process.wait()


def test_sender_leaves_the_lock_to_the_next_one_whatever_kills_it(
    queue: Queue, server: Server
) -> None:
    """The kernel releases it, and nothing that is left obstructs the next one."""
    server.reply = Reply(silent=True)
    queue.put()
    for kill in (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV):
        process = queue.start()
        lock = queue.path / "lock"
        requests = len(server.requests)
        wait_until(lambda requests=requests: len(server.requests) > requests)  # type: ignore[misc]
        assert is_alive(lock)
        process.send_signal(kill)
        process.wait()
        assert not is_alive(lock)
        with lock.open("rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    server.reply = Reply()
    assert queue.send() == 0
    assert len(server.messages) == 2
