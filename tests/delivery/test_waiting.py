"""The reading side of the spool: what is taken, what is left alone, what is removed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from click_telemetry.delivery.sender.waiting import claim, messages, waiting
from click_telemetry.delivery.spool import FILE_LIMIT
from click_telemetry.events.message import completion_id
from click_telemetry.events.names import COMMAND_COMPLETED, COMMAND_INVOKED

RUN = "5c871acc-8255-4e5a-84e5-9c79b8f0db98"


def line(event: str, sequence: int = 1, run: str = RUN, **own: Any) -> bytes:
    properties = {"run_id": run, "sequence": sequence, "command": "acme go", **own}
    message = {
        "type": "track",
        "event": event,
        "messageId": f"{event}-{sequence}",
        "anonymousId": "a",
        "properties": properties,
    }
    return json.dumps(message).encode() + b"\n"


def names(content: bytes) -> list[str]:
    return [message["event"] for message in messages(content, 1_700_000_000.0)]


def test_whole_lines_are_messages() -> None:
    """In the order in which they were written."""
    content = line(COMMAND_INVOKED) + line("Exported", 2) + line(COMMAND_COMPLETED, 3)
    assert names(content) == [COMMAND_INVOKED, "Exported", COMMAND_COMPLETED]


def test_torn_last_line_is_dropped() -> None:
    """What was not written whole is not delivered (row 1)."""
    whole = line(COMMAND_INVOKED) + line(COMMAND_COMPLETED, 2)
    for cut in range(len(line(COMMAND_INVOKED)), len(whole)):
        assert names(whole[:cut])[0] == COMMAND_INVOKED
        assert messages(whole[:cut], 0.0)[-1]["properties"]["outcome"] == "unfinished"
    assert "outcome" not in messages(whole, 0.0)[-1]["properties"]


def test_run_without_its_end_gets_one() -> None:
    """Its process vanished: the next sequence, the last write's time, no duration."""
    _, ended = messages(line(COMMAND_INVOKED, 4, flags=["x"], dropped=2), 1_700_000_000.25)
    assert ended == {
        "type": "track",
        "event": COMMAND_COMPLETED,
        "messageId": completion_id(RUN),
        "anonymousId": "a",
        "timestamp": "2023-11-14T22:13:20.250Z",
        "properties": {
            "run_id": RUN,
            "sequence": 5,
            "command": "acme go",
            "flags": ["x"],
            "succeeded": False,
            "outcome": "unfinished",
        },
    }


def test_every_open_run_gets_its_end() -> None:
    """A chain that was killed in a nested run, say."""
    other = "0b5c1a3e-8255-4e5a-84e5-9c79b8f0db98"
    content = line(COMMAND_INVOKED, 1) + line(COMMAND_INVOKED, 2, other)
    ends = messages(content, 0.0)[2:]
    assert [end["properties"]["sequence"] for end in ends] == [3, 4]
    assert {end["properties"]["run_id"] for end in ends} == {RUN, other}


def test_continued_file_ends_nothing() -> None:
    """Its writer goes on in the next file."""
    assert names(line(COMMAND_INVOKED) + b'#{"continued":true}\n') == [COMMAND_INVOKED]


def test_runs_of_an_earlier_file_are_ended_by_the_last() -> None:
    """The note at its head carries them."""
    head = json.loads(line(COMMAND_INVOKED, 1))
    note = b"#" + json.dumps({"open": [head], "sequence": 7}).encode() + b"\n"
    (ended,) = messages(note, 0.0)
    assert (ended["event"], ended["properties"]["sequence"]) == (COMMAND_COMPLETED, 8)
    assert names(note + line(COMMAND_COMPLETED, 8)) == [COMMAND_COMPLETED]


@given(st.binary(max_size=400))
def test_any_bytes_are_read_without_harm(content: bytes) -> None:
    """Truncated, zeroed, not UTF-8, not ours (row 18)."""
    assert messages(content + b"\n", 0.0) == [] or content


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    ["type", "event", "messageId", "anonymousId", "properties", "open", "sequence"]
                ),
                inner,
            )
        ),
        max_leaves=12,
    ),
    st.booleans(),
)
def test_any_json_is_read_without_harm(found: Any, note: bool) -> None:
    """Well-formed and still not ours."""
    messages((b"#" if note else b"") + json.dumps(found).encode() + b"\n", 0.0)


@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b"{", b"[]\n", b'{"type":"track"}\n'])
def test_file_that_says_nothing_is_removed(content: bytes, tmp_path: Path) -> None:
    """Empty, zeroed after a power loss, torn at its first line (row 18)."""
    (tmp_path / "1.jsonl").write_bytes(content)
    assert claim(str(tmp_path), "1.jsonl") is None
    assert list(tmp_path.iterdir()) == []


def test_file_that_is_too_large_is_removed_unread(tmp_path: Path) -> None:
    """No writer of ours makes one (row 22)."""
    with (tmp_path / "1.jsonl").open("wb") as file:
        file.write(line("Exported"))
        file.truncate(FILE_LIMIT + 1)
    assert claim(str(tmp_path), "1.jsonl") is None
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    """A symlink, a FIFO, a directory, a hard link, a foreign name (rows 19, 21)."""
    spool, elsewhere = tmp_path / "spool", tmp_path / "elsewhere"
    spool.mkdir()
    elsewhere.mkdir()
    (elsewhere / "target").write_bytes(line("Exported"))
    (spool / "1.jsonl").symlink_to(elsewhere / "target")
    os.mkfifo(spool / "2.jsonl")
    (spool / "3.jsonl").mkdir()
    (spool / "4.jsonl").hardlink_to(elsewhere / "target")
    (spool / "readme.txt").write_text("x")
    before = sorted(path.name for path in spool.iterdir())
    assert waiting(str(spool)) == ["1.jsonl", "2.jsonl", "3.jsonl", "4.jsonl"]
    assert [claim(str(spool), name) for name in waiting(str(spool))] == [None] * 4
    assert sorted(path.name for path in spool.iterdir()) == before
    assert (elsewhere / "target").read_bytes() == line("Exported")


def test_directory_that_is_not_there_has_nothing_waiting(tmp_path: Path) -> None:
    """Someone purged it."""
    assert waiting(str(tmp_path / "gone")) == []
    assert claim(str(tmp_path / "gone"), "1.jsonl") is None
