"""The properties of every event: none of them can name a person or a machine."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from click_telemetry._instrument import CommandState
from click_telemetry._reader import Composer
from click_telemetry._recorder import Settings, encode, head_of

from ..harness import facts
from ..harness.interpreter import environment, python

SESSION = "8b6f1f1e-0f6c-4f0e-9d6e-6a1c5f0b2a77"

ALL = ("version", "os", "arch", "python_version", "is_ci", "is_tty", "cli_context", "in_container")


def composed(environ: dict[str, str], version: str | None = None) -> dict[str, Any]:
    """The properties of an event, from the head that is written to its composed message."""
    settings = Settings(CommandState("acme"), {"version": version})
    composer = Composer(facts.HEX)
    composer.feed(head_of(settings, environ, facts.ANONYMOUS))
    (message,) = composer.feed(facts.begin())
    found: dict[str, Any] = message["properties"]
    return found


def test_every_fact_has_its_type() -> None:
    """The base properties of an invocation, as the tracking plan has them."""
    found = composed({}, "2.1.0")
    assert {name: type(found[name]) for name in ALL} == {
        "version": str,
        "os": str,
        "arch": str,
        "python_version": str,
        "is_ci": bool,
        "is_tty": bool,
        "cli_context": str,
        "in_container": bool,
    }
    assert found["version"] == "2.1.0"
    assert found["python_version"] == platform.python_version().rstrip("+")
    assert composed({})["version"] is None


def test_nothing_names_the_machine_or_the_person(monkeypatch: pytest.MonkeyPatch) -> None:
    """Host name, kernel, user, home and directory are in no fact."""
    names = dict.fromkeys(("sysname", "nodename", "release", "version"), "jane4711")
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(**names, machine="riscv64"))
    environ = {
        **dict.fromkeys(("USER", "LOGNAME", "HOSTNAME", "HOME", "PWD", "SHELL"), "jane4711"),
        "AGENT": "jane4711",
    }
    properties = encode(composed(environ))
    assert '"arch":"riscv64"' in properties
    for secret in ("jane4711", os.getcwd(), str(Path.home())):
        assert secret not in properties


@pytest.mark.parametrize(
    ("platform_", "name"),
    [
        ("linux", "linux"),
        ("darwin", "macos"),
        ("win32", "windows"),
        ("cygwin", "windows"),
        ("freebsd14", "freebsd14"),
    ],
)
def test_a_system_has_the_name_that_people_use(
    platform_: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`macos`, and not what Python calls its kernel."""
    monkeypatch.setattr(sys, "platform", platform_)
    assert composed({})["os"] == name


def test_the_processor_is_found_without_running_a_program() -> None:
    """`platform.machine` may start one; the system call does not."""
    assert composed({})["arch"] == platform.machine().lower()


@pytest.mark.parametrize(
    ("environ", "ci", "context"),
    [
        ({}, False, "script"),
        ({"CI": "true"}, True, "ci"),
        ({"CI": "0"}, False, "script"),
        ({"CLAUDECODE": "1"}, False, "agent:claude-code"),
        ({"CLAUDECODE": "1", "CI": "1"}, True, "agent:claude-code"),
    ],
)
def test_who_runs_it_is_read_from_the_environment(
    environ: dict[str, str], ci: bool, context: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build server, an agent, a script: each is recognized."""
    monkeypatch.setattr(os, "isatty", lambda descriptor: False)
    found = composed(environ)
    assert (found["is_ci"], found["cli_context"], found["is_tty"]) == (ci, context, False)


@pytest.mark.parametrize(
    ("terminals", "tty", "context"),
    [
        ({0, 1, 2}, True, "human"),
        ({0, 1}, True, "human"),
        ({0, 2}, False, "human"),
        ({0}, False, "script"),
        ({1, 2}, True, "script"),
        ({2}, False, "script"),
        (set(), False, "script"),
    ],
)
def test_a_person_types_and_sees(
    terminals: set[int], tty: bool, context: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever pipes the output on is a person still; a job without input is none."""
    monkeypatch.setattr(os, "isatty", lambda descriptor: descriptor in terminals)
    found = composed({})
    assert (found["is_tty"], found["cli_context"]) == (tty, context)


def test_a_closed_stream_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """With `<&- >&-` the question is answered, not raised."""

    def refuse(descriptor: int) -> bool:
        raise OSError("Bad file descriptor")

    monkeypatch.setattr(os, "isatty", refuse)
    assert composed({})["is_tty"] is False


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({}, False),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, True),
        ({"container": "podman"}, True),
        ({"CONTAINER": "podman"}, False),
    ],
)
def test_a_container_is_recognized_by_its_variables(
    environ: dict[str, str], found: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kubernetes, systemd-nspawn and Podman set one."""
    monkeypatch.setattr(os.path, "exists", lambda path: False)
    assert composed(environ)["in_container"] is found


@pytest.mark.parametrize("mark", ["/.dockerenv", "/run/.containerenv"])
def test_a_container_is_recognized_by_its_files(mark: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Docker and Podman leave a file; nothing else is looked at."""
    asked: list[Any] = []

    def exists(path: Any) -> bool:
        asked.append(path)
        return bool(path == mark)

    monkeypatch.setattr(os.path, "exists", exists)
    assert composed({})["in_container"] is True
    assert {mark} <= set(asked) <= {"/.dockerenv", "/run/.containerenv"}
    monkeypatch.setattr(os.path, "exists", lambda path: False)
    assert composed({})["in_container"] is False


def test_a_session_is_handed_down() -> None:
    """A command that my command started belongs to the same session."""
    assert composed({"CLICK_TELEMETRY_SESSION_ID": SESSION})["session_id"] == SESSION


@pytest.mark.parametrize(
    "given",
    [None, "", "jane", SESSION + "x", SESSION.upper(), "{" + SESSION + "}", "\0", "8b6f1f1e"],
)
def test_a_session_that_is_none_begins_a_new_one(given: str | None) -> None:
    """No free text becomes a session: a new random one begins."""
    environ = {} if given is None else {"CLICK_TELEMETRY_SESSION_ID": given}
    found = composed(environ)["session_id"]
    assert UUID(found).version == 4
    assert found != given


def test_facts_need_neither_the_network_nor_a_child() -> None:
    """No socket, no process, no thread to find out where a command runs."""
    source = """
seen = []
sys.addaudithook(lambda event, args: seen.append(event))
from click_telemetry._instrument import CommandState
from click_telemetry._recorder import Settings, head_of
head_of(Settings(CommandState("acme"), {}), {}, "")
dear = ("socket.", "subprocess.", "os.posix_spawn", "os.fork", "os.exec", "os.system")
print([event for event in seen if event.startswith(dear)])
"""
    done = subprocess.run(
        python("import sys\n" + source),
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"
