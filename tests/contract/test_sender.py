"""The sender may be killed, raced, forbidden and deceived: real processes on real spools."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from click_telemetry.events.message import completion_id

from ..harness.direct import Spool, lines, message, pair
from ..harness.processes import Cli, Home
from ..harness.senders import is_alive, wait_until
from ..harness.server import Reply, Request, Server
from ..harness.terminal import Terminal

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc and at file locks"),
]

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")


def strace(inject: str) -> tuple[str, ...]:
    """Runs what follows with a fault at one of its system calls."""
    call = inject.partition(":")[0]
    quiet = ("strace", "-f", "-qq", "-o", "/dev/null")
    return (*quiet, "-e", f"trace={call}", "-e", f"inject={inject}")


def arrived_once(server: Server, wanted: list[dict[str, Any]]) -> None:
    """Every message came, none that nobody said, and what came twice was the same."""
    texts: dict[str, set[str]] = {}
    for request in server.requests:
        for found in request.batch:
            texts.setdefault(found["messageId"], set()).add(json.dumps(found))
    assert {key: len(text) for key, text in texts.items() if len(text) > 1} == {}
    assert sorted(m["messageId"] for m in server.messages) == sorted(m["messageId"] for m in wanted)


def test_run_that_nobody_lived_to_end_is_ended_in_the_same_words_however_often_it_is_told(
    spool: Spool, server: Server
) -> None:
    """Each sender dies after the server has it and before the file is gone (row 2)."""
    begun = message("Command Invoked", 3, flags=["x"])
    spool.put([begun])
    server.reply = Reply(delay=30.0)
    for count in (1, 2, 3):
        process = spool.start()
        wait_until(lambda count=count: len(server.requests) == count)  # type: ignore[misc]
        process.kill()
        process.wait()
    server.reply = Reply()
    assert spool.send() == 0
    assert len({json.dumps(request.batch) for request in server.requests}) == 1
    _, ended = server.messages
    assert ended["messageId"] == completion_id(begun["properties"]["run_id"])
    assert (ended["event"], ended["properties"]) == (
        "Command Completed",
        {**begun["properties"], "succeeded": False, "outcome": "unfinished", "sequence": 4},
    )
    assert spool.names == []


FORKS = """
import os, sys, time, click
from click_telemetry import instrumented_group

@instrumented_group(app="acme", write_key="key", notice=False)
@click.group()
def cli(): pass

@cli.command()
def serve():
    if os.fork() == 0:
        time.sleep(60)
        os._exit(0)
    click.echo("serving")
    time.sleep(60)

