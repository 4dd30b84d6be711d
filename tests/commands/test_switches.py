"""The list of switches: complete, in the order in which they count, and true to the decision."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from click_telemetry.commands.application import Application
from click_telemetry.commands.destinations import Destination
from click_telemetry.commands.switches import NO, SILENT, YES, Switch, switches, winner
from click_telemetry.privacy.consent import LOG, NOTHING, SEND, decide
from click_telemetry.privacy.reasons import REASONS

VARIABLES = (
    *("DO_NOT_TRACK", "NO_ANALYTICS", "CLICK_TELEMETRY_OFF"),
    *("ACME_NO_TELEMETRY", "ACME_TELEMETRY"),
)
QUIET: dict[str, Any] = {
    "choice": "none",
    "foreign_user": False,
    "test_run": False,
    "ci": False,
    "watched": False,
    "client": False,
    "write_key": True,
    "storable": True,
    "opt_in": False,
    "notice_shown": True,
}


def application(
    environ: dict[str, str] | None = None, *, flag: bool = False, **facts: Any
) -> Application:
    """An application of which nothing is the case but what is given."""
    environ = environ or {}
    found = SimpleNamespace(**{**QUIET, **facts}, environ=environ)
    settings = SimpleNamespace(app="acme", app_known=True, variable_prefix="ACME", notice=True)
    decision = decide(environ, "ACME", flag=flag, look=lambda: cast(Any, found))
    known = [Destination("/spool", "https://events.example", "key", False)]
    return Application(
        cast(Any, settings), cast(Any, found), decision, flag, "acme telemetry", known
    )


def by_key(told: Application) -> dict[str, Switch]:
    return {switch.key: switch for switch in switches(told)}


def test_with_nothing_said_every_switch_is_silent() -> None:
    """Fourteen of them, and none decides."""
    told = application()
    assert [(switch.key, switch.value, switch.says) for switch in switches(told)] == [
        ("flag", None, SILENT),
        *((name, None, SILENT) for name in VARIABLES),
        ("choice", "none", SILENT),
        ("foreign_user", "yourself", SILENT),
        ("test_run", "none", SILENT),
        ("ci", "none", SILENT),
        ("no_write_key", "https://events.example", SILENT),
        ("not_storable", "can be used", SILENT),
        ("not_opted_in", "no", SILENT),
        ("notice_not_shown", "shown", SILENT),
    ]
    assert (told.decision.mode, winner(told)) == (SEND, "")


def test_every_reason_has_a_switch() -> None:
    """Whatever decides, `status --why` has a line for it; an excluded command is not this one."""
    reasons = set(REASONS) - {"variable", "excluded", "unreadable_choice"}
    assert reasons <= set(by_key(application()))
    assert "unreadable_choice" in by_key(application(choice="unreadable"))


@pytest.mark.parametrize("name", VARIABLES[:4])
@pytest.mark.parametrize(
    ("value", "says"),
    [
        *((value, NO) for value in ("1", "true", "TRUE", "yes", "on", "2", "anything", " 1 ", "-")),
        *((value, SILENT) for value in ("", "0", "false", "False", "no", "NO", "off", " off ")),
    ],
)
def test_the_variables_of_a_no_have_one_grammar(name: str, value: str, says: str) -> None:
    """Set and not one of empty, 0, false, no, off: that is a no."""
    told = application({name: value})
    assert by_key(told)[name] == Switch(name, name, value, says)
    assert told.decision.mode == (NOTHING if says == NO else SEND)
    assert winner(told) == (name if says == NO else "")


@pytest.mark.parametrize(
    ("value", "says"),
    [
        *((value, SILENT) for value in ("1", "true", "True", "yes", "on", " ON ")),
        *((value, LOG) for value in ("log", "LOG", " log ")),
        *((value, NO) for value in ("", "0", "false", "no", "off", "2", "logs", "disabled", " ")),
    ],
)
def test_the_application_s_own_variable_is_closed_to_what_it_does_not_know(
    value: str, says: str
) -> None:
    """1, true, yes, on have no opinion; log shows; whatever else there is, empty too, is a no."""
    told = application({"ACME_TELEMETRY": value})
    assert by_key(told)["ACME_TELEMETRY"].says == says
    assert told.decision.mode == {NO: NOTHING, LOG: LOG, SILENT: SEND}[says]


@pytest.mark.parametrize(
    ("facts", "key", "value"),
    [
        ({"choice": "disabled"}, "choice", "disabled"),
        ({"choice": "unreadable"}, "unreadable_choice", "cannot be read"),
        ({"test_run": True}, "test_run", "in this process"),
        ({"write_key": False}, "no_write_key", "none: no write key"),
        ({"storable": False}, "not_storable", "cannot be used"),
        ({"opt_in": True}, "not_opted_in", "yes, and nobody has enabled it"),
        ({"notice_shown": False}, "notice_not_shown", "not shown yet"),
    ],
)
def test_each_circumstance_says_no_in_its_own_words(
    facts: dict[str, Any], key: str, value: str
) -> None:
    """And is the one that decides where it stands alone."""
    told = application(**facts)
    found = by_key(told)[key]
    assert (found.value, found.says) == (value, NO)
    assert winner(told) == key


def test_a_stored_yes_lifts_the_notice_and_the_question() -> None:
    """Who has enabled it need not be told or asked, and it is a yes in the list."""
    told = application(choice="enabled", opt_in=True, notice_shown=False)
    found = by_key(told)
    assert found["choice"].says == YES
    assert found["not_opted_in"].value == "yes, and it was enabled"
    assert found["notice_not_shown"].value == "needless: it was enabled"
    assert told.decision.mode == SEND


def test_the_ci_service_is_named() -> None:
    """Which variable made it think so."""
    told = application({"GITHUB_ACTIONS": "true", "CI": "1"}, ci=True)
    assert by_key(told)["ci"] == Switch("ci", "CI", "CI, GITHUB_ACTIONS", NO)
    labelled = application({"CI": "1"}, ci=False)
    assert by_key(labelled)["ci"].value == "CI (recorded, and labelled)"


BOOLEANS = ("foreign_user", "test_run", "ci", "storable", "opt_in", "notice_shown")


@given(
    flag=st.booleans(),
    values=st.fixed_dictionaries(
        {}, optional={n: st.sampled_from(["", "0", "1", "off", "log", "x"]) for n in VARIABLES}
    ),
    choice=st.sampled_from(["none", "enabled", "disabled", "unreadable"]),
    facts=st.fixed_dictionaries({name: st.booleans() for name in BOOLEANS}),
    key=st.booleans(),
)
def test_the_first_no_of_the_list_is_the_one_that_decides(
    flag: bool, values: dict[str, str], choice: str, facts: dict[str, bool], key: bool
) -> None:
    """Over every combination: the list and the decision never disagree."""
    told = application(values, flag=flag, choice=choice, write_key=key, **facts)
    said = [switch.key for switch in switches(told) if switch.says == NO]
    if told.decision.mode == NOTHING:
        assert said[0] == winner(told)
    elif told.decision.mode == SEND:
        assert said == []
    else:
        persons = {"flag", *VARIABLES, "choice", "unreadable_choice", "foreign_user"}
        assert not persons & set(said)


def test_every_pair_of_switches_keeps_the_order() -> None:
    """Of two that say no, the earlier one is the reason that is shown."""
    noes: list[tuple[str, dict[str, Any]]] = [
        ("flag", {"flag": True}),
        *((name, {"environ": {name: "1"}}) for name in VARIABLES[:4]),
        ("ACME_TELEMETRY", {"environ": {"ACME_TELEMETRY": "0"}}),
        ("choice", {"choice": "disabled"}),
        ("foreign_user", {"foreign_user": True}),
        ("test_run", {"test_run": True}),
        ("ci", {"ci": True}),
        ("no_write_key", {"write_key": False}),
        ("not_storable", {"storable": False}),
        ("not_opted_in", {"opt_in": True}),
        ("notice_not_shown", {"notice_shown": False}),
    ]  # fmt: skip
    for (first, one), (_, other) in itertools.combinations(noes, 2):
        environ = {**one.get("environ", {}), **other.get("environ", {})}
        told = application(**{**one, **other, "environ": environ})
        assert winner(told) == first
