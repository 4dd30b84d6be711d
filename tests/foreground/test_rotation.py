"""A long-lived invocation is a series of parts, published as it goes on, consistent throughout."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from time import time_ns
from typing import Any

import pytest

from click_telemetry._foreground.rotation import MAX_OPEN
from click_telemetry._sender.queue import FileName, oldest_names, parse
from click_telemetry._spool import FILE_LIMIT, NEXT

from ..harness.facts import identify
from ..harness.writing import Writer, claimed, dropped, sequences


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    """An invocation whose first run has not begun."""
    return Writer(tmp_path)


def names(writer: Writer) -> list[FileName]:
    """The parts of the names of its files."""
    found = [parse(name) for name in oldest_names(str(writer.path))]
    return [name for name in found if name is not None]


def all_claimed(writer: Writer) -> list[dict[str, Any]]:
    """Every message that a sender claims now."""
    return [message for messages in claimed(writer.path) for message in messages]


def test_long_lived_invocation_is_published_as_it_goes_on(writer: Writer) -> None:
    """With the first fact after five seconds, and what was written before it."""
    run = writer.begin()
    writer.event(run)
    assert writer.spool.hand_overs == 0
    writer.later()
    writer.event(run)
    assert (writer.spool.hand_overs, writer.spool.publication) == (1, 1)
    assert [name.part for name in names(writer)] == [1, 2]
    (messages,) = claimed(writer.path)
    assert sequences(messages) == [1, 2, 3]
    writer.later()
    writer.end(run)
    assert (writer.spool.hand_overs, writer.spool.publication) == (2, 2)
    ((ended,),) = claimed(writer.path)
    assert ended["event"] == "Command Completed"
    assert ended["properties"]["sequence"] == 4
    writer.close()
    assert (writer.spool.hand_overs, writer.files) == (2, [])


def test_parts_have_the_digits_of_their_invocation(writer: Writer) -> None:
    """And a head each, which continues the part before."""
    run = writer.begin()
    writer.later()
    writer.event(run)
    first, second = names(writer)
    assert (first.digits, first.part) == (writer.invocation.digits, 1)
    assert (second.digits, second.part) == (writer.invocation.digits, 2)
    old, new = (path.read_bytes().splitlines() for path in writer.files)
    assert json.loads(old[-1]) == {"next": True}
    assert [json.loads(line) for line in new] == [
        {
            **json.loads(old[0]),
            "part": 2,
            "at": json.loads(old[-2])["at"],
            "n": 2,
            "user": None,
            "open": [json.loads(old[1])],
        }
    ]


def test_writer_that_dies_after_a_publication_is_unfinished(writer: Writer) -> None:
    """The next part is locked until then, and has the runs that were open."""
    run = writer.begin()
    writer.later()
    writer.event(run)
    claimed(writer.path)
    writer.vanish()
    ((ended,),) = claimed(writer.path)
    assert (ended["event"], ended["properties"]["outcome"]) == ("Command Completed", "unfinished")
    assert ended["properties"]["sequence"] == 3


@pytest.mark.parametrize("step", ["before the new part", "before `next`"])
def test_writer_that_dies_amid_a_publication_is_unfinished_in_the_same_words(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever of the two parts a sender reads first."""
    real_open, real_write = os.open, os.write

    def die_at_open(path: str, flags: int, *mode: int) -> int:
        if str(path).endswith(".facts"):
            os._exit(0)
        return real_open(path, flags, *mode)

    def die_at_write(descriptor: int, content: bytes) -> int:
        if content == NEXT:
            os._exit(0)
        return real_write(descriptor, content)

    child = os.fork()
    if not child:
        writer = Writer(tmp_path)
        run = writer.begin()
        writer.event(run)
        writer.later()
        if step == "before the new part":
            monkeypatch.setattr(os, "open", die_at_open)
        else:
            monkeypatch.setattr(os, "write", die_at_write)
        writer.event(run)
        os._exit(99)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    ended = [m for m in all_claimed(Writer(tmp_path)) if m["event"] == "Command Completed"]
    assert len(ended) == {"before the new part": 1, "before `next`": 2}[step]
    assert len({json.dumps(message) for message in ended}) == 1
    assert ended[0]["properties"]["sequence"] == 4


