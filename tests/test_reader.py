"""Facts become messages: the same ones in every process, whatever else is in the file."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from click_telemetry._reader import (
    COMMAND_COMPLETED,
    COMMAND_INVOKED,
    COMPLETED_ID,
    IDENTIFY_ID,
    INVOCATION_ID,
    MESSAGE_ID,
    RUN_ID,
    SESSION_ID,
    Composer,
    derived_id,
)
from click_telemetry._sender.queue import HEAD_LIMIT, LINE_LIMIT, compose

from .harness.facts import (
    ANONYMOUS,
    AT,
    HEX,
    NEXT,
    Fact,
    begin,
    end,
    event,
    file_name,
    head,
    identify,
    lines,
)
from .harness.interpreter import environment, python

GOLDEN = Path(__file__).parent / "golden" / "format_v1"
NAME = file_name()


def composed(*facts: Fact, name: str = NAME, writer_gone: bool = True) -> list[dict[str, Any]]:
    return compose(name, lines(list(facts)), writer_gone=writer_gone).messages


def names(messages: list[dict[str, Any]]) -> list[str]:
    return [message.get("event", message["type"]) for message in messages]


def reports(messages: list[dict[str, Any]]) -> list[int]:
    return [m["properties"]["dropped"] for m in messages if "dropped" in m.get("properties", {})]


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.facts")), ids=lambda path: path.stem)
def test_message_of_version_1_never_changes(path: Path) -> None:
    """What was written by an older version is sent in the words of that version."""
    expected = json.loads(path.with_suffix(".json").read_text())
    found = compose(expected["name"], path.read_bytes(), writer_gone=expected["writer_gone"])
    assert (found.newer, found.lost, found.pending) == (
        expected["newer"],
        expected["lost"],
        expected["pending"],
    )
    assert json.dumps(found.messages) == json.dumps(expected["messages"])


def test_golden_corpus_is_complete() -> None:
    """A file without its messages would be tested by nothing."""
    facts = {path.stem for path in GOLDEN.glob("*.facts")}
    assert facts == {path.stem for path in GOLDEN.glob("*.json")}
    assert len(facts) >= 12


def test_sampled_event_has_the_rate() -> None:
    """Who counts events divides by it; no event of an application without a sample has it."""
    found = composed(head(sample=0.25), begin(), end())
    assert [message["properties"]["sample_rate"] for message in found] == [0.25, 0.25]
    assert "sample_rate" not in composed(head(), begin())[0]["properties"]


@pytest.mark.parametrize("rate", [0.0, 1.0, 1, -0.1, "0.1", None, True, [0.1]])
def test_rate_of_another_form_is_no_head(rate: object) -> None:
    """Events without their rate would be counted wrongly: they are dropped, and counted."""
    found = compose(NAME, lines([head(sample=rate), begin(), end()]), writer_gone=True)
    assert (found.messages, found.lost) == ([], 3)


def test_one_event_a_command_is_its_end() -> None:
    """Also of one that vanished; events of its own stay, and a count is not lost."""
    fewer = head(events="completed")
    begun, ended = begin(n=2, dropped=3), end(n=3)
    found = composed(fewer, event("Early", n=1), begun, ended)
    assert names(found) == ["Early", COMMAND_COMPLETED]
    assert reports(found) == [3]
    assert [message["properties"]["sequence"] for message in found] == [1, 3]
    assert names(composed(fewer, begin())) == [COMMAND_COMPLETED]
    assert composed(fewer, begin())[0]["properties"]["outcome"] == "unfinished"
    assert reports(composed(fewer, begin(dropped=2), end())) == [2]
    assert composed(fewer, begin(), end())[-1] == composed(head(), begin(), end())[-1]
    assert names(composed(head(events="other"), begin(), end())) == [
        COMMAND_INVOKED,
        COMMAND_COMPLETED,
    ]


def test_message_has_every_base_property() -> None:
    """As Segment and the table in docs/data.md list them."""
    (invoked,) = composed(head(), begin(flags=["dry_run"], p={"plan": "pro"}), NEXT)
    assert invoked == {
        "type": "track",
        "event": COMMAND_INVOKED,
        "properties": {
            "plan": "pro",
            "version": "2.1.0",
            "os": "linux",
            "arch": "x86_64",
            "python_version": "3.13.0",
            "is_ci": False,
            "is_tty": True,
            "cli_context": "human",
            "in_container": False,
            "invocation_id": derived_id(HEX, INVOCATION_ID),
            "run_id": derived_id(HEX, RUN_ID, 1),
            "session_id": derived_id(HEX, SESSION_ID),
            "sequence": 1,
            "command": "acme go",
            "flags": ["dry_run"],
        },
        "messageId": derived_id(HEX, MESSAGE_ID, 1),
        "anonymousId": ANONYMOUS,
        "timestamp": "2026-09-21T14:13:20.123Z",
        "context": {
            "app": {"name": "acme", "version": "2.1.0"},
            "os": {"name": "linux"},
            "library": {"name": "click_telemetry", "version": "0.2.0"},
        },
    }


@pytest.mark.parametrize(
    ("fact", "own"),
    [
        (
            {"exit": 0, "ms": 13},
            {"exit_code": 0, "succeeded": True, "outcome": "success", "duration_ms": 13},
        ),
        (
            {"exit": 2, "ms": 0, "error": "click.exceptions.UsageError"},
            {
                "exit_code": 2,
                "succeeded": False,
                "outcome": "failure",
                "error_class": "click.exceptions.UsageError",
                "duration_ms": 0,
            },
        ),
        (
            {"exit": 1, "ms": 7, "error": "Exception", "masked": True},
            {
                "exit_code": 1,
                "succeeded": False,
                "outcome": "failure",
                "error_class": "Exception",
                "error_class_masked": True,
                "duration_ms": 7,
            },
        ),
        (
            {"exit": 1, "ms": 7, "outcome": "cancelled", "cancelled": True, "error": "EOFError"},
            {
                "exit_code": 1,
                "succeeded": False,
                "outcome": "cancelled",
                "user_cancelled": True,
                "error_class": "EOFError",
                "duration_ms": 7,
            },
        ),
        ({"exit": 0}, {"exit_code": 0, "succeeded": True, "outcome": "success"}),
        ({}, {}),
    ],
)
def test_end_has_the_properties_of_its_outcome(fact: Fact, own: dict[str, Any]) -> None:
    """Exit code, success, outcome, duration and class, as far as they are known."""
    invoked, completed = composed(head(), begin(), {"run": 1, "n": 2, "at": AT, **fact})
    base = {**invoked["properties"], "sequence": 2}
    assert completed["properties"] == {**own, **base}
    assert list(completed["properties"])[: len(own)] == list(own)
    assert completed["messageId"] == derived_id(HEX, COMPLETED_ID, 1)


@pytest.mark.parametrize(
    ("other", "properties"),
    [
        ({"platform": "darwin", "machine": "arm64"}, {"os": "macos", "arch": "arm64"}),
        ({"platform": "win32", "machine": "AMD64"}, {"os": "windows", "arch": "amd64"}),
        ({"platform": "cygwin"}, {"os": "windows"}),
        ({"platform": "freebsd14"}, {"os": "freebsd14"}),
        ({"python": 0x030A0CF0}, {"python_version": "3.10.12"}),
        ({"agent": "claude-code", "ci": 1}, {"cli_context": "agent:claude-code", "is_ci": True}),
        ({"ci": 1, "tty": 7}, {"cli_context": "ci", "is_ci": True, "is_tty": True}),
        ({"tty": 3}, {"cli_context": "human", "is_tty": True}),
        ({"tty": 5}, {"cli_context": "human", "is_tty": False}),
        ({"tty": 1}, {"cli_context": "script", "is_tty": False}),
        ({"tty": 6}, {"cli_context": "script", "is_tty": True}),
        ({"tty": 0, "container": 1}, {"cli_context": "script", "in_container": True}),
        ({"version": None}, {"version": None}),
        ({"session": ANONYMOUS}, {"session_id": ANONYMOUS}),
    ],
)
def test_common_properties_come_from_the_head(
    other: dict[str, Any], properties: dict[str, Any]
) -> None:
    """Not from the machine that composes."""
    invoked = composed(head(**other), begin())[0]
    assert {name: invoked["properties"][name] for name in properties} == properties


def test_base_property_replaces_an_events_own() -> None:
    """No call site can override what we send."""
    own = {"command": "evil", "run_id": "x", "sequence": 99, "dropped": 5, "kept": True}
    (_, tracked) = composed(head(), begin(), event("Exported", p=own), NEXT)
    assert tracked["properties"]["command"] == "acme go"
    assert tracked["properties"]["sequence"] == 2
    assert tracked["properties"]["kept"] is True
    assert "dropped" not in tracked["properties"]


def test_ids_are_random_uuids_and_all_different() -> None:
    """Version 4 and the variant of RFC 9562, whatever the digits in the name are."""
    for digits in (HEX, "0" * 32, "f" * 32):
        found = [derived_id(digits, kind) for kind in range(6)]
        found += [
            derived_id(digits, kind, number)
            for kind in (RUN_ID, MESSAGE_ID, COMPLETED_ID, IDENTIFY_ID)
            for number in (1, 2, 2**48 - 1)
        ]
        assert len(set(found)) == len(found)
        for text in found:
            assert [len(part) for part in text.split("-")] == [8, 4, 4, 4, 12]
            assert text[14] == "4"
            assert text[19] in "89ab"


@pytest.mark.parametrize(
    ("at", "timestamp"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (999_999, "1970-01-01T00:00:00.000Z"),
        (1_000_000, "1970-01-01T00:00:00.001Z"),
        (-5, "1970-01-01T00:00:00.000Z"),
        (10**30, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_time_is_in_milliseconds_within_the_calendar(at: int, timestamp: str) -> None:
    """A clock may be wrong by any number of years."""
    assert composed(head(), begin(at=at))[0]["timestamp"] == timestamp


# Dropped events ------------------------------------------------------------------------------


def test_dropped_events_are_reported_exactly_once() -> None:
    """The name's and each fact's, by the next track message."""
    content = lines(
        [
            head(dropped=1),
            identify("user-42", dropped=2),
            begin(dropped=4),
            event("Exported", n=2),
            identify(None, k=2, dropped=8),
            end(n=3),
        ]
    )
    found = compose(file_name(marks=".dropped-16.tried-17"), content, writer_gone=True)
    assert reports(found.messages) == [23, 8]
    assert (found.pending, found.lost) == (0, 0)


def test_dropped_events_that_no_message_reports_are_left_to_the_sender() -> None:
    """A file that contains nothing but an identify."""
    content = lines([head(), identify("user-42", dropped=2), {"foreign": True}])
    content += lines([{"next": True, "dropped": 3}])
    found = compose(file_name(marks=".dropped-16"), content, writer_gone=True)
    assert reports(found.messages) == []
    assert (found.pending, found.lost) == (22, 1)


def test_line_that_cannot_be_read_is_counted() -> None:
    """Another version wrote it, or the disk was full; its neighbours are sent."""
    content = lines([head(), begin()]) + b'{"run":1,"n"\n[]\n' + lines([event("Exported")])
    found = compose(NAME, content + b'{"run":1', writer_gone=False)
    assert names(found.messages) == [COMMAND_INVOKED, "Exported"]
    assert (reports(found.messages), found.lost) == ([2], 0)


BAD_FACTS: list[object] = [
    *(None, 1, "x", [], {}, {"next": 1}, {"next": False}, {"identify": "u"}, {"identify": 5}),
    *({"identify": "", "k": 1, "at": AT}, {"identify": "u", "k": 1, "at": AT, "traits": []}),
    *({"run": 1}, {"run": 1, "n": 2}, {"run": 9, "n": 2, "at": AT, "exit": 0}, head()),
    *(begin(), begin(True, n=2), begin(2, n=-1), begin(2, at=1.5), begin(2, command="")),  # type: ignore[arg-type]
    *(begin(2, flags="x"), begin(2, flags=[1]), begin(2, p=[]), begin(2**48), begin(2, dropped=-1)),
    *(event("", n=3), event(None, n=3), event("X", n=3, p="x"), event("X", n="3")),  # type: ignore[arg-type]
    *(end(exit="0"), end(exit=None), end(exit=True), end(ms=-1), end(ms=1.5), end(error=1)),
    *(end(masked="yes"), end(cancelled=[]), end(outcome=None), end(dropped="1"), end(at=None)),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("fact", BAD_FACTS, ids=repr)
def test_foreign_fact_is_skipped_and_counted(fact: object) -> None:
    """Of whatever type, as a line and as an object; what follows is not affected."""
    composer = Composer(HEX)
    for one in (head(), begin(), fact):
        composer.feed(one)
    assert (composer.lost, composer.pending) == (1, 1)
    (completed,) = composer.feed(end())
    assert completed["event"] == COMMAND_COMPLETED
    assert completed["properties"]["dropped"] == 1
    found = compose(NAME, lines([head(), begin(), fact, end()]), writer_gone=True)  # type: ignore[list-item]
    assert found.messages[-1] == completed


@pytest.mark.parametrize(
    "change",
    [
        *({"v": 0}, {"v": True}, {"v": "1"}, {"v": None}, {"app": ""}, {"id": 5}, {"version": 2}),
        *({"python": "3.13"}, {"tty": None}, {"ci": 2}, {"agent": None}, {"session": 1}),
        *({"open": {}}, {"ended": 1}, {"user": 7}, {"n": -1}, {"at": "x"}, {"machine": None}),
    ],
    ids=repr,
)
def test_file_without_a_head_gives_nothing_and_is_counted(change: dict[str, Any]) -> None:
    """Of none of its facts is known who recorded it."""
    found = compose(NAME, lines([head(**change), begin(), end()]), writer_gone=True)
    assert (found.messages, found.lost, found.newer) == ([], 3, False)


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"1" * 5000])
def test_number_that_is_no_json_never_leaves(number: bytes) -> None:
    """A server could not read the request."""
    bad = lines([event("Exported", p={"n": 0})]).replace(b'"n":0', b'"n":' + number)
    content = lines([head(), begin()]) + bad + lines([end(n=3)])
    found = compose(NAME, content, writer_gone=True)
    assert names(found.messages) == [COMMAND_INVOKED, COMMAND_COMPLETED]


@pytest.mark.parametrize(
    "line",
    [
        b'{"run":1,"n":2,"at":1,"event":"X","event":"Y"}',
        b'{"run":1,"n":2,"at":1,"event":"X","p":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"run":1,"n":2,"at":1,"event":"X","p":{"x":' + b"[" * 90 + b"]" * 90 + b"}}",
        b'{"run":1,"n":2,"at":1,"event":"X","p":{"x":"' + b"x" * LINE_LIMIT + b'"}}',
        b'{"run":1,"n":2,"at":1,"event":"\xc3\xa9"}',
        b"\0" * 512,
    ],
    ids=["duplicate key", "very deep", "deep", "long", "not ASCII", "zeros"],
)
def test_hostile_line_costs_its_neighbours_nothing(line: bytes) -> None:
    """After a power loss, or by another hand."""
    content = lines([head(), begin()]) + line + b"\n" + lines([end(n=3)])
    found = compose(NAME, content, writer_gone=True)
    assert names(found.messages) == [COMMAND_INVOKED, COMMAND_COMPLETED]
    assert reports(found.messages) == [1]


# Runs, users, parts --------------------------------------------------------------------------


def test_events_of_a_groups_callback_come_before_their_run() -> None:
    """They are held until it begins, and have the user of their time."""
    found = composed(
        head(),
        event("First", n=1),
        identify("user-42"),
        event("Second", n=2),
        begin(n=3),
        end(n=4),
    )
    assert names(found) == [
        *("identify", "First", "Second", COMMAND_INVOKED, COMMAND_COMPLETED),
    ]
    assert [m.get("userId") for m in found] == ["user-42", None, *["user-42"] * 3]
    assert [m["properties"]["sequence"] for m in found[1:]] == [1, 2, 3, 4]


def test_event_of_a_run_that_never_begins_is_dropped_and_counted() -> None:
    """Its command and flags are unknown."""
    content = lines([head(), event("Lost", run=2, n=1), begin(n=2), end(n=3)])
    found = compose(NAME, content, writer_gone=True)
    assert names(found.messages) == [COMMAND_INVOKED, COMMAND_COMPLETED]
    assert (found.lost, found.pending) == (1, 1)
    assert compose(NAME, content, writer_gone=False).lost == 0, "it may begin yet"


def test_late_event_of_an_ended_run_is_sent_and_a_second_end_is_not() -> None:
    """The invocation is still open."""
    found = composed(head(), begin(), end(), event("Late", n=3), end(n=4, exit=1))
    assert names(found) == [COMMAND_INVOKED, COMMAND_COMPLETED, "Late"]


def test_own_event_with_a_lifecycle_name_does_not_end_its_run() -> None:
    """Its message ID is that of an event, so the true end is not taken for a repetition."""
    found = composed(head(), begin(), event(COMMAND_COMPLETED), end(n=3))
    assert [m["messageId"] for m in found[1:]] == [
        derived_id(HEX, MESSAGE_ID, 2),
        derived_id(HEX, COMPLETED_ID, 1),
    ]


def test_user_is_on_every_message_from_sign_in_to_sign_out() -> None:
    """An identify message is sent for a sign-in alone."""
    found = composed(
        head(),
        begin(),
        identify("user-42", traits={"plan": "pro"}),
        event("Within", n=2),
        identify(None, k=2),
        event("After", n=3),
        end(n=4),
    )
    assert [m.get("userId") for m in found] == [None, "user-42", "user-42", None, None]
    assert found[1] == {
        "type": "identify",
        "traits": {"plan": "pro"},
        "messageId": derived_id(HEX, IDENTIFY_ID, 1),
        "anonymousId": ANONYMOUS,
        "timestamp": "2026-09-21T14:13:20.123Z",
        "context": found[0]["context"],
        "userId": "user-42",
    }


def test_run_without_an_end_gets_one_when_its_writer_is_gone() -> None:
    """Its process was killed: the next sequence, the last fact's time, no duration."""
    facts = [head(), begin(flags=["x"], p={"plan": "pro"}), event("Exported", at=AT + 10**9)]
    invoked, _, ended = composed(*facts)
    assert ended == {
        **invoked,
        "event": COMMAND_COMPLETED,
        "messageId": derived_id(HEX, COMPLETED_ID, 1),
        "timestamp": "2026-09-21T14:13:21.123Z",
        "properties": {
            **invoked["properties"],
            "succeeded": False,
            "outcome": "unfinished",
            "sequence": 3,
        },
    }
    assert len(composed(*facts, writer_gone=False)) == 2
    assert len(composed(*facts, NEXT)) == 2


