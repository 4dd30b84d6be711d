"""Programs that run for days: published while they run, without a timer, a thread or a leak."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from click_telemetry._sender.queue import compose
from click_telemetry._spool import GUARD

from ..harness.faults import KILL, Traced, inject, needs_strace, ours, traced, written
from ..harness.processes import Cli, Home
from ..harness.queue import Queue
from ..harness.senders import wait_for_end, wait_until
from ..harness.server import Server

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform != "linux", reason="inspects /proc"),
]

MakeCli = Callable[..., Cli]

SERVER = """
import os, sys, threading, time
import click
from click_telemetry import instrument, track
from click_telemetry import _spool

_spool.PUBLISH_AFTER = 0  # each fact is published, as if it came five seconds after the last one

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
    # A sender may find the next part free before the one that it just met locked.
    arrived = sorted(arrived, key=lambda m: m["properties"]["sequence"])
    assert [m["properties"]["sequence"] for m in arrived] == list(range(1, 403))
    assert len(server.messages) == 403  # and the identify
    assert [m["properties"].get("outcome") for m in arrived[-1:]] == ["success"]
    assert home.spooled() == []


def test_server_that_is_killed_between_publications_is_unfinished_once(
    make_cli: MakeCli, server: Server, home: Home
) -> None:
    """Its published events arrive before that, and its run is unfinished only after the kill."""
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


@pytest.mark.extended
def test_first_record_after_five_seconds_is_published(make_cli: MakeCli, server: Server) -> None:
    """With the real clock: nothing before that, then everything, while the program runs on."""
    cli = make_cli(
        SERVER.replace("_spool.PUBLISH_AFTER = 0", "")
        + """
    track("Started Serving")
    time.sleep(5.1)
    track("Request Served")
    print("served", flush=True)
    sys.stdin.read()
"""
        + END
    )
    process = cli.start(env={"ACME_TELEMETRY_HOST": server.url})
    try:
        assert process.stdout is not None
        assert server.requests == []
        assert process.stdout.readline() == "served\n"
        arrived = server.wait_for(3)
    finally:
        process.kill()
        process.communicate()
    assert [m["event"] for m in arrived][:3] == [
        "Command Invoked",
        "Started Serving",
        "Request Served",
    ]


@pytest.mark.extended
def test_sessions_in_one_process_are_independent(
    make_cli: MakeCli, server: Server, home: Home
) -> None:
    """Two run at a time; one ends, and the other loses nothing."""
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
            current().track("Ticked", {"who": "short"})
            first_up.set()
            first_may_end.wait(30)

        def long():
            first_up.wait(30)
            for number in range(50): current().track("Ticked", {"who": "long"})
            first_may_end.set()
            first_ended.wait(30)
            for number in range(50): current().track("Ticked", {"who": "long"})

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


LARGE_PAIRS = """
@cli.command()
def inner(): pass

@cli.command()
@click.pass_context
def outer(context):
    command = cli.get_command(context.parent, "inner")
    for _ in range(199):
        with command.make_context("inner", [], parent=context) as own: command.invoke(own)

properties = {f"field_{number}": "y" * 880 for number in range(4)}
instrument(cli, app="acme", write_key="key", notice=False, properties=properties)
"""


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    "line",
    ['["outer"]', '["inner"] * 200', '["--more", "inner", *["inner"] * 199]'],
    ids=["one encloses the others", "one after the other", "after an event"],
)
def test_pairs_that_exceed_a_file_are_continued_in_another_one(
    line: str, make_cli: MakeCli, server: Server, home: Home
) -> None:
    """Without a publication: each run begins once and ends once, whichever part has its lines."""
    source = SERVER.partition("@cli.command()")[0].replace("_spool.PUBLISH_AFTER = 0", "")
    group = """
@click.group(chain=True)
@click.option("--more", is_flag=True)
def cli(more):
    if more: track("Started")
"""
    source = source.replace("@click.group()\ndef cli(): pass\n", group)
    cli = make_cli(f"{source}{LARGE_PAIRS}cli.main({line})")
    ran = cli.run(env={"ACME_TELEMETRY_HOST": server.url})
    assert (ran.stdout, ran.stderr, ran.returncode) == ("", "", 0)
    arrived = server.wait_for(401 if "more" in line else 400, timeout=60)
    wait_for_end(home)
    sequences = sorted(m["properties"]["sequence"] for m in arrived)
    assert sequences == list(range(1, len(arrived) + 1))
    assert {m["properties"].get("outcome") for m in arrived} == {None, "success"}
    assert [m for m in arrived if "dropped" in m["properties"]] == []
    assert {json.dumps(m) for r in server.requests for m in r.batch} == {
        json.dumps(m) for m in server.messages
    }
    assert home.spooled() == []


