"""The hand-over: whose turn it is to start a sender, what it is started for, and what it gets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from click_telemetry import _launcher, _spool
from click_telemetry._recorder import Destination, Directories
from click_telemetry._spool import GUARD, LOCK, NOT_BEFORE, TRIM_PROBABILITY, Spool
from click_telemetry._storage import make_private_directory, open_private, try_lock

from ..harness.declared import acme
from ..harness.facts import ANONYMOUS, file_name, head, lines, pair
from ..harness.interpreter import environment, open_descriptors, python
from ..harness.server import Server

pytest.importorskip("fcntl")


@pytest.fixture
def spool(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Spool:
    """A spool without files, for the test's server and with a token."""
    monkeypatch.delenv(GUARD, raising=False)
    monkeypatch.delenv("ACME_TELEMETRY_DELAY", raising=False)
    directories = Directories(*(str(tmp_path / name) for name in ("config", "state", "site")))
    destination = Destination(server.url, "", "tok-secret")
    found = Spool(acme(), directories, destination, ANONYMOUS)
    make_private_directory(found.directory)
    return found


def postpone(spool: Spool, seconds: float = 3600.0) -> None:
    """A failure has postponed delivery."""
    path = Path(spool.directory, NOT_BEFORE)
    path.touch()
    os.utime(path, (time.time() + seconds,) * 2)


def has_turn(spool: Spool) -> bool:
    """Whether this process may start a sender now."""
    lock = spool.take_lock()
    if lock is None:
        return False
    os.close(lock)
    return True


def put(spool: Spool) -> Path:
    """A file of a command that ran."""
    path = Path(spool.directory, file_name())
    path.write_bytes(lines([head(), *pair()]))
    path.chmod(0o600)
    return path


# Whose turn it is ---------------------------------------------------------------------------------


def test_sender_is_started_by_the_process_that_gets_its_lock(spool: Spool) -> None:
    """A sender that holds it examines the spool again before it exits."""
    assert has_turn(spool)
    lock = open_private(os.path.join(spool.directory, LOCK), os.O_RDWR)
    assert try_lock(lock)
    before = open_descriptors()
    assert not has_turn(spool)
    assert open_descriptors() == before
    os.close(lock)
    assert has_turn(spool)


def test_sender_delivers_unless_it_was_postponed(spool: Spool) -> None:
    """Its job has this."""
    assert has_turn(spool)
    assert json.loads(_launcher.job(spool))["deliver"] is True
    postpone(spool, -1)
    assert has_turn(spool)
    assert json.loads(_launcher.job(spool))["deliver"] is True


def test_one_run_in_a_hundred_trims_while_delivery_is_postponed(spool: Spool) -> None:
    """An offline machine makes no request; its spool stays within its bounds."""
    assert TRIM_PROBABILITY == 0.01
    postpone(spool)
    runs = 4000
    turns = 0
    for _ in range(runs):
        if has_turn(spool):
            turns += 1
            assert json.loads(_launcher.job(spool))["deliver"] is False
    assert runs / 250 < turns < runs / 40
    assert sorted(os.listdir(spool.directory)) == [LOCK, NOT_BEFORE]


@pytest.mark.parametrize("years", [1, 10, 100])
def test_not_before_time_of_a_wrong_clock_is_ignored(years: int, spool: Spool) -> None:
    """No failure postpones delivery for more than a day."""
    postpone(spool, years * 365 * 86400.0)
    assert has_turn(spool)
    assert spool.deliver is True