def test_every_open_run_gets_its_end_in_order() -> None:
    """A chain that was killed in a nested run."""
    found = composed(head(), begin(), begin(2, n=2), begin(3, n=3), end(2, n=4))
    assert [(m["properties"]["run_id"], m["properties"]["sequence"]) for m in found[-2:]] == [
        (derived_id(HEX, RUN_ID, 1), 5),
        (derived_id(HEX, RUN_ID, 3), 6),
    ]


def test_torn_last_line_is_not_sent_and_ends_nothing() -> None:
    """What was not written in full is not delivered."""
    start, whole = lines([head(), begin()]), lines([head(), begin(), end()])
    for cut in range(len(start), len(whole)):
        found = compose(NAME, whole[:cut], writer_gone=True)
        assert [m["properties"].get("outcome") for m in found.messages] == [None, "unfinished"]
        assert found.pending == 0


def test_file_of_a_newer_version_is_not_read() -> None:
    """Its facts are only counted."""
    content = lines([head(v=2), begin(), end()])
    found = compose(file_name(marks=".dropped-3"), content, writer_gone=True)
    assert (found.messages, found.newer, found.lost, found.pending) == ([], True, 2, 5)
    composer = Composer(HEX)
    assert [composer.feed(fact) for fact in (head(v=2), begin())] == [[], []]
    assert (composer.newer, composer.lost, composer.finish(writer_gone=True)) == (True, 0, [])


