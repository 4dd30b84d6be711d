"""The small file where resources are remembered: bounded, private, shared by processes."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from click_telemetry._events.records import (
    FILE,
    LOCK,
    MAX_BYTES,
    MAX_RECORDS,
    RecordStore,
    digest,
)
from click_telemetry._storage import open_private, try_lock

from ..harness.interpreter import environment, python, race

AN_ID = "8b6f1f1e-0f6c-4f0e-9d6e-6a1c5f0b2a77"
FULL = {
    "telemetry_id": AN_ID,
    "created_at": "2026-11-21T14:03:22.131Z",
    "connect_count": 2**62,
    "last_connected_at": "2026-11-21T14:03:22.131Z",
}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """An application's state directory."""
    path = tmp_path / "telemetry"
    path.mkdir(mode=0o700)
    return path


def records(state: Path, *, read_only: bool = False) -> RecordStore:
    return RecordStore(str(state), read_only=read_only)


def count(found: dict[str, Any] | None) -> dict[str, Any]:
    """One more connection."""
    return {"connect_count": (found or {}).get("connect_count", 0) + 1}


def noting(found: list[Any]) -> Callable[[Any], dict[str, Any]]:
    """A change that takes note of what was there."""

    def change(one: Any) -> dict[str, Any]:
        found.append(one)
        return {"connect_count": 1}

    return change


def seen(state: Path, name: str = "box") -> Any:
    """A resource's record."""
    found: list[Any] = []
    records(state, read_only=True).change("Machine", name, lambda one: found.append(one))
    return found[0]


def test_what_is_changed_is_there_in_the_next_run(state: Path) -> None:
    """Each resource by its kind and its ID."""
    for _ in range(3):
        records(state).change("Machine", "box", count)
    records(state).change("Volume", "box", count)
    records(state).change("Machine", "other", count)
    assert (seen(state), seen(state, "other")) == ({"connect_count": 3}, {"connect_count": 1})
    records(state).change("Machine", "box", lambda found: None)
    assert (seen(state), seen(state, "other")) == (None, {"connect_count": 1})


def test_no_name_is_in_the_file(state: Path) -> None:
    """A resource is found by a digest."""
    records(state).change("Machine", "my-secret-project", lambda _: dict(FULL))
    content = (state / FILE).read_text()
    assert json.loads(content) == {digest("Machine", "my-secret-project"): FULL}
    assert "secret" not in content
    assert "Machine" not in content
    assert len({digest(*pair) for pair in [("a", "b"), ("ab", ""), ("a", "c"), ("", "ab")]}) == 4


def test_files_are_private_under_any_umask(state: Path) -> None:
    """Mode 0600 each."""
    before = os.umask(0)
    try:
        records(state).change("Machine", "box", count)
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in state.iterdir()}
    assert modes == {FILE: 0o600, LOCK: 0o600}


@pytest.mark.extended
def test_the_longest_untouched_goes(state: Path) -> None:
    """At most two hundred, in at most 64 KB; the one that is used stays."""
    for n in range(MAX_RECORDS):
        records(state).change("Machine", f"box {n}", lambda _: dict(FULL))
    records(state).change("Machine", "box 0", lambda found: found)
    records(state).change("Machine", "one more", lambda _: dict(FULL))
    assert seen(state, "box 0") == FULL
    assert seen(state, "box 1") is None
    assert seen(state, "one more") == FULL
    assert len(json.loads((state / FILE).read_text())) == MAX_RECORDS
    assert (state / FILE).stat().st_size < MAX_BYTES


def test_ten_processes_at_once_miss_no_count(state: Path) -> None:
    """As parallel commands of a script: each connection counts once."""
    source = """
def count(found): return {"connect_count": (found or {}).get("connect_count", 0) + 1}
for _ in range(5):
    RecordStore(sys.argv[1], read_only=False, timeout=30).change("Machine", "box", count)
"""
    race(10, "from click_telemetry._events.records import RecordStore", source, state)
    assert seen(state) == {"connect_count": 50}


def test_a_writer_that_stopped_does_not_block_others(state: Path) -> None:
    """Its lock is waited for a quarter of a second: rather a count missed than a command held."""
    for _ in range(2):
        records(state).change("Machine", "box", count)
    held = open_private(str(state / LOCK), os.O_RDWR)
    assert try_lock(held)
    found: list[Any] = []
    try:
        records(state).change("Machine", "box", noting(found))
    finally:
        os.close(held)
    assert found == [None]
    assert seen(state) == {"connect_count": 2}


