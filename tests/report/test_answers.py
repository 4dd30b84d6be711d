"""The answers are those that a count by hand gives, whatever the files contain."""

from __future__ import annotations

import json
import os
import random
import threading

import pytest

from ..harness.counts import counted, read, reported
from ..harness.messages import pair, track
from ..harness.simulation import exported, simulate
from .conftest import Report, Write

USERS = range(25)


@pytest.mark.extended
def test_the_counts_of_200_users_are_those_of_plain_python(report: Report, write: Write) -> None:
    """I can trust each number: another program counts the same from the same file."""
    messages = list(simulate(1, range(200), sessions=6))
    messages += random.Random(1).sample(messages, 50)
    bad = [b"", b"torn", b'{"type":"track"', b"[]", b"7", b'{"no":"message"}', b"\xff\xfe"]
    path = write("events.jsonl", [*messages, *bad])
    lines = path.read_bytes().decode(errors="replace").splitlines()
    found, duplicates, unreadable = read(line for line in lines if line)
    answers = report(path)
    assert reported(answers) == counted(found)
    assert (duplicates, unreadable) == (50, 6)
    assert (answers["sources"]["duplicates"], answers["sources"]["bad_lines"]) == (50, 6)
    bad_file = {"file": str(path), "bad_lines": 6, "incomplete": False}
    assert answers["sources"]["bad_files"] == [bad_file]


@pytest.mark.extended
def test_exports_in_folders_give_the_same_as_one_file(report: Report, write: Write) -> None:
    """Segment's and RudderStack's exports, compressed or not, are read like my own file."""
    messages = list(simulate(2, USERS))
    rng = random.Random(2)
    sent = [exported(message, rng) for message in messages]
    plain = write("plain/events.jsonl", messages)
    folder = write("logs/source/1772323200/1.gz", sent[::3]).parent.parent
    write("logs/source/1772409600/2.json.gz", sent[1::3])
    write("logs/source/1772409600/.hidden", [b"not read"])
    # A download that was decompressed on the way keeps its name.
    write("logs/source/1772409600/3.jsonl", sent[2::3]).rename(folder / "3.json.gz")
    one, many = report(plain), report(folder)
    assert many["sources"]["files"] == 3
    assert reported(many) == reported(one)
    assert reported(report(folder / "*" / "*.gz", folder / "3*")) == reported(one)
    assert many["delivery"]["delays_measured"] == len(messages)
    assert 20 < many["delivery"]["delay_p50_s"] < 80 < many["delivery"]["delay_p95_s"]


def test_a_run_without_an_end_counts_once_and_is_shown(report: Report, write: Write) -> None:
    """Events of `events="completed"`, unfinished runs and runs that go on all are runs."""
    invoked, completed = pair(invocation="one")
    (_, unfinished) = pair(invocation="two", outcome="unfinished", exit_code=None, duration_ms=None)
    (going_on, _) = pair(invocation="three")
    late = {**pair(invocation="two")[1], "messageId": unfinished["messageId"]}
    path = write("events.jsonl", [invoked, completed, unfinished, going_on])
    (command,) = report(path)["commands"]
    assert (command["runs"], command["successes"]) == (3, 1)
    assert (command["unfinished"], command["without_end"]) == (1, 1)
    # Both ends of a run have one ID, and it did end.
    (command,) = report(write("late.jsonl", [unfinished, late]))["commands"]
    assert (command["runs"], command["successes"], command["unfinished"]) == (1, 1, 0)


def test_events_before_since_do_not_count(report: Report, write: Write) -> None:
    """I ask for the last week, or for what followed a release."""
    old, new = "2026-03-01T12:00:00Z", "2026-03-02T12:00:00+02:00"
    path = write("e.jsonl", [*pair(invocation="one", at=old), *pair(invocation="two", at=new)])
    assert report(path)["runs"] == 2
    assert report(path, "--since", "2026-03-02")["runs"] == 1
    assert report(path, "--since", "2026-03-02T10:00:00Z")["runs"] == 1
    assert report(path, "--since", "2026-03-02T11:00")["runs"] == 0
    assert report(path, "--since", "7d")["runs"] == 0


def test_a_name_is_data_never_a_query(report: Report, write: Write) -> None:
    """An event that someone forged cannot change the report's queries."""
    hostile = "x'; DROP TABLE runs; -- \x1b[2J \u202e <script>"
    end = track(f"{hostile} Aborted", hostile, duration_ms=1, step=hostile, reason=hostile)
    path = write("events.jsonl", [*pair(hostile, hostile, error_class=hostile), end])
    answers = report(path)
    assert answers["commands"][0]["command"] == hostile
    assert answers["flows"][0]["flow"] == hostile
    assert answers["flows"][0]["ends"][0]["step"] == hostile


