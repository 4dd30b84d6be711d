"""Disks that are full, read-only, strange or not there: the command notices nothing of it."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..harness.faults import needs_strace
from ..harness.processes import Cli, Home
from ..harness.sameness import limited, masked, program, same, seen
from ..harness.senders import due_now, wait_for_end, wait_until
from ..harness.server import Server

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform != "linux", reason="file systems and limits of Linux"),
]

MakeCli = Callable[..., Cli]

PAIR = ["Command Invoked", "Command Completed"]
STRANGER = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting, giving away: root's")


@pytest.fixture
def small_disk(home: Home) -> Iterator[Path]:
    """The home on a file system of its own, of 256 KB."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(home.path)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("nothing may be mounted here")
    yield home.path
    subprocess.run(["umount", "-l", str(home.path)], check=True)


def fill(path: Path) -> None:
    """Take all the room there is."""
    with path.open("wb", buffering=0) as file:
        for size in (4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue


def names(server: Server) -> list[str]:
    return [m["event"] for m in server.messages if m["type"] == "track"]


@needs_root
@pytest.mark.parametrize("used", [False, True], ids=["first run", "later"])
def test_full_disk(
    used: bool, small_disk: Path, make_cli: MakeCli, server: Server, home: Home
) -> None:
    """Nothing is recorded, nothing is left behind; once there is room all is well (row 13)."""
    cli = make_cli(program("ctx.exit(3)"))
    cli.environ["ACME_TELEMETRY_HOST"] = server.url
    if used:
        seen(cli)
        server.wait_for(2)
        wait_for_end(home)
    fill(small_disk / "full")
    assert same(cli).returncode == 3
    assert home.spooled() == []
    (small_disk / "full").unlink()
    due_now(home)
    seen(cli)
    server.wait_for(4 if used else 2)
    assert names(server) == PAIR * (2 if used else 1)


@needs_root
def test_disk_that_fills_while_the_command_runs(
    small_disk: Path, make_cli: MakeCli, server: Server
) -> None:
    """What did not fit is counted, what did arrives whole, and the pair is complete (row 13)."""
    cli = make_cli(
        program(
            """
            full = open("full", "wb", buffering=0)
            for size in (4096, 1):
                try:
                    while True: full.write(b"x" * size)
                except OSError: pass
            for number in range(30): track("Exported", {"number": number, "text": "x" * 500})
            os.unlink("full"); full.close()
            """
        )
    )
    cli.environ["ACME_TELEMETRY_HOST"] = server.url
    same(cli)
    arrived = server.wait_for(2)
    own = [m["properties"]["number"] for m in arrived if m["event"] == "Exported"]
    assert 1 <= len(own) < 30
    assert own == list(range(len(own)))
    (completed,) = [m["properties"] for m in arrived if m["event"] == "Command Completed"]
    assert completed["outcome"] == "success"
    assert completed["dropped"] == 30 - len(own)


@needs_root
@pytest.mark.parametrize("used", [False, True], ids=["first run", "later"])
def test_read_only_disk(used: bool, small_disk: Path, make_cli: MakeCli, home: Home) -> None:
    """No output, no event (row 15)."""
    cli = make_cli(program())
    if used:
        seen(cli, {"ACME_TELEMETRY_HOST": "http://127.0.0.1:9"})
        wait_for_end(home)
    before = home.files()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    same(cli)
    assert home.files() == before


@needs_root
@pytest.mark.parametrize("part", ["", ".local/state/acme/telemetry", "spool"])
def test_directory_that_may_not_be_written_to(
    part: str, make_cli: MakeCli, home: Home, server: Server
) -> None:
    """EACCES anywhere on the way (row 15)."""
    tool = shutil.which("setpriv")
    if tool is None:
        pytest.skip("nothing here takes a privilege away from root")
    cli = make_cli(program("ctx.exit(3)"))
    cli.environ["ACME_TELEMETRY_HOST"] = server.url
    if part:
        seen(cli)
        server.wait_for(2)
        wait_for_end(home)
    place = home.path / part
    if part == "spool":
        (place,) = home.state().glob("spool/*")
    place.chmod(0o500)
    before = home.files()
    weak = (tool, "--bounding-set=-dac_override,-dac_read_search")
    try:
        assert same(cli, wrapper=weak).returncode == 3
        assert home.files() == before
    finally:
        place.chmod(0o700)


@pytest.mark.parametrize("most", [3, 4, 5, 8, 10, 11, 12])
def test_no_descriptor_is_left(most: int, make_cli: MakeCli, home: Home) -> None:
    """EMFILE from the first of ours, or from a later one, on (row 15)."""
    cli = make_cli(
        program(
            "resource.setrlimit(resource.RLIMIT_NOFILE, before)",
            group=f"resource.setrlimit(resource.RLIMIT_NOFILE, ({most}, before[1]))",
            head="import resource\nbefore = resource.getrlimit(resource.RLIMIT_NOFILE)",
        )
    )
    same(cli, {"ACME_TELEMETRY_HOST": "http://127.0.0.1:9"})
    for path in home.spooled():
        events = [json.loads(line)["event"] for line in path.read_text().splitlines()]
        assert events == PAIR


@pytest.mark.parametrize(
    "environ",
    [
        {"HOME": None},
        {"HOME": ""},
        {"HOME": "."},
        {"HOME": "relative/home"},
        {"HOME": "~"},
        {"HOME": "/nonexistent/home"},
        {"HOME": "/dev/null"},
        {"HOME": "/proc/self"},
        {"HOME": "/" + "long" * 64 + "/x"},
        {"HOME": "/tmp" + "/long" * 1000},
        {"HOME": None, "XDG_STATE_HOME": "state", "XDG_CONFIG_HOME": "config"},
        {"XDG_STATE_HOME": "/dev/null"},
    ],
    ids=str,
)
def test_home_that_is_none(
    environ: dict[str, str | None], make_cli: MakeCli, home: Home, tmp_path: Path
) -> None:
    """Nothing is made, least of all in the current directory (rows 15 and 16)."""
    cli = make_cli(program())
    cli.home.environ.update({name: value for name, value in environ.items() if value is not None})
    for name in [name for name, value in environ.items() if value is None]:
        del cli.home.environ[name]
    weak = shutil.which("setpriv")  # root could make a home anywhere
    nobody = (weak, "--bounding-set=-dac_override,-dac_read_search") if weak else ()
    if "/nonexistent/home" in environ.values() or "long" in str(environ):
        place = tmp_path / "locked"
        place.mkdir(mode=0o500)
        cli.home.environ["HOME"] = str(place) + cli.home.environ["HOME"]
    same(cli, wrapper=nobody)
    assert home.files() == []


@pytest.mark.parametrize("variable", ["XDG_STATE_HOME", "XDG_CONFIG_HOME"])
def test_relative_xdg_directory_is_ignored(
    variable: str, make_cli: MakeCli, home: Home, server: Server
) -> None:
    """As its specification has it; home's own default is used (row 17)."""
    cli = make_cli(program())
    cli.environ["ACME_TELEMETRY_HOST"] = server.url
    seen(cli, {variable: "relative"})
    server.wait_for(2)
    assert not (home.path / "relative").exists()
    assert (home.state() / "id").exists()


@pytest.mark.parametrize("umask", [0, 0o777], ids=oct)
def test_files_are_private_under_any_umask(
    umask: int, make_cli: MakeCli, home: Home, server: Server
) -> None:
    """0700 and 0600, and everything arrives (row 25)."""
    cli = make_cli(program())
    cli.environ["ACME_TELEMETRY_HOST"] = server.url
    assert same(cli, preexec_fn=masked(umask)).returncode == 0
    server.wait_for(2)
    wait_for_end(home)
    found = [home.state().parent, *home.state().parent.rglob("*")]
    modes = {stat.S_IMODE(path.stat().st_mode) for path in found if path.is_dir()}
    assert modes == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in found if path.is_file()} == {0o600}


