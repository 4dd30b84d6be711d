"""What applications tell the watcher, from both sides."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from click_telemetry.privacy.consent import NOTHING, WATCH, Decision
from click_telemetry.privacy.watched import ADDRESS_VARIABLE, STATE_VARIABLE, TOLD, tell
from click_telemetry.tools.reasons import Note
from click_telemetry.tools.watch import notes, private_state


def watched(state: str) -> dict[str, str]:
    """The environment of a watched run."""
    return {ADDRESS_VARIABLE: "http://127.0.0.1:9", STATE_VARIABLE: state}


def test_what_is_told_is_read_in_its_order() -> None:
    """The watcher learns of each application what was decided, and why."""
    told: list[tuple[str, Decision | None]] = [
        ("acme", None),
        ("acme", Decision(NOTHING, "variable", "DO_NOT_TRACK")),
        ("beta", None),
        ("beta", Decision(WATCH)),
    ]
    with private_state() as state:
        assert notes(state) == []
        known: set[Path] = set()
        for second, (app, decision) in enumerate(told):
            tell(watched(state), app, decision)
            (written,) = {*Path(state, TOLD).iterdir()} - known
            os.utime(written, (second, second))
            known.add(written)
        assert notes(state) == [
            Note("acme", False),
            Note("acme", True, NOTHING, "variable", "DO_NOT_TRACK"),
            Note("beta", False),
            Note("beta", True, WATCH),
        ]


def test_a_run_that_outlives_the_watcher_makes_nothing_anew() -> None:
    """When the watcher's directory has gone, nobody makes it again."""
    with private_state() as state:
        pass
    tell(watched(state), "acme", Decision(WATCH))
    assert not os.path.lexists(state)


def test_without_a_watcher_nothing_is_told(tmp_path: Path) -> None:
    """An ordinary run writes no note, even where a directory is named."""
    tell({STATE_VARIABLE: str(tmp_path)}, "acme", Decision(WATCH))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"null",
        b'{"app": "acme"}',
        b'{"decided": true}',
        b"\xff",
        b"[" * 50_000,
        b'{"app": "acme", "decided": true, "x": "' + b"x" * 70_000 + b'"}',
    ],
    ids=range(10),
)
def test_what_is_no_note_is_passed_over(content: bytes) -> None:
    """A torn or foreign file among the notes is nobody's reason."""
    with private_state() as state:
        tell(watched(state), "acme", None)
        Path(state, TOLD, "junk.json").write_bytes(content)
        Path(state, TOLD, "directory.json").mkdir()
        os.mkfifo(Path(state, TOLD, "fifo.json"))
        assert notes(state) == [Note("acme", False)]


def test_the_state_is_private_and_temporary() -> None:
    """Nobody else can look into a watched run, and nothing of it stays."""
    with private_state() as state:
        assert os.stat(state).st_mode & 0o777 == 0o700
        Path(state, "acme").mkdir()
    assert not os.path.lexists(state)
