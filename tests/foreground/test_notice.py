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
from typing import Any

import click
import pytest

from click_telemetry._foreground.consent import STALE_AFTER, notice_text, show, text
from click_telemetry._reader import BASE_PROPERTIES
from click_telemetry._recorder import (
    OFFERED,
    SHOWN,
    Destination,
    Directories,
    Settings,
    was_shown,
)
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

    def show(self, path: Path | str, text: str = NOTICE, mark: bytes = SHOWN) -> bool:
        """Show the notice with this terminal for stderr."""
        with (
            open(self.device, "w", encoding="utf-8", closefd=False) as stderr,
            contextlib.redirect_stderr(stderr),
        ):
            shown = show(str(path), text, mark)
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


OPT_OUT = """\
acme-cli records how it is used, to improve it: each command with the names of
its options, time, duration, exit code and kind of error; system, versions,
whether a person or a script runs it, how sending works, and a random ID.
acme-cli may add more, such as your choice from a fixed list. All of it is sent
to events.acme.example.
  To opt out: --no-telemetry, ACME_CLI_NO_TELEMETRY=1 or DO_NOT_TRACK=1
  To see it:  ACME_CLI_TELEMETRY=log prints it, and sends nothing
Nothing was recorded this time.

"""
WITH_ALL = """\
acme records how it is used, to improve it: each command with the names of its
options, time, duration, exit code and kind of error; system, versions, whether
a person or a script runs it, how sending works, and a random ID. acme may add
more, such as your choice from a fixed list. All of it is sent to
events.acme.example, with your account if you are signed in.
  To opt out: acme telemetry disable (for one run: --no-telemetry)
  To see it:  acme telemetry show
  Read more:  https://acme.example/telemetry
Nothing was recorded this time.

"""
OPT_IN = """\
If you enable it, acme records how it is used, to improve it: each command with
the names of its options, time, duration, exit code and kind of error; system,
versions, whether a person or a script runs it, how sending works, and a random
ID. acme may add more, such as your choice from a fixed list. All of it goes
where acme itself sends it.
  To enable:  save {"enabled": true} in ~/.config/acme/telemetry.json
  Read more:  https://acme.example/telemetry
Nothing is recorded unless you enable it.

"""
HOST, URL = "https://events.acme.example", "https://acme.example/telemetry"


def test_notice_is_true_and_complete() -> None:
    """What is recorded, who receives it, how to opt out, where to see it and to read more."""
    assert text("acme-cli", "ACME_CLI", host=HOST, flag="--no-telemetry") == OPT_OUT
    group = "acme telemetry"
    options: Any = {"host": HOST, "flag": "--no-telemetry", "group": group, "url": URL}
    assert text("acme", "ACME", signed_in=True, **options) == WITH_ALL


def test_application_that_is_opt_in_explains_how_to_enable() -> None:
    """With its command, or with the file that the setting is saved in."""
    setting = "~/.config/acme/telemetry.json"
    options: Any = {"opt_in": True, "flag": "--no-telemetry", "setting": setting, "url": URL}
    assert text("acme", "ACME", **options) == OPT_IN
    shown = text("acme", "ACME", group="acme telemetry", **options)
    assert "  To enable:  acme telemetry enable\n" in shown
    assert setting not in shown


def test_notice_names_every_kind_of_data_that_is_always_recorded() -> None:
    """A new base property needs a word in the notice."""
    words = {
        "command": ("command", "run_id", "sequence"),
        "options": ("flags",),
        "time": ("timestamp",),
        "duration": ("duration_ms",),
        "exit code": ("exit_code", "succeeded", "outcome", "user_cancelled"),
        "kind of error": ("error_class", "error_class_masked"),
        "system": ("os", "arch", "in_container"),
        "versions": ("version", "python_version"),
        "a person or a script": ("is_ci", "is_tty", "cli_context"),
        "how sending works": ("dropped", "sample_rate"),  # and what Telemetry Health reports
        "random ID": ("anonymousId", "invocation_id", "session_id"),
    }
    covered = {name for names in words.values() for name in names}
    assert covered >= {*BASE_PROPERTIES, "timestamp", "anonymousId"}
    for opt_in in (True, False):
        shown = " ".join(text("acme", "ACME", opt_in=opt_in, host=HOST).split())
        assert [word for word in words if word not in shown] == []


@pytest.mark.parametrize("group", [None, "acme telemetry"])
def test_notice_names_no_flag_where_the_application_has_none(group: str | None) -> None:
    """No option is named that does not exist."""
    assert "--no-telemetry" not in text("acme", "ACME", flag=None, group=group)


@pytest.mark.parametrize("app", ["a", "acme", "acme-cli", "acme-tools", "a" * 33])
@pytest.mark.parametrize("opt_in", [False, True])
@pytest.mark.parametrize("host", [None, "https://telemetry-eu.services.acme-company.example:8443"])
def test_notice_fits_a_terminal_of_80_columns(app: str, opt_in: bool, host: str | None) -> None:
    """Few lines; ASCII alone; no name or address is broken."""
    prefix = app.upper().replace("-", "_")
    for group in (None, f"{app} telemetry", f"python -m {app}.command_line.main telemetry"):
        options: Any = {"opt_in": opt_in, "host": host, "url": URL, "setting": f"~/.config/{app}"}
        shown = text(app, prefix, flag="--no-telemetry", group=group, **options)
        lines = shown.splitlines()
        assert len(lines) <= (12 if len(app) < 20 else 14)
        assert max(map(len, lines)) <= 80
        assert shown.isascii()
        for whole in (
            app,
            URL,
            *([host[8:]] if host else []),
            *([] if opt_in else ["--no-telemetry"]),
        ):
            assert whole in shown


