"""The sender may be killed, raced, forbidden and deceived: real processes on real queues."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from click_telemetry._reader import COMPLETED_ID, derived_id

from ..harness.facts import begin, end, event, events, pair
from ..harness.queue import DAY, Queue, ids, messages_of, reports, strace, wait_until
from ..harness.senders import is_alive
from ..harness.server import Reply, Request, Server

if sys.platform != "win32":
    import fcntl

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform != "linux", reason="inspects /proc and file locks"),
]

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")


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


@pytest.mark.extended
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


@pytest.mark.sample(0)
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


@pytest.mark.extended
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


# Senders at the same time ------------------------------------------------------------------


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


@pytest.mark.sample(1)
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


@pytest.mark.extended
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
