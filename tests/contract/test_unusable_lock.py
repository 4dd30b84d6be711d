"""A sender's lock that is no file: it is reported, and the queue stays within its bounds."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable

import pytest

from ..harness.facts import begin, event
from ..harness.processes import WITH_COMMANDS, Cli, Home
from ..harness.queue import DAY, Queue
from ..harness.senders import wait_for_end, wait_until
from ..harness.server import Server

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform != "linux", reason="links, pipes and locks of Linux"),
]


INLINE = WITH_COMMANDS.replace("notice=False", 'notice=False, delivery="inline", flush_timeout=5')
FROZEN = "import sys; sys.frozen = True\n" + INLINE


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("kind", "source"),
    [
        pytest.param("directory", INLINE, id="directory, inline"),
        pytest.param("directory", WITH_COMMANDS, id="directory", marks=pytest.mark.extended),
        pytest.param("link", WITH_COMMANDS, id="link"),
        pytest.param("FIFO", WITH_COMMANDS, id="FIFO", marks=pytest.mark.extended),
        pytest.param("FIFO", FROZEN, id="FIFO, in a thread", marks=pytest.mark.extended),
    ],
)
def test_lock_that_is_no_file_is_reported_and_the_queue_is_bounded(
    kind: str, source: str, make_cli: Callable[..., Cli], home: Home, server: Server
) -> None:
    """The next command deletes what is too old; `status` shows the problem (row 105)."""
    cli = make_cli(source)
    cli.environ["ACME_TELEMETRY_HOST"] = server.url
    assert cli.run("deploy").returncode == 0
    wait_for_end(home)
    server.wait_for(2)
    (path,) = home.state().glob("spool/*")
    lock, queue = path / "lock", Queue(path, server.url)
    lock.unlink()
    if kind == "directory":
        lock.mkdir()
    elif kind == "link":
        lock.symlink_to("/dev/null")
    else:
        os.mkfifo(lock)
    for n in range(1_004):
        queue.put([event("Never Begun"), begin(n=3), {"next": True}], age=9 * DAY - n)
    ran = cli.run("deploy")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "deployed\n", "")
    wait_until(lambda: len(queue.names) == 1)
    wait_until(lambda: queue.state.last_error == "lock")
    shown = cli.run("telemetry", "status").stdout
    assert "the spool cannot be locked" in shown
    assert len(server.wait_for(2)) == 2
    shutil.rmtree(lock) if kind == "directory" else lock.unlink()
    (path / "not-before").unlink()
    assert cli.run("deploy").returncode == 0
    server.wait_for(6)  # those of three commands
