"""A run under `click-telemetry watch`: a receiver on this machine, with a directory of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from click_telemetry import __version__
from click_telemetry._foreground.sinks import (
    DECISIONS,
    WRITE_KEY,
    address,
    report,
    state_directory,
    watched_directories,
)
from click_telemetry._recorder import Directories

LOOPBACK = "http://127.0.0.1:4711"


def reported(state: Path) -> list[dict[str, Any]]:
    """The decisions that a receiver finds in its directory."""
    return [json.loads(path.read_bytes()) for path in (state / DECISIONS).glob("*.json")]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (None, None),
        (LOOPBACK, LOOPBACK),
        ("http://localhost:4711/", "http://localhost:4711"),
        ("http://[::1]:4711/", "http://[::1]:4711"),
        ("https://events.example.com", None),
        ("http://events.example.com", None),
        ("http://127.0.0.1.example.com", None),
        ("http://127.0.0.1:4711/told", None),
        ("http://127.0.0.1:" + "9" * 5000, None),
        ("127.0.0.1:4711", None),
        ("1", None),
        ("", None),
    ],
)
def test_receiver_listens_on_loopback_alone(value: str | None, found: str | None) -> None:
    """A foreign variable cannot send my events to another server."""
    assert address({} if value is None else {"CLICK_TELEMETRY_WATCH": value}) == found


@pytest.mark.parametrize(
    ("value", "found"),
    [(None, None), ("", None), ("watch", None), ("./watch", None), ("/x/watch", "/x/watch")],
)
def test_receivers_directory_is_absolute(value: str | None, found: str | None) -> None:
    """Nothing is written to the current directory."""
    environ = {} if value is None else {"CLICK_TELEMETRY_WATCH_STATE": value}
    assert state_directory(environ) == found


def test_receiver_does_not_get_the_applications_key() -> None:
    """A constant is sent instead of it."""
    assert WRITE_KEY == "watch"


def test_watched_run_leaves_the_persons_state_alone() -> None:
    """The ID and the queued events are not used; the saved setting applies."""
    own = Directories("/c/acme", "/s/acme/telemetry", "/etc/xdg/acme")
    found = watched_directories(own, "acme", {"CLICK_TELEMETRY_WATCH_STATE": "/x/watch"})
    assert (found.setting, found.state) == ("/c/acme/telemetry.json", "/x/watch/acme")
    found = watched_directories(own, "acme", {})
    assert found.setting == own.setting
    assert found.state == "/s/acme/telemetry/watched/acme"
    assert found.anonymous_id != own.anonymous_id
    assert not found.spool.startswith(os.path.join(own.state, "spool"))


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("acme", None), {"app": "acme", "decided": False}),
        (
            ("acme", "variable", "DO_NOT_TRACK"),
            {
                "app": "acme",
                "decided": True,
                "mode": "off",
                "reason": "variable",
                "detail": "DO_NOT_TRACK",
            },
        ),
        (
            ("acme", "", "", "watch"),
            {"app": "acme", "decided": True, "mode": "watch", "reason": "", "detail": ""},
        ),
    ],
)
def test_receiver_can_explain_why_nothing_arrived(
    arguments: tuple[Any, ...],
    found: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each decision is one small file."""
    monkeypatch.setenv("CLICK_TELEMETRY_WATCH", LOOPBACK)
    monkeypatch.setenv("CLICK_TELEMETRY_WATCH_STATE", str(tmp_path))
    found = {"library": __version__, **found}
    report(*arguments)
    assert reported(tmp_path) == [found]
    report(*arguments)
    assert reported(tmp_path) == [found, found]


@pytest.mark.parametrize("value", [None, "", "1", "https://events.example.com"])
def test_without_a_receiver_nothing_is_reported(
    value: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a file is written, whatever else is set."""
    monkeypatch.setenv("CLICK_TELEMETRY_WATCH_STATE", str(tmp_path))
    monkeypatch.delenv("CLICK_TELEMETRY_WATCH", raising=False)
    if value is not None:
        monkeypatch.setenv("CLICK_TELEMETRY_WATCH", value)
    report("acme", None)
    assert list(tmp_path.iterdir()) == []


def test_receiver_that_has_ended_is_not_reported_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its directory is not created again, and my command goes on."""
    state = tmp_path / "state"
    monkeypatch.setenv("CLICK_TELEMETRY_WATCH", LOOPBACK)
    monkeypatch.setenv("CLICK_TELEMETRY_WATCH_STATE", str(state))
    report("acme", None)
    assert not state.exists()
    state.write_text("a file")
    report("acme", None)
    assert state.read_text() == "a file"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_any_public_name_may_be_imported_first(tmp_path: Path) -> None:
    """A watched application begins with the import that it likes."""
    program = (
        "import os, sys, click\n"
        "import click_telemetry\n"
        "for name in click_telemetry.__all__:\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        getattr(click_telemetry, name)\n"
        "        os._exit(0)\n"
        "    if os.waitpid(child, 0)[1]:\n"
        "        sys.exit(name)\n"
    )
    environ = {"CLICK_TELEMETRY_WATCH": LOOPBACK, "CLICK_TELEMETRY_WATCH_STATE": str(tmp_path)}
    command = [sys.executable, "-I", "-c", program]
    subprocess.run(command, env=environ, check=True, timeout=60)