def test_head_has_room_for_the_runs_that_are_open() -> None:
    """256 KB of them, and an unreadable one among them is counted."""
    runs = [begin(run, n=run, command="acme " + "x" * 900) for run in range(1, 200)]
    content = lines([head(part=2, at=AT, n=200, open=[*runs, {"run": "x"}])])
    assert 100_000 < len(content) < HEAD_LIMIT
    found = compose(NAME, content, writer_gone=True)
    assert (len(found.messages), found.lost) == (199, 1)


# Properties ----------------------------------------------------------------------------------


@st.composite
def _series(draw: st.DrawFn) -> list[list[Fact]]:
    """Groups of facts, each written at once, of a valid invocation."""
    written: list[list[Fact]] = []
    sequence = logins = started = 0
    open_runs: list[int] = []
    at = AT
    for _ in range(draw(st.integers(1, 12))):
        at += draw(st.integers(0, 10**9))
        kind = draw(st.sampled_from(["begin", "deferred", "event", "end", "identify", "sign-out"]))
        dropped: Fact = draw(st.sampled_from([{}, {}, {"dropped": 3}]))
        own: Fact = draw(st.sampled_from([{}, {"p": {"plan": "pro"}}]))
        if kind in ("begin", "deferred") or not open_runs:
            started += 1
            group = []
            if kind == "deferred":
                for _ in range(draw(st.integers(1, 2))):
                    sequence += 1
                    group.append(event("Deferred", started, sequence, at, **own))
            sequence += 1
            open_runs.append(started)
            written.append([*group, begin(started, sequence, at, **own, **dropped)])
        elif kind == "event":
            sequence += 1
            run = draw(st.sampled_from(open_runs))
            written.append([event("Exported", run, sequence, at, **own, **dropped)])
        elif kind == "end":
            sequence += 1
            run = open_runs.pop(draw(st.integers(0, len(open_runs) - 1)))
            written.append([end(run, sequence, at, **own, **dropped)])
        else:
            logins += 1
            user = f"user-{logins}" if kind == "identify" else None
            written.append([identify(user, logins, at)])
    return written


