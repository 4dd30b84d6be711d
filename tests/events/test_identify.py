"""Who is signed in: on what follows in this invocation, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from click_telemetry import current, identify, instrument, track
from click_telemetry._events.state import MAX_OWN_EVENTS, SignIn
from click_telemetry._foreground.options import DeclarationError
from click_telemetry._recorder import encode
from click_telemetry.testing import RecordingClient

from ..harness.processes import Cli, Home
from ..harness.production import at_a_prompt
from ..harness.senders import wait_for_end
from ..harness.server import Server
from ..harness.stories import run
from ..harness.writing import Writer, claimed


def application(client: RecordingClient, callback: Callable[[], Any]) -> click.Group:
    group = click.Group("cli", commands={"go": click.Command("go", callback=callback)})
    return instrument(group, app="acme", client=client)


def own_events(client: RecordingClient) -> list[tuple[Any, Any]]:
    """Each message: its event (or its type) and the user whom it names."""
    return [
        (message.get("event", message["type"]), message.get("userId"))
        for message in client.messages
    ]


def test_signed_in_user_is_on_every_later_message(recording_client: RecordingClient) -> None:
    """An `identify` with traits, then `userId` on each message."""

    def go() -> None:
        track("Login Started")
        identify("user-42", {"plan": "pro", "seats": 3, "since": object()})
        track("Login Completed")

    run(application(recording_client, go), "go")
    assert own_events(recording_client) == [
        ("Command Invoked", None),
        ("Login Started", None),
        ("identify", "user-42"),
        ("Login Completed", "user-42"),
        ("Command Completed", "user-42"),
    ]
    (identified,) = recording_client.identifies
    others = {message["anonymousId"] for message in recording_client.messages}
    assert identified == {
        "type": "identify",
        "userId": "user-42",
        "traits": {"plan": "pro", "seats": 3, "since": "[object]"},
        "messageId": identified["messageId"],
        "anonymousId": others.pop(),
        "timestamp": identified["timestamp"],
        "context": recording_client.messages[0]["context"],
    }
    assert not others
    assert [event["properties"]["sequence"] for event in recording_client.events] == [1, 2, 3, 4]
    assert "user-42" not in str(recording_client.events)


@pytest.mark.parametrize("sign_out", [lambda: identify(None), lambda: current().reset()])
def test_after_the_sign_out_messages_have_no_user(
    sign_out: Callable[[], None], recording_client: RecordingClient
) -> None:
    """`identify(None)` or `current().reset()`; neither is a message of its own."""

    def go() -> None:
        identify(7)
        track("One")
        sign_out()
        track("Two")
        identify("user-8")

    run(application(recording_client, go), "go")
    assert own_events(recording_client) == [
        ("Command Invoked", None),
        ("identify", "7"),
        ("One", "7"),
        ("Two", None),
        ("identify", "user-8"),
        ("Command Completed", "user-8"),
    ]


def test_user_found_in_a_group_s_callback_is_on_the_command(
    recording_client: RecordingClient,
) -> None:
    """Where most applications look: it is remembered until the command begins."""

    @click.group()
    def cli() -> None:
        track("Config Read")
        identify("user-42")

    @cli.command()
    def go() -> None: ...

    run(instrument(cli, app="acme", client=recording_client), "go")
    run(cli, "go", "--help")
    recorded = own_events(recording_client)
    recorded.remove(("identify", "user-42"))  # it needs no command, so it may be composed first
    assert recorded == [
        ("Config Read", None),
        ("Command Invoked", "user-42"),
        ("Command Completed", "user-42"),
    ]


def test_the_next_invocation_has_no_user(recording_client: RecordingClient) -> None:
    """Nothing of it is stored: each run identifies its user."""
    run(application(recording_client, lambda: identify("user-42")), "go")
    run(application(recording_client, lambda: None), "go")
    assert own_events(recording_client)[-2:] == [
        ("Command Invoked", None),
        ("Command Completed", None),
    ]


def test_the_application_inside_names_its_own_user(recording_client: RecordingClient) -> None:
    """Two invocations, two users."""
    inner = RecordingClient()

    def go() -> None:
        identify("outer")
        application(inner, lambda: identify("inner")).main(["go"], standalone_mode=False)
        track("After")

    run(application(recording_client, go), "go")
    assert {user for _, user in own_events(inner)} == {None, "inner"}
    assert {user for _, user in own_events(recording_client)} == {None, "outer"}


USERS: list[tuple[Any, str | None]] = [
    ("user-42", "user-42"),
    (" user-42\n", "user-42"),
    ("ünïcode", "ünïcode"),
    (42, "42"),
    (0, "0"),
    (-1, "-1"),
    ("x" * 128, "x" * 128),
    ("@handle", "@handle"),
    ("", None),
    ("   ", None),
    ("x" * 129, None),
    ("zoe@example.com", None),
    ("Zoe <zoe@example.com>", None),
    ("a\nb", None),
    ("a\0b", None),
    ("a\u202eb", None),
    ("\ud800", None),
    (True, None),
    (2**63, None),
    (10**5000, None),
    (1.5, None),
    (b"user-42", None),
    (["user-42"], None),
    (object(), None),
]


@pytest.mark.parametrize(("given", "sent"), USERS, ids=range(len(USERS)))
def test_an_invalid_id_raises_in_a_test(
    given: Any, sent: str | None, recording_client: RecordingClient
) -> None:
    """An e-mail address above all; and then the user before is not named any more either."""

    def go() -> None:
        identify("before")
        if sent is None:
            with pytest.raises(DeclarationError, match=r"pass identify\(user\.id\)"):
                identify(given)
        else:
            identify(given)

    assert run(application(recording_client, go), "go").exit_code == 0
    assert own_events(recording_client)[-1] == ("Command Completed", sent)
    assert recording_client.events[-1]["properties"].get("dropped") == (None if sent else 1)


def test_an_address_is_refused_quietly_at_a_prompt(
    home: Home, make_cli: Callable[..., Cli]
) -> None:
    """There no user is identified, and the loss is counted."""
    found = at_a_prompt(
        make_cli, "identify('before')\nidentify('zoe@example.com', {'plan': 'pro'})"
    )
    assert [message["type"] for message in found] == ["track", "identify", "track"]
    assert [message.get("userId") for message in found] == [None, "before", None]
    assert found[-1]["properties"]["dropped"] == 1
    assert "zoe" not in str(found)


@pytest.mark.parametrize("traits", [{}, None, {"a": 10**5000}, 42, "text"])
def test_traits_are_a_plain_object(traits: Any, recording_client: RecordingClient) -> None:
    """Segment takes nothing else."""
    run(application(recording_client, lambda: identify("u", traits)), "go")
    assert recording_client.identifies[0]["traits"] == {}


def test_no_message_of_a_user_is_larger_than_segment_takes() -> None:
    """Whatever the traits, with the longest ID."""
    client = RecordingClient()

    def go() -> None:
        identify("é" * 128, {f"\x01{n}": "\x01" * 300 for n in range(200)})
        track("Large", {f"\x01{n}": "\x01" * 300 for n in range(200)})

    run(application(client, go), "go")
    assert max(len(encode(message)) for message in client.messages) <= 32 * 1024


def test_users_without_end_are_bounded(recording_client: RecordingClient) -> None:
    """A loop that signs in drops messages, never the command's pair, and names no wrong user."""

    def go() -> None:
        for n in range(MAX_OWN_EVENTS + 50):
            identify(n)

    run(application(recording_client, go), "go")
    assert len(recording_client.identifies) == MAX_OWN_EVENTS
    assert own_events(recording_client)[-1] == ("Command Completed", None)
    assert recording_client.events[-1]["properties"]["dropped"] == 50


