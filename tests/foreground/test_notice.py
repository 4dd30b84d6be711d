"""The notice: shown once, on a terminal, and only what was shown permits recording."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from click_telemetry.privacy.notice import STALE_AFTER, show, text, was_shown
from click_telemetry.storage import Unusable

from .racing import environment, python, race

pty = pytest.importorskip("pty", reason="needs a terminal")
fcntl = pytest.importorskip("fcntl")

TOLD = "We count commands.\n"
SHOWN = b"shown  \n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "acme" / "telemetry" / "notice"


class Terminal:
    """A terminal, and what stands on it."""

    def __init__(self) -> None:
        self._here, self.device = pty.openpty()
        os.set_blocking(self._here, False)
        self._text = ""

    @property
    def text(self) -> str:
        try:
            while piece := os.read(self._here, 4096):
                self._text += piece.decode().replace("\r\n", "\n")
        except BlockingIOError:
            pass
        return self._text

    def show(self, path: Path | str, text: str = TOLD) -> bool:
        """Show the notice with this terminal for stderr."""
        with (
            open(self.device, "w", encoding="utf-8", closefd=False) as stderr,
            contextlib.redirect_stderr(stderr),
        ):
            shown = show(str(path), text)
            assert self.text.endswith(text) or not shown, "it must be seen before it is marked"
            return shown

    def close(self) -> None:
        os.close(self._here)
        os.close(self.device)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    yield terminal
    terminal.close()


class Stderr(io.StringIO):
    """A terminal that does something of its own when it is written to."""

    def __init__(self, then: Callable[[], object]) -> None:
        super().__init__()
        self.then = then

    def isatty(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        self.then()
        return super().write(text)


def marked(path: Path, content: bytes) -> str:
    path.parent.mkdir(parents=True, mode=0o700)
    path.write_bytes(content)
    return str(path)


def test_the_notice_is_shown_once(path: Path, terminal: Terminal) -> None:
    """I am told at the first run, and never again."""
    assert not was_shown(str(path))
    assert terminal.show(path)
    assert terminal.text == TOLD
    assert was_shown(str(path))
    assert not terminal.show(path)
    assert terminal.text == TOLD
    assert path.read_bytes() == SHOWN


@pytest.mark.parametrize(
    "content",
    [b"", b"claimed\n", b"shown", b"shown  ", b"shown  \nx", b"Shown  \n", SHOWN * 2, b"x" * 1000],
)
def test_only_shown_counts_as_shown(path: Path, content: bytes, terminal: Terminal) -> None:
    """A mark that was torn, or only claimed, permits nothing; I am told again."""
    assert not was_shown(marked(path, content))
    assert terminal.show(path)
    assert terminal.text == TOLD
    assert path.read_bytes() == SHOWN


def test_of_many_first_runs_one_shows_the_notice(path: Path, terminal: Terminal) -> None:
    """Twelve commands at a time tell me once."""
    said = race(
        12,
        "from click_telemetry.privacy.notice import show",
        "print(show(sys.argv[1], sys.argv[2]))",
        path,
        TOLD,
        stderr=terminal.device,
    )
    assert sorted(said) == ["False\n"] * 11 + ["True\n"]
    assert terminal.text == TOLD
    assert was_shown(str(path))


def test_nobody_else_shows_it_while_it_is_being_shown(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second command that comes meanwhile says nothing, and takes nothing for shown."""
    meanwhile: list[bool] = []

    def second() -> None:
        meanwhile.extend([was_shown(str(path)), show(str(path), TOLD)])

    stderr = Stderr(second)
    monkeypatch.setattr(sys, "stderr", stderr)
    assert show(str(path), TOLD)
    assert meanwhile == [False, False]
    assert stderr.getvalue() == TOLD


def test_a_claim_whose_process_was_killed_is_taken_again(path: Path, terminal: Terminal) -> None:
    """A notice that never came counts for nothing, and comes at the next run."""
    source = """
import os, signal
from click_telemetry.privacy.notice import show
class Stderr:
    def isatty(self): return True
    def write(self, text): os.kill(os.getpid(), signal.SIGKILL)
sys.stderr = Stderr()
show(sys.argv[1], "We count commands.")
"""
    killed = subprocess.run(python(source, path), env=environment(), check=False)
    assert killed.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"claimed\n"
    assert not was_shown(str(path))
    assert terminal.show(path)
    assert terminal.text == TOLD