@pytest.mark.parametrize("kind", ["symlink", "foreign", "group-writable", "fifo", "file"])
@pytest.mark.parametrize("place", ["state", "spool"])
def test_directory_that_is_not_mine_alone_is_not_used(
    place: str, kind: str, make_cli: MakeCli, home: Home
) -> None:
    """A symlink, somebody else's, one that others may write to (row 20)."""
    cli = make_cli(program())
    cli.environ["ACME_TELEMETRY_HOST"] = "http://127.0.0.1:9"
    seen(cli)
    wait_for_end(home)
    path = home.state() if place == "state" else next(home.state().glob("spool/*"))
    if kind in ("symlink", "fifo", "file"):
        path.rename(home.path / "elsewhere")
    if kind == "symlink":
        path.symlink_to(home.path / "elsewhere")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "file":
        path.write_text("mine")
    elif kind == "group-writable":
        path.chmod(0o770)
    elif os.geteuid() != 0:
        pytest.skip("giving away is root's")
    else:
        os.chown(path, STRANGER, STRANGER)
    before = home.files()
    same(cli)
    assert home.files() == before


def test_line_that_was_cut_short_is_lost_alone(
    make_cli: MakeCli, home: Home, server: Server
) -> None:
    """The limit on a file's size ends a write in its middle (row 14)."""
    cli = make_cli(
        program(
            """
            before = resource.getrlimit(resource.RLIMIT_FSIZE)
            track("First")
            (path,) = glob.glob(os.path.expanduser("~/.local/state/acme/*/spool/*/*.jsonl")) or "/"
            resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize(path) + 99, before[1]))
            track("Second")
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            track("Third")
            """,
            head="import glob, resource",
        )
    )
    cli.environ["ACME_TELEMETRY_HOST"] = server.url
    same(cli)
    arrived = server.wait_for(4)
    told = [(m["event"], m["properties"].get("dropped")) for m in arrived]
    assert told == [
        ("Command Invoked", None),
        ("First", None),
        ("Third", 1),
        ("Command Completed", None),
    ]


def test_limit_that_lets_nothing_be_written(make_cli: MakeCli, home: Home) -> None:
    """`ulimit -f 0`: not a byte, and no signal (row 14)."""
    import resource

    cli = make_cli(program("ctx.exit(3)"))
    found = same(cli, preexec_fn=limited({resource.RLIMIT_FSIZE: 0}))
    assert found.returncode == 3
    assert home.spooled() == []


@needs_strace
def test_file_system_without_locks(make_cli: MakeCli, home: Home, server: Server) -> None:
    """Memory, and one rename at the end; a sender takes it as it is (row 23)."""
    cli = make_cli(program("track('Exported')"))
    cli.environ["ACME_TELEMETRY_HOST"] = server.url
    log = home.path.parent / "trace"
    without = ("strace", "-o", str(log), "-y", "-e", "trace=flock,write,rename", "-e")
    same(cli, wrapper=(*without, "inject=flock:error=ENOLCK"))
    (waiting,) = home.spooled()
    assert waiting.name.endswith(".whole.jsonl")
    told = [json.loads(line)["event"] for line in waiting.read_text().splitlines()]
    assert told == ["Command Invoked", "Exported", "Command Completed"]
    due_now(home)
    seen(cli)
    wait_until(lambda: len(names(server)) == 6)