cli()
"""


def test_file_that_a_forked_child_holds_is_not_told_as_unfinished(
    make_cli: Callable[..., Cli], server: Server, home: Home
) -> None:
    """The parent is dead, its worker lives: wait for the last of them (row 103)."""
    made = make_cli(FORKS)
    process = made.start("serve", env={"ACME_TELEMETRY_HOST": server.url})
    assert process.stdout is not None
    assert process.stdout.readline() == "serving\n"
    (waiting,) = home.spooled()
    (child,) = [
        int(entry)
        for entry in os.listdir("/proc")
        if entry.isdigit() and int(entry) != process.pid and _holds(int(entry), waiting)
    ]
    process.kill()
    process.wait()
    process.stdout.close()
    assert process.stderr is not None
    process.stderr.close()
    direct = Spool(waiting.parent, server.url)
    assert direct.send() == 0
    assert (server.requests, home.spooled()) == ([], [waiting])
    os.kill(child, signal.SIGKILL)
    wait_until(lambda: not is_alive(waiting))
    assert direct.send() == 0
    assert [m["properties"].get("outcome") for m in server.messages] == [None, "unfinished"]


def _holds(pid: int, path: Path) -> bool:
    try:
        numbers = os.listdir(f"/proc/{pid}/fd")
        return any(os.readlink(f"/proc/{pid}/fd/{n}") == str(path) for n in numbers)
    except OSError:
        return False


KILLS = {"flock": 1, "sendto": 1, "write": 1, "openat": 37, "close": 37, "newfstatat": 97}


@pytest.mark.slow
@needs_strace
@pytest.mark.parametrize("call", KILLS)
def test_sender_that_is_killed_at_any_system_call_loses_and_changes_nothing(
    call: str, spool: Spool, server: Server
) -> None:
    """One after the other; where Python makes a thousand of them, every 37th (row 2)."""
    _kill_at_every(call, spool, server, KILLS[call])


@needs_strace
@pytest.mark.parametrize("call", ["rename", "unlink"])
def test_sender_that_is_killed_at_a_change_of_the_spool_loses_and_changes_nothing(
    call: str, spool: Spool, server: Server
) -> None:
    """Between any two steps of delivering, dropping and reporting (row 2)."""
    _kill_at_every(call, spool, server, 1)


def _kill_at_every(call: str, spool: Spool, server: Server, step: int) -> None:
    """Kill senders at the 1st, the 2nd … such call, until one needs no further one."""
    wanted: list[dict[str, Any]] = []
    dropped = 0
    position = 1
    while True:
        begun = message("Command Invoked")
        said = [pair(), [begun], pair()]
        spool.put(age=8 * 86_400)  # which is dropped, counted and reported
        dropped += 2
        for one in said:
            spool.put(one)
        end = {"messageId": completion_id(begun["properties"]["run_id"])}
        wanted += [*said[0], begun, end, *said[2]]
        status = spool.send(wrapper=strace(f"{call}:signal=SIGKILL:when={position}"))
        assert spool.send() == 0
        assert spool.names == []
        if status == 0:
            break
        position += step
    assert position > 1
    arrived_once(server, wanted)
    reports = [m["properties"]["dropped"] for m in server.messages if "dropped" in m["properties"]]
    assert sum(reports) == dropped == spool.standing.dropped
    assert spool.standing.delivered == len(wanted)
    remains = [path.name for path in spool.path.iterdir()]
    assert sorted(remains) == ["lock", "standing.json"]


@needs_strace
def test_what_cannot_be_unlinked_is_not_sent_again(spool: Spool, server: Server) -> None:
    """Neither by this sender nor by the next one, which sends nothing else either (row 26)."""
    spool.put()
    refuses = strace("unlink:error=EACCES:when=1+")
    assert spool.send(wrapper=refuses) == 0
    assert len(server.requests) == 1
    assert spool.standing.last_error == "unlink"
    spool.put()
    assert spool.send(wrapper=refuses) == 0
    assert len(server.requests) == 1
    assert spool.send() == 0
    assert (len(server.requests), len(server.messages), spool.names) == (2, 4, [])


@needs_strace
def test_what_cannot_be_marked_is_not_sent(spool: Spool, server: Server) -> None:
    """A directory that cannot be written to is found out before a message leaves (row 26)."""
    name = spool.put().name
    assert spool.send(wrapper=strace("rename:error=EROFS:when=1+")) == 0
    assert (server.requests, spool.names) == ([], [name])
    assert spool.send() == 0
    assert len(server.messages) == 2


@needs_strace
def test_full_disk_is_drained_all_the_same(spool: Spool, server: Server) -> None:
    """Nothing can be written down, and what is sent makes room (row 13)."""
    spool.put()
    wrapper = strace("write:error=ENOSPC:when=1+")
    assert spool.send(wrapper=wrapper) == 0
    assert (len(server.messages), spool.names) == (2, [])


@needs_strace
def test_file_system_without_locks_is_delivered_by_age(spool: Spool, server: Server) -> None:
    """What was written whole a minute ago is nobody's; of anything else nobody knows (row 23)."""
    old = pair()
    spool.put(old, age=90, marks=".whole")
    young = spool.put(age=5, marks=".whole").name
    held_perhaps = spool.put(age=90).name
    assert spool.send(wrapper=strace("flock:error=ENOLCK:when=1+")) == 0
    assert [m["messageId"] for m in server.messages] == [m["messageId"] for m in old]
    assert spool.names == sorted([young, held_perhaps])
    assert spool.send() == 0
    assert len(server.messages) == 6


def two_requests(spool: Spool) -> None:
    """Files that need two requests."""
    for _ in range(60):
        spool.put()


def test_choice_that_is_turned_off_stops_the_next_request(
    spool: Spool, server: Server, tmp_path: Path
) -> None:
    """The sender asks again before each (row 85)."""
    chosen = tmp_path / "telemetry.json"
    chosen.write_text('{"enabled": true}\n')

    def reply(request: Request) -> Reply:
        chosen.write_text('{"enabled": false}\n')
        return Reply()

    server.reply = reply
    two_requests(spool)
    assert spool.send(choice=str(chosen)) == 0
    assert len(server.requests) == 1
    assert len(spool.names) == 11
    assert spool.standing.failures == 0
    assert spool.wait is None, "nobody has failed"