def test_values_of_any_type_are_survived(report: Report, write: Write) -> None:
    """A wrong type in one event costs that value, not the report."""
    values = [None, True, 7, -1, 1e300, "", "x", [], ["a", None], {}, {"a": 1}, "9" * 400]
    messages = []
    for number, value in enumerate(values):
        message = pair(invocation=str(number))[1]
        message["properties"] = dict.fromkeys(message["properties"], value)
        message |= {"timestamp": value, "sentAt": value, "messageId": f"m{number}"}
        messages.append({**message, "context": value})
    sound = pair(invocation="sound")
    answers = report(write("events.jsonl", [*messages, *sound]))
    assert answers["sources"]["bad_lines"] == 0
    assert "acme deploy" in [command["command"] for command in answers["commands"]]


def test_no_number_that_someone_forged_is_fatal(report: Report, write: Write) -> None:
    """Whoever can send an event cannot stop the report, nor change the sums of all others."""
    names = ("delivered_count", "delay_ms", "dropped_count", "max_delay_ms", "queue_age_ms")
    health = track("Telemetry Health", library_version="0.2.0")
    health["properties"] |= dict.fromkeys(names, 7)
    messages = [health, *pair()]
    for index, number in enumerate([2**63 - 1, -(2**63), 10**18, 5e-324, 1e-7, "nan", "inf"]):
        forged = [
            pair("acme forged", invocation=f"{index}")[1],
            track("Telemetry Health", library_version="0.2.0", invocation=f"{index}"),
        ]
        others = () if isinstance(number, float) else (*names, "duration_ms", "dropped")
        for message in forged:
            message["properties"] |= dict.fromkeys(("sample_rate", *others), number)
        messages += forged
    answers = report(write("events.jsonl", messages))
    assert (answers["runs"], answers["sampling"]) == (8, [])
    (row,) = answers["delivery"]["health"]
    assert (row["reports"], row["delivered"], row["mean_delay_ms"]) == (8, 7, 7)


def test_a_time_that_cannot_be_is_no_time(report: Report, write: Write) -> None:
    """A forged or broken clock costs an event its day, not me the report."""
    times = ["290000-01-01T00:00:00Z", "-290000-01-01", "infinity", "2026-02-30T00:00:00Z", "7"]
    forged = [pair(invocation=str(number), at=at)[1] for number, at in enumerate(times)]
    answers = report(write("events.jsonl", [*forged, *pair(at="2026-03-02T23:30:00-01:00")]))
    assert (answers["runs"], answers["days"]) == (6, [{"day": "2026-03-03", "runs": 1, "users": 1}])
    assert (answers["first_day"], answers["last_day"]) == ("2026-03-03", "2026-03-03")


def test_files_of_windows_are_read(report: Report, write: Write) -> None:
    """PowerShell's `>` writes UTF-16, and editors a mark in front of UTF-8: no line is lost."""
    files = []
    for encoding, mark in (("utf-8-sig", ""), ("utf-16-le", "\ufeff"), ("utf-16-be", "\ufeff")):
        path = write(f"{encoding}.jsonl", pair("acme dépl\u2028oy", invocation=encoding))
        text = json.dumps(json.loads(path.read_text().splitlines()[0]), ensure_ascii=False)
        path.write_bytes(f"{mark}{text}\r\n{{}}\r\n".encode(encoding))
        files.append(path)
    answers = report(*files)
    assert (answers["sources"]["messages"], answers["sources"]["bad_lines"]) == (3, 3)
    assert {row["file"] for row in answers["sources"]["bad_files"]} == set(map(str, files))
    assert [row["command"] for row in answers["commands"]] == ["acme dépl\u2028oy"]


def test_json_over_several_lines_is_reported(report: Report, write: Write) -> None:
    """A file that someone made readable is no file of events, and no reason to fail."""
    lines = json.dumps(pair(), indent=1).encode().splitlines()
    sources = report(write("pretty.json", [*lines, *pair()]))["sources"]
    assert (sources["messages"], sources["bad_lines"]) == (2, len(lines))


