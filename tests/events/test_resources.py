"""What an application makes, connects to and deletes: counted from run to run, and never named."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from contextvars import copy_context
from datetime import datetime, timezone
from time import time
from typing import Any

import click
import pytest

from click_telemetry import instrument, resource
from click_telemetry._events.resources import is_random
from click_telemetry._events.scope import take_dropped
from click_telemetry._foreground.options import DeclarationError
from click_telemetry._reader import BASE_PROPERTIES
from click_telemetry._recorder import is_random_id
from click_telemetry.testing import RecordingClient

from ..harness.processes import Cli, Home
from ..harness.production import at_a_prompt
from ..harness.stories import run

AN_ID = "8b6f1f1e-0f6c-4f0e-9d6e-6a1c5f0b2a77"
HOUR = 3600


class Records:
    """An application's own store."""

    def __init__(self, **records: Any) -> None:
        self.records: dict[tuple[str, str], Any] = {
            ("Machine", name): record for name, record in records.items()
        }
        self.asked = 0

    def load(self, kind: str, id: str, /) -> Mapping[str, Any] | None:  # noqa: A002
        self.asked += 1
        found: Mapping[str, Any] | None = self.records.get((kind, id))
        return found

    def save(self, kind: str, id: str, record: dict[str, Any], /) -> None:  # noqa: A002
        self.records[(kind, id)] = record


def record(client: RecordingClient, go: Callable[[], Any]) -> list[Any]:
    """What a command records between its two events."""
    group = click.Group("cli", commands={"go": click.Command("go", callback=go)})
    client.clear()
    result = run(instrument(group, app="acme", client=client), "go")
    assert result.exception is None, result.exception
    return [
        (
            event["event"],
            {k: v for k, v in event["properties"].items() if k not in BASE_PROPERTIES},
        )
        for event in client.events[1:-1]
    ]


def hours_ago(hours: float) -> str:
    return datetime.fromtimestamp(time() - hours * HOUR, timezone.utc).isoformat()


def test_the_life_of_a_resource(recording_client: RecordingClient) -> None:
    """Created, connected to twice, deleted: with what is known by then."""
    store = Records()

    def go() -> None:
        machine = resource("Machine", AN_ID, store=store)
        machine.created(region="eu")
        machine.connected()
        resource("Machine", AN_ID, store=store).connected(via="ssh")
        machine.deleted()

    one = {"resource_id": AN_ID}
    assert record(recording_client, go) == [
        ("Machine Created", {**one, "region": "eu"}),
        ("Machine Connected", {**one, "connect_count": 1}),
        ("Machine Connected", {**one, "connect_count": 2, "via": "ssh"}),
        ("Machine Deleted", {**one, "connect_count": 2, "lifetime_hours": 0.0}),
    ]
    kept = store.records[("Machine", AN_ID)]
    assert set(kept) == {"created_at", "connect_count", "last_connected_at"}
    assert kept["connect_count"] == 2


def test_what_else_a_record_holds_is_kept(recording_client: RecordingClient) -> None:
    """The count and the last time are merged; the application's own facts stay its own."""
    own = {"name": "my-box", "created_at": hours_ago(36), "tags": ["a"], "connect_count": 4}
    store = Records(box=own)

    def go() -> None:
        resource("Machine", "box", store=store).created()
        resource("Machine", "box", store=store).connected()
        resource("Machine", "box", store=store).deleted()

    created, connected, deleted = record(recording_client, go)
    assert connected[1]["connect_count"] == 5
    assert deleted[1]["connect_count"] == 5
    assert deleted[1]["lifetime_hours"] == 36.0
    kept = store.records[("Machine", "box")]
    assert kept == {
        **own,
        "connect_count": 5,
        "last_connected_at": kept["last_connected_at"],
        "telemetry_id": created[1]["resource_id"],
    }
    assert own["connect_count"] == 4, "what was loaded is the application's"
    since = datetime.fromisoformat(kept["last_connected_at"].replace("Z", "+00:00"))
    assert 0 <= time() - since.timestamp() < 60


MOMENTS: list[tuple[Callable[[], Any], float | None]] = [
    (lambda: hours_ago(2), 2.0),
    (lambda: hours_ago(2).replace("+00:00", "Z"), 2.0),
    (lambda: hours_ago(2).replace("+00:00", ""), 2.0),
    (lambda: time() - 2 * HOUR, 2.0),
    (lambda: int((time() - 2 * HOUR) * 1000), 2.0),
    (lambda: datetime.fromtimestamp(time() - 2 * HOUR, timezone.utc), 2.0),
    (lambda: datetime.fromtimestamp(time() - 2 * HOUR), 2.0),
    (lambda: hours_ago(0.126), 0.13),
    (lambda: hours_ago(-48), 0.0),
    (lambda: time() + 10 * 365 * 24 * HOUR, 0.0),
    (lambda: None, None),
    (lambda: "", None),
    (lambda: "yesterday", None),
    (lambda: "2026-13-45", None),
    (lambda: True, None),
    (lambda: float("nan"), None),
    (lambda: float("-inf"), None),
    (lambda: 10**400, None),
    (list, None),
    (lambda: {"at": 1}, None),
    (object, None),
]


