"""The queue's files: their names, what is claimed, what is left alone, what is removed."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from click_telemetry._sender.queue import (
    FILE_LIMIT,
    MAX_NAMES,
    MESSAGE_LIMIT,
    ROOM_FOR_DROPPED,
    FileName,
    claim,
    compose,
    length,
    oldest_names,
    parse,
    take_directory_lock,
    take_lock,
)

from ..harness.facts import begin, end, event, file_name, head, identify, lines, pair

CONTENT = lines([head(), *pair()])
DIGITS = "0123456789abcdef" * 2

NAMES = st.builds(
    FileName,
    st.integers(0, 10**20 - 1),
    st.from_regex(r"[0-9a-f]{32}", fullmatch=True),
    st.integers(1, 10**9 - 1),
    st.integers(0, 10**9 - 1),
    st.none() | st.integers(0, 10**12 - 1),
)


@given(NAMES)
def test_name_is_parsed_as_it_was_made(name: FileName) -> None:
    """Nothing that a sender remembers in it gets lost."""
    assert parse(str(name)) == name


@pytest.mark.parametrize(
    "name",
    [
        f"01700000000000000000-{DIGITS}-0001.facts",
        f"01700000000000000000-{DIGITS}-12345.facts",
        f"01700000000000000000-{DIGITS}-0001.dropped-3.tried-1700000000.facts",
    ],
)
def test_name_of_ours_is_known(name: str) -> None:
    """As writers and senders make them."""
    assert str(parse(name)) == name


@pytest.mark.parametrize(
    "name",
    [
        *("", ".facts", "1.facts", "readme.txt", "lock", "state.json", "not-before"),
        "01700000000000000000-0123456789abcdef.jsonl",
        f"01700000000000000000-{DIGITS}.facts",
        f"01700000000000000000-{DIGITS}-001.facts",
        f"01700000000000000000-{DIGITS}-0001.facts.bak",
        f"01700000000000000000-{DIGITS}-0001.facts\n",
        f"01700000000000000000-{DIGITS.upper()}-0001.facts",
        f"01700000000000000000-{DIGITS}-0001.tried-1.dropped-1.facts",
        f"01700000000000000000-{DIGITS}-0001.whole.facts",
        f"\u0660700000000000000000-{DIGITS}-0001.facts",
        f"../01700000000000000000-{DIGITS}-0001.facts",
    ],
)
def test_any_other_name_is_foreign(name: str) -> None:
    """A file that is not named as ours is not touched."""
    assert parse(name) is None


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 4096, b"{", lines([head()]), lines([head()]) + b"{", b"\n"]
)
def test_file_without_any_fact_is_removed(content: bytes, tmp_path: Path) -> None:
    """Empty, zeroed after a power loss, torn at its first line."""
    (tmp_path / file_name(1)).write_bytes(content)
    assert claim(str(tmp_path), file_name(1)) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "dropped", "unreported"),
    [
        (b"[]\n", 1, 0),
        (b'{"type":"track"}\n' * 3, 3, 0),
        (b"x" * (FILE_LIMIT + 1), 1, 0),
        (lines([head(), event("X"), event("Y")]), 2, 0),
        (lines([head(), identify(None, dropped=5)]), 0, 5),
    ],
)
def test_unreadable_facts_are_counted(
    content: bytes, dropped: int, unreported: int, tmp_path: Path
) -> None:
    """Another version wrote them, or a file is larger than any of ours."""
    (tmp_path / file_name(1, ".dropped-4")).write_bytes(content)
    taken = claim(str(tmp_path), file_name(1, ".dropped-4"))
    assert taken is not None
    assert (taken.entries, taken.newer) == ([], False)
    assert (taken.dropped, taken.unreported) == (dropped, unreported + 4)
    taken.release()


def test_file_of_a_newer_version_is_claimed_unread(tmp_path: Path) -> None:
    """Only its facts are counted."""
    (tmp_path / file_name(1)).write_bytes(lines([head(v=2), begin(), end()]))
    taken = claim(str(tmp_path), file_name(1))
    assert taken is not None
    assert (taken.newer, taken.entries, taken.dropped) == (True, [], 2)
    taken.release()


def test_foreign_files_are_left_alone(tmp_path: Path) -> None:
    """A symlink, a FIFO, a directory, a hard link, a foreign name."""
    spool, elsewhere = tmp_path / "spool", tmp_path / "elsewhere"
    spool.mkdir()
    elsewhere.mkdir()
    (elsewhere / "target").write_bytes(CONTENT)
    (spool / file_name(1)).symlink_to(elsewhere / "target")
    os.mkfifo(spool / file_name(2))
    (spool / file_name(3)).mkdir()
    (spool / file_name(4)).hardlink_to(elsewhere / "target")
    (spool / file_name(5)).symlink_to(elsewhere / "nothing")
    (spool / "readme.txt").write_text("x")
    (spool / "notes.facts").write_text("")
    before = sorted(path.name for path in spool.iterdir())
    assert oldest_names(str(spool)) == [file_name(n) for n in range(1, 6)]
    for name in [*oldest_names(str(spool)), "notes.facts"]:
        assert claim(str(spool), name) is None
    assert sorted(path.name for path in spool.iterdir()) == before
    assert (elsewhere / "target").read_bytes() == CONTENT


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="only root may make such files"
)
def test_device_and_another_users_file_are_left_alone(tmp_path: Path) -> None:
    """Not even opened: opening some devices has an effect."""
    os.mknod(tmp_path / file_name(1), 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    (tmp_path / file_name(2)).write_bytes(CONTENT)
    os.chown(tmp_path / file_name(2), 65534, 65534)
    assert [claim(str(tmp_path), name) for name in oldest_names(str(tmp_path))] == [None, None]
    assert len(list(tmp_path.iterdir())) == 2


def test_file_is_claimed_once_at_a_time(tmp_path: Path) -> None:
    """Its lock is the claim; releasing it permits the next one."""
    (tmp_path / file_name(1)).write_bytes(CONTENT)
    first = claim(str(tmp_path), file_name(1))
    assert first is not None
    assert claim(str(tmp_path), file_name(1)) is None
    first.release()
    again = claim(str(tmp_path), file_name(1))
    assert again is not None
    again.acknowledge()
    assert list(tmp_path.iterdir()) == []


def test_file_that_was_removed_meanwhile_is_acknowledged_all_the_same(tmp_path: Path) -> None:
    """A purge removed it while it was being read."""
    (tmp_path / file_name(1)).write_bytes(CONTENT)
    taken = claim(str(tmp_path), file_name(1))
    assert taken is not None
    (tmp_path / file_name(1)).unlink()
    with pytest.raises(FileNotFoundError):
        taken.rename(taken.name)
    with pytest.raises(FileNotFoundError):
        taken.rename(taken.name.tried_at(17))
    taken.acknowledge()


def test_file_keeps_its_lock_and_its_bytes_under_another_name(tmp_path: Path) -> None:
    """What a sender remembers of it is in its name, and survives every kill."""
    (tmp_path / file_name(1)).write_bytes(CONTENT)
    taken = claim(str(tmp_path), file_name(1))
    assert taken is not None
    taken.rename(taken.name.tried_at(17))
    assert oldest_names(str(tmp_path)) == [file_name(1, ".tried-17")]
    assert claim(str(tmp_path), file_name(1, ".tried-17")) is None
    taken.release()
    assert (tmp_path / file_name(1, ".tried-17")).read_bytes() == CONTENT


def test_file_never_replaces_another_one(tmp_path: Path) -> None:
    """Not even one that has the name which it should get."""
    (tmp_path / file_name(1)).write_bytes(CONTENT)
    (tmp_path / file_name(1, ".tried-17")).write_bytes(b"other\n")
    taken = claim(str(tmp_path), file_name(1))
    assert taken is not None
    with pytest.raises(FileExistsError):
        taken.rename(taken.name.tried_at(17))
    taken.release()
    assert (tmp_path / file_name(1, ".tried-17")).read_bytes() == b"other\n"
    assert (tmp_path / file_name(1)).read_bytes() == CONTENT


@pytest.mark.parametrize("own", [{}, {"dropped": 2}])
def test_first_message_reports_what_was_dropped_before_it(
    own: dict[str, Any], tmp_path: Path
) -> None:
    """Added to its own count, and the same whenever the file is read again."""
    content = lines([head(), identify("user-42"), begin(**own), end(dropped=1)])
    (tmp_path / file_name(1)).write_bytes(content)
    taken = claim(str(tmp_path), file_name(1))
    assert taken is not None
    assert taken.can_report is True
    taken.report(taken.name.reporting(5))
    messages = taken.messages
    assert messages[1]["properties"]["dropped"] == 5 + own.get("dropped", 0)
    assert messages[2]["properties"]["dropped"] == 1
    assert taken.entries[1].size == length(messages[1])
    taken.release()
    again = claim(str(tmp_path), file_name(1, ".dropped-5"))
    assert again is not None
    assert [repr(m) for m in again.messages] == [repr(m) for m in messages]
    assert again.entries == taken.entries
    assert again.can_report is False
    again.release()


@pytest.mark.parametrize(
    "facts",
    [
        [head(), identify("user-42")],
        [head(part=2, at=1, n=1, open=[begin()])],
    ],
    ids=["identify", "unfinished"],
)
def test_file_without_an_event_reports_nothing(
    facts: list[dict[str, object]], tmp_path: Path
) -> None:
    """An `unfinished` is composed from two files, and must be the same in both."""
    (tmp_path / file_name(1)).write_bytes(lines(facts))
    taken = claim(str(tmp_path), file_name(1))
    assert taken is not None
    assert len(taken.entries) == 1
    assert not taken.can_report
    taken.release()


def test_file_that_may_have_arrived_reports_nothing_new(tmp_path: Path) -> None:
    """Every attempt sends the same bytes."""
    (tmp_path / file_name(1, ".tried-17")).write_bytes(CONTENT)
    taken = claim(str(tmp_path), file_name(1, ".tried-17"))
    assert taken is not None
    assert not taken.can_report
    taken.release()


def test_message_that_no_server_takes_is_not_sent(tmp_path: Path) -> None:
    """Segment takes 32 KB of one; its neighbours are sent, and it is counted."""
    facts = [head(), begin(), {"next": True}]
    (invoked,) = compose(file_name(1), lines(facts), writer_gone=True).messages
    large = begin(p={"text": ""})
    whole = compose(file_name(1), lines([head(), large, {"next": True}]), writer_gone=True)
    room = MESSAGE_LIMIT - length(whole.messages[0])
    large["p"]["text"] = "x" * room
    too_large = event("Exported", p={"text": "x" * (room + 40)}, dropped=6)
    content = lines([head(), large, too_large, end(n=3)])
    (tmp_path / file_name(1)).write_bytes(content)
    taken = claim(str(tmp_path), file_name(1))
    assert taken is not None
    assert taken.entries[0].size == MESSAGE_LIMIT
    assert (len(taken.entries), taken.dropped, taken.unreported) == (2, 1, 6)
    assert not taken.can_report, "a report would make its first message too large"
    assert taken.size == sum(entry.size for entry in taken.entries) + ROOM_FOR_DROPPED
    taken.release()
    assert length(invoked) < 1_000


def test_any_number_of_files_is_walked_with_little_memory(tmp_path: Path) -> None:
    """Oldest first, some at a time."""
    wanted = [file_name(n) for n in range(MAX_NAMES + 5)]
    for found in reversed(wanted):
        (tmp_path / found).touch()
    first = oldest_names(str(tmp_path))
    assert first == wanted[:MAX_NAMES]
    assert oldest_names(str(tmp_path), after=first[-1]) == wanted[MAX_NAMES:]
    assert oldest_names(str(tmp_path), after=wanted[-1]) == []


def test_missing_directory_is_an_empty_queue(tmp_path: Path) -> None:
    """It was purged."""
    assert oldest_names(str(tmp_path / "gone")) == []
    assert claim(str(tmp_path / "gone"), file_name(1)) is None


def test_locks_exclude_each_other(tmp_path: Path) -> None:
    """The sender's, and the directory's where the sender's cannot be opened."""
    tmp_path.chmod(0o700)
    for take in (take_lock, take_directory_lock):
        lock = take(str(tmp_path))
        assert lock is not None
        assert take(str(tmp_path)) is None
        os.close(lock)
        again = take(str(tmp_path))
        assert again is not None
        os.close(again)
    with pytest.raises(FileNotFoundError):
        take_lock(str(tmp_path / "gone"), create=False)
