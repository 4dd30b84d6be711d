"""Reasons, fixes and notes: every one, made of what was found in an application."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from click_telemetry._doctor import trial as sender_trial
from click_telemetry._doctor.channel import ORDER as ORDER_FILE
from click_telemetry._doctor.command import _order
from click_telemetry._doctor.diagnosis import Evidence, diagnose, diagnosis_of, outside_watch
from click_telemetry._doctor.page import as_json, print_page
from click_telemetry._doctor.reasons import ORDER
from click_telemetry._foreground.consent import REASONS
from click_telemetry._tools.child import CannotStart
from click_telemetry.destinations import File

from ..harness.pages import page
from ..harness.processes import REPOSITORY
from ..harness.setups import ANSWERS, stable

PAGE = page("docs/doctor.md")
DESTINATION = {
    "directory": "/home/me/state/spool/0",
    "delivered": 4,
    "rejected": 0,
    "dropped": 0,
    "failures": 0,
    "failed_at": None,
    "last_error": None,
    "not_before": None,
    "messages": 0,
}


def examination(mode: str = "send", switches: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """What is found in an application that lacks nothing, but for what is given."""
    status: dict[str, Any] = {
        "mode": mode,
        "reason": switches[0] if switches else None,
        "switches": [{"key": key, "value": "1", "effect": "off"} for key in switches],
        "setting_problem": None,
        "paths": {"setting": "/home/me/.config/acme/telemetry.json", "state": "/home/me/state"},
        "destinations": [{**DESTINATION, **more.pop("destination", {})}],
        "queue": {"files": 0, "messages": 0, "oldest": None},
    }
    return {
        "app": "acme",
        "prefix": "ACME",
        "group": "",
        "command": "acme deploy",
        "excluded": False,
        "opted_out": "",
        "home": "/home/me",
        "status": status,
        "log": False,
        "spool": DESTINATION["directory"],
        "host": "https://events.example.com",
        "client": False,
        "test_double": False,
        "declared": {
            "app": True,
            "write_key": True,
            "auth": False,
            "host": False,
            "origin": True,
            "delivery": more.pop("delivery", "detached"),
            "flush_timeout": 1.0,
            "sample": more.pop("sample", None),
        },
        "directories": [],
        "storage_problem": "",
        "lock_problem": "",
        "versions": {"python": "3", "click": "8", "click_telemetry": "1", "app": "2.1.0"},
        "commands": [],
        "roots": [],
        "production": {**status, "switches": [], "mode": "send"},
        **more,
    }


def root(command: str, *, ran: bool = True, nested: bool = False) -> dict[str, Any]:
    """An instrumented command, as `declared_roots` reports it."""
    return {"app": "acme", "command": command, "ran": ran, "nested": nested}


def reasons(found: dict[str, Any], trial: dict[str, Any] | None = None) -> list[str]:
    return [one.reason for one in diagnose(found, trial).reasons]


@pytest.mark.parametrize("reason", [*REASONS])
def test_every_reason_of_consent_has_a_detail_and_a_fix(reason: str) -> None:
    """A new reason cannot be forgotten."""
    key = "DO_NOT_TRACK" if reason == "variable" else reason
    found = examination("off", (key,)) if key != "excluded" else examination(excluded=True)
    one = diagnose(found).reasons[0]
    assert one.reason == reason
    assert one.detail
    assert one.fix.endswith(".")


@pytest.mark.parametrize(
    ("found", "trial", "expected"),
    [
        (examination(), None, []),
        (examination("client"), None, []),
        (examination("client", test_double=True), None, ["test_double"]),
        (examination(log=True), None, ["log"]),
        (examination("off", ("ci",), log=True), None, ["ci", "log"]),
        (
            examination(log=True, destination={"failures": 1, "last_error": "http_503"}),
            None,
            ["log", "delivery_failed"],
        ),
        (
            examination("off", ("ci", "DO_NOT_TRACK", "NO_ANALYTICS")),
            None,
            ["variable"] * 2 + ["ci"],
        ),
        (examination(storage_problem="/x is read-only"), None, ["not_storable"]),
        (
            examination("off", ("not_storable",), storage_problem="/x is read-only"),
            None,
            ["not_storable"],
        ),
        (examination(lock_problem="/x/lock: Is a directory"), None, ["no_locks"]),
        (examination(), {"client": "ImportError: segment"}, ["sender_failed"]),
        (examination(), {"client": "", "connection": {"error": "SSLError"}}, ["unreachable"]),
        (examination(), {"client": "", "connection": {"status": 404, "milliseconds": 3}}, []),
        (
            examination(destination={"failures": 1, "last_error": "http_503"}),
            None,
            ["delivery_failed"],
        ),
        (examination(destination={"last_error": "http_503"}), None, []),  # it works again
        (
            examination(destination={"failures": 1, "last_error": "extra_otlp"}),
            {"client": "it is missing", "error": "extra_otlp"},
            ["sender_failed"],
        ),
        (
            examination(destination={"failures": 1, "last_error": "file_EACCES"}),
            {"client": "", "connection": {"error": "file_EACCES"}},
            ["unreachable"],
        ),
        (  # it was installed meanwhile
            examination(destination={"failures": 1, "last_error": "extra_otlp"}),
            {"client": "", "error": ""},
            [],
        ),
        (
            examination(destination={"failures": 1, "last_error": "http_401", "directory": "/x"}),
            None,
            [],  # of another destination, such as that of signed-in users
        ),
        (examination("off", opted_out="setting"), None, ["setting"]),
        (examination("off", ("flag",), opted_out="flag"), None, ["flag"]),
    ],
)
def test_what_was_found_gives_these_reasons(
    found: dict[str, Any], trial: dict[str, Any] | None, expected: list[str]
) -> None:
    """All of them, in their order, each once."""
    assert reasons(found, trial) == expected


@pytest.mark.parametrize(
    ("error", "everywhere"),
    [
        *(("http_401", True), ("http_404", True), ("http_307", True), ("extra_otlp", True)),
        *(("http_503", False), ("ConnectionError", False)),
    ],
)
def test_a_rejected_key_is_rejected_in_production_too(error: str, everywhere: bool) -> None:
    """A network that fails here does not fail everywhere."""
    found = diagnose(examination(destination={"failures": 1, "last_error": error}))
    assert found.production is not None
    assert bool(found.production) is everywhere


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("new/folder/events.jsonl", None),
        ("events.jsonl", None),
        ("events.jsonl/events.jsonl", "file_ENOTDIR"),
        ("folder", "file_unusable"),
        ("link.jsonl", "file_ELOOP"),
        ("fifo", "file_unusable"),
    ],
)
def test_file_that_cannot_be_written_is_found_before_the_first_event(
    name: str, error: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the sender's own words; nothing is made."""
    (tmp_path / "events.jsonl").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.jsonl").symlink_to("events.jsonl")
    os.mkfifo(tmp_path / "fifo")
    before = sorted(tmp_path.rglob("*"))
    declared = File(str(tmp_path / name))
    sender_trial.main({"host": declared.host, "transport": {"class": declared.transport}})
    found = json.loads(capsys.readouterr().out)
    assert (found["client"], found["connection"].get("error")) == ("", error)
    assert sorted(tmp_path.rglob("*")) == before


