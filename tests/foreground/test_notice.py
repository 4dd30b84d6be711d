"""The notice: shown once, on a terminal; only a notice that was shown permits recording."""

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

import click
import pytest

from click_telemetry import _recorder
from click_telemetry._foreground.consent import (
    STALE_AFTER,
    notice_text,
    show,
    text,
    was_shown,
)
from click_telemetry._recorder import SHOWN
from click_telemetry._storage import Unusable

from ..harness.declared import acme
from ..harness.interpreter import environment, python, race

pty = pytest.importorskip("pty", reason="needs a terminal")
fcntl = pytest.importorskip("fcntl")

NOTICE = "We count commands.\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "acme" / "telemetry" / "notice"


class Terminal:
    """A terminal, and the text on it."""

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

    def show(self, path: Path | str, text: str = NOTICE) -> bool:
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
    """A terminal that runs a function when it is written to."""

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


def test_notice_is_shown_once(path: Path, terminal: Terminal) -> None:
    """At the first run, and never again."""
    assert not was_shown(str(path))
    assert terminal.show(path)
    assert terminal.text == NOTICE
    assert was_shown(str(path))
    assert _recorder.was_shown(str(path))
    assert not terminal.show(path)
    assert terminal.text == NOTICE
    assert path.read_bytes() == SHOWN


@pytest.mark.parametrize(
    "content",
    [b"", b"claimed\n", b"shown", b"shown  ", b"shown  \nx", b"Shown  \n", SHOWN * 2, b"x" * 1000],
)
def test_only_a_complete_marker_counts(path: Path, content: bytes, terminal: Terminal) -> None:
    """After a torn or claimed one the notice is shown again."""
    assert not was_shown(marked(path, content))
    assert not _recorder.was_shown(str(path))
    assert terminal.show(path)
    assert terminal.text == NOTICE
    assert path.read_bytes() == SHOWN


def test_one_of_many_first_runs_shows_the_notice(path: Path, terminal: Terminal) -> None:
    """Twelve commands at a time show it once."""
    printed = race(
        12,
        "from click_telemetry._foreground.consent import show",
        "print(show(sys.argv[1], sys.argv[2]))",
        path,
        NOTICE,
        stderr=terminal.device,
    )
    assert sorted(printed) == ["False\n"] * 11 + ["True\n"]
    assert terminal.text == NOTICE
    assert was_shown(str(path))


