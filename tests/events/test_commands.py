"""Commands that are not Click's: the same pair, by the same rules, and a name of their own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import click
import pytest

from click_telemetry import exclude, instrument, track, track_command
from click_telemetry._events.scope import take_dropped
from click_telemetry._events.state import MAX_OWN_EVENTS
from click_telemetry._foreground.options import DeclarationError
from click_telemetry.testing import RecordingClient

from ..harness.processes import Cli, Home
from ..harness.production import at_a_prompt
from ..harness.stories import pair, run, story


def application(client: RecordingClient, callback: Callable[[], Any]) -> click.Group:
    group = click.Group("cli", commands={"go": click.Command("go", callback=callback)})
    return instrument(group, app="acme", client=client)


def inside(client: RecordingClient, callback: Callable[[], Any]) -> list[tuple[Any, ...]]:
    """What is recorded between a command's two events."""
    result = run(application(client, callback), "go")
    assert result.exception is None, result.exception
    found = story(client)
    assert [found[0], found[-1]] == pair("acme go")
    return found[1:-1]


def test_a_skill_is_a_pair_of_its_own(recording_client: RecordingClient) -> None:
    """With its source and the message that asked for it, on both events."""

    def go() -> None:
        with track_command("review", source="skill", message_id="msg_01XFDUDYJgAACzvnptvVoYEL"):
            track("File Read")
        track("Reply Sent")

    found = inside(recording_client, go)
    assert found == [
        ("Command Invoked", "acme review", []),
        ("File Read", "acme review", []),
        pair("acme review")[1],
        ("Reply Sent", "acme go", []),
    ]
    events = recording_client.events
    for event in (events[1], events[3]):
        assert event["properties"]["source"] == "skill"
        assert event["properties"]["message_id"] == "msg_01XFDUDYJgAACzvnptvVoYEL"
    runs = [event["properties"]["run_id"] for event in events]
    assert runs == [runs[0], runs[1], runs[1], runs[1], runs[0], runs[0]]
    assert len(set(runs)) == 2
    assert [event["properties"]["sequence"] for event in events] == [1, 2, 3, 4, 5, 6]
    assert events[3]["properties"]["duration_ms"] >= 0
    assert {event["properties"]["invocation_id"] for event in events} == {
        events[0]["properties"]["invocation_id"]
    }


class Wall(click.ClickException):
    exit_code = 3


ENDINGS: list[tuple[BaseException, dict[str, Any]]] = [
    (ValueError("secret"), {"code": 1, "error": "ValueError"}),
    (SystemExit(0), {"code": 0}),
    (SystemExit(7), {"code": 7}),
    (KeyboardInterrupt(), {"code": 1, "outcome": "cancelled", "error": "KeyboardInterrupt"}),
    (EOFError(), {"code": 1, "outcome": "cancelled", "error": "EOFError"}),
    (click.Abort(), {"code": 1, "outcome": "cancelled", "error": "click.exceptions.Abort"}),
    (Wall("secret"), {"code": 3, "error": f"{__name__}.Wall"}),
    (click.exceptions.Exit(4), {"code": 4}),
    (GeneratorExit(), {"code": 1, "error": "GeneratorExit"}),
    (StopIteration(), {"code": 1, "error": "StopIteration"}),
    (asyncio.CancelledError(), {"code": 1, "error": "asyncio.exceptions.CancelledError"}),
]


@pytest.mark.parametrize(
    ("error", "ending"), ENDINGS, ids=[type(error).__name__ for error, _ in ENDINGS]
)
def test_its_end_is_recorded_as_that_of_a_click_command(
    error: BaseException, ending: dict[str, Any], recording_client: RecordingClient
) -> None:
    """Exit code, outcome and class by the same rules; the very exception passes."""
    caught: list[BaseException] = []

    def go() -> None:
        try:
            with track_command("review"):
                raise error
        except BaseException as passed:
            caught.append(passed)

    group = click.Group("cli", commands={"go": click.Command("go", callback=go)})
    instrument(group, app="acme", client=recording_client, packages=("tests",))
    assert run(group, "go").exception is None
    assert caught == [error]
    assert story(recording_client)[1:-1] == pair("acme review", **ending)
    assert "secret" not in str(recording_client.messages)