def test_transport_that_cannot_be_imported_is_one_reason_everywhere() -> None:
    """The application's own code is the same on its users' machines."""
    found = examination(
        destination={"failures": 1, "last_error": "AttributeError"},
        host="custom:acme.telemetry:Transprt",
        transport={"class": "acme.telemetry:Transprt", "package": ["/src/acme"]},
    )
    trial = {"client": "AttributeError: no attribute 'Transprt'", "error": "AttributeError"}
    (reason,) = diagnose(found, trial).reasons
    assert (reason.reason, diagnose(found, trial).production) == ("sender_failed", [reason])
    assert reason.fix.startswith("Check the class acme.telemetry:Transprt")


def test_missing_extra_is_a_reason_in_production_and_outside_watch() -> None:
    """What an application does not depend on is not on its users' machines."""
    trial = {"client": "a package of the extra [otlp] is missing", "error": "extra_otlp"}
    found = diagnose(examination(), trial)
    assert found.production == found.reasons
    assert "pip install 'click-telemetry[otlp]'" in found.reasons[0].fix
    assert outside_watch(examination(), trial).startswith("Outside watch: acme would send nothing")


@pytest.mark.parametrize(
    ("error", "fix"),
    [
        ("http_302", "Check host=: https://events.example.com must answer"),
        ("SSLError", "Set REQUESTS_CA_BUNDLE to"),  # requests reads no SSL_CERT_FILE
    ],
)
def test_fix_of_a_failed_delivery_fits_its_error(error: str, fix: str) -> None:
    """It names what a person can change."""
    found = diagnose(examination(destination={"failures": 1, "last_error": error}))
    assert found.reasons[0].fix.startswith(fix)