def _parts(written: list[list[Fact]], cuts: set[int]) -> list[list[Fact]]:
    """The same facts as a foreground writes them that changes files after some writes."""
    parts = [[head()]]
    runs: dict[int, Fact] = {}
    user: str | None = None
    sequence, at = 0, AT
    for position, group in enumerate(written):
        for fact in group:
            at = fact["at"]
            sequence = max(sequence, fact.get("n", 0))
            if "identify" in fact:
                user = fact["identify"]
            elif "command" in fact:
                runs[fact["run"]] = fact
            elif "exit" in fact:
                del runs[fact["run"]]
        parts[-1] += group
        if position in cuts:
            following = {"part": len(parts) + 1, "at": at, "n": sequence, "user": user}
            parts[-1].append(NEXT)
            parts.append([head(**following, open=[*runs.values()])])
    return parts


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(_series(), st.sets(st.integers(0, 12)))
def test_series_gives_the_same_messages_wherever_it_is_split(
    written: list[list[Fact]], cuts: set[int]
) -> None:
    """A long-lived invocation is a series of files; a receiver cannot see where they end."""
    whole = composed(head(), *(fact for group in written for fact in group))
    parts = _parts(written, cuts)
    found = [
        message
        for number, facts in enumerate(parts, 1)
        for message in composed(*facts, name=file_name(part=number))
    ]
    assert [json.dumps(m) for m in found] == [json.dumps(m) for m in whole]
    assert len({m["messageId"] for m in whole}) == len(whole)


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(_series(), st.integers(0, 11))
def test_two_parts_of_a_killed_writer_end_a_run_in_the_same_words(
    written: list[list[Fact]], cut: int
) -> None:
    """It was killed when the new file was complete and the old one had no `next` yet."""
    cut = min(cut, len(written) - 1)
    before, after = _parts(written[: cut + 1], {cut})
    ended = [
        [m for m in composed(*facts) if m.get("properties", {}).get("outcome") == "unfinished"]
        for facts in (before[:-1], after)
    ]
    assert json.dumps(ended[0]) == json.dumps(ended[1])