def test_applications_own_text_is_shown_as_it_is(path: Path, terminal: Terminal) -> None:
    """Nothing in it is replaced."""
    assert terminal.show(path, "Wir zählen {app} 100%.\n")
    assert terminal.text == "Wir zählen {app} 100%.\n"


def of(settings: Settings, host: str | None, *, name: str = "acme", below: Any = None) -> str:
    """The notice of an application in the home directory `/home/jane`."""
    root = click.Group(name, commands=[below] if below is not None else [])
    directories = Directories("/home/jane/.config/acme", "/home/jane/.local/state/acme", "/etc")
    destination = Destination(host, "key") if host is not None else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", "/home/jane/")
        return notice_text(settings, directories, destination, click.Context(root, info_name=name))


def test_applications_own_text_replaces_ours() -> None:
    """With a newline at its end, and no other change."""
    for own in ("We count {commands}.", "We count {commands}.\n"):
        for consent in ("opt-in", "opt-out"):
            assert of(acme(notice=own, consent=consent), HOST) == "We count {commands}.\n"


@pytest.mark.parametrize(
    ("options", "host", "words"),
    [
        ({}, HOST, "All of it is sent to events.acme.example.\n"),
        ({}, "http://127.0.0.1:4711", "All of it is sent to 127.0.0.1:4711.\n"),
        ({}, "file:///home/jane/a/b.jsonl", "All of it is kept in ~/a/b.jsonl on this machine."),
        ({}, "file:///var/acme.jsonl", "All of it is kept in /var/acme.jsonl on this machine."),
        ({}, "custom:acme.transport:Own", "All of it goes where acme itself sends it."),
        ({"events": ()}, HOST, "and a random ID. All of it is sent to events.acme.example.\n"),
        ({"events": "completed"}, HOST, "acme may add more, such as your choice from a"),
        ({"events": ["Exported"]}, HOST, "acme may add more, such as your choice from a"),
        ({"events": (), "properties": {"team": "x"}}, HOST, "acme may add more, such as"),
        ({"auth": lambda: None}, HOST, "acme.example, with your account if you are signed in.\n"),
        ({"notice_url": URL}, HOST, f"  Read more:  {URL}\n"),
        ({"consent": "opt-in"}, HOST, "in ~/.config/acme/telemetry.json\n"),
    ],
)
def test_notice_is_derived_from_the_declaration(
    options: dict[str, Any], host: str, words: str
) -> None:
    """The host that receives the data, an account, a page to read."""
    shown = of(acme(**options), host)
    assert " ".join(words.split()) in " ".join(shown.split())
    assert ("Read more" in shown) is ("notice_url" in options)
    assert ("signed in" in shown) is ("auth" in options)


def test_notice_of_an_application_with_a_client_names_no_host() -> None:
    """Only the client knows where the data goes."""
    shown = of(acme(client=Client()), None)
    assert "All of it goes where acme itself sends it." in " ".join(shown.split())
    assert "segment" not in shown
    shown = of(acme(client=Client()), None, below=TelemetryGroup("telemetry"))
    assert "To opt out: acme telemetry disable" in shown
    assert "To see it:  ACME_TELEMETRY=log" in shown  # a client has no queue


class Client:
    def record(self, message: dict[str, Any], /) -> None: ...

    def close(self) -> None: ...


class TelemetryGroup(click.Group):
    is_telemetry_group = True


@pytest.mark.parametrize("flag", [True, False, "hidden"])
def test_notice_names_the_telemetry_group_by_its_path(flag: bool | str) -> None:
    """Also where it is below another group."""
    below = click.Group("settings")
    below.add_command(TelemetryGroup("telemetry"))
    shown = of(acme(no_telemetry_option=flag), HOST, below=below)
    assert "acme settings telemetry disable" in shown
    assert "acme settings telemetry show" in shown
    assert ("--no-telemetry" in shown) is bool(flag)
    shown = of(acme(no_telemetry_option=flag, consent="opt-in"), HOST, below=below)
    assert "acme settings telemetry enable" in shown


@pytest.mark.parametrize(("first", "second"), [(OFFERED, SHOWN), (SHOWN, OFFERED)])
def test_information_how_to_enable_is_no_notice(
    first: bytes, second: bytes, path: Path, terminal: Terminal
) -> None:
    """An application that was opt-in, and is not any more, informs its users first."""
    assert [terminal.show(path, mark=mark) for mark in (first, first, second)] == [
        True,
        False,
        True,
    ]
    assert was_shown(str(path)) is (second == SHOWN)
    assert was_shown(str(path), second)
    assert len(first) == len(second)