def test_a_terminal_that_goes_away_leaves_the_notice_for_later(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be written was not shown."""

    def hang_up() -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(sys, "stderr", Stderr(hang_up))
    with pytest.raises(OSError, match="Input/output"):
        show(str(path), TOLD)
    assert not was_shown(str(path))
    monkeypatch.setattr(sys, "stderr", Stderr(lambda: None))
    assert show(str(path), TOLD)


class TestWithoutLocks:
    """A network drive whose locks do not work: age tells the living from the dead (row 23)."""

    @pytest.fixture(autouse=True)
    def no_locks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def flock(*_: object) -> None:
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr(fcntl, "flock", flock)

    def test_the_notice_is_shown_once(self, path: Path, terminal: Terminal) -> None:
        """I am told once there too."""
        assert [terminal.show(path) for _ in range(3)] == [True, False, False]
        assert terminal.text == TOLD

    @pytest.mark.parametrize(("age", "taken"), [(0, False), (50, False), (70, True), (-100, True)])
    def test_a_claim_is_stale_after_a_minute(
        self, path: Path, terminal: Terminal, age: int, taken: bool
    ) -> None:
        """A claim is respected for a minute; one from the future is nobody's."""
        marked(path, b"claimed\n")
        then = time.time() - age
        os.utime(path, (then, then))
        assert terminal.show(path) is taken
        assert bool(terminal.text) is taken
        assert STALE_AFTER == 60

    def test_what_was_shown_long_ago_is_not_shown_again(
        self, path: Path, terminal: Terminal
    ) -> None:
        """A mark does not grow stale."""
        os.utime(marked(path, SHOWN), (0, 0))
        assert not terminal.show(path)
        assert terminal.text == ""


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("stderr", [io.StringIO(), None, closed(), object()])
def test_without_a_terminal_nothing_is_shown_and_nothing_made(
    path: Path, stderr: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script, a pipe or a closed stderr gets no notice, and is no reason to think I had one."""
    monkeypatch.setattr(sys, "stderr", stderr)
    assert not show(str(path), TOLD)
    assert not path.parent.exists()


def test_on_a_full_disk_nothing_is_shown(path: Path, terminal: Terminal) -> None:
    """What cannot be marked is not shown: I would be told at every run."""
    resource = pytest.importorskip("resource")
    source = """
import errno, resource
from click_telemetry.privacy.notice import show
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
try:
    show(sys.argv[1], "We count commands.")
except OSError as error:
    print(errno.errorcode[error.errno])
"""
    assert resource
    done = subprocess.run(
        python(source, path),
        stdout=subprocess.PIPE,
        stderr=terminal.device,
        env=environment(),
        text=True,
        check=True,
    )
    assert done.stdout == "EFBIG\n"
    assert terminal.text == ""
    assert not was_shown(str(path))


def test_a_disk_that_is_full_after_the_claim_has_room_for_the_mark(
    path: Path, terminal: Terminal
) -> None:
    """The mark is as long as the claim: it goes where the claim has room already."""
    pytest.importorskip("resource")
    source = """
import resource
from click_telemetry.privacy.notice import show
resource.setrlimit(resource.RLIMIT_FSIZE, (8, resource.RLIM_INFINITY))
print(show(sys.argv[1], "We count commands.\\n"))
"""
    done = subprocess.run(
        python(source, path),
        stdout=subprocess.PIPE,
        stderr=terminal.device,
        env=environment(),
        text=True,
        check=True,
    )
    assert (done.stdout, terminal.text) == ("True\n", TOLD)
    assert was_shown(str(path))


def test_where_nothing_can_be_stored_nothing_is_shown(path: Path, terminal: Terminal) -> None:
    """A notice that could not be remembered is not shown at all."""
    path.parent.parent.write_text("in the way")
    with pytest.raises(NotADirectoryError):
        terminal.show(path)
    assert terminal.text == ""


@pytest.mark.parametrize("kind", ["link", "fifo", "directory"])
def test_what_is_no_file_of_ours_is_left_alone(path: Path, terminal: Terminal, kind: str) -> None:
    """Nothing is shown where the mark's place is taken, and nothing there is touched (row 19)."""
    path.parent.mkdir(parents=True, mode=0o700)
    target = path.parent.parent / "elsewhere"
    if kind == "link":
        target.write_bytes(b"mine")
        path.symlink_to(target)
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    before = path.lstat()
    assert not was_shown(str(path))
    with pytest.raises(OSError, match=r"link|regular|director"):
        terminal.show(path)
    assert path.lstat().st_ino == before.st_ino
    assert terminal.text == ""
    if kind == "link":
        assert target.read_bytes() == b"mine"


def test_a_mark_that_is_linked_from_elsewhere_is_none(path: Path, tmp_path: Path) -> None:
    """A mark must be mine: one that came with somebody's dotfiles is not."""
    target = tmp_path / "elsewhere"
    target.write_bytes(SHOWN)
    path.parent.mkdir(parents=True, mode=0o700)
    path.symlink_to(target)
    assert not was_shown(str(path))


def test_in_a_directory_of_others_nothing_is_shown(path: Path, terminal: Terminal) -> None:
    """Where anybody may write, nobody's mark counts (row 20)."""
    path.parent.mkdir(parents=True)
    path.parent.chmod(0o777)
    with pytest.raises(Unusable):
        terminal.show(path)
    assert terminal.text == ""


def test_the_mark_is_private(path: Path, terminal: Terminal) -> None:
    """Files 0600, directory 0700 (row 25)."""
    terminal.show(path)
    assert terminal.text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_the_notice_says_what_is_recorded_and_how_to_say_no() -> None:
    """Everything that I can do about it stands in it, with my application's own variable."""
    assert text("acme-cli", "ACME_CLI", flag="--no-telemetry", group=None) == (
        "acme-cli records which of its commands are used, to improve it: their names,\n"
        "the names of their flags and how they end. Never a value, an argument, a path\n"
        "or a message.\n"
        "  Say no:   --no-telemetry, ACME_CLI_NO_TELEMETRY=1 or DO_NOT_TRACK=1\n"
        "  See more: ACME_CLI_TELEMETRY=log shows what would be sent, and sends nothing\n"
        "Nothing was recorded this time.\n"
    )


def test_the_notice_names_the_telemetry_commands_where_there_are_some() -> None:
    """What I can type here to say no, and to read more."""
    assert text("acme", "ACME", flag="--no-telemetry", group="acme telemetry") == (
        "acme records which of its commands are used, to improve it: their names, the\n"
        "names of their flags and how they end. Never a value, an argument, a path or a\n"
        "message.\n"
        "  Say no:   acme telemetry disable (for one run: --no-telemetry)\n"
        "  See more: acme telemetry status\n"
        "Nothing was recorded this time.\n"
    )


@pytest.mark.parametrize("group", [None, "acme telemetry"])
def test_the_notice_names_no_flag_where_the_application_has_none(group: str | None) -> None:
    """I am not sent to an option that does not exist."""
    assert "--no-telemetry" not in text("acme", "ACME", flag=None, group=group)


@pytest.mark.parametrize("app", ["a", "acme", "acme-cli", "acme-tools"])
def test_the_notice_fits_a_terminal_of_80_columns(app: str) -> None:
    """Six lines at most, none of them cut."""
    prefix = app.upper().replace("-", "_")
    for group in (None, f"{app} telemetry"):
        lines = text(app, prefix, flag="--no-telemetry", group=group).splitlines()
        assert len(lines) <= 6
        assert max(map(len, lines)) <= 80
        assert all(line.isascii() for line in lines)


def test_a_text_is_shown_as_it_is(path: Path, terminal: Terminal) -> None:
    """An application's own words are not changed."""
    assert terminal.show(path, "Wir zählen {app} 100%.\n")
    assert terminal.text == "Wir zählen {app} 100%.\n"