def test_a_pipe_is_read_whole(report: Report, write: Write) -> None:
    """`report <(aws s3 cp s3://… -)` works, compressed or not."""
    pipes, writers = [], []
    for name in ("events.jsonl", "events.json.gz"):
        path = write(name, pair(invocation=name))
        pipe = path.with_suffix(".pipe")
        os.mkfifo(pipe)
        writers.append(threading.Thread(target=pipe.write_bytes, args=(path.read_bytes(),)))
        writers[-1].start()
        pipes.append(pipe)
    sources = report(*pipes)["sources"]
    for writer in writers:
        writer.join()
    assert (sources["files"], sources["messages"], sources["bad_lines"]) == (2, 4, 0)


def test_a_file_that_breaks_off_is_read_as_far_as_it_goes(report: Report, write: Write) -> None:
    """A copy that was interrupted costs its last lines; the other files are complete."""
    duckdb = pytest.importorskip("duckdb")
    messages = [message for number in range(2000) for message in pair(invocation=str(number))]
    broken = write("broken.json.gz", messages[:2000])
    broken.write_bytes(broken.read_bytes()[:-2000])
    sound = write("sound.json.gz", messages[2000:])
    answers = report(broken, sound)
    assert 1000 < answers["runs"] < 2000
    # DuckDB 1 takes the end of a broken gzip for that of the file.
    noticed = not duckdb.__version__.startswith("1.")
    bad_file = {"file": str(broken), "bad_lines": 1, "incomplete": noticed}
    assert answers["sources"]["bad_files"] == [bad_file]


@pytest.mark.extended
def test_a_line_without_end_costs_itself(report: Report, write: Write) -> None:
    """A file of another kind among the events is no reason to fail, or to take all memory."""
    endless = b'{"type":"track","x":"' + b"x" * 40_000_000
    answers = report(write("events.jsonl", [endless + b'"}', *pair(), endless]))
    assert (answers["runs"], answers["sources"]["bad_lines"]) == (1, 2)


def test_the_delay_is_that_of_events(report: Report, write: Write) -> None:
    """An `identify` is no event, and Segment's tables of events do not contain it either."""
    sent = {"sentAt": "2026-03-01T12:00:09Z"}
    first, second = (message | sent for message in pair(at="2026-03-01T12:00:00Z"))
    identify = {**first, "type": "identify", "messageId": "i", "timestamp": "2026-02-01T12:00:00Z"}
    delivery = report(write("events.jsonl", [first, second, identify]))["delivery"]
    assert (delivery["delays_measured"], delivery["delay_p95_s"]) == (2, 9)


def test_sampled_runs_state_how_many_they_stand_for(report: Report, write: Write) -> None:
    """The report shows that a tenth of the installations sends, and what that means."""
    sampled = [pair(invocation=str(number), sample_rate=0.1)[1] for number in range(5)]
    answers = report(write("events.jsonl", [*sampled, *pair(invocation="all")]))
    assert answers["sampling"] == [
        {"sample_rate": 0.1, "runs": 5, "users": 1, "estimated_runs": 50}
    ]


SCHEMA = {
    "x-commands": {
        "acme deploy": {"description": "Deploy.", "flags": ["dry_run", "region"]},
        "acme login": {"description": "", "flags": ["sso"]},
    },
    "x-flows": {"Sign Up": {"steps": [], "reasons": []}},
}


def test_a_plan_shows_what_is_never_used(report: Report, write: Write) -> None:
    """I see which commands and flags I could remove."""
    plan = write("plan.json", [SCHEMA])
    answers = report("--plan", plan, write("events.jsonl", pair("acme deploy", "region")))
    assert answers["unused_commands"] == ["acme login"]
    assert answers["unused_flags"] == [
        {"command": "acme deploy", "flag": "dry_run"},
        {"command": "acme login", "flag": "sso"},
    ]
    assert [(flow["flow"], flow["started"]) for flow in answers["flows"]] == [("Sign Up", 0)]


@pytest.mark.parametrize("event", ["Backup Completed", "Import Failed"])
def test_an_event_that_only_sounds_like_a_flow_is_none(
    event: str, report: Report, write: Write
) -> None:
    """A timed event, or one that I track myself, is not listed as a flow."""
    timed = track(event, duration_ms=3, succeeded=True)
    own = track(event, sequence=2)
    assert report(write("events.jsonl", [timed, own]))["flows"] == []


def test_json_is_complete_and_valid(report: Report, write: Write) -> None:
    """Another program can rely on the keys, also if there is nothing to report."""
    empty, full = report(write("empty", [])), report(write("full", simulate(3, range(3))))
    assert empty.keys() == full.keys()
    assert (empty["runs"], empty["commands"], empty["flows"]) == (0, [], [])
    assert full == json.loads(json.dumps(full, allow_nan=False))
