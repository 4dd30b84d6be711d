"""The sender's log: a real sender writes what it did, if a person has made the directory."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from click_telemetry._sender.state import MAX_LOG, MAX_LOG_LINE, DebugLog, log_path

from ..harness.facts import begin, end, event, events
from ..harness.processes import WITH_COMMANDS, Cli, Home
from ..harness.queue import DAY, Queue
from ..harness.senders import wait_for_end
from ..harness.server import Reply, Server

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(os.name != "posix", reason="the sender's lock is inherited"),
]

LINE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (?P<pid>\d+) (?P<action>[a-z-]+)(?P<facts>( \w+=\S+)*)"
)


@pytest.fixture
def log(queue: Queue) -> Path:
    """The log, in a directory that the person has made."""
    directory = queue.path.parent.parent / "debug"
    directory.mkdir(mode=0o700)
    return directory / "sender.log"


def actions(log: Path) -> list[str]:
    """What was done, in order; each line has its form."""
    found = []
    for line in log.read_text(encoding="ascii").splitlines():
        matched = LINE.fullmatch(line)
        assert matched is not None, line
        found.append(matched["action"])
    return found


def test_log_has_each_step_and_no_secret(queue: Queue, log: Path, server: Server) -> None:
    """A host, counts and message IDs; neither the key nor anything of a message."""
    queue.put([begin(), event("Exported", p={"plan": "canary-plan"}), end(n=3)])
    assert queue.send(token="tok-secret", write_key="") == 0
    assert actions(log) == ["start", "claim", "request", "response", "settle", "end"]
    written = log.read_text(encoding="ascii")
    assert f" request host={server.url} messages=3 ids=" in written
    assert " response status=200 verdict=accepted\n" in written
    assert " settle files=1 delivered=3\n" in written
    assert all(message["messageId"] in written for message in server.messages)
    private = ("canary-plan", "Exported", "acme", "tok-secret", "Bearer", str(queue.path.parent))
    assert [text for text in private if text in written] == []
    assert log.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("reply", "lines"),
    [
        (
            Reply(503),
            [r"response status=503 verdict=retry error=http_503", r"failure error=http_503 "],
        ),
        (Reply(400), [r"settle files=1 rejected=2 error=http_400"]),
        pytest.param(
            Reply(401), [r"failure error=http_401 failures=1 wait=\d+s"], marks=pytest.mark.extended
        ),
    ],
)
def test_failure_is_logged_with_the_wait(
    reply: Reply, lines: list[str], queue: Queue, log: Path, server: Server
) -> None:
    """So that a maintainer sees why nothing arrives, and when the next attempt is due."""
    server.reply = reply
    queue.put()
    queue.send()
    written = log.read_text(encoding="ascii")
    assert [line for line in lines if not re.search(line, written)] == []


@pytest.mark.extended
def test_what_is_dropped_or_withheld_is_logged(queue: Queue, log: Path, tmp_path: Path) -> None:
    """Too old; and forbidden by the saved setting."""
    queue.put(events(3), age=9 * DAY)
    queue.put()
    setting = tmp_path / "telemetry.json"
    setting.write_text('{"enabled": false}')
    queue.send(setting=str(setting))
    written = log.read_text(encoding="ascii")
    assert "settle files=1 dropped=3\n" in written
    assert "withheld reason=setting\n" in written
    assert "request" not in written


@pytest.mark.sample(1)
@pytest.mark.parametrize("kind", ["missing", "link", "writable by others", "file"])
def test_directory_that_is_not_the_persons_own_gets_no_log(
    kind: str, queue: Queue, server: Server, tmp_path: Path
) -> None:
    """Events are delivered all the same."""
    directory = queue.path.parent.parent / "debug"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    if kind == "link":
        directory.symlink_to(elsewhere)
    elif kind == "file":
        directory.touch()
    elif kind == "writable by others":
        directory.mkdir()
        directory.chmod(0o777)
    queue.put()
    assert queue.send() == 0
    assert len(server.messages) == 2
    assert list(elsewhere.iterdir()) == list(tmp_path.rglob("*.log*")) == []


@pytest.mark.extended
def test_log_that_cannot_be_written_costs_the_log_alone(
    queue: Queue, log: Path, server: Server
) -> None:
    """A directory has its name."""
    log.mkdir()
    queue.put()
    assert queue.send() == 0
    assert len(server.messages) == 2


def test_full_log_becomes_the_previous_one(queue: Queue, log: Path, server: Server) -> None:
    """Both together have at most half a megabyte, and no line is lost."""
    log.write_bytes(b"x" * MAX_LOG)
    log.chmod(0o600)
    previous = log.with_name("sender.log.1")
    previous.write_bytes(b"older")
    queue.put()
    assert queue.send() == 0
    assert previous.stat().st_size == MAX_LOG
    assert actions(log)[0] == "start"
    assert actions(log)[-1] == "end"


def test_line_is_one_line_of_bounded_length(tmp_path: Path) -> None:
    """Whatever a fact contains."""
    (tmp_path / "debug").mkdir(mode=0o700)
    log = DebugLog(str(tmp_path))
    log.write("request", {"ids": "x" * 10_000})
    log.write("end", {"reason": "a b\nc\x1b[0m\u2028é", "none": None})
    log.close()
    first, last = (tmp_path / "debug/sender.log").read_bytes().splitlines()
    assert (len(first), first[-5:]) == (MAX_LOG_LINE, b"xx...")
    assert last.endswith(b" end reason=a_b_c_[0m_?")


def test_purge_deletes_the_log(make_cli: Callable[..., Cli], home: Home, server: Server) -> None:
    """A command's sender writes it, and `telemetry purge` leaves nothing of it."""
    cli = make_cli(WITH_COMMANDS)
    cli.environ["ACME_TELEMETRY_HOST"] = server.url
    directory = home.state() / "debug"
    directory.mkdir(parents=True, mode=0o700)
    assert cli.run("deploy").returncode == 0
    server.wait_for(2)
    wait_for_end(home)
    assert actions(Path(log_path(str(home.state()))))[-1] == "end"
    assert cli.run("telemetry", "purge").returncode == 0
    assert not directory.exists()