def test_choice_that_is_turned_off_stops_the_next_part_of_a_request(
    spool: Spool, server: Server, tmp_path: Path
) -> None:
    """Each half of one that was refused asks again too (row 85)."""
    chosen = tmp_path / "telemetry.json"

    def reply(request: Request) -> Reply:
        chosen.write_text('{"enabled": "perhaps"}\n')
        return Reply(413)

    server.reply = reply
    spool.put()
    assert spool.send(choice=str(chosen)) == 0
    assert len(server.requests) == 1
    assert len(spool.names) == 1


@pytest.mark.parametrize("replaced", [False, True])
def test_lock_without_a_name_stops_the_next_request(
    replaced: bool, spool: Spool, server: Server
) -> None:
    """Its folder was deleted, another sender may be at it by a lock of its own (row 31)."""

    def reply(request: Request) -> Reply:
        (spool.path / "lock").unlink()
        if replaced:
            (spool.path / "lock").touch(0o600)
        return Reply()

    server.reply = reply
    two_requests(spool)
    assert spool.send() == 0
    assert len(server.requests) == 1


def test_what_is_deleted_while_it_is_being_sent_is_sent_no_more(
    spool: Spool, server: Server
) -> None:
    """A purge between two requests (rows 37, 84)."""

    def reply(request: Request) -> Reply:
        for name in spool.names:
            (spool.path / name).unlink()
        return Reply()

    server.reply = reply
    two_requests(spool)
    assert spool.send() == 0
    assert len(server.requests) == 1
    assert spool.names == []


def test_file_that_is_deleted_at_the_last_moment_does_not_leave(
    spool: Spool, server: Server
) -> None:
    """While the connection is being made; its neighbours do (row 37)."""
    victim, stays = pair(), pair()
    path = spool.put(victim)
    spool.put(stays)
    before = (
        "import os, socket\n"
        "known = socket.getaddrinfo\n"
        "def resolve(*a, **k):\n"
        f"    if os.path.exists({str(path)!r}): os.unlink({str(path)!r})\n"
        "    return known(*a, **k)\n"
        "socket.getaddrinfo = resolve\n"
    )
    assert spool.send(before=before) == 0
    assert server.messages == stays
    assert spool.names == []


def test_spool_that_others_may_write_to_is_not_touched(spool: Spool, server: Server) -> None:
    """Nor one behind a symlink (row 20)."""
    name = spool.put().name
    spool.path.chmod(0o770)
    assert spool.send() == 0
    spool.path.chmod(0o700)
    link = spool.path.parent / "link"
    link.symlink_to(spool.path)
    assert spool.send(spool=str(link)) == 0
    assert (server.requests, spool.names) == ([], [name])


def test_what_is_not_ours_lies_in_no_ones_way(spool: Spool, server: Server) -> None:
    """Links, pipes, directories, torn files: the rest is delivered, they are left (row 19)."""
    first = f"{1:020d}-{1:016x}.jsonl"
    os.mkfifo(spool.path / first)
    (spool.path / f"{2:020d}-{2:016x}.jsonl").mkdir()
    (spool.path / f"{3:020d}-{3:016x}.jsonl").symlink_to("/dev/zero")
    linked = spool.put()
    (spool.path / "copy").hardlink_to(linked)
    spool.put(b"")
    spool.put(b"\0" * 4096)
    spool.put(b"\xff\xfe{]\n")
    spool.put(b"x" * (512 * 1024 + 1))
    said = pair()
    spool.put(said)
    began = time.monotonic()
    assert spool.send() == 0
    assert time.monotonic() - began < 20
    assert server.messages == said
    assert [name for name in spool.names if not name.startswith("0000")] == [linked.name]
    assert len(spool.names) == 4


