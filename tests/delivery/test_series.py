"""A long-lived invocation as a series of files: published as it goes, whole whenever it ends."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from click_telemetry.delivery import spool as spool_module
from click_telemetry.delivery.locked import LockedFile
from click_telemetry.delivery.sender.waiting import claim, waiting
from click_telemetry.delivery.spool import CARRIED, FILE_LIMIT, Full, SpoolClient
from click_telemetry.events import COMMAND_COMPLETED, COMMAND_INVOKED
from click_telemetry.events.message import completion_id

from .test_spool import Hand, descriptor_of, message

RUN = "5c871acc-8255-4e5a-84e5-9c79b8f0db98"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where a spool will be."""
    return tmp_path / "state/spool/digest"


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets seconds pass."""
    now = [100.0]
    monkeypatch.setattr(spool_module, "monotonic", lambda: now[0])

    def pass_by(seconds: float) -> None:
        now[0] += seconds

    return pass_by


def taken(directory: Path) -> list[list[dict[str, Any]]]:
    """What a sender takes now, file by file; it is gone then."""
    found = []
    for name in waiting(str(directory)):
        held = claim(str(directory), name)
        if held is not None:
            found.append(held.messages)
            held.acknowledge()
    return found


def test_long_lived_invocation_publishes_as_it_goes(
    directory: Path, later: Callable[[float], None]
) -> None:
    """The first record 5 s after the last publication is published with what came before."""
    hand = Hand()
    client = SpoolClient(str(directory), hand)
    client.record(message(COMMAND_INVOKED, RUN, sequence=1))
    later(4.9)
    client.record(message(run=RUN, sequence=2))
    assert hand.offs == 0
    later(0.2)
    client.record(message(run=RUN, sequence=3))
    assert (hand.offs, client.publication) == (1, 1)
    assert len(waiting(str(directory))) == 2
    ((first, *own),) = taken(directory)
    assert [m["event"] for m in (first, *own)] == [COMMAND_INVOKED, "Exported", "Exported"]
    later(6)
    client.record(message(COMMAND_COMPLETED, RUN, sequence=4))
    assert (hand.offs, client.publication) == (2, 2)
    assert [m["event"] for (m,) in taken(directory)] == [COMMAND_COMPLETED]
    client.close()
    assert (hand.offs, waiting(str(directory))) == (2, [])


def test_writer_that_vanishes_after_a_publication_is_found_unfinished(
    directory: Path, later: Callable[[float], None]
) -> None:
    """The next file is held from then on, and says which runs were open."""
    client = SpoolClient(str(directory), Hand())
    client.record(message(COMMAND_INVOKED, RUN, sequence=1))
    later(6)
    client.record(message("Exported", RUN, sequence=2))
    taken(directory)
    os.close(descriptor_of(client))  # what the kernel does when the process dies
    ((ended,),) = taken(directory)
    assert (ended["event"], ended["properties"]["outcome"]) == (COMMAND_COMPLETED, "unfinished")
    assert ended["properties"]["sequence"] == 3


class Vanished(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("step", ["before", "between"])
def test_writer_that_vanishes_amid_a_publication_is_unfinished_once(
    step: str,
    directory: Path,
    later: Callable[[float], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before the following file, and between it and the end of the old one: in the same words."""
    client = SpoolClient(str(directory), Hand())
    client.record(message(COMMAND_INVOKED, RUN, sequence=1))
    client.record(message("Exported", RUN, sequence=2))
    held = [descriptor_of(client)]
    later(6)

    def vanish(*_: object) -> None:
        raise Vanished

    if step == "before":
        monkeypatch.setattr(spool_module, "locked_file", vanish)
    else:
        made = SpoolClient._new_file

        def new_file(self: SpoolClient, written_at: float | None) -> Any:
            found = made(self, written_at)
            assert isinstance(found, LockedFile)
            held.append(found._descriptor)
            monkeypatch.setattr(LockedFile, "write", vanish)
            monkeypatch.setattr(LockedFile, "discard", lambda self: None)
            return found

        monkeypatch.setattr(SpoolClient, "_new_file", new_file)
    with pytest.raises(Vanished):
        client.record(message("Exported", RUN, sequence=3))
    for descriptor in held:
        os.close(descriptor)
    ends = [m for said in taken(directory) for m in said if m["event"] == COMMAND_COMPLETED]
    assert len(ends) == {"before": 1, "between": 2}[step]
    assert len({json.dumps(end) for end in ends}) == 1
    assert ends[0]["messageId"] == completion_id(RUN)
    assert ends[0]["properties"]["sequence"] == 4


def test_run_that_goes_on_is_never_called_unfinished(
    directory: Path, later: Callable[[float], None]
) -> None:
    """However many files it writes and senders take."""
    client = SpoolClient(str(directory), Hand())
    client.record(message(COMMAND_INVOKED, RUN, sequence=1))
    arrived = []
    for number in range(2, 50):
        later(6)
        client.record(message("Exported", RUN, sequence=number))
        arrived += [m for said in taken(directory) for m in said]
    client.record(message(COMMAND_COMPLETED, RUN, sequence=50))
    client.close()
    arrived += [m for said in taken(directory) for m in said]
    assert [m["properties"]["sequence"] for m in arrived] == list(range(1, 51))
    assert not any("outcome" in m["properties"] for m in arrived)


