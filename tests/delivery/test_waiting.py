"""The reading side of the spool: what is taken, what is left alone, what is removed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from click_telemetry.delivery.sender.content import MESSAGE_LIMIT, ROOM_FOR_LOST, length
from click_telemetry.delivery.sender.name import parse
from click_telemetry.delivery.sender.waiting import MOST_NAMES, claim, waiting
from click_telemetry.delivery.spool import FILE_LIMIT

from ..harness.direct import lines, message, pair

SAID = lines(pair())


def name(number: int, marks: str = "") -> str:
    return f"{1_700_000_000_000_000_000 + number:020d}-{number:016x}{marks}.jsonl"


@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b"{", b"[]\n", b'{"type":"track"}\n'])
def test_file_that_says_nothing_is_removed(content: bytes, tmp_path: Path) -> None:
    """Empty, zeroed after a power loss, torn at its first line (row 18)."""
    (tmp_path / name(1)).write_bytes(content)
    assert claim(str(tmp_path), name(1)) is None
    assert list(tmp_path.iterdir()) == []


def test_file_that_is_too_large_is_removed_unread(tmp_path: Path) -> None:
    """No writer of ours makes one (row 22)."""
    with (tmp_path / name(1)).open("wb") as file:
        file.write(SAID)
        file.truncate(FILE_LIMIT + 1)
    assert claim(str(tmp_path), name(1)) is None
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    """A symlink, a FIFO, a directory, a hard link, a foreign name (rows 19, 21)."""
    spool, elsewhere = tmp_path / "spool", tmp_path / "elsewhere"
    spool.mkdir()
    elsewhere.mkdir()
    (elsewhere / "target").write_bytes(SAID)
    (spool / name(1)).symlink_to(elsewhere / "target")
    os.mkfifo(spool / name(2))
    (spool / name(3)).mkdir()
    (spool / name(4)).hardlink_to(elsewhere / "target")
    (spool / name(5)).symlink_to(elsewhere / "nothing")
    (spool / "readme.txt").write_text("x")
    (spool / "notes.jsonl").write_text("")
    before = sorted(path.name for path in spool.iterdir())
    assert waiting(str(spool)) == [name(n) for n in range(1, 6)]
    assert [claim(str(spool), found) for found in [*waiting(str(spool)), "notes.jsonl"]] == [
        None
    ] * 6
    assert sorted(path.name for path in spool.iterdir()) == before
    assert (elsewhere / "target").read_bytes() == SAID


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="only root may make such files"
)
def test_device_and_foreign_owners_file_are_left_alone(tmp_path: Path) -> None:
    """Not even opened: opening some devices does something (rows 19, 20)."""
    import stat

    os.mknod(tmp_path / name(1), 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    (tmp_path / name(2)).write_bytes(SAID)
    os.chown(tmp_path / name(2), 65534, 65534)
    assert [claim(str(tmp_path), found) for found in waiting(str(tmp_path))] == [None, None]
    assert len(list(tmp_path.iterdir())) == 2


def test_file_is_taken_once_at_a_time(tmp_path: Path) -> None:
    """Its lock is the claim; giving it back gives it to the next."""
    (tmp_path / name(1)).write_bytes(SAID)
    first = claim(str(tmp_path), name(1))
    assert first is not None
    assert claim(str(tmp_path), name(1)) is None
    first.release()
    again = claim(str(tmp_path), name(1))
    assert again is not None
    again.acknowledge()
    assert list(tmp_path.iterdir()) == []


def test_file_that_was_removed_meanwhile_is_acknowledged_all_the_same(tmp_path: Path) -> None:
    """Somebody purged, or evicted it, while it was being read (row 37)."""
    (tmp_path / name(1)).write_bytes(SAID)
    taken = claim(str(tmp_path), name(1))
    assert taken is not None
    (tmp_path / name(1)).unlink()
    with pytest.raises(FileNotFoundError):
        taken.rename(taken.name)
    with pytest.raises(FileNotFoundError):
        taken.rename(taken.name.tried_at(17))
    taken.acknowledge()


def test_file_keeps_its_lock_and_its_bytes_under_another_name(tmp_path: Path) -> None:
    """What a sender remembers of it stands in its name, and survives every kill."""
    (tmp_path / name(1)).write_bytes(SAID)
    taken = claim(str(tmp_path), name(1))
    assert taken is not None
    taken.rename(taken.name.tried_at(17))
    assert waiting(str(tmp_path)) == [name(1, ".tried-17")]
    assert claim(str(tmp_path), name(1, ".tried-17")) is None
    taken.release()
    assert (tmp_path / name(1, ".tried-17")).read_bytes() == SAID


def test_first_event_reports_what_was_dropped_before_it(tmp_path: Path) -> None:
    """Added to what it says itself, and the same whenever the file is read again."""
    first, second = pair(dropped=2)
    (tmp_path / name(1)).write_bytes(lines([first, second]))
    taken = claim(str(tmp_path), name(1))
    assert taken is not None
    assert taken.reports is True
    taken.report(taken.name.reporting(5))
    told = taken.messages
    assert told[0]["properties"]["dropped"] == 7
    assert told[1] == second
    taken.release()
    again = claim(str(tmp_path), name(1, ".lost-5"))
    assert again is not None
    assert (again.messages, again.reports) == (told, False)
    again.release()


def test_file_that_may_have_arrived_reports_nothing_new(tmp_path: Path) -> None:
    """Every try says the same, byte for byte."""
    (tmp_path / name(1, ".tried-17")).write_bytes(SAID)
    taken = claim(str(tmp_path), name(1, ".tried-17"))
    assert taken is not None
    assert not taken.reports
    taken.release()


def test_message_that_no_server_takes_is_not_sent(tmp_path: Path) -> None:
    """Segment takes 32 KB of one; its neighbours go, and it is counted."""
    whole = message("Exported", text="")
    room_left = MESSAGE_LIMIT - length(whole)
    fits = message("Exported", text="x" * room_left)
    too_large = message("Exported", text="x" * (room_left + 1))
    (tmp_path / name(1)).write_bytes(lines([fits, too_large]))
    taken = claim(str(tmp_path), name(1))
    assert taken is not None
    assert (taken.messages, taken.too_large) == ([fits], 1)
    assert length(fits) == MESSAGE_LIMIT
    assert not taken.reports, "a report would make it too large"
    assert taken.size <= MESSAGE_LIMIT + ROOM_FOR_LOST
    taken.release()


def test_any_number_of_files_is_walked_with_little_memory(tmp_path: Path) -> None:
    """Oldest first, some at a time, whatever lies between (row 22)."""
    wanted = [name(n) for n in range(MOST_NAMES + 5)]
    for found in reversed(wanted):
        (tmp_path / found).touch()
    first = waiting(str(tmp_path))
    assert first == wanted[:MOST_NAMES]
    assert waiting(str(tmp_path), after=first[-1]) == wanted[MOST_NAMES:]
    assert waiting(str(tmp_path), after=wanted[-1]) == []


def test_directory_that_is_not_there_has_nothing_waiting(tmp_path: Path) -> None:
    """Someone purged it."""
    assert waiting(str(tmp_path / "gone")) == []
    assert claim(str(tmp_path / "gone"), name(1)) is None
    assert parse(name(1)) is not None