def test_only_one_of_many_senders_works(spool: Spool, server: Server) -> None:
    """The others end at once, with success (rows 29, 30)."""
    alive: list[int] = []

    def reply(request: Request) -> Reply:
        alive.append(1)
        time.sleep(0.3)
        assert len(alive) == 1
        alive.pop()
        return Reply()

    server.reply = reply
    wanted = [found for _ in range(3) for found in pair()]
    spool.put(wanted)
    processes = [spool.start() for _ in range(5)]
    assert [process.wait(60) for process in processes] == [0] * 5
    assert len(server.requests) == 1
    arrived_once(server, wanted)


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
    when: str, spool: Spool, server: Server, tmp_path: Path
) -> None:
    """A file that is closed right before or after the sender lets go is somebody's to deliver.

    Before: the foreground finds the lock busy and goes; the sender's last look finds the file.
    After: the foreground finds it free; it may start another sender, though this one looks too.
    """
    barrier, lock = tmp_path / "barrier", spool.path / "lock"
    os.mkfifo(barrier)
    before = PAUSES.replace("LOCK", repr(str(lock))).replace("BARRIER", repr(str(barrier)))
    spool.put()
    process = spool.start(before=before.replace("WHEN", repr(when)))
    with barrier.open("w"):  # opens when the sender has come to it
        assert len(server.messages) == 2
        spool.put()
        assert is_alive(lock) is (when == "before")
    assert process.wait(60) == 0
    assert (len(server.messages), spool.names) == (4, [])


def test_what_comes_while_a_request_is_answered_is_delivered_too(
    spool: Spool, server: Server
) -> None:
    """Whoever found the lock busy meanwhile relies on it (decision 6)."""
    more = [pair() for _ in range(3)]
    wanted = [found for one in more for found in one]

    def reply(request: Request) -> Reply:
        if more:
            spool.put(more.pop())
        return Reply()

    server.reply = reply
    first = pair()
    spool.put(first)
    assert spool.send() == 0
    arrived_once(server, [*first, *wanted])
    assert spool.names == []


NOTES_MODULES = """\
import atexit, sys
def note():
    with open(FILE, "w") as file:
        file.write("\\n".join(sys.modules))
atexit.register(note)
"""


def test_sender_that_must_not_deliver_keeps_the_bounds_without_a_network(
    spool: Spool, server: Server, tmp_path: Path
) -> None:
    """While a failure puts delivery off, or without a token: no socket, no Segment client."""
    for n in range(1_050):
        spool.put(lines([message("X")]), age=float(n))
    modules = tmp_path / "modules"
    before = NOTES_MODULES.replace("FILE", repr(str(modules)))
    assert spool.send(before=before, deliver=False) == 0
    assert len(spool.names) == 1_000
    assert server.connections == 0
    assert not {"segment", "requests", "urllib3", "ssl", "socket"} & set(
        modules.read_text().split("\n")
    )
    assert spool.send() == 0
    reports = [m["properties"]["dropped"] for m in server.messages if "dropped" in m["properties"]]
    assert (len(server.messages), reports) == (1_000, [50])


def test_far_too_many_files_converge_to_the_bound(spool: Spool, server: Server) -> None:
    """Whatever made them; in memory that does not grow with them (row 22)."""
    _converges(spool, server, 12_000)


@pytest.mark.slow
def test_a_million_files_converge_to_the_bound(spool: Spool, server: Server) -> None:
    """The same in earnest (row 22)."""
    _converges(spool, server, 1_000_000)


def _converges(spool: Spool, server: Server, count: int) -> None:
    said = lines([message("X")])
    now = time.time_ns()
    for n in range(count):
        with open(spool.path / f"{now + n:020d}-{n:016x}.jsonl", "wb") as file:
            file.write(said)
    newest = f"{now + count - 1:020d}-{count - 1:016x}.jsonl"
    peak = spool.path.parent / "peak"
    before = (
        "import atexit\n"
        "def note():\n"
        f"    with open('/proc/self/status') as status, open({str(peak)!r}, 'w') as peak:\n"
        "        peak.write(status.read())\n"
        "atexit.register(note)\n"
    )
    server.reply = Reply(503)
    spool.due_now()
    process = spool.start(before=before)
    assert process.wait(600) == 0
    assert len(server.requests) == 1
    assert len(spool.names) == 1_000
    assert newest in spool.names
    assert spool.standing.dropped == count - 1_000
    (most,) = [line for line in peak.read_text().splitlines() if line.startswith("VmHWM")]
    assert int(most.split()[1]) < 100_000, most