def test_run_that_goes_on_is_never_unfinished(writer: Writer) -> None:
    """However many parts it writes and senders claim."""
    run = writer.begin()
    messages = []
    for _ in range(48):
        writer.later()
        writer.event(run)
        messages += all_claimed(writer)
    writer.end(run)
    writer.close()
    messages += all_claimed(writer)
    assert sequences(messages) == list(range(1, 51))
    assert [m["properties"].get("outcome") for m in messages] == [None] * 49 + ["success"]


def test_event_after_the_last_run_was_published_belongs_to_it(writer: Writer) -> None:
    """As a group's result callback records it; no run ends twice for that."""
    run = writer.begin()
    writer.later()
    writer.end(run)
    messages = all_claimed(writer)
    writer.event(run)
    writer.vanish()
    messages += all_claimed(writer)
    assert [m["event"] for m in messages] == ["Command Invoked", "Command Completed", "Exported"]
    assert len({m["properties"]["run_id"] for m in messages}) == 1
    assert sequences(messages) == [1, 2, 3]


def no_space() -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_publication_that_fails_leaves_everything_in_the_file(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one publishes it; nothing is lost or counted."""
    run = writer.begin()
    writer.later()
    real = os.open
    with monkeypatch.context() as patch:
        patch.setattr(
            os,
            "open",
            lambda path, flags, *mode: (
                no_space() if flags & os.O_CREAT else real(path, flags, *mode)
            ),
        )
        writer.event(run)
    assert (writer.spool.hand_overs, writer.spool.publication, len(writer.files)) == (0, 0, 1)
    writer.later()
    writer.event(run)
    (messages,) = claimed(writer.path)
    assert sequences(messages) == [1, 2, 3]
    assert dropped(messages) == 0
    writer.end(run)
    writer.close()
    assert [name.part for name in names(writer)] == [2]


def test_part_that_cannot_be_written_is_removed(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk the old one goes on, and the next attempt has the same part."""
    run = writer.begin()
    real = os.write
    writer.later()
    with monkeypatch.context() as patch:

        def written(descriptor: int, content: bytes) -> int:
            return no_space() if b'"part":2' in content else real(descriptor, content)

        patch.setattr(os, "write", written)
        writer.event(run)
    assert [name.part for name in names(writer)] == [1]
    writer.later()
    writer.event(run)
    assert [name.part for name in names(writer)] == [1, 2]
    writer.end(run)
    writer.close()
    assert sequences(all_claimed(writer)) == [1, 2, 3, 4]


def test_full_file_is_published_after_five_seconds(writer: Writer) -> None:
    """A server that records much is recorded before it ends."""
    run = writer.begin()
    while not writer.invocation.dropped:
        writer.event(run, text="x" * 20_000)
    last = writer.invocation.sequence
    writer.later()
    writer.event(run, text="x" * 20_000)
    (messages,) = claimed(writer.path)
    assert sequences(messages) == list(range(1, last))
    writer.end(run)
    writer.close()
    messages = all_claimed(writer)
    assert sequences(messages) == [last + 1, last + 2]
    assert dropped(messages) == 1


def test_hand_over_that_fails_loses_no_event(writer: Writer) -> None:
    """The next invocation's sender delivers it."""
    writer.spool.fails = True
    run = writer.begin()
    writer.later()
    writer.event(run)
    writer.end(run)
    with pytest.raises(OSError, match="unavailable"):
        writer.close()
    assert sequences(all_claimed(writer)) == [1, 2, 3]


def test_hand_over_that_failed_is_tried_again_at_the_end(writer: Writer) -> None:
    """Though nothing was written since."""
    run = writer.begin()
    writer.spool.fails = True
    writer.later()
    writer.end(run)
    writer.spool.fails = False
    writer.close()
    assert writer.spool.hand_overs == 1


def test_runs_that_one_file_cannot_hold_are_continued_in_the_next(writer: Writer) -> None:
    """A chain of a thousand commands loses none of them."""
    for _ in range(1000):
        writer.end(writer.begin(text="x" * 500))
    writer.close()
    sizes = [path.stat().st_size for path in writer.files]
    assert len(sizes) > 1
    assert max(sizes) <= FILE_LIMIT
    messages = all_claimed(writer)
    assert sequences(messages) == list(range(1, 2001))
    assert len({message["messageId"] for message in messages}) == 2000
    assert not [m for m in messages if m["properties"].get("outcome") == "unfinished"]


def test_run_is_open_across_a_file_that_is_full(writer: Writer) -> None:
    """An outer command is open while it runs a thousand others."""
    outer = writer.begin()
    for _ in range(1000):
        writer.end(writer.begin(text="x" * 500))
    writer.end(outer)
    writer.close()
    messages = all_claimed(writer)
    assert sequences(messages) == list(range(1, 2003))
    assert not [m for m in messages if m["properties"].get("outcome") == "unfinished"]


def test_end_at_a_full_file_has_its_command(writer: Writer) -> None:
    """Its begin line is in the part before."""
    outer = writer.begin()
    while len(writer.files) < 2:
        writer.end(writer.begin(), text="x" * 20_000)
    writer.end(outer)
    writer.close()
    messages = all_claimed(writer)
    assert sequences(messages) == list(range(1, len(messages) + 1))
    assert {message["properties"]["command"] for message in messages} == {"acme go"}


def test_head_has_no_more_open_runs_than_it_has_room_for(writer: Writer) -> None:
    """A thousand threads with a command each: the next part is within its bound."""
    runs = [writer.begin(text="x" * 500) for _ in range(1000)]
    writer.later()
    writer.end(runs[0])
    messages = all_claimed(writer)
    assert sequences(messages) == list(range(1, 1002))
    (held,) = writer.files
    assert MAX_OPEN * 0.9 < held.stat().st_size < MAX_OPEN + 1000


def test_names_are_in_order_though_a_clock_is_set_back(writer: Writer) -> None:
    """Parts are read in order, although a clock was set back meanwhile."""
    run = writer.begin()
    ahead = writer.spool.named = time_ns() + 10**13  # as if it had been named by a clock ahead
    for _ in range(3):
        writer.later()
        writer.event(run)
    assert [name.created for name in names(writer)][1:] == [ahead + 1, ahead + 2, ahead + 3]


def test_user_is_continued(writer: Writer) -> None:
    """A signed-in user is on the messages of every part."""
    run = writer.begin()
    writer.invocation.write([identify("user-42")])
    writer.later()
    writer.event(run)
    claimed(writer.path)
    writer.end(run)
    writer.close()
    ((ended,),) = claimed(writer.path)
    assert ended["userId"] == "user-42"


@pytest.mark.parametrize("user", ["user-2", None])
def test_full_file_names_no_user_who_has_signed_out(user: str | None, writer: Writer) -> None:
    """A sign-in or sign-out that does not fit ends the one before; a sign-in is counted."""
    run = writer.begin()
    writer.invocation.write([identify("user-1")])
    fill(writer, run)
    for _ in range(3):
        writer.invocation.write([identify(user, traits={})])
        writer.event(run)
    writer.end(writer.begin())
    writer.later()
    writer.event(run)
    writer.end(run)
    writer.close()
    messages = [m for m in all_claimed(writer) if m["type"] == "track"]
    assert [message.get("userId") for message in messages[-4:]] == [None] * 4
    assert {message.get("userId") for message in messages[1:-4]} == {"user-1"}
    assert dropped(messages) == (3 if user is None else 6)


def test_sign_out_on_a_full_disk_is_written_with_the_next_fact(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it, so that it names no user."""
    run = writer.begin()
    writer.invocation.write([identify("user-1")])
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, content: no_space())
        writer.invocation.write([identify(None)])
    writer.event(run)
    writer.end(run)
    writer.close()
    messages = [m for m in all_claimed(writer) if m["type"] == "track"]
    assert [message.get("userId") for message in messages] == [None, None, None]
    assert dropped(messages) == 0


def fill(writer: Writer, run: Any) -> None:
    """Write events until not even the smallest one fits."""
    for size in (20_000, 0):
        while not writer.invocation.dropped:
            writer.event(run, text="x" * size)
        writer.invocation.dropped = 0