def test_second_command_does_not_show_it_meanwhile(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does it find it shown before it is."""
    meanwhile: list[bool] = []

    def second() -> None:
        meanwhile.extend([was_shown(str(path)), show(str(path), NOTICE)])

    stderr = Stderr(second)
    monkeypatch.setattr(sys, "stderr", stderr)
    assert show(str(path), NOTICE)
    assert meanwhile == [False, False]
    assert stderr.getvalue() == NOTICE


def test_claim_of_a_killed_process_is_free(path: Path, terminal: Terminal) -> None:
    """A notice that was not shown is shown at the next run."""
    source = """
import os, signal
from click_telemetry._foreground.consent import show
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
    assert terminal.text == NOTICE


def test_notice_that_cannot_be_written_is_not_marked(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The terminal was closed: it is shown at the next run."""

    def hang_up() -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(sys, "stderr", Stderr(hang_up))
    with pytest.raises(OSError, match="Input/output"):
        show(str(path), NOTICE)
    assert not was_shown(str(path))
    monkeypatch.setattr(sys, "stderr", Stderr(lambda: None))
    assert show(str(path), NOTICE)


class TestWithoutLocks:
    """A network drive without locks: a claim is free after a minute."""

    @pytest.fixture(autouse=True)
    def no_locks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def flock(*_: object) -> None:
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr(fcntl, "flock", flock)

    def test_notice_is_shown_once(self, path: Path, terminal: Terminal) -> None:
        """There as well."""
        assert [terminal.show(path) for _ in range(3)] == [True, False, False]
        assert terminal.text == NOTICE

    @pytest.mark.parametrize(("age", "taken"), [(0, False), (50, False), (70, True), (-100, True)])
    def test_claim_is_stale_after_a_minute(
        self, path: Path, terminal: Terminal, age: int, taken: bool
    ) -> None:
        """One from the future is stale at once."""
        marked(path, b"claimed\n")
        then = time.time() - age
        os.utime(path, (then, then))
        assert terminal.show(path) is taken
        assert bool(terminal.text) is taken
        assert STALE_AFTER == 60

    def test_marker_never_becomes_stale(self, path: Path, terminal: Terminal) -> None:
        """Only a claim does."""
        os.utime(marked(path, SHOWN), (0, 0))
        assert not terminal.show(path)
        assert terminal.text == ""


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("stderr", [io.StringIO(), None, closed(), object()])
def test_without_a_terminal_nothing_is_shown_or_created(
    path: Path, stderr: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A notice in a pipe or on a closed stderr is read by no person."""
    monkeypatch.setattr(sys, "stderr", stderr)
    assert not show(str(path), NOTICE)
    assert not path.parent.exists()


def test_notice_is_not_shown_on_a_full_disk(path: Path, terminal: Terminal) -> None:
    """Without a marker it would be shown at every run."""
    resource = pytest.importorskip("resource")
    source = """
import errno, resource
from click_telemetry._foreground.consent import show
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


def test_disk_that_is_full_after_the_claim_has_room_for_the_marker(
    path: Path, terminal: Terminal
) -> None:
    """The marker is as long as the claim, and overwrites it."""
    pytest.importorskip("resource")
    source = """
import resource
from click_telemetry._foreground.consent import show
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
    assert (done.stdout, terminal.text) == ("True\n", NOTICE)
    assert was_shown(str(path))


def test_notice_is_not_shown_where_nothing_can_be_stored(path: Path, terminal: Terminal) -> None:
    """Without a marker it would be shown at every run."""
    path.parent.parent.write_text("in the way")
    with pytest.raises(NotADirectoryError):
        terminal.show(path)
    assert terminal.text == ""


@pytest.mark.parametrize("kind", ["link", "fifo", "directory"])
def test_path_that_is_not_a_file_of_ours_is_left_alone(
    path: Path, terminal: Terminal, kind: str
) -> None:
    """Nothing is shown, and a link's target is not written to."""
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


def test_linked_marker_does_not_count(path: Path, tmp_path: Path) -> None:
    """It may have come with another user's dotfiles."""
    target = tmp_path / "elsewhere"
    target.write_bytes(SHOWN)
    path.parent.mkdir(parents=True, mode=0o700)
    path.symlink_to(target)
    assert not was_shown(str(path))


def test_nothing_is_shown_in_a_directory_that_others_may_write_to(
    path: Path, terminal: Terminal
) -> None:
    """Others could plant a marker there."""
    path.parent.mkdir(parents=True)
    path.parent.chmod(0o777)
    with pytest.raises(Unusable):
        terminal.show(path)
    assert terminal.text == ""


def test_marker_is_private(path: Path, terminal: Terminal) -> None:
    """Files 0600, directory 0700."""
    terminal.show(path)
    assert terminal.text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_notice_names_every_way_to_opt_out() -> None:
    """With the application's own variable, and what shows the data."""
    shown = text("acme-cli", "ACME_CLI", flag="--no-telemetry", group=None)
    for words in (
        *("acme-cli", "--no-telemetry", "ACME_CLI_NO_TELEMETRY=1", "DO_NOT_TRACK=1"),
        *("ACME_CLI_TELEMETRY=log", "Nothing was recorded this time."),
    ):
        assert words in shown


def test_notice_names_the_telemetry_commands_where_they_exist() -> None:
    """As they can be typed."""
    shown = text("acme", "ACME", flag="--no-telemetry", group="acme telemetry")
    for words in ("acme telemetry disable", "--no-telemetry", "acme telemetry status"):
        assert words in shown


@pytest.mark.parametrize("group", [None, "acme telemetry"])
def test_notice_names_no_flag_where_the_application_has_none(group: str | None) -> None:
    """No option is named that does not exist."""
    assert "--no-telemetry" not in text("acme", "ACME", flag=None, group=group)


@pytest.mark.parametrize("app", ["a", "acme", "acme-cli", "acme-tools"])
def test_notice_fits_a_terminal_of_80_columns(app: str) -> None:
    """Six lines at most, and ASCII alone."""
    prefix = app.upper().replace("-", "_")
    for group in (None, f"{app} telemetry"):
        lines = text(app, prefix, flag="--no-telemetry", group=group).splitlines()
        assert len(lines) <= 6
        assert max(map(len, lines)) <= 80
        assert all(line.isascii() for line in lines)


def test_applications_own_text_is_shown_as_it_is(path: Path, terminal: Terminal) -> None:
    """Nothing in it is replaced."""
    assert terminal.show(path, "Wir zählen {app} 100%.\n")
    assert terminal.text == "Wir zählen {app} 100%.\n"


def test_applications_own_text_replaces_ours() -> None:
    """With a newline at its end, and no other change."""
    context = click.Context(click.Group("acme"), info_name="acme")
    for own in ("We count {commands}.", "We count {commands}.\n"):
        assert notice_text(acme(notice=own), context) == "We count {commands}.\n"


class TelemetryGroup(click.Group):
    is_telemetry_group = True


@pytest.mark.parametrize("flag", [True, False, "hidden"])
def test_notice_names_the_telemetry_group_by_its_path(flag: bool | str) -> None:
    """Also where it is below another group."""
    root, below = click.Group("acme"), click.Group("settings")
    root.add_command(below)
    below.add_command(TelemetryGroup("telemetry"))
    context = click.Context(root, info_name="acme")
    shown = notice_text(acme(no_telemetry_option=flag), context)
    assert "acme settings telemetry disable" in shown
    assert ("--no-telemetry" in shown) is bool(flag)