def test_sign_out_is_written_though_threads_signed_in_and_out_at_once(tmp_path: Path) -> None:
    """One thread's sign-out was written before the sign-in that it came after."""
    writer = Writer(tmp_path)
    run = writer.begin()
    signed_in = SignIn("user-42").record(writer.invocation, 1)
    signed_out = SignIn(None).record(writer.invocation, 1)
    for facts in (signed_out, signed_in, SignIn(None).record(writer.invocation, 1)):
        writer.invocation.write(facts)
    writer.end(run)
    writer.close()
    (messages,) = claimed(writer.path)
    assert [message.get("userId") for message in messages] == [None, "user-42", None]


@pytest.mark.contract
def test_anonymous_history_is_not_identified(
    make_cli: Callable[..., Cli], server: Server, home: Home
) -> None:
    """Before the sign-in, after it and in the next run messages are anonymous; no `alias`."""
    cli = make_cli(
        """
import click
from click_telemetry import identify, instrumented_group, track

@instrumented_group(app="acme", version="1", write_key="key", notice=False)
@click.group()
def cli(): pass

@cli.command()
def browse(): pass

@cli.command()
def login():
    identify("user-42", {"plan": "pro"})

cli()
"""
    )
    cli.environ["ACME_TELEMETRY_HOST"] = server.url
    for command in ("browse", "login", "browse"):
        assert cli.run(command).stderr == ""
    server.wait_for(6)
    messages = server.messages
    assert {message["type"] for message in messages} == {"track", "identify"}
    named = [
        (message.get("event", "identify"), message["userId"])
        for message in messages
        if "userId" in message
    ]
    assert named == [("identify", "user-42"), ("Command Completed", "user-42")]
    # The one that the sender makes for an ID names no user and has no traits.
    assert [m["traits"] for m in messages if m["type"] == "identify"] == [{}, {"plan": "pro"}]
    wait_for_end(home)
    stored = [path for path in home.path.rglob("*") if path.is_file()]
    assert not any(b"user-42" in path.read_bytes() for path in stored)