def test_read_only_writes_nothing(state: Path) -> None:
    """Log mode knows the count and leaves it."""
    records(state).change("Machine", "box", count)
    before = {path.name: path.stat().st_mtime_ns for path in state.iterdir()}
    found: list[Any] = []
    records(state, read_only=True).change("Machine", "box", lambda one: found.append(one))
    records(state / "nowhere", read_only=True).change("Machine", "box", count)
    assert found == [{"connect_count": 1}]
    assert {path.name: path.stat().st_mtime_ns for path in state.iterdir()} == before


def test_a_folder_that_was_deleted_is_not_made_again(state: Path) -> None:
    """Who deletes it while the command runs has deleted what it remembers."""
    records(state).change("Machine", "box", count)
    for path in state.iterdir():
        path.unlink()
    state.rmdir()
    found: list[Any] = []
    records(state).change("Machine", "box", noting(found))
    assert found == [None]
    assert not state.exists()


def link(state: Path) -> None:
    (state.parent / "target").write_text("{}")
    (state / FILE).symlink_to(state.parent / "target")


def fifo(state: Path) -> None:
    os.mkfifo(state / FILE)


def directory(state: Path) -> None:
    (state / FILE).mkdir()


def no_lock(state: Path) -> None:
    (state / LOCK).symlink_to(state.parent / "target")


@pytest.mark.parametrize("obstruct", [link, fifo, directory, no_lock])
def test_what_is_not_ours_is_left_alone(obstruct: Callable[[Path], None], state: Path) -> None:
    """Neither followed nor waited for nor replaced; what happened is recorded all the same."""
    obstruct(state)
    before = {path.name: path.lstat().st_ino for path in state.iterdir()}
    found: list[Any] = []
    records(state).change("Machine", "box", noting(found))
    assert found == [None]
    after = {path.name: path.lstat().st_ino for path in state.iterdir() if path.name != LOCK}
    assert after == {name: node for name, node in before.items() if name != LOCK}
    target = state.parent / "target"
    assert not target.exists() or target.read_text() == "{}"


KEY = digest("Machine", "box")

MALFORMED: list[tuple[bytes, Any]] = [
    (b"", None),
    (b"\0" * 100, None),
    (b"[]", None),
    (b"null", None),
    (b"{", None),
    (b'"' + b"x" * 100, None),
    (b"\xff\xfe", None),
    (b"[" * 100_000, None),
    (b" " * (MAX_BYTES + 1), None),
    (json.dumps({KEY: 3}).encode(), None),
    (json.dumps({KEY: {"connect_count": "3"}}).encode(), {}),
    (json.dumps({KEY: {"connect_count": True}}).encode(), {}),
    (json.dumps({KEY: {"connect_count": -1, "name": "my-box"}}).encode(), {}),
    (json.dumps({KEY: {"connect_count": 3, "telemetry_id": "box"}}).encode(), {"connect_count": 3}),
    (json.dumps({KEY: {"created_at": "x" * 100, "last_connected_at": []}}).encode(), {}),
    (json.dumps({"my-box": FULL, KEY: FULL}).encode(), FULL),
]  # fmt: skip


@pytest.mark.parametrize(("content", "found"), MALFORMED, ids=range(len(MALFORMED)))
def test_a_malformed_file_is_made_anew(content: bytes, found: Any, state: Path) -> None:
    """Whatever another hand has left there."""
    (state / FILE).write_bytes(content)
    assert seen(state) == found
    records(state).change("Machine", "box", lambda one: dict(FULL))
    assert seen(state) == FULL
    assert "my-box" not in (state / FILE).read_text()


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300))
def test_any_bytes_are_read_without_harm(content: bytes, state: Path) -> None:
    """Truncated, garbled, or another program's."""
    (state / FILE).write_bytes(content)
    records(state).change("Machine", "box", count)
    assert seen(state)["connect_count"] == 1


def test_a_full_disk_costs_the_count(state: Path) -> None:
    """The old file stands, and there is no other."""
    records(state).change("Machine", "box", count)
    source = """
import resource
from click_telemetry._events.records import RecordStore
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
found = []
store = RecordStore(sys.argv[1], read_only=False)
store.change("Machine", "box", lambda one: found.append(one) or {})
print(found)
"""
    done = subprocess.run(
        python(source, state), env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout == "[{'connect_count': 1}]\n"
    assert seen(state) == {"connect_count": 1}
    assert sorted(path.name for path in state.iterdir()) == [FILE, LOCK]
