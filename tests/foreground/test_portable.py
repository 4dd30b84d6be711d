"""Starting a sender without posix_spawn, with a stand-in for the system that starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from click_telemetry._foreground import inline
from click_telemetry._launcher import BOOT
from click_telemetry._recorder import Destination, Directories
from click_telemetry._spool import GUARD, Spool
from click_telemetry._storage import make_private_directory

from ..harness.declared import acme
from ..harness.windows import pretend

BASIC = inline.CREATE_NO_WINDOW | inline.CREATE_NEW_PROCESS_GROUP
BREAKAWAY = inline.CREATE_BREAKAWAY_FROM_JOB


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
    """Starts children.

    Attributes:
        children: those that it started.
        jobs_hold: whether a job object forbids leaving it.
        refused: the flags of children that it did not start.
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
    """The same, under the name of Windows."""
    pretend(monkeypatch)
    return system


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """A spool whose destination has a token."""
    directories = Directories(*(str(tmp_path / name) for name in ("config", "state", "site")))
    destination = Destination("https://a.example", "", "tok-secret")
    found = Spool(acme(flush_timeout=0.01), directories, destination, None)
    make_private_directory(found.directory)
    return found


def test_child_on_windows_has_no_window_and_leaves_its_job(windows: System, spool: Spool) -> None:
    """It survives the terminal, and the end of a CI step."""
    spool.start()
    (child,) = windows.children
    assert child.options["creationflags"] == BASIC | BREAKAWAY
    assert "start_new_session" not in child.options
    assert child.command == [sys.executable, "-I", "-c", BOOT]
    assert child.did == []
    assert child.returncode == 0, "Popen would warn that it still runs"


def test_child_on_windows_stays_in_a_job_that_cannot_be_left(windows: System, spool: Spool) -> None:
    """It is started again, without leaving the job."""
    windows.jobs_hold = True
    spool.start()
    (child,) = windows.children
    assert windows.refused == [BASIC | BREAKAWAY]
    assert child.options["creationflags"] == BASIC


def test_child_of_inline_delivery_stays_in_its_job(windows: System, spool: Spool) -> None:
    """It is killed on expiry."""
    inline.deliver(spool)
    (child,) = windows.children
    assert child.options["creationflags"] == BASIC
    assert child.did == ["kill", "wait"]


def test_job_is_on_standard_input_alone(system: System, spool: Spool) -> None:
    """The token is in no argument and in no variable."""
    spool.start()
    (child,) = system.children
    assert json.loads(child.stdin.written)["token"] == "tok-secret"
    assert child.stdin.closed
    rest = repr((child.command, child.options))
    assert "tok-secret" not in rest
    assert set(child.options["env"]) >= {"PATH", "NETRC", GUARD}
    assert "HOME" not in child.options["env"]
    assert child.options["cwd"] == spool.directory


def test_child_elsewhere_has_a_session_of_its_own(system: System, spool: Spool) -> None:
    """Closing the terminal does not end it."""
    inline.open_child(spool, [sys.executable])
    (child,) = system.children
    assert child.options["start_new_session"] is True
    assert "creationflags" not in child.options


def test_child_that_has_ended_already_raises_nothing(
    system: System, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The spool keeps everything."""

    def write(self: Pipe, content: bytes) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(Pipe, "write", write)
    spool.start()
    assert len(system.children) == 1
