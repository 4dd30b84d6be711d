"""A run under `click-telemetry watch`: it listens on this machine, in a directory of its own."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from click_telemetry.privacy.consent import NOTHING, Decision
from click_telemetry.privacy.directories import Directories
from click_telemetry.privacy.watched import (
    WRITE_KEY,
    tell,
    watch_address,
    watch_state,
    watched_places,
)

LOOPBACK = "http://127.0.0.1:4711"


def told(state: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in (state / "told").glob("*.json")]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (None, None),
        (LOOPBACK, LOOPBACK),
        ("http://localhost:4711/", "http://localhost:4711"),
        ("https://events.example.com", None),
        ("http://events.example.com", None),
        ("http://127.0.0.1:4711/told", None),
        ("127.0.0.1:4711", None),
        ("", None),
    ],
)
def test_a_watcher_listens_on_loopback_alone(given: str | None, found: str | None) -> None:
    """A stray variable cannot send my events to somebody else's server (row 90)."""
    environ = {} if given is None else {"CLICK_TELEMETRY_WATCH": given}
    assert watch_address(environ) == found


@pytest.mark.parametrize(
    ("given", "found"),
    [(None, None), ("", None), ("told", None), ("./told", None), ("/tmp/told", "/tmp/told")],
)
def test_a_watcher_s_directory_is_absolute(given: str | None, found: str | None) -> None:
    """Nothing is written to wherever the command happens to run."""
    environ = {} if given is None else {"CLICK_TELEMETRY_WATCH_STATE": given}
    assert watch_state(environ) == found


def test_a_watcher_never_learns_the_application_s_key() -> None:
    """What a watched run sends as its key says nothing."""
    assert WRITE_KEY == "watch"


def test_a_watched_run_keeps_out_of_the_person_s_state() -> None:
    """My ID and my waiting events are not touched by somebody who watches (row 102)."""
    mine = Directories("/c/acme", "/s/acme/telemetry")
    found = watched_places(mine, "acme", {"CLICK_TELEMETRY_WATCH_STATE": "/tmp/watch"})
    assert (found.config, found.state) == ("/c/acme", "/tmp/watch/acme")
    found = watched_places(mine, "acme", {})
    assert (found.config, found.state) == ("/c/acme", "/s/acme/telemetry/watched/acme")
    assert found.anonymous_id != mine.anonymous_id
    assert not found.spool("h", "k").startswith(os.path.join(mine.state, "spool"))


@pytest.mark.parametrize(
    ("decision", "said"),
    [
        (None, {"app": "acme", "decided": False}),
        (
            Decision(NOTHING, "variable", "DO_NOT_TRACK"),
            {
                "app": "acme",
                "decided": True,
                "mode": "nothing",
                "reason": "variable",
                "detail": "DO_NOT_TRACK",
            },
        ),
    ],
)
def test_the_watcher_is_told_why_nothing_came(
    tmp_path: Path, decision: Decision | None, said: dict[str, Any]
) -> None:
    """`watch` can say that a variable of mine said no."""
    environ = {"CLICK_TELEMETRY_WATCH": LOOPBACK, "CLICK_TELEMETRY_WATCH_STATE": str(tmp_path)}
    tell(environ, "acme", decision)
    assert told(tmp_path) == [said]
    tell(environ, "acme", decision)
    assert told(tmp_path) == [said, said]


@pytest.mark.parametrize("address", [None, "", "1", "https://events.example.com"])
def test_nobody_is_told_where_nobody_watches(tmp_path: Path, address: str | None) -> None:
    """Without a watcher on this machine not a file is written, whatever else is set."""
    environ = {"CLICK_TELEMETRY_WATCH_STATE": str(tmp_path)}
    if address is not None:
        environ["CLICK_TELEMETRY_WATCH"] = address
    tell(environ, "acme", None)
    assert list(tmp_path.iterdir()) == []


def test_a_watcher_that_has_gone_is_not_told(tmp_path: Path) -> None:
    """Its directory is not made anew, and my command does not notice."""
    gone = tmp_path / "gone"
    tell(
        {"CLICK_TELEMETRY_WATCH": LOOPBACK, "CLICK_TELEMETRY_WATCH_STATE": str(gone)}, "acme", None
    )
    assert not gone.exists()
    gone.write_text("in the way")
    tell(
        {"CLICK_TELEMETRY_WATCH": LOOPBACK, "CLICK_TELEMETRY_WATCH_STATE": str(gone)}, "acme", None
    )
    assert gone.read_text() == "in the way"
