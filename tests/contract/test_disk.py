"""Disks that are full, read-only, unusual or missing: the command behaves the same."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..harness.faults import needs_strace
from ..harness.processes import Cli, Home
from ..harness.queue import messages_of
from ..harness.sameness import limited, masked, program, same, seen
from ..harness.senders import due_now, wait_for_end
from ..harness.server import Server

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform != "linux", reason="file systems and limits of Linux"),
]

MakeCli = Callable[..., Cli]

PAIR = ["Command Invoked", "Command Completed"]
OTHER_USER = 65534
needs_root = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root may mount and chown"
)


@pytest.fixture
def small_disk(home: Home) -> Iterator[Path]:
    """The home on a file system of its own, of 256 KB."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(home.path)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("mounting is forbidden")
    yield home.path
    subprocess.run(["umount", "-l", str(home.path)], check=True)


def fill(path: Path) -> None:
    """Fill the disk."""
    with path.open("wb", buffering=0) as file:
        for size in (4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue


def names(server: Server) -> list[str]:
    return [m["event"] for m in server.messages if m["type"] == "track"]


@pytest.mark.sample(1)
@needs_root
@pytest.mark.parametrize("used", [False, True], ids=["first run", "later"])
def test_full_disk(
    used: bool, small_disk: Path, make_cli: MakeCli, server: Server, home: Home
) -> None:
    """Nothing is recorded or left; the run after that is delivered."""
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
    """What did not fit is counted, the rest arrives in full, and the pair is complete."""
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
    """No output, no event."""
    cli = make_cli(program())
    if used:
        seen(cli, {"ACME_TELEMETRY_HOST": "http://127.0.0.1:9"})
        wait_for_end(home)
    before = home.files()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    same(cli)
    assert home.files() == before


@pytest.fixture
def unprivileged() -> tuple[str, ...]:
    """A command that runs another one without the capability to write everywhere."""
    tool = shutil.which("setpriv")
    if tool is None or os.geteuid() != 0:
        pytest.skip("needs root and setpriv, to drop capabilities")
    return (tool, "--bounding-set=-dac_override,-dac_read_search")


@pytest.mark.parametrize("part", ["", "spool"])
def test_directory_that_may_not_be_written_to(
    part: str, unprivileged: tuple[str, ...], make_cli: MakeCli, home: Home, server: Server
) -> None:
    """EACCES for the first file of an application, or for a file in its spool."""
    cli = make_cli(program("ctx.exit(3)"))
    cli.environ["ACME_TELEMETRY_HOST"] = server.url
    place = home.path
    if part:
        seen(cli)
        server.wait_for(2)
        wait_for_end(home)
        (place,) = home.state().glob("spool/*")
    place.chmod(0o500)
    before = home.files()
    try:
        assert same(cli, wrapper=unprivileged).returncode == 3
        assert home.files() == before
    finally:
        place.chmod(0o700)


@pytest.mark.extended
def test_state_directory_that_may_not_be_written_to_needs_no_writing(
    unprivileged: tuple[str, ...], make_cli: MakeCli, home: Home, server: Server
) -> None:
    """Only the spool in it is written to after the first run."""
    cli = make_cli(program("ctx.exit(3)"))
    cli.environ["ACME_TELEMETRY_HOST"] = server.url
    seen(cli)
    server.wait_for(2)
    wait_for_end(home)
    home.state().chmod(0o500)
    try:
        assert same(cli, wrapper=unprivileged).returncode == 3
        server.wait_for(4)
    finally:
        home.state().chmod(0o700)


@pytest.mark.sample(2)
@pytest.mark.parametrize("most", [3, 4, 5, 8, 10, 11, 12])
def test_no_descriptor_is_left(most: int, make_cli: MakeCli, home: Home) -> None:
    """EMFILE from our first descriptor on, or from a later one."""
    cli = make_cli(
        program(
            "resource.setrlimit(resource.RLIMIT_NOFILE, before)",
            group=f"resource.setrlimit(resource.RLIMIT_NOFILE, ({most}, before[1]))",
            head="import resource\nbefore = resource.getrlimit(resource.RLIMIT_NOFILE)",
        )
    )
    same(cli, {"ACME_TELEMETRY_HOST": "http://127.0.0.1:9"})
    for path in home.spooled():
        assert [message["event"] for message in messages_of(path)] == PAIR


@pytest.mark.sample(4)
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
def test_home_that_cannot_be_used(
    environ: dict[str, str | None], make_cli: MakeCli, home: Home, tmp_path: Path
) -> None:
    """Nothing is created, in the current directory in particular."""
    cli = make_cli(program())
    cli.home.environ.update({name: value for name, value in environ.items() if value is not None})
    for name in [name for name, value in environ.items() if value is None]:
        del cli.home.environ[name]
    weak = shutil.which("setpriv")  # root could create a home anywhere
    wrapper = (weak, "--bounding-set=-dac_override,-dac_read_search") if weak else ()
    if "/nonexistent/home" in environ.values() or "long" in str(environ):
        place = tmp_path / "locked"
        place.mkdir(mode=0o500)
        cli.home.environ["HOME"] = str(place) + cli.home.environ["HOME"]
    same(cli, wrapper=wrapper)
    assert home.files() == []


@pytest.mark.parametrize("variable", ["XDG_STATE_HOME", "XDG_CONFIG_HOME"])
def test_relative_xdg_directory_is_ignored(
    variable: str, make_cli: MakeCli, home: Home, server: Server
) -> None:
    """The default below the home is used, as the specification requires."""
    cli = make_cli(program())
    cli.environ["ACME_TELEMETRY_HOST"] = server.url
    seen(cli, {variable: "relative"})
    server.wait_for(2)
    assert not (home.path / "relative").exists()
    assert (home.state() / "id").exists()


@pytest.mark.sample(1)
@pytest.mark.parametrize("umask", [0, 0o777], ids=oct)
def test_files_are_private_under_any_umask(
    umask: int, make_cli: MakeCli, home: Home, server: Server
) -> None:
    """0700 and 0600, and everything arrives."""
    cli = make_cli(program())
    cli.environ["ACME_TELEMETRY_HOST"] = server.url
    assert same(cli, preexec_fn=masked(umask)).returncode == 0
    server.wait_for(2)
    wait_for_end(home)
    found = [home.state().parent, *home.state().parent.rglob("*")]
    modes = {stat.S_IMODE(path.stat().st_mode) for path in found if path.is_dir()}
    assert modes == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in found if path.is_file()} == {0o600}