@pytest.mark.parametrize(("began", "hours"), MOMENTS, ids=range(len(MOMENTS)))
def test_a_lifetime_is_in_hours_and_never_negative(
    began: Callable[[], Any], hours: float | None, recording_client: RecordingClient
) -> None:
    """Whatever a store keeps of the time, and whatever the clock did since."""
    kept = {"created_at": began()}
    store = Records(box=kept)
    found = record(recording_client, lambda: resource("Machine", "box", store=store).deleted())
    assert found[0][1].get("lifetime_hours") == hours
    assert store.records[("Machine", "box")] is kept


COUNTS = [(3, 4), ("3", 4), (0, 1), (-1, 1), (None, 1), ("many", 1), (True, 1), (1.5, 1),
          (10**5000, 1), ([3], 1), ("9" * 5000, 1), (10**9, 10**9)]  # fmt: skip


@pytest.mark.parametrize(("kept", "count"), COUNTS, ids=range(len(COUNTS)))
def test_a_malformed_count_begins_anew(
    kept: Any, count: int, recording_client: RecordingClient
) -> None:
    """A record that another hand has touched costs its own count and nothing else."""
    store = Records(box={"connect_count": kept, "name": "my-box"})
    found = record(recording_client, lambda: resource("Machine", "box", store=store).connected())
    assert found[0][1]["connect_count"] == count
    assert store.records[("Machine", "box")]["name"] == "my-box"


class Raising(Records):
    def load(self, kind: str, id: str, /) -> Any:  # noqa: A002
        raise RuntimeError("no store")


class Malformed(Records):
    """Gives what is no record."""

    def __init__(self, found: Any) -> None:
        super().__init__()
        self.found = found

    def load(self, kind: str, id: str, /) -> Any:  # noqa: A002
        return self.found


class Unwritable(Records):
    def save(self, kind: str, id: str, record: dict[str, Any], /) -> None:  # noqa: A002
        raise OSError("full")


STORES = [Raising, lambda: Malformed(42), lambda: Malformed("text"), lambda: Malformed([("a", 1)]),
          Unwritable]  # fmt: skip


@pytest.mark.parametrize("make", STORES, ids=range(len(STORES)))
def test_a_store_that_fails_costs_what_it_would_have_kept(
    make: Callable[[], Records], recording_client: RecordingClient
) -> None:
    """The event is recorded; what could not be read is not overwritten."""
    store = make()
    found = record(recording_client, lambda: resource("Machine", AN_ID, store=store).connected())
    assert found == [("Machine Connected", {"resource_id": AN_ID, "connect_count": 1})]
    assert store.records == {}


def test_of_an_unknown_resource_nothing_is_known(recording_client: RecordingClient) -> None:
    """It was made before telemetry was there, or its record has gone already."""
    found = record(recording_client, lambda: resource("Machine", AN_ID, store=Records()).deleted())
    assert found == [("Machine Deleted", {"resource_id": AN_ID})]


# The ID ---------------------------------------------------------------------------------------

IDS = [
    (AN_ID, True),
    (AN_ID.upper(), True),
    ("0197f6a0-1b2c-7d3e-8f40-123456789abc", True),  # version 7
    (str(uuid.uuid1()), False),  # the machine's address and the time
    (str(uuid.uuid3(uuid.NAMESPACE_DNS, "my-secret-project")), False),
    (str(uuid.uuid5(uuid.NAMESPACE_DNS, "my-secret-project")), False),
    ("00000000-0000-0000-0000-000000000000", False),
    (AN_ID.replace("-", ""), False),
    ("{" + AN_ID + "}", False),
    (AN_ID + "\n", False),
    ("my-secret-project", False),
    ("zoe@example.com", False),
    ("/home/zoe/project", False),
    ("i-0abcd1234ef567890", False),
    ("01ARZ3NDEKTSV4RRFFQ69G5FAV", False),
    ("12345", False),
    (12345, False),
    ("d" * 36, False),
    ("ü" * 36, False),
]