@pytest.fixture
def killer(spool: Spool) -> Callable[..., int]:
    """Starts a sender and kills it after some seconds, unless it has ended."""

    def run(after: float, **how: Any) -> int:
        process = spool.start(**how)
        try:
            return process.wait(after)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    return run


def test_trimming_that_is_killed_again_and_again_counts_exactly(
    spool: Spool, server: Server, killer: Callable[..., int]
) -> None:
    """Every message is delivered or in a count that is, never in both."""
    for n in range(4_000):
        spool.put(lines([message("X")]), age=float(n))
    statuses = Counter(killer(0.06 + 0.02 * (n % 10), deliver=False) for n in range(25))
    assert statuses[-9] > 3, statuses
    assert spool.send(deliver=False) == 0
    assert spool.send() == 0
    reports = sum(m["properties"].get("dropped", 0) for m in server.messages)
    assert len(server.messages) == 1_000
    assert reports == spool.standing.dropped == 3_000


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
def test_client_that_has_changed_is_not_believed(how: str, spool: Spool, server: Server) -> None:
    """A version that posts in another way delivers nothing, loses nothing, and is told of."""
    name = spool.put().name
    spool.send(before=CHANGED[how])
    assert (server.requests, spool.names) == ([], [name])
    assert (spool.standing.failures, bool(spool.standing.last_error)) == (1, True)
    assert spool.wait is not None
    assert spool.wait > 14


def test_sender_keeps_nothing_of_its_parent(cli: Cli, server: Server, home: Home) -> None:
    """Neither descriptors, nor streams, nor directory, nor session (row 95)."""
    server.reply = Reply(delay=20.0)
    own = home.path / "own"
    own.write_text("")
    line = f'exec 7<"{own}" 8>>"{own}" 17<"{own}"; cd "{home.path}"; "$@"'
    subprocess.run(
        ["bash", "-c", line, "sh", *cli.command("deploy")], env=cli.env(), check=True, timeout=30
    )
    wait_until(lambda: len(server.requests) == 1)
    spool = home.spooled()[0].parent
    (pid,) = [
        int(entry)
        for entry in os.listdir("/proc")
        if entry.isdigit() and int(entry) != os.getpid() and _holds(int(entry), spool / "lock")
    ]
    descriptors = {n: os.readlink(f"/proc/{pid}/fd/{n}") for n in os.listdir(f"/proc/{pid}/fd")}
    kinds = Counter(
        "socket" if path.startswith("socket:") else path.removeprefix(str(spool))
        for path in descriptors.values()
    )
    (waiting,) = home.spooled()
    assert kinds == {"/dev/null": 3, "/lock": 1, "/" + waiting.name: 1, "socket": 1}
    assert all(int(n) >= 10 for n, path in descriptors.items() if path.startswith(str(spool)))
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    assert os.getsid(pid) != os.getsid(0)
    status = dict(
        line.split(":\t", 1)
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if ":\t" in line
    )
    assert int(status["SigBlk"], 16) == 0
    limits = Path(f"/proc/{pid}/limits").read_text()
    assert "Max core file size        0 " in limits
    assert "Max address space         536870912 " in limits
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    assert stat[4] == "0", "no controlling terminal"
    os.kill(pid, signal.SIGKILL)


def test_terminal_that_is_closed_does_not_take_the_sender_along(
    cli: Cli, server: Server, home: Home
) -> None:
    """The window goes as soon as the command is done (row 7)."""
    terminal = Terminal(cli.command("deploy"), cli.env(), home.path)
    assert terminal.close() == 0
    assert server.messages == []
    assert len(server.wait_for(2)) == 2


def test_sender_leaves_the_lock_to_the_next_one_whatever_kills_it(
    spool: Spool, server: Server
) -> None:
    """The kernel gives it back, and nothing that is left stands in the way (row 31)."""
    server.reply = Reply(silent=True)
    spool.put()
    for kill in (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV):
        process = spool.start()
        lock = spool.path / "lock"
        requests = len(server.requests)
        wait_until(lambda requests=requests: len(server.requests) > requests)  # type: ignore[misc]
        assert is_alive(lock)
        process.send_signal(kill)
        process.wait()
        assert not is_alive(lock)
        with lock.open("rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    server.reply = Reply()
    assert spool.send() == 0
    assert len(server.messages) == 2