SIGNS_IN = """
import click
from click_telemetry import _spool, current, identify, instrument, track

_spool.PUBLISH_AFTER = 0

@click.group(chain=True)
def cli(): track("Started")

@cli.command()
def first():
    identify("user-1")
    track("Exported")
    identify(None)

@cli.command()
@click.pass_context
def outer(context):
    identify("user-2")
    with cli.get_command(context.parent, "first").make_context("first", [], parent=context) as own:
        own.command.invoke(own)
    track("Exported")

instrument(cli, app="acme", version="1", write_key="key", notice=False)
cli.main(["first", "outer"])
"""


@pytest.mark.extended
@needs_strace
@pytest.mark.parametrize(
    ("call", "step"),
    [
        ("write", 4),
        pytest.param("write", 1, marks=pytest.mark.extended),
        *(pytest.param(c, 1, marks=pytest.mark.slow) for c in ("flock", "close", "openat")),
    ],
)
def test_program_that_is_killed_during_a_publication_ends_each_run_once(
    call: str, step: int, make_cli: MakeCli, server: Server, home: Home, tmp_path: Path
) -> None:
    """Killed at such calls on its files: a run whose end was written is never unfinished."""
    cli = make_cli(SIGNS_IN)
    # With the sender's variable it starts none, so that the test's own sender has all files.
    environ = {"ACME_TELEMETRY_HOST": server.url, GUARD: "1"}
    cli.environ.update(environ)
    healthy = ours(traced(cli).calls, home.path)
    moments = [found for found in healthy if found.name == call and ".facts" in found.text]
    assert len(moments) >= 10
    for number, moment in enumerate(moments[::step]):
        killed = Cli(cli.script, Home(tmp_path / f"home-{number}"), SIGNS_IN)
        killed.environ.update(environ)
        ran = traced(killed, options=inject(moment, KILL))
        (path,) = killed.home.state().glob("spool/*")
        server.requests.clear()
        assert Queue(path, server.url).send() == 0
        check_ends(ran, server)
        assert killed.home.spooled() == []


def check_ends(ran: Traced, server: Server) -> None:
    """What arrived is what was written, and the end of each run that has none."""
    written_messages = {}
    for name, content in sorted(written(ran.calls).items()):
        for message in compose(name, content, writer_gone=False).messages:
            written_messages[message["messageId"]] = message
    arrived: dict[str, set[str]] = {}
    for request in server.requests:
        for message in request.batch:
            arrived.setdefault(message["messageId"], set()).add(json.dumps(message))
    assert {key: texts for key, texts in arrived.items() if len(texts) > 1} == {}
    messages = {key: json.loads(next(iter(texts))) for key, texts in arrived.items()}
    assert written_messages.items() <= messages.items()
    events = [m for m in messages.values() if m["type"] == "track"]
    begun = {m["properties"]["run_id"] for m in events if m["event"] == "Command Invoked"}
    ended = [m["properties"]["run_id"] for m in events if m["event"] == "Command Completed"]
    assert sorted(ended) == sorted(begun)
    added = [m for key, m in messages.items() if key not in written_messages]
    assert {m["properties"].get("outcome") for m in added} <= {"unfinished"}
    assert len({m["properties"]["sequence"] for m in events}) == len(events)
