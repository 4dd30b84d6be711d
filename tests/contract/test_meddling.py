"""Applications that change directories, clocks, Python's own functions while we record."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import pytest

from ..harness.processes import Cli, Home
from ..harness.sameness import same, seen
from ..harness.senders import wait_for_end
from ..harness.server import Server

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform != "linux", reason="chroot and deleted directories"),
]

MakeCli = Callable[..., Cli]


MOVING = {
    "chdir": "os.chdir('/')",
    "a deleted directory": "os.makedirs('gone'); os.chdir('gone'); os.rmdir('../gone')",
    "another HOME": "os.environ['HOME'] = '/nonexistent'; os.environ['XDG_STATE_HOME'] = '/no'",
    "an empty environment": "os.environ.clear()",
    "a umask": "os.umask(0o777)",
}

MEDDLING = {
    "time": "import time; time.time = time.monotonic = time.time_ns = broken",
    "json": "import json; json.dumps = json.loads = json.JSONEncoder = broken",
    "open": "import builtins, io; builtins.open = io.open = broken",
    "os.listdir": "os.listdir = os.scandir = os.path.exists = broken",
    "os.write": "os.write = os.open = os.fstat = broken",
    "os.posix_spawn": "os.posix_spawn = os.pipe = broken",
    "fcntl": "import fcntl; fcntl.flock = fcntl.fcntl = broken",
    "import": "import builtins; builtins.__import__ = broken",
    "a clock that was set back": "import time; time.time_ns = lambda: 1; time.time = lambda: 1.0",
    "random": "os.urandom = lambda size: b'\\0' * size",
}
BROKEN = """
def broken(*args, **kwargs):
    raise RuntimeError("the application's own")
"""


def outcomes(server: Server, home: Home) -> list[tuple[str, str | None]]:
    server.wait_for(2)
    wait_for_end(home)
    tracks = [m for m in server.messages if m["type"] == "track"]
    return [(m["event"], m["properties"].get("outcome")) for m in tracks]


@pytest.mark.sample(1)
@pytest.mark.parametrize("body", MOVING.values(), ids=MOVING)
def test_command_that_moves_is_recorded_where_it_began(
    body: str, make: MakeCli, server: Server, home: Home
) -> None:
    """Paths are absolute and were taken at the start (row 73)."""
    cli = make(f"{body}\ntrack('Exported')")
    assert same(cli).returncode == 0
    assert outcomes(server, home) == [
        ("Command Invoked", None),
        ("Exported", None),
        ("Command Completed", "success"),
    ]


@pytest.mark.extended
@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="chroot is root's")
def test_command_that_changes_its_root_creates_nothing_there(
    make: MakeCli, server: Server, home: Home
) -> None:
    """The open file stays ours; the next invocation delivers it (row 73)."""
    cli = make("os.mkdir('new'); os.chroot('new'); track('Exported')")
    import shutil

    for _ in range(2):
        shutil.rmtree(home.path / "new", ignore_errors=True)
        same_root = cli.run("go")
        assert (same_root.stdout, same_root.returncode) == ("out\n", 0)
        assert list((home.path / "new").iterdir()) == []
    assert len(home.spooled()) == 2
    healthy = make("")
    assert healthy.run("go").returncode == 0
    delivered = outcomes(server, home)
    assert delivered.count(("Command Completed", "success")) == 3
    assert ("Command Completed", "unfinished") not in delivered


@pytest.mark.sample(2)
@pytest.mark.parametrize("where", ["group", "body", "head"])
@pytest.mark.parametrize("body", MEDDLING.values(), ids=MEDDLING)
def test_command_that_replaces_functions_of_python_is_unaffected(
    body: str, where: str, make: MakeCli, home: Home
) -> None:
    """Whenever it does so; only our own events may be lost (row 74)."""
    if "__import__" in body and where != "body":
        pytest.skip("Click itself imports until then")
    cli = make(**{"body": "", where: body, "head": BROKEN + (body if where == "head" else "")})
    if "listdir" in body and where == "head" and sys.version_info < (3, 11):
        # Click's own parsing fails, and Python 3.10 shows the lines of one frame of ours then.
        bare, ours = seen(cli, {"BARE": "1"}), seen(cli)
        added = [line for line in ours.stderr.splitlines() if line not in bare.stderr.splitlines()]
        assert ours[:2] == bare[:2]
        assert len(added) == 2
        assert b"click_telemetry/_instrument.py" in added[0]
        return
    same(cli)


@pytest.mark.sample(1)
@pytest.mark.parametrize("tick", ["", ", auto_tick_seconds=15"])
def test_frozen_clock_is_used_as_it_is(
    tick: str, make: MakeCli, server: Server, home: Home
) -> None:
    """Freezegun replaces functions in our modules too (row 74)."""
    cli = make(
        """
        for number in range(5): track("Exported", {"number": number})
        """,
        group=f"freezegun.freeze_time('2020-02-02 02:02:02'{tick}).start()",
        head="import freezegun",
    )
    assert same(cli).returncode == 0
    server.wait_for(7)
    wait_for_end(home)
    tracks = [m for m in server.messages if m["type"] == "track"]
    assert [m["properties"]["sequence"] for m in tracks] == list(range(1, 8))
    assert {m["timestamp"][:10] for m in tracks} == {"2020-02-02"}
    assert tracks[-1]["properties"]["outcome"] == "success"
