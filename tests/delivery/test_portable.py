"""Starting a sender without posix_spawn: what is asked of a system that is stood in for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from click_telemetry.delivery import GUARD, child, portable
from click_telemetry.delivery.child import BOOT, SHELL, spawns
from click_telemetry.delivery.inline import hand_off_inline
from click_telemetry.delivery.launcher import Letter, hand_off

from ..harness.server import Server
from ..harness.windows import pretend

BASIC = portable.CREATE_NO_WINDOW | portable.CREATE_NEW_PROCESS_GROUP
BREAKAWAY = portable.CREATE_BREAKAWAY_FROM_JOB


class Pipe:
    """A child's standard input."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False

    def write(self, content: bytes) -> None:
        self.written += content

    def __enter__(self) -> Pipe:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True


class Child:
    """What `Popen` gives; it never ends by itself."""

    def __init__(self, command: list[str], options: dict[str, Any]) -> None:
        self.command = command
        self.options = options
        self.stdin = Pipe()
        self.returncode: int | None = None
        self.did: list[str] = []

    def wait(self, timeout: float | None = None) -> int:
        self.did.append("wait")
        if timeout is not None:
            raise subprocess.TimeoutExpired(self.command, timeout)
        return 0

    def poll(self) -> int | None:
        return self.returncode

    def kill(self) -> None:
        self.did.append("kill")
        self.returncode = -9


class System:
    """Where children are started.

    Attributes:
        children: those that were.
        jobs_hold: whether a job forbids to leave it.
    """

    def __init__(self) -> None:
        self.children: list[Child] = []
        self.jobs_hold = False
        self.refused: list[int] = []

    def popen(self, command: list[str], **options: Any) -> Child:
        flags = options.get("creationflags", 0)
        if self.jobs_hold and flags & BREAKAWAY:
            self.refused.append(flags)
            raise PermissionError(13, "access is denied")
        self.children.append(Child(command, options))
        return self.children[-1]


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> System:
    """A system without posix_spawn."""
    system = System()
    monkeypatch.setattr(subprocess, "Popen", system.popen)
    monkeypatch.delattr(os, "posix_spawn")
    monkeypatch.delenv(GUARD, raising=False)
    return system


@pytest.fixture
def windows(system: System, monkeypatch: pytest.MonkeyPatch) -> System:
    """The same, called Windows."""
    pretend(monkeypatch)
    return system


@pytest.fixture
def letter(tmp_path: Path) -> Letter:
    """A letter with a token in it."""
    return Letter(str(tmp_path), "https://a.example", "", None, None, "tok-secret")


def test_on_windows_the_child_has_no_window_and_leaves_its_job(
    windows: System, letter: Letter
) -> None:
    """Closing the terminal, or a CI's end of the step, does not end it."""
    hand_off(letter)
    (child,) = windows.children
    assert child.options["creationflags"] == BASIC | BREAKAWAY
    assert "start_new_session" not in child.options
    assert child.command == [sys.executable, "-I", "-c", BOOT]
    assert child.did == []
    assert child.returncode == 0, "Popen would warn that it still runs"


def test_on_windows_a_job_that_holds_its_children_is_obeyed(
    windows: System, letter: Letter
) -> None:
    """It is started once more, within the job."""
    windows.jobs_hold = True
    hand_off(letter)
    (child,) = windows.children
    assert windows.refused == [BASIC | BREAKAWAY]
    assert child.options["creationflags"] == BASIC


def test_on_windows_a_child_that_is_waited_for_stays_in_its_job(
    windows: System, letter: Letter
) -> None:
    """And is ended when the time is over."""
    hand_off_inline(letter, 0.01)
    (child,) = windows.children
    assert child.options["creationflags"] == BASIC
    assert child.did == ["wait", "kill", "wait"]


def test_letter_is_on_standard_input_alone(system: System, letter: Letter) -> None:
    """The token is in no argument and no variable."""
    hand_off(letter)
    (child,) = system.children
    assert json.loads(child.stdin.written)["token"] == "tok-secret"
    assert child.stdin.closed
    rest = repr((child.command, child.options))
    assert "tok-secret" not in rest
    assert set(child.options["env"]) >= {"PATH", "NETRC", GUARD}
    assert "HOME" not in child.options["env"]


def test_before_macos_10_15_the_child_is_given_away_by_a_shell(
    system: System, letter: Letter
) -> None:
    """It has a session of its own, and no `wait` of the program's ever sees it."""
    hand_off(letter)
    (child,) = system.children
    assert child.options["start_new_session"] is True
    assert child.command[:2] == [SHELL, "-c"]
    assert child.did == ["wait"]


def test_given_away_by_a_shell_it_delivers(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same, with a real child on this system."""
    message = (
        '{"type":"track","event":"E","messageId":"m-1","anonymousId":"a",'
        '"timestamp":"2026-01-01T00:00:00.000Z","properties":{"command":"c"}}\n'
    )
    spool = tmp_path / "spool"
    spool.mkdir(mode=0o700)
    (spool / "00000000000000000001-0123456789abcdef.jsonl").write_text(message)
    monkeypatch.delattr(os, "posix_spawn")
    monkeypatch.delenv(GUARD, raising=False)
    hand_off(Letter(str(spool), server.url, "key", None, None))
    server.wait_for(1)
    assert server.events == [("E", "c")]
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.mark.parametrize(
    ("platform", "release", "expected"),
    [
        ("linux", "6.1.0", True),
        ("darwin", "24.1.0", True),
        ("darwin", "19.0.0", True),
        ("darwin", "18.7.0", False),
        ("darwin", "", False),
        ("freebsd14", "14.1", True),
    ],
)
def test_posix_spawn_is_used_where_it_can_make_a_session(
    platform: str, release: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is there since macOS 10.15, which is Darwin 19."""
    uname = os.uname_result(("Darwin", "host", release, "", "x86_64"))
    monkeypatch.setattr(os, "uname", lambda: uname)
    monkeypatch.setattr(sys, "platform", platform)
    assert spawns() is expected


def test_signals_that_nobody_may_set_are_left_alone() -> None:
    """SIGKILL, SIGSTOP, and those of the C library, which Python warns about (musl's, too)."""
    reset = {n for n in range(1, child._LAST_SIGNAL) if n not in child._FIXED_SIGNALS}
    import signal

    assert not reset & {signal.SIGKILL, signal.SIGSTOP, 32, 33, 34}
    assert reset >= {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGALRM}
    assert reset <= {int(number) for number in signal.valid_signals()}
