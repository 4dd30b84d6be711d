"""Our descriptors among the application's: high numbers, not inherited, never another file's."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from ..harness.facts import file_name
from ..harness.faults import Call, needs_strace, ours, traced
from ..harness.processes import Cli, Home
from ..harness.queue import messages_of
from ..harness.sameness import same, seen
from ..harness.senders import due_now, wait_for_end
from ..harness.server import Server

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform != "linux", reason="/proc, and POSIX shells"),
]

MakeCli = Callable[..., Cli]

LISTING = """
def ours():
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        if "/telemetry/" in target:
            found[int(name)] = os.get_inheritable(int(name))
    return found
"""


@pytest.mark.sample(1)
@pytest.mark.parametrize("closed", ["", "<&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_our_descriptors_are_ten_or_more_and_not_inherited(
    closed: str, make: MakeCli, server: Server, home: Home
) -> None:
    """Also if the standard streams were closed and the small numbers are free."""
    cli = make(
        "open(os.environ['HOME'] + '/found', 'w').write(repr(ours()))",
        head=LISTING,
    )
    shell = ("bash", "-c", f'"$@" {closed}', "sh")
    same(cli, wrapper=shell)
    found = eval((home.path / "found").read_text())
    assert list(found.values()) == [False]
    assert min(found) >= 10
    assert [m["event"] for m in server.wait_for(2)] == ["Command Invoked", "Command Completed"]


def test_child_of_the_command_has_none_of_our_descriptors(make: MakeCli) -> None:
    """With `close_fds=False` too."""
    cli = make(
        """
        import subprocess
        line = "ls -l /proc/self/fd | grep -c telemetry"
        subprocess.run(["sh", "-c", line], close_fds=False)
        """
    )
    assert seen(cli).stdout == b"out\n0\n"


CLOSING = {
    "closes all": "os.closerange(3, 200)",
    "closes ours": "for number in ours(): os.close(number)",
    "takes our number": """
        for number in ours():
            own = os.open("own", os.O_RDWR | os.O_CREAT); os.dup2(own, number); os.close(own)
        """,
    "takes every number": """
        own = os.open("own", os.O_RDWR | os.O_CREAT)
        for number in range(3, 60):
            if number != own: os.dup2(own, number)
        """,
}


@pytest.mark.sample(1)
@pytest.mark.parametrize("body", CLOSING.values(), ids=CLOSING)
def test_command_that_closes_our_descriptor_is_recorded_no_further(
    body: str, make: MakeCli, server: Server, home: Home
) -> None:
    """None of our bytes is in its own file; the next sender finds the run unfinished, once."""
    cli = make(textwrap.dedent(body) + "\ntrack('Exported')\nctx.exit(4)", head=LISTING)
    seen(cli, {"BARE": "1"})
    assert seen(cli).returncode == 4
    own = home.path / "own"
    assert not own.exists() or own.read_bytes() == b""
    assert make(name="healthy.py").run("go").returncode == 0
    server.wait_for(4)
    wait_for_end(home)
    outcomes = [(m["event"], m["properties"].get("outcome")) for m in server.messages[1:]]
    assert outcomes == [
        ("Command Invoked", None),
        ("Command Completed", "unfinished"),
        ("Command Invoked", None),
        ("Command Completed", "success"),
    ]
    assert home.spooled() == []


def test_daemon_that_closes_everything_writes_to_none_of_our_files(
    make: MakeCli, server: Server, home: Home
) -> None:
    """It forks, starts a session, closes everything and continues: its run is unfinished."""
    cli = make(
        """
        if os.fork(): os._exit(0)
        os.setsid()
        os.closerange(0, 200)
        own = [os.open("own", os.O_RDWR | os.O_CREAT) for _ in range(30)]
        track("By Daemon")
        """
    )
    seen(cli)
    assert make().run("go").returncode == 0
    outcomes = [(m["event"], m["properties"].get("outcome")) for m in server.wait_for(4)]
    assert sorted(outcomes, key=str) == [
        ("Command Completed", "success"),
        ("Command Completed", "unfinished"),
        ("Command Invoked", None),
        ("Command Invoked", None),
    ]
    assert (home.path / "own").read_bytes() == b""


@pytest.mark.extended
@needs_strace
def test_cost_of_a_run_does_not_grow_with_the_queue(make: MakeCli, home: Home) -> None:
    """The same system calls with ten files in the queue and with a thousand."""
    cli = make("track('Exported')")
    cli.environ["ACME_TELEMETRY_HOST"] = "http://127.0.0.1:9"
    seen(cli)
    wait_for_end(home)
    (queued,) = home.spooled()
    content = queued.read_bytes()

    def calls_with(count: int) -> list[str]:
        for number in range(len(home.spooled()), count):
            (queued.parent / file_name(number, at=0)).write_bytes(content)
        assert len(home.spooled()) == count
        due_now(home)
        calls = ours(traced(cli, "go").calls, home.path)
        for path in home.spooled()[count:]:
            path.unlink()
        wait_for_end(home)
        return [call.name for call in calls]

    few, many = calls_with(10), calls_with(1000)
    assert many == few


@needs_strace
def test_temporary_directory_is_never_used(make: MakeCli, home: Home, tmp_path: Path) -> None:
    """Other users can neither read nor plant anything there."""
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o1777)
    cli = make("track('Exported')")
    cli.environ["TMPDIR"] = str(shared)
    calls: list[Call] = traced(cli, "go").calls
    assert [call for call in calls if str(shared) in call.text] == []
    assert list(shared.iterdir()) == []


def test_descriptor_of_another_program_is_left_alone(make: MakeCli, home: Home) -> None:
    """A number that the shell opened remains the same file to the end."""
    cli = make("os.write(12, b'theirs')")
    line = 'exec 12>"$HOME/theirs"; "$@"; echo more >&12'
    subprocess.run(
        ["bash", "-c", line, "sh", *cli.command("go")], env=cli.env(), check=True, timeout=60
    )
    assert (home.path / "theirs").read_text() == "theirsmore\n"
    queued = [message["event"] for path in home.spooled() for message in messages_of(path)]
    assert queued in ([], ["Command Invoked", "Command Completed"])