def test_file_that_was_written_to_after_next_ends_its_runs() -> None:
    """Its writer could not use the next file, and was killed later."""
    found = composed(head(), begin(), NEXT, event("Exported"))
    assert [m.get("event") for m in found] == ["Command Invoked", "Exported", "Command Completed"]


@settings(max_examples=200)
@given(st.binary(max_size=4000))
def test_any_bytes_are_read_without_harm(content: bytes) -> None:
    """Truncated, zeroed, not ASCII, not ours: fast, and nothing but a count."""
    began = time.thread_time()
    found = compose(NAME, content, writer_gone=True)
    assert time.thread_time() - began < 0.05
    assert found.messages == []
    assert found.lost <= content.count(b"\n")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(10**4000),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["run", "n", "at", "event", "command", "p", "exit", "v", "identify"]),
            inner,
        )
    ),
    max_leaves=6,
)
LIKE_OURS = st.fixed_dictionaries(
    {"run": st.just(1) | JSON, "n": st.integers() | JSON, "at": st.integers() | JSON},
    optional={
        **dict.fromkeys(("command", "flags", "p", "event", "exit", "ms", "outcome"), JSON),
        **dict.fromkeys(("error", "masked", "cancelled", "dropped", "identify", "k"), JSON),
    },
)


@pytest.mark.extended
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(JSON | LIKE_OURS | st.builds(lambda x: head(open=[x]), LIKE_OURS), max_size=6))
def test_any_json_is_read_without_harm(facts: list[Any]) -> None:
    """Well-formed and still not ours; what is composed of it can be sent."""
    content = b"".join(json.dumps(fact).encode() + b"\n" for fact in [head(), begin(), *facts])
    began = time.thread_time()
    found = compose(NAME, content, writer_gone=True)
    assert time.thread_time() - began < 0.05
    assert found.messages[0]["event"] == COMMAND_INVOKED
    for message in found.messages:
        json.dumps(message, allow_nan=False)
    composer = Composer(HEX)
    for fact in facts:
        composer.feed(fact)
    composer.finish(writer_gone=True)


@pytest.mark.parametrize("name", ["", "x.facts", "1-2.facts", "01-abc-0001.facts"])
def test_name_that_is_not_a_files_of_ours_is_an_error(name: str) -> None:
    """Without its digits no ID can be derived."""
    with pytest.raises(ValueError, match="not the name"):
        compose(name, b"", writer_gone=True)


def test_reader_loads_nothing_but_dates() -> None:
    """Log mode composes in the command's own process; JSON is loaded by the sender alone."""
    source = """
import click_telemetry, typing  # Click loads typing
before = set(sys.modules)
import click_telemetry._reader
expensive = {"dataclasses", "enum", "hashlib", "json", "platform", "re", "typing", "uuid"}
print(sorted(expensive & set(sys.modules) - before))
"""
    done = subprocess.run(
        python(source), env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