def test_sender_starts_no_sender(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its environment has a variable for this, and every process that it starts inherits that."""
    monkeypatch.setenv(GUARD, "1")
    assert not has_turn(spool)
    assert os.listdir(spool.directory) == []


def test_forked_child_starts_no_sender(spool: Spool) -> None:
    """Its parent does."""
    child = os.fork()
    if not child:
        try:
            spool.start()
            os._exit(len(os.listdir(spool.directory)))
        except BaseException:
            os._exit(99)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_lock_of_a_file_system_without_locks_starts_no_sender(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And leaves no descriptor open."""
    import fcntl

    def flock(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    before = open_descriptors()
    with pytest.raises(OSError, match="locks"):
        spool.take_lock()
    assert open_descriptors() == before


# What it gets -------------------------------------------------------------------------------------


def test_job_is_one_line_with_these_keys(spool: Spool) -> None:
    """As the sender reads it."""
    content = _launcher.job(spool)
    assert content.endswith(b"\n")
    assert content.count(b"\n") == 1
    assert content.isascii()
    package = os.path.dirname(os.path.abspath(_launcher.__file__))
    job = json.loads(content)
    assert os.path.dirname(package) in job.pop("paths")
    assert job == {
        "spool": spool.directory,
        "host": spool.destination.host,
        "write_key": "",
        "setting": spool.directories.setting,
        "site_setting": spool.directories.site_setting,
        "anonymous_id": ANONYMOUS,
        "token": "tok-secret",
        "transport": None,
        "deliver": True,
        "after": None,
        "package": package,
    }


def test_environment_has_proxies_and_certificates_alone() -> None:
    """No secret of the application's, and none of the interpreter's variables."""
    environ = {
        "HTTPS_PROXY": "http://proxy.example:3128",
        "no_proxy": "example.com",
        "SSL_CERT_FILE": "/etc/ssl/cert.pem",
        "REQUESTS_CA_BUNDLE": "/etc/ssl/ca.pem",
        **dict.fromkeys(("HOME", "PATH", "AWS_SECRET_ACCESS_KEY", "PYTHONPATH"), "private"),
        **dict.fromkeys(("LD_PRELOAD", "SSLKEYLOGFILE", "NETRC", "PYTHONHOME"), "private"),
    }
    found = _launcher.environment(environ)
    kept = ("HTTPS_PROXY", "no_proxy", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
    assert {name: found.pop(name) for name in kept} == {name: environ[name] for name in kept}
    assert "private" not in found.values()
    assert found == {"PATH": found["PATH"], "NETRC": os.devnull, GUARD: "1"}
    assert all(path.startswith("/") for path in found["PATH"].split(":"))


def test_interpreter_is_isolated() -> None:
    """Neither the cwd nor a Python variable has an effect on it."""
    assert _launcher.command_line() == [sys.executable, "-I", "-c", _launcher.BOOT]


def test_signals_that_no_process_may_set_are_left_alone() -> None:
    """SIGKILL, SIGSTOP, and those of the C library, which Python warns of."""
    reset = {n for n in range(1, _launcher._LAST_SIGNAL) if n not in _launcher._FIXED_SIGNALS}
    assert not reset & {signal.SIGKILL, signal.SIGSTOP, 32, 33, 34}
    assert reset >= {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGALRM}
    assert reset <= {int(number) for number in signal.valid_signals()}


@pytest.mark.parametrize("executable", ["", "python", "./python3", "/opt/acme/acme", None])
def test_interpreter_that_is_no_python_is_not_started(
    executable: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An application that embeds Python would run itself again."""
    assert _spool.can_start_python()
    monkeypatch.setattr(sys, "executable", executable)
    assert not _spool.can_start_python()


def test_frozen_application_is_not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it is called."""
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert not _spool.can_start_python()


@pytest.mark.parametrize(
    ("source", "handles"),
    [
        ("", False),
        ("import signal", False),
        ("import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)", False),
        ("import signal; signal.signal(signal.SIGCHLD, print)", True),
    ],
)
def test_handler_for_children_is_recognised(source: str, handles: bool) -> None:
    """Its application expects no child of ours; only one in Python can find one."""
    program = f"{source}\nfrom click_telemetry._launcher import handles_children\n"
    done = subprocess.run(
        python(program + "print(handles_children())"),
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{handles}\n"


@pytest.mark.parametrize("away", [True, False])
@pytest.mark.parametrize(
    ("given", "host", "delay"),
    [
        (None, "", "1"),
        ("0", "", "0"),
        ("3", "", "3"),
        ("0.5", "", "1"),
        ("0", "https://events.example", "1"),
    ],
)
def test_sender_sleeps_a_second_or_as_long_as_a_developer_asks_for(
    given: str | None,
    host: str,
    delay: str,
    away: bool,
    spool: Spool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The delay is an argument of the script, with a shell and without one."""
    commands: list[list[str]] = []

    def posix_spawn(path: str, command: list[str], *_: object, **__: object) -> int:
        commands.append(command)
        raise FileNotFoundError(path)

    monkeypatch.setattr(os, "posix_spawn", posix_spawn)
    if given is not None:
        monkeypatch.setenv("ACME_TELEMETRY_DELAY", given)
    spool.destination.host = host or spool.destination.host
    for shell in (True, False):
        monkeypatch.setattr(os, "access", lambda *_, shell=shell: shell)
        with pytest.raises(FileNotFoundError):
            spool.start(away=away)
    script = _launcher.DETACHED_SCRIPT if away else _launcher.SCRIPT
    with_shell, without = commands
    assert with_shell == [_launcher.SHELL, "-c", script, delay, *_launcher.command_line()]
    assert without[:-1] == [sys.executable, "-I", "-c"]
    assert f"time.sleep({delay})\n" in without[-1]


# Starting it --------------------------------------------------------------------------------------


def started_by_the_launcher(spool: Spool) -> None:
    """As an invocation does whose program goes on."""
    spool.start(away=True)


def started_without_a_shell(spool: Spool) -> None:
    """As in a container that has none."""
    from click_telemetry._foreground import inline

    lock = spool.take_lock()
    assert lock is not None
    inline.start(spool, lock, away=True, delay=0)
    os.close(lock)


@pytest.mark.sample(1)
@pytest.mark.contract
@pytest.mark.parametrize("start", [started_by_the_launcher, started_without_a_shell])
def test_sender_delivers_and_is_no_child_of_a_program_that_goes_on(
    start: Callable[[Spool], None], spool: Spool, server: Server
) -> None:
    """No `wait` of the application's returns it; it holds the lock until it exits."""
    path = put(spool)
    before = open_descriptors()
    start(spool)
    assert open_descriptors() == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    assert not has_turn(spool)
    server.wait_for(2)
    assert [name for name, _ in server.events] == ["Command Invoked", "Command Completed"]
    until = time.monotonic() + 30
    while path.exists() or not has_turn(spool):
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.contract
def test_job_larger_than_a_pipe_starts_no_sender(spool: Spool) -> None:
    """The command does not wait for a child to read it; the lock is free again."""
    spool.destination.token = "t" * 2**20
    before = open_descriptors()
    with pytest.raises(BlockingIOError):
        spool.start(away=True)
    assert open_descriptors() == before
    assert has_turn(spool)