def test_nothing_is_started_where_no_command_would_stop(tmp_path: Path) -> None:
    """On a disk without rights of its own, my command would do its work."""
    tmp_path.chmod(0o777)
    with (
        pytest.raises(CannotStart, match="set TMPDIR to a local disk"),
        _order(str(tmp_path), False),
    ):
        raise AssertionError
    tmp_path.chmod(0o700)
    (tmp_path / ORDER_FILE).unlink()
    with _order(str(tmp_path), False):
        pass


def test_production_is_not_this_machine() -> None:
    """What is wrong with this process, its home and its trial is no reason elsewhere."""
    found = examination("off", ("test_run", "other_user"), lock_problem="/x: No locks available")
    found["production"] |= {"mode": "off", "switches": found["status"]["switches"]}
    diagnosis = diagnose(found, {"client": "ImportError"})
    assert len(diagnosis.reasons) == 4
    assert diagnosis.production == []


@pytest.mark.parametrize(
    ("found", "roots", "events", "expected"),
    [
        (examination(commands=[{"command": "acme up", "package": "up"}]), [], [], "masked_command"),
        (examination(commands=[{"command": "acme db", "nested": True}]), [], [], "nested_group"),
        (examination(), [root("a"), root("b")], [], "same_name"),
        (examination(versions={"app": None}), [], [], "no_version"),
        (examination(destination={"messages": 3}, delivery="inline"), [], [], "inline_timeout"),
        (examination(sample=0.25), [], [], "sampled"),
        (examination(key_variables=["ACME_KEY"]), [], [], "key_from_variable"),
        (examination(), [], ["Invoice Exported"], "undeclared_event"),
    ],
)
def test_what_a_maintainer_should_know_is_noted(
    found: dict[str, Any], roots: list[dict[str, Any]], events: list[str], expected: str
) -> None:
    """It is no reason: the events are sent."""
    diagnosis = diagnose(found, None, roots, events)
    assert [note.note for note in diagnosis.notes] == [expected]
    assert diagnosis.would_send
    assert expected in PAGE.section("Notes")


def test_a_token_without_a_host_is_not_taken_for_a_missing_one() -> None:
    """With auth= alone, nothing is sent of signed-in users, whatever the token is."""
    found = examination("off", ("no_destination",))
    declared = {**found["declared"], "auth": True}
    (reason,) = diagnose({**found, "declared": declared}).reasons
    assert (reason.detail[:29], reason.fix[:12]) == (
        "auth= is declared without hos",
        "Declare host",
    )
    (reason,) = diagnose({**found, "declared": {**declared, "host": True}}).reasons
    assert reason.detail == "auth= returned no valid token, and there is no write key"


def test_what_is_dropped_is_noted_with_its_fix() -> None:
    """The sentence that raises in a test, as a detail and a fix."""
    problems = [
        "track('Bad'): every event has the property 'command' already: rename it",
        "the property 'x' is dropped: its text has 9,000 characters; record a word",
    ]
    assert diagnose(examination(), problems=problems).notes == [
        ("dropped", "track('Bad'): every event has the property 'command' already", "Rename it."),
        ("dropped", "the property 'x' is dropped: its text has 9,000 characters", "Record a word."),
    ]


def test_a_second_application_is_noted() -> None:
    """Its reasons are its own."""
    evidence = Evidence(["sh"], 0, [examination(), examination(app="beta")])
    assert [note.note for note in diagnosis_of(evidence, None).notes] == ["other_application"]
    assert "other_application" in PAGE.section("Notes")


