"""An invocation with too many events: they are bounded and counted, and its pair always fits."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from ..harness.processes import Cli, Home
from ..harness.sameness import program, same
from ..harness.senders import wait_for_end
from ..harness.server import Server

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform == "win32", reason="starts the sender with posix_spawn"),
]

MakeCli = Callable[..., Cli]


@pytest.fixture
def run(make_cli: MakeCli, server: Server, home: Home) -> Callable[..., list[dict[str, Any]]]:
    """Runs a program to its end, and returns the track messages that arrived."""

    def run_program(body: str, **more: str) -> list[dict[str, Any]]:
        cli = make_cli(program(body, **more))
        cli.environ["ACME_TELEMETRY_HOST"] = server.url
        assert same(cli).returncode == 0
        server.wait_for(2)
        wait_for_end(home)
        return [m for m in server.messages if m["type"] == "track"]

    return run_program


def test_ten_thousand_events_are_two_hundred_and_a_count(run: Callable[..., Any]) -> None:
    """Between two publications; the rest is a number on the end."""
    arrived = run("for number in range(10_000): track('Exported', {'number': number})")
    assert [m["properties"].get("number") for m in arrived] == [None, *range(200), None]
    completed = arrived[-1]["properties"]
    assert (completed["outcome"], completed["dropped"]) == ("success", 9_800)


@pytest.mark.extended
def test_large_events_leave_room_for_the_pair(run: Callable[..., Any]) -> None:
    """Each event that did not fit in the file is counted."""
    arrived = run(
        """
        fields = {f"field_{number}": "y" * 900 for number in range(20)}
        for number in range(200): track("Exported", {"number": number, **fields})
        """
    )
    own = [m for m in arrived if m["event"] == "Exported"]
    assert 10 < len(own) < 200
    assert sum(m["properties"].get("dropped", 0) for m in arrived) == 200 - len(own)
    assert arrived[-1]["properties"]["outcome"] == "success"


def test_large_events_before_the_command_begins_leave_room_for_it(run: Callable[..., Any]) -> None:
    """The group's callback records more than a file has room for."""
    arrived = run(
        "",
        group="""
        fields = {f"field_{number}": "y" * 900 for number in range(20)}
        for number in range(200): track("Exported", {"number": number, **fields})
        """,
    )
    own = [m for m in arrived if m["event"] == "Exported"]
    assert 10 < len(own) < 200
    assert sum(m["properties"].get("dropped", 0) for m in arrived) == 200 - len(own)
    assert [m["event"] for m in arrived[-2:]] == ["Command Invoked", "Command Completed"]


@pytest.mark.extended
def test_thousand_leaves_in_one_chain_are_a_thousand_pairs(
    make_cli: MakeCli, server: Server, home: Home
) -> None:
    """No bound applies to the begin and the end of commands."""
    cli = make_cli(
        """
        import click
        from click_telemetry import instrument

        @click.group(chain=True)
        def cli(): pass

        @cli.command()
        def go(): pass

        instrument(cli, app="acme", write_key="key", notice=False)
        cli.main(["go"] * 1000)
        """
    )
    ran = cli.run(env={"ACME_TELEMETRY_HOST": server.url})
    assert (ran.stdout, ran.stderr, ran.returncode) == ("", "", 0)
    arrived = server.wait_for(2000, timeout=60)
    sequences = [m["properties"]["sequence"] for m in arrived]
    assert sorted(sequences) == list(range(1, 2001))
    assert {m["properties"].get("outcome") for m in arrived} == {None, "success"}


@pytest.mark.extended
def test_fifty_threads_lose_nothing_below_the_bound(run: Callable[..., Any]) -> None:
    """Each event once, each sequence once."""
    arrived = run(
        """
        def work(thread):
            for number in range(4): track("Exported", {"number": thread * 4 + number})
        threads = [threading.Thread(target=work, args=(n,)) for n in range(50)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        """,
        head="import threading",
    )
    assert [m["properties"]["sequence"] for m in arrived] == list(range(1, 203))
    assert sorted(m["properties"]["number"] for m in arrived[1:-1]) == list(range(200))
    assert "dropped" not in arrived[-1]["properties"]


def test_events_of_tasks_belong_to_the_command_that_started_them(run: Callable[..., Any]) -> None:
    """Gathered, in executors, in copied contexts."""
    arrived = run(
        """
        async def work(number):
            await asyncio.sleep(0)
            track("Exported", {"number": number})
            await asyncio.to_thread(track, "Exported", {"number": number + 50})
        async def main():
            await asyncio.gather(*(work(number) for number in range(50)))
        asyncio.run(main())
        contextvars.copy_context().run(track, "Exported", {"number": 100})
        """,
        head="import asyncio, contextvars",
    )
    assert [m["properties"]["sequence"] for m in arrived] == list(range(1, 104))
    assert sorted(m["properties"]["number"] for m in arrived[1:-1]) == list(range(101))
    assert {m["properties"]["command"] for m in arrived} == {"acme go"}