def test_publication_that_fails_leaves_everything_in_the_file(
    directory: Path, later: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk: the next publication takes it along, and the loss of none is counted."""
    hand = Hand()
    client = SpoolClient(str(directory), hand)
    client.record(message(COMMAND_INVOKED, RUN, sequence=1))
    later(6)
    with monkeypatch.context() as full:
        full.setattr(spool_module, "locked_file", _no_space)
        client.record(message(run=RUN, sequence=2))
    assert (hand.offs, client.publication, len(waiting(str(directory)))) == (0, 0, 1)
    later(6)
    client.record(message(run=RUN, sequence=3))
    ((*said,),) = taken(directory)
    assert [m["properties"]["sequence"] for m in said] == [1, 2, 3]
    client.close()


def _no_space(path: str) -> None:
    raise OSError(28, "No space left on device")


def test_full_file_is_published_when_its_time_has_come(
    directory: Path, later: Callable[[float], None]
) -> None:
    """A server that says much is not silent until it ends."""
    client = SpoolClient(str(directory), Hand())
    client.record(message(COMMAND_INVOKED, RUN, sequence=1))
    for number in range(2, 23):
        client.record(message(run=RUN, sequence=number, text="x" * 20_000))
    with pytest.raises(Full):
        client.record(message(run=RUN, sequence=23, text="x" * 20_000))
    later(6)
    client.record(message(run=RUN, sequence=24, text="x" * 20_000))
    ((*said,),) = taken(directory)
    assert [m["properties"]["sequence"] for m in said] == list(range(1, 23))
    client.close()
    assert [m["properties"]["sequence"] for (m, _) in taken(directory)] == [24]


def test_hand_off_that_fails_costs_no_event(
    directory: Path, later: Callable[[float], None]
) -> None:
    """What could not be handed off waits for the next invocation."""

    def fail() -> None:
        raise OSError(11, "Resource temporarily unavailable")

    client = SpoolClient(str(directory), fail)
    client.record(message(COMMAND_INVOKED, RUN, sequence=1))
    later(6)
    client.record(message(run=RUN, sequence=2))
    client.record(message(COMMAND_COMPLETED, RUN, sequence=3))
    client.close()
    arrived = [m["properties"]["sequence"] for said in taken(directory) for m in said]
    assert arrived == [1, 2, 3]
    assert client.written > 0


def test_pairs_that_one_file_cannot_hold_go_on_in_the_next(directory: Path) -> None:
    """A chain of a thousand commands: no file is too large to be taken, and no pair is lost."""
    client = SpoolClient(str(directory), Hand())
    for number in range(1, 2001):
        event = COMMAND_INVOKED if number % 2 else COMMAND_COMPLETED
        run = f"{(number + 1) // 2:08d}-8255-4e5a-84e5-9c79b8f0db98"
        client.record(message(event, run, sequence=number, text="x" * 500))
    client.close()
    sizes = [path.stat().st_size for path in directory.iterdir()]
    assert len(sizes) > 1
    assert max(sizes) <= FILE_LIMIT
    arrived = [m["properties"]["sequence"] for said in taken(directory) for m in said]
    assert arrived == list(range(1, 2001))


def test_following_file_carries_no_more_runs_than_it_has_room_for(
    directory: Path, later: Callable[[float], None]
) -> None:
    """A thousand threads in a command each: the file stays within its bound."""
    client = SpoolClient(str(directory), Hand())
    runs = [f"{number:08d}-8255-4e5a-84e5-9c79b8f0db98" for number in range(1000)]
    for number, run in enumerate(runs):
        client.record(message(COMMAND_INVOKED, run, sequence=number + 1, text="x" * 500))
    later(6)
    client.record(message(COMMAND_COMPLETED, runs[0], sequence=1001))
    arrived = [m for said in taken(directory) for m in said]
    assert [m["properties"]["sequence"] for m in arrived] == list(range(1, 1002))
    (held,) = directory.iterdir()
    assert CARRIED * 0.9 < held.stat().st_size < CARRIED + 1000


def test_names_are_in_order_whatever_the_clock_says(
    directory: Path, later: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that stands still or goes back does not turn a series round (rows 24 and 74)."""
    times = iter([5_000, 5_000, 4_000, 6_000])
    monkeypatch.setattr(spool_module, "time_ns", lambda: next(times))
    client = SpoolClient(str(directory), Hand())
    for number in range(4):
        client.record(message(run=RUN, sequence=number))
        later(6)
        client.record(message(run=RUN, sequence=number))
    names = [int(name.partition("-")[0]) for name in waiting(str(directory))]
    assert names == [5_000, 5_001, 5_002, 6_000]