def test_a_script_may_run_one_application_twice() -> None:
    """The same program in two processes is no second application."""
    one = examination(roots=[root("cli")])
    assert diagnosis_of(Evidence(["sh"], 0, [one, one]), None).notes == []


def test_a_nested_group_of_the_same_name_is_one_problem() -> None:
    """It is not reported as a second application too."""
    found = examination(commands=[{"command": "acme db", "nested": True}])
    roots = [root("cli"), root("database", nested=True)]
    assert [note.note for note in diagnose(found, None, roots).notes] == ["nested_group"]


def test_foreign_text_cannot_control_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither an application's name nor a path can move the cursor."""
    evil = "a\x1b[2J"
    found = examination(
        "off",
        ("ci", evil),
        app=evil,
        command=evil,
        host=evil,
        lock_problem=f"/{evil}: {evil}",
        storage_problem=f"/{evil} {evil}",
        commands=[{"command": evil, "package": evil}],
        directories=[{"name": "state", "path": evil, "mode": "0700"}],
        destination={"failures": 1, "last_error": evil},
    )
    trial = {"client": evil, "connection": {"error": evil}, "cost": None}
    evidence = Evidence([evil], 0, [found])
    print_page(diagnosis_of(evidence, trial), evidence, trial)
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_line_is_wider_than_the_terminal(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long sentences are wrapped below their beginning."""
    monkeypatch.setenv("COLUMNS", str(width))
    evidence = Evidence(["acme"], 0, [examination("off", tuple(REASONS))])
    print_page(diagnosis_of(evidence, None), evidence, None)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= min(width, 100)


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (examination(), "Outside watch: acme sends to https://events.example.com."),
        (
            examination("client", client=True),
            "Outside watch: acme passes its events to its own client.",
        ),
        (
            {"app": "acme", "failed": "KeyError"},
            "Outside watch: unknown, since the examination of acme failed (KeyError).",
        ),
        (
            examination("off", ("CI", "ci")),
            "Outside watch: acme would send nothing, since CI=1 opts out (fix: Run `unset CI`); a "
            "CI service runs the command (1) (fix: To record runs in CI, with a label, declare "
            'ci="label").',
        ),
    ],
)
def test_watch_states_what_happens_without_it(found: dict[str, Any], sentence: str) -> None:
    """One line, with every reason and its fix."""
    assert outside_watch(found) == sentence


# The page -----------------------------------------------------------------------------------------


def test_the_page_lists_every_note() -> None:
    """With its fix."""
    notes = PAGE.table_names("| note | when | fix |")
    source = (REPOSITORY / "click_telemetry/_doctor/diagnosis.py").read_text(encoding="utf-8")
    assert {*notes} == {*re.findall(r'Note\(\s*"(\w+)"', source)}


def test_the_page_lists_every_reason() -> None:
    """In the order in which doctor shows them."""
    assert PAGE.table_names("| reason | when | fix |") == [*ORDER]


@pytest.mark.parametrize(
    "found",
    [
        Evidence(["acme"], 127, problem="acme was not found."),
        Evidence(["acme"], 0, [{"app": "acme", "failed": "ValueError"}]),
        Evidence(["sudo"], 0, [{"app": "acme", "status": {}}]),
        Evidence(["acme"], 2, [{"roots": [root("cli")]}]),
        Evidence(["acme"], 0, [{"roots": [root("cli")]}]),
        Evidence(["acme"], 0, [{"roots": [root("cli", ran=False)]}]),
        Evidence(["acme"], 1),
        Evidence(["acme"], 0),
    ],
)
def test_what_is_unknown_has_a_reason_of_the_page(found: Evidence) -> None:
    """Each has a fix, and is in the second table."""
    diagnosis = diagnosis_of(found, None)
    assert (diagnosis.known, diagnosis.would_send) == (False, False)
    (reason,) = diagnosis.reasons
    assert reason.fix
    assert f"| `{reason.reason}` |" in PAGE.text
    assert as_json(diagnosis, found, None)["known"] is False


def test_the_example_of_the_page_is_an_answer() -> None:
    """What the page shows is what doctor prints for that set-up."""
    example = PAGE.blocks("text")[0]
    assert "\n" + stable(example) == (ANSWERS / "key-none.txt").read_text()
