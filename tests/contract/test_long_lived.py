"""Programs that run for days: published as they go, without a timer, a thread or a leak."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from ..harness.processes import Cli, Home
from ..harness.senders import wait_for_end, wait_until
from ..harness.server import Server

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc"),
]

MakeCli = Callable[..., Cli]

SERVER = """
import os, sys, threading, time
import click
from click_telemetry import instrument, track
from click_telemetry.delivery import spool

spool.PUBLISH_AFTER = 0.0  # days in a second: every event is the first after its time

@click.group()
def cli(): pass

def state():
    children = open(f"/proc/self/task/{os.getpid()}/children").read().split()
    threads = len(os.listdir("/proc/self/task"))
    return sorted(os.listdir("/proc/self/fd"), key=int), children, threads

@cli.command()
def serve():
"""

END = """
instrument(cli, app="acme", write_key="key", notice=False)
cli.main(["serve"])
"""


def test_hundreds_of_publications_leak_nothing(
    make_cli: MakeCli, server: Server, home: Home
) -> None:
    """No descriptor, no child, no thread, no memory; every event arrives, in one sequence."""
    cli = make_cli(
        SERVER
        + """
    import gc
    states, blocks = [], []
    for number in range(400):
        track("Request Served", {"number": number})
        if number % 100 == 99:
            gc.collect()
            states.append(state())
            blocks.append(sys.getallocatedblocks())
    assert states == states[:1] * 4, states
    assert states[0][1:] == ([], 1), states[0]
    assert blocks[3] - blocks[1] < 300, blocks
"""
        + END
    )
    ran = cli.run(env={"ACME_TELEMETRY_HOST": server.url})
    assert (ran.stdout, ran.stderr, ran.returncode) == ("", "", 0)
    arrived = server.wait_for(402, timeout=60)
    wait_for_end(home)
    assert [m["properties"]["sequence"] for m in arrived] == list(range(1, 403))
    assert len(server.messages) == 403  # and the identify
    assert [m["properties"].get("outcome") for m in arrived[-1:]] == ["success"]
    assert home.spooled() == []


def test_server_that_is_killed_between_publications_is_unfinished_once(
    make_cli: MakeCli, server: Server, home: Home
) -> None:
    """What it had published has arrived by then, and nothing of it is told as unfinished before."""
    cli = make_cli(
        SERVER
        + """
    for number in range(20): track("Request Served", {"number": number})
    print("up", flush=True)
    time.sleep(60)
"""
        + END
    )
    process = cli.start(env={"ACME_TELEMETRY_HOST": server.url})
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    before = server.wait_for(21)
    wait_for_end(home)
    assert not any("outcome" in m["properties"] for m in before)
    assert len(home.spooled()) == 1
    process.kill()
    process.communicate()
    healthy = make_cli(SERVER + "    pass\n" + END, "healthy.py")
    healthy.run(env={"ACME_TELEMETRY_HOST": server.url})
    wait_until(lambda: home.spooled() == [])
    wait_for_end(home)
    ends = [m["properties"] for m in server.messages if m.get("event") == "Command Completed"]
    assert sorted(end["outcome"] for end in ends) == ["success", "unfinished"]
    (unfinished,) = [end for end in ends if end["outcome"] == "unfinished"]
    assert unfinished["sequence"] == 22


def test_first_record_after_five_seconds_is_published(make_cli: MakeCli, server: Server) -> None:
    """With the real clock: nothing before, everything up to it then, while the program runs on."""
    cli = make_cli(
        SERVER.replace("spool.PUBLISH_AFTER = 0.0", "")
        + """
    track("Started Serving")
    time.sleep(5.1)
    track("Request Served")
    print("said", flush=True)
    sys.stdin.read()
"""
        + END
    )
    process = cli.start(env={"ACME_TELEMETRY_HOST": server.url})
    try:
        assert process.stdout is not None
        assert server.requests == []
        assert process.stdout.readline() in ("said\n", "")
        arrived = server.wait_for(3)
    finally:
        process.kill()
        process.communicate()
    assert [m["event"] for m in arrived][:3] == [
        "Command Invoked",
        "Started Serving",
        "Request Served",
    ]


def test_sessions_in_one_process_are_independent(
    make_cli: MakeCli, server: Server, home: Home
) -> None:
    """Two at a time; one ends, and the other loses nothing (row D5)."""
    cli = make_cli(
        """
        import threading
        import click
        from click_telemetry import current, instrument

        def application(name, callback):
            cli = click.Group(name, commands={"go": click.Command("go", callback=callback)})
            return instrument(cli, app=name, write_key="key", notice=False)

        first_up, first_may_end, first_ended = [threading.Event() for _ in range(3)]

        def short():
            current().track("Said", {"who": "short"})
            first_up.set()
            first_may_end.wait(30)

        def long():
            first_up.wait(30)
            for number in range(50): current().track("Said", {"who": "long"})
            first_may_end.set()
            first_ended.wait(30)
            for number in range(50): current().track("Said", {"who": "long"})

        def run_short():
            application("brief", short).main(["go"], standalone_mode=False)
            first_ended.set()

        threads = [
            threading.Thread(target=run_short),
            threading.Thread(target=application("lasting", long).main, args=(["go"],),
                             kwargs={"standalone_mode": False}),
        ]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        """
    )
    environ = {"BRIEF_TELEMETRY_HOST": server.url, "LASTING_TELEMETRY_HOST": server.url}
    ran = cli.run(env=environ)
    assert (ran.stdout, ran.stderr, ran.returncode) == ("", "", 0)
    arrived = server.wait_for(105)
    wait_for_end(home, "brief")
    wait_for_end(home, "lasting")
    by_app: dict[str, list[int]] = {}
    for message in arrived:
        properties = message["properties"]
        assert properties.get("who") in (
            None,
            {"brief": "short", "lasting": "long"}[message["context"]["app"]["name"]],
        )
        by_app.setdefault(message["context"]["app"]["name"], []).append(properties["sequence"])
    assert by_app == {"brief": [1, 2, 3], "lasting": list(range(1, 103))}
