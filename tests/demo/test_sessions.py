"""The demo's sessions in Click's own runner, with the client that an application's tests use."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from click.testing import CliRunner
from demo_cli.main import cli

from click_telemetry import instrument
from click_telemetry.testing import RecordingClient

from ..harness.demo import CTRL_C, SESSIONS, Session, own_events
from ..harness.keyboard import Keyboard


@pytest.fixture
def client(recording_client: RecordingClient) -> Iterator[RecordingClient]:
    """Replaces the demo's spool."""
    instrument(cli, client=recording_client)
    yield recording_client
    instrument(cli, client=None)


def keyboard(session: Session) -> Keyboard:
    """The keyboard of a person who types a session's answers."""
    return Keyboard("".join(keys for _, keys in session.answers if keys != CTRL_C))


@pytest.mark.parametrize("session", SESSIONS, ids=lambda session: session.name)
def test_session_gives_these_events_and_no_other(session: Session, client: RecordingClient) -> None:
    """One event states where a person stopped and why, in each session (rows A9 to A16, A18).

    Only prompted answers are read: the keyboard's Ctrl-C is where the session's is.
    """
    result = CliRunner().invoke(cli, session.args, input=keyboard(session))
    assert own_events(client.events) == session.events
    assert result.exit_code == session.code
    assert [one["properties"]["sequence"] for one in client.events] == list(
        range(1, len(session.events) + 1)
    )
    assert "Secret Project" not in json.dumps(client.messages)


def test_the_steps_are_those_of_the_reference() -> None:
    """From the name to the profile, in this order (row A10)."""
    from demo_cli.events import APPLICATION_CREATE

    assert APPLICATION_CREATE.plan.steps == (
        *("name", "auth", "plan", "terms", "region"),
        *("api_call", "api_key", "apply_plan", "profile_configure"),
    )


def test_where_people_stop_is_one_breakdown(client: RecordingClient) -> None:
    """Each end has plan, step and reason: no query has to join events (rows A9, A11)."""
    stops = []
    for session in SESSIONS[:10]:
        client.clear()
        CliRunner().invoke(cli, session.args, input=keyboard(session))
        (end,) = [
            one
            for one in client.events
            if one["event"].startswith("Application Create ")
            and one["event"].endswith(("Completed", "Aborted", "Failed"))
        ]
        own = end["properties"]
        why = own.get("reason", own.get("error_class"))
        stops.append((end["event"].split()[-1], own["step"], why))
    assert stops == [
        ("Completed", "profile_configure", None),
        ("Aborted", "terms", "declined_terms"),
        ("Aborted", "name", "cancelled"),
        ("Aborted", "plan", "cancelled"),
        ("Aborted", "terms", "cancelled"),
        ("Aborted", "region", "cancelled"),
        ("Aborted", "apply_plan", "billing_required"),
        ("Aborted", "apply_plan", "billing_required"),
        ("Failed", "api_call", "ConnectionError"),
        ("Completed", "profile_configure", None),
    ]