@pytest.mark.parametrize(("given", "opaque"), IDS, ids=range(len(IDS)))
def test_an_id_leaves_only_if_it_is_a_random_uuid(
    given: Any, opaque: bool, recording_client: RecordingClient
) -> None:
    """Any other may be a name that a person chose: a UUID stands for it, the same in every run."""
    assert is_random(str(given)) is opaque
    store = Records()
    found = [
        record(recording_client, lambda: resource("Machine", given, store=store).connected())
        for _ in range(2)
    ]
    first, second = (one[0][1]["resource_id"] for one in found)
    assert first == second
    assert (first == given) is opaque
    assert opaque or is_random_id(first)
    assert opaque or str(given) not in str(recording_client.messages)
    assert ("telemetry_id" in store.records[("Machine", str(given))]) is not opaque


def test_two_kinds_and_two_stores_give_two_ids(recording_client: RecordingClient) -> None:
    """Nothing is derived from the name, so names cannot be tried."""
    one, two = Records(), Records()

    def go() -> None:
        for store in (one, two):
            resource("Machine", "box", store=store).connected()
            resource("Volume", "box", store=store).connected()

    assert len({found["resource_id"] for _, found in record(recording_client, go)}) == 4


def test_a_call_site_cannot_set_what_is_ours(recording_client: RecordingClient) -> None:
    """Neither the ID nor the count."""

    def go() -> None:
        resource("Machine", AN_ID, store=Records()).connected(
            resource_id="my-secret-project", connect_count=99, size=3
        )

    assert record(recording_client, go) == [
        ("Machine Connected", {"resource_id": AN_ID, "connect_count": 1, "size": 3})
    ]


MISTAKES: list[tuple[Any, Any, Any]] = [
    ("machine", AN_ID, None),
    ("", AN_ID, None),
    ("M" * 65, AN_ID, None),
    (None, AN_ID, None),
    ("Machine", "", None),
    ("Machine", None, None),
    ("Machine", True, None),
    ("Machine", 10**5000, None),
    ("Machine", AN_ID, {}),
]


@pytest.mark.parametrize(("kind", "name", "store"), MISTAKES, ids=range(len(MISTAKES)))
def test_a_mistake_raises_in_a_test(
    kind: Any, name: Any, store: Any, recording_client: RecordingClient
) -> None:
    """The message names the fix."""

    def go() -> None:
        with pytest.raises(DeclarationError, match=r"resource\("):
            resource(kind, name, store=store)

    assert record(recording_client, go) == []


def test_a_mistake_is_counted_at_a_prompt(home: Home, make_cli: Callable[..., Cli]) -> None:
    """There nothing is recorded of such a resource."""
    found = at_a_prompt(make_cli, "resource('machine', 'box').connected()")
    assert [message["event"] for message in found] == ["Command Invoked", "Command Completed"]
    assert found[1]["properties"]["dropped"] == 1


# Without a store ------------------------------------------------------------------------------


def test_without_a_store_a_test_remembers_within_a_run(recording_client: RecordingClient) -> None:
    """And writes nothing anywhere: the next run begins anew."""

    def go() -> None:
        resource("Machine", AN_ID).connected()
        resource("Machine", AN_ID).connected()
        resource("Machine", AN_ID).deleted()
        resource("Machine", AN_ID).connected()

    for _ in range(2):
        counts = [found.get("connect_count") for _, found in record(recording_client, go)]
        assert counts == [1, 2, 2, 1]


def test_in_a_group_s_callback_it_is_remembered(recording_client: RecordingClient) -> None:
    """The store is not asked before it is known that the run is recorded."""
    store = Records()

    @click.group()
    def cli() -> None:
        resource("Machine", AN_ID, store=store).connected()
        assert store.asked == 0

    @cli.command()
    def go() -> None:
        assert store.asked == 1

    instrument(cli, app="acme", client=recording_client)
    assert run(cli, "go").exception is None
    assert recording_client.events[0]["event"] == "Machine Connected"
    run(cli, "go", "--help")
    assert store.asked == 1


@pytest.mark.parametrize("off", ["DO_NOT_TRACK", "ACME_NO_TELEMETRY"])
def test_off_neither_asks_nor_writes(
    off: str, recording_client: RecordingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store of the application's own is not touched either."""
    store = Records()

    def go() -> None:
        resource("Machine", "box", store=store).created()

    monkeypatch.setenv(off, "1")
    group = click.Group("cli", commands={"go": click.Command("go", callback=go)})
    assert run(instrument(group, app="acme", client=recording_client), "go").exception is None
    assert (store.asked, store.records) == (0, {})
    take_dropped()


def test_after_the_end_nothing_is_written(recording_client: RecordingClient) -> None:
    """What is kept from a run that has ended records nothing more."""
    store, contexts = Records(), []
    record(recording_client, lambda: contexts.append(copy_context()))
    contexts[0].run(lambda: resource("Machine", "box", store=store).connected())
    assert (store.asked, store.records) == (0, {})
    assert take_dropped() == 1