@pytest.mark.sample(1)
@pytest.mark.parametrize("kind", ["symlink", "foreign", "group-writable", "fifo", "file"])
@pytest.mark.parametrize("place", ["state", "spool"])
def test_directory_that_is_not_private_is_not_used(
    place: str, kind: str, make_cli: MakeCli, home: Home
) -> None:
    """A symlink, another user's, one that others may write to."""
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
        path.write_text("own")
    elif kind == "group-writable":
        path.chmod(0o770)
    elif os.geteuid() != 0:
        pytest.skip("only root may chown")
    else:
        os.chown(path, OTHER_USER, OTHER_USER)
    before = home.files()
    same(cli)
    assert home.files() == before


def test_line_that_was_cut_short_is_lost_alone(
    make_cli: MakeCli, home: Home, server: Server
) -> None:
    """The limit on a file's size cuts a write short."""
    cli = make_cli(
        program(
            """
            before = resource.getrlimit(resource.RLIMIT_FSIZE)
            track("First")
            (path,) = glob.glob(os.path.expanduser("~/.local/state/acme/*/spool/*/*.facts")) or "/"
            resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize(path) + 20, before[1]))
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
    dropped = [(m["event"], m["properties"].get("dropped")) for m in arrived]
    assert dropped == [
        ("Command Invoked", None),
        ("First", None),
        ("Third", 1),
        ("Command Completed", None),
    ]


def test_limit_that_lets_nothing_be_written(make_cli: MakeCli, home: Home) -> None:
    """`ulimit -f 0`: not a byte, and no signal."""
    import resource

    cli = make_cli(program("ctx.exit(3)"))
    found = same(cli, preexec_fn=limited({resource.RLIMIT_FSIZE: 0}))
    assert found.returncode == 3
    assert home.spooled() == []


HEAD_THAT_WAS_CUT = """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (99, before[1]))
"""


def test_head_that_was_cut_short_costs_no_event(make_cli: MakeCli, server: Server) -> None:
    """The next write begins a new file, with what the first one could not write."""
    cli = make_cli(
        program(
            """
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            track("Exported")
            """,
            group="global before\n" + textwrap.dedent(HEAD_THAT_WAS_CUT),
            head="import resource",
        )
    )
    cli.environ["ACME_TELEMETRY_HOST"] = server.url
    same(cli)
    arrived = [(m["event"], m["properties"].get("dropped")) for m in server.wait_for(3)]
    assert arrived == [("Command Invoked", None), ("Exported", None), ("Command Completed", None)]


@needs_strace
def test_file_system_without_locks(make_cli: MakeCli, home: Home, server: Server) -> None:
    """Nothing is recorded and nothing is left; with locks the next run is delivered."""
    cli = make_cli(program("track('Exported')"))
    cli.environ["ACME_TELEMETRY_HOST"] = server.url
    same(cli, wrapper=("strace", "-o", os.devnull, "-e", "inject=flock:error=ENOLCK"))
    assert home.spooled() == []
    seen(cli)
    arrived = [(m["event"], m["properties"].get("dropped")) for m in server.wait_for(3)]
    assert arrived == [("Command Invoked", None), ("Exported", None), ("Command Completed", None)]
