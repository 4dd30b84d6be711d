"""The demo's sessions in a real terminal, through spool, sender and HTTP."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from ..harness.demo import CTRL_C, SESSIONS, Session, own_events
from ..harness.processes import Home
from ..harness.terminal import Terminal

pytestmark = pytest.mark.contract

BIN = Path(sys.executable).parent


@pytest.mark.parametrize("session", SESSIONS, ids=lambda session: session.name)
def test_session_arrives_as_it_was_recorded(session: Session, home: Home) -> None:
    """What I type in a terminal, Ctrl-C included, is delivered as these events (row A12)."""
    command = [str(BIN / "click-telemetry"), "watch", "--json", "--", str(BIN / "demo-cli")]
    terminal = Terminal([*command, *session.args], home.environ, home.path)
    for question, keys in session.answers:
        terminal.wait_for(question)
        if keys == CTRL_C:
            terminal.interrupt("Aborted")
        else:
            terminal.type(keys)
    assert terminal.close() == session.code
    lines = terminal.shown.replace("\r", "").splitlines()
    arrived = [json.loads(line) for line in lines if line.startswith('{"type":"track"')]
    assert own_events(arrived) == session.events
    assert "Traceback" not in terminal.shown