def test_its_traceback_is_the_bare_one(recording_client: RecordingClient) -> None:
    """A `with` adds no frame."""
    import traceback

    frames: list[str] = []

    def go() -> None:
        try:
            with track_command("review"):
                raise ValueError("x")
        except ValueError as error:
            frames.extend(frame.name for frame in traceback.extract_tb(error.__traceback__))

    inside(recording_client, go)
    assert frames == ["go"]


def test_they_lie_in_one_another(recording_client: RecordingClient) -> None:
    """As a skill that runs a tool."""

    def go() -> None:
        with track_command("review", source="skill"), track_command("grep", source="mcp"):
            track("Line Found")

    assert [entry[:2] for entry in inside(recording_client, go)] == [
        ("Command Invoked", "acme review"),
        ("Command Invoked", "acme grep"),
        ("Line Found", "acme grep"),
        ("Command Completed", "acme grep"),
        ("Command Completed", "acme review"),
    ]


def test_a_decorated_function_is_one_at_each_call(recording_client: RecordingClient) -> None:
    """It keeps its name, its result and its exceptions; in threads too."""

    @track_command("review", source="skill")
    def review(depth: int) -> int:
        """Look at it."""
        return review(depth - 1) + 1 if depth else 0

    assert (review.__name__, review.__doc__) == ("review", "Look at it.")

    def go() -> None:
        assert review(2) == 2
        threads = [threading.Thread(target=review, args=(0,)) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    found = inside(recording_client, go)
    assert [entry[0] for entry in found[:6]] == ["Command Invoked"] * 3 + ["Command Completed"] * 3
    assert len(found) == 2 * 8
    runs = [event["properties"]["run_id"] for event in recording_client.events[1:-1]]
    assert all(runs.count(run_id) == 2 for run_id in runs)


def test_a_decorated_coroutine_ends_when_it_ends(recording_client: RecordingClient) -> None:
    """As does `async with`; two at a time do not meet."""
    order: list[str] = []

    @track_command("slow")
    async def slow() -> None:
        await asyncio.sleep(0.02)
        track("Slow Done")
        order.append("slow")

    async def quick() -> None:
        async with track_command("quick"):
            await asyncio.sleep(0)
            track("Quick Done")
            order.append("quick")

    async def both() -> None:
        await asyncio.gather(slow(), quick())

    found = inside(recording_client, lambda: asyncio.run(both()))
    assert order == ["quick", "slow"]
    assert [entry[:2] for entry in found] == [
        ("Command Invoked", "acme slow"),
        ("Command Invoked", "acme quick"),
        ("Quick Done", "acme quick"),
        ("Command Completed", "acme quick"),
        ("Slow Done", "acme slow"),
        ("Command Completed", "acme slow"),
    ]
    assert recording_client.events[6]["properties"]["duration_ms"] >= 20


def generator() -> Any:
    yield 1


async def async_generator() -> Any:
    yield 1


@pytest.mark.parametrize("function", [generator, async_generator, object, "text", None])
def test_what_does_not_end_with_its_call_cannot_be_decorated(function: Any) -> None:
    """A generator's work begins after its call; the message names the fix."""
    with pytest.raises(DeclarationError, match="track_command"):
        track_command("review")(function)


NAMES = [
    ("review", True),
    ("/commit", True),
    ("commit-commands:commit", True),
    ("mcp__github__create_issue", True),
    ("plan change", True),
    ("apps plan change now", True),
    ("x" * 64, True),
    ("x" * 65, False),
    ("", False),
    (" review", False),
    ("two  blanks", False),
    ("please review my secret project", False),
    ("review /home/zoe", False),
    ("docs/secret-project", False),
    ("/", False),
    ("zoe@example.com", False),
    ("review\n", False),
    ("größe", False),
    ("review; rm", False),
    (None, False),
    (42, False),
]


@pytest.mark.parametrize(("name", "good"), NAMES)
def test_a_name_is_declared_and_not_typed(
    name: Any, good: bool, recording_client: RecordingClient
) -> None:
    """A sentence raises in a test."""

    def go() -> None:
        if good:
            with track_command(name):
                return
        with pytest.raises(DeclarationError, match="declared in the code"):
            track_command(name)

    found = inside(recording_client, go)
    assert found == (pair(f"acme {name}") if good else [])


@pytest.mark.parametrize(
    ("name", "masked"),
    [
        ("review", False),
        ("code-review v2.1.0:fast", False),
        ("ghp" + "_" + "a1B2" * 9, True),
        ("deploy 10.0.0.1", True),
        ("login password:hunter2", True),
    ],
)
def test_a_name_that_contains_a_secret_is_masked(
    name: str, masked: bool, recording_client: RecordingClient
) -> None:
    """A token that was passed by mistake stays on the machine."""

    def go() -> None:
        with track_command(name):
            pass

    assert inside(recording_client, go) == pair("acme <dynamic>" if masked else f"acme {name}")


@pytest.mark.parametrize(
    ("options", "fix"),
    [
        ({"source": "prompt"}, "source is one of"),
        ({"source": None}, "source is one of"),
        ({"message_id": "please review my project"}, "message_id is an ID"),
        ({"message_id": "zoe@example.com"}, "message_id is an ID"),
        ({"message_id": "x" * 65}, "message_id is an ID"),
        ({"message_id": ""}, "message_id is an ID"),
        ({"message_id": 42}, "message_id is an ID"),
    ],
)
def test_a_mistake_raises_in_a_test(
    options: dict[str, Any], fix: str, recording_client: RecordingClient
) -> None:
    """The message lists what is possible."""

    def go() -> None:
        with pytest.raises(DeclarationError, match=fix):
            track_command("review", **options)

    assert inside(recording_client, go) == []


def test_at_a_prompt_a_mistake_is_recorded_without_what_was_typed(
    home: Home, make_cli: Callable[..., Cli]
) -> None:
    """The pair is there; its name is `<dynamic>`, the rest is left out and counted."""
    found = at_a_prompt(
        make_cli,
        """
        with track_command("please review /home/zoe", source="prompt", message_id="zoe@home"):
            pass
        """,
    )
    assert [message["properties"]["command"] for message in found] == [
        *("acme go", "acme <dynamic>", "acme <dynamic>", "acme go")
    ]
    assert [message["properties"].get("dropped") for message in found] == [None, 3, None, None]
    assert "zoe" not in str(found)
    assert "source" not in str(found)


def test_outside_any_command_it_is_dropped_and_counted() -> None:
    """As `track` is; what is inside runs all the same."""
    take_dropped()
    done = []
    with track_command("review"):
        done.append(1)
    with pytest.raises(ZeroDivisionError), track_command("review"):
        1 / 0  # noqa: B018
    assert done == [1]
    assert take_dropped() == 2


def test_in_a_group_s_callback_it_is_remembered(recording_client: RecordingClient) -> None:
    """With its own time and its own end, before the command that it led to."""

    @click.group()
    def cli() -> None:
        with track_command("warm-up", source="repl"):
            pass
        with pytest.raises(ValueError, match="x"), track_command("check"):
            raise ValueError("x")

    @cli.command()
    def go() -> None: ...

    assert run(instrument(cli, app="acme", client=recording_client), "go").exception is None
    assert story(recording_client) == [
        *pair("acme warm-up"),
        *pair("acme check", code=1, error="ValueError"),
        *pair("acme go"),
    ]
    stamps = [message["timestamp"] for message in recording_client.messages]
    assert stamps == sorted(stamps, key=str)


@pytest.mark.parametrize("cause", ["excluded", "off"])
def test_where_nothing_is_recorded_it_does_nothing(
    cause: str, recording_client: RecordingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an excluded command, and after a no."""

    def go() -> None:
        with track_command("review"):
            track("File Read")

    cli = application(recording_client, go)
    if cause == "excluded":
        exclude(cli.commands["go"])
    else:
        monkeypatch.setenv("ACME_NO_TELEMETRY", "1")
    assert run(cli, "go").exception is None
    assert recording_client.messages == []
    take_dropped()


def test_commands_without_end_are_bounded(recording_client: RecordingClient) -> None:
    """Each is one of the application's own events; the command's own pair always fits."""

    def go() -> None:
        for _ in range(MAX_OWN_EVENTS + 50):
            with track_command("review"):
                pass

    found = inside(recording_client, go)
    assert found == pair("acme review") * MAX_OWN_EVENTS
    assert recording_client.events[-1]["properties"]["dropped"] == 50
