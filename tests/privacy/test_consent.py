"""Whether a run may be recorded: any no wins, and the first in the order is the reason shown."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from click_telemetry.privacy.consent import (
    CLIENT,
    LOG,
    NOTHING,
    SEND,
    WATCH,
    Decision,
    decide,
    refused,
)
from click_telemetry.privacy.reasons import REASONS

if TYPE_CHECKING:
    from click_telemetry.privacy.consent import Facts

if TYPE_CHECKING:
    from click_telemetry.privacy.consent import Facts

FAVOURABLE: dict[str, Any] = {
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
"""A run that may be sent."""


class World:
    """What is the case: favourable, but for what a test says. Notes what it was asked."""

    choice: str
    foreign_user: bool
    test_run: bool
    ci: bool
    watched: bool
    client: bool
    write_key: bool
    storable: bool
    opt_in: bool
    notice_shown: bool

    def __init__(self, **facts: Any) -> None:
        self.facts = {**FAVOURABLE, **facts}
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name not in FAVOURABLE:
            raise AttributeError(name)
        self.asked.append(name)
        return self.facts[name]


def decision(
    environ: dict[str, str] | None = None, *, flag: bool = False, **facts: Any
) -> Decision:
    world: Facts = World(**facts)
    return decide(environ or {}, "ACME", flag=flag, look=lambda: world)


def never() -> Facts:
    raise AssertionError("the world was asked, though the answer was known")


Case = tuple[str, dict[str, str], dict[str, Any]]

REFUSALS: list[Case] = [
    ("flag", {}, {"flag": True}),
    ("variable DO_NOT_TRACK", {"DO_NOT_TRACK": "1"}, {}),
    ("variable NO_ANALYTICS", {"NO_ANALYTICS": "1"}, {}),
    ("variable ACME_NO_TELEMETRY", {"ACME_NO_TELEMETRY": "1"}, {}),
    ("variable ACME_TELEMETRY", {"ACME_TELEMETRY": "0"}, {}),
    ("choice", {}, {"choice": "disabled"}),
    ("unreadable_choice", {}, {"choice": "unreadable"}),
    ("foreign_user", {}, {"foreign_user": True}),
]
"""A person's no, in the order in which it is shown."""

CIRCUMSTANCES: list[Case] = [
    ("test_run", {}, {"test_run": True}),
    ("ci", {}, {"ci": True}),
    ("no_write_key", {}, {"write_key": False}),
    ("not_storable", {}, {"storable": False}),
    ("not_opted_in", {}, {"opt_in": True}),
    ("notice_not_shown", {}, {"notice_shown": False}),
]
"""What merely is the case, in the order in which it is shown."""

LIFTED: list[Case] = [
    (LOG, {"ACME_TELEMETRY": "log"}, {}),
    (CLIENT, {}, {"client": True}),
    (WATCH, {}, {"watched": True}),
]
"""What asks for events all the same, in order."""


def nothing(reason: str) -> Decision:
    """The decision for a reason; a variable's carries its name."""
    reason, _, detail = reason.partition(" ")
    return Decision(NOTHING, reason, detail)


def test_a_person_who_was_told_and_did_not_refuse_is_recorded() -> None:
    """Opt-out: nothing stands against it, so events are sent."""
    assert decision() == Decision(SEND)


@pytest.mark.parametrize(("reason", "environ", "facts"), REFUSALS + CIRCUMSTANCES)
def test_each_reason_alone_is_enough(
    reason: str, environ: dict[str, str], facts: dict[str, Any]
) -> None:
    """One no is a no."""
    assert decision(environ, **facts) == nothing(reason)


PAIRS = [
    (first, second)
    for first, second in combinations(REFUSALS + CIRCUMSTANCES, 2)
    if (first[0], second[0]) != ("choice", "unreadable_choice")  # one file has one state
]


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_of_two_reasons_the_earlier_is_shown(first: Case, second: Case) -> None:
    """A person's no comes before what merely is the case, always in the same order."""
    found = decision({**second[1], **first[1]}, **{**second[2], **first[2]})
    assert found == nothing(first[0])


@pytest.mark.parametrize("lifts", LIFTED, ids=lambda case: case[0])
@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda case: case[0])
def test_nothing_turns_telemetry_on_over_a_person_s_no(refusal: Case, lifts: Case) -> None:
    """No variable, no watcher and no client of the application's own undoes what I said."""
    environ = {**lifts[1], **refusal[1]}
    assert decision(environ, **{**lifts[2], **refusal[2]}) == nothing(refusal[0])


@pytest.mark.parametrize("lifts", LIFTED, ids=lambda case: case[0])
@pytest.mark.parametrize("circumstance", CIRCUMSTANCES, ids=lambda case: case[0])
def test_log_client_and_watch_lift_every_circumstance(circumstance: Case, lifts: Case) -> None:
    """A maintainer sees events in a test run, in CI, without a key and before any notice."""
    found = decision(lifts[1], **{**circumstance[2], **lifts[2]})
    assert found == Decision(lifts[0])


@pytest.mark.parametrize(("first", "second"), list(combinations(LIFTED, 2)))
def test_log_wins_over_a_client_and_a_client_over_watch(first: Case, second: Case) -> None:
    """Who asks to see messages sees them, and nobody gets them twice."""
    found = decision({**second[1], **first[1]}, **{**second[2], **first[2]})
    assert found == Decision(first[0])


@pytest.mark.parametrize("opt_in", [True, False])
@pytest.mark.parametrize("shown", [True, False])
def test_who_enabled_telemetry_needs_no_notice(opt_in: bool, shown: bool) -> None:
    """A stored yes is consent, whichever way the application asks."""
    assert decision(choice="enabled", opt_in=opt_in, notice_shown=shown) == Decision(SEND)


@pytest.mark.parametrize("shown", [True, False])
def test_an_opt_in_application_records_nothing_before_a_person_says_yes(shown: bool) -> None:
    """A notice that was read is no answer."""
    assert decision(opt_in=True, notice_shown=shown) == nothing("not_opted_in")


@pytest.mark.parametrize(("reason", "environ", "facts"), CIRCUMSTANCES)
def test_an_enabled_choice_does_not_lift_a_circumstance(
    reason: str, environ: dict[str, str], facts: dict[str, Any]
) -> None:
    """My yes is for my own runs, not for my test suite or my build server."""
    expected = decision(environ, **{**facts, "choice": "enabled"})
    if reason in ("not_opted_in", "notice_not_shown"):
        assert expected == Decision(SEND)
    else:
        assert expected == nothing(reason)


FALSE = ["", "0", "false", "no", "off"]
TRUE = ["1", "true", "yes", "on"]


def spellings(words: list[str]) -> list[str]:
    return [
        variant
        for word in words
        for variant in (word, word.upper(), word.title(), f"  {word}\t", f"{word}\n")
    ]


@pytest.mark.parametrize("variable", ["DO_NOT_TRACK", "NO_ANALYTICS", "ACME_NO_TELEMETRY"])
@pytest.mark.parametrize("value", spellings(FALSE))
def test_a_no_variable_that_says_false_is_no_opinion(variable: str, value: str) -> None:
    """`DO_NOT_TRACK=0` and an empty one mean what they say (consoledonottrack.com)."""
    assert refused({variable: value}, "ACME", flag=False) is None


@pytest.mark.parametrize("variable", ["DO_NOT_TRACK", "NO_ANALYTICS", "ACME_NO_TELEMETRY"])
@pytest.mark.parametrize(
    "value", [*spellings(TRUE), "2", "-1", "00", "nope", "falsch", "\x00", "\u217cog"]
)
def test_a_no_variable_with_any_other_value_is_a_no(variable: str, value: str) -> None:
    """Whoever sets it to something means it, whatever they wrote."""
    assert refused({variable: value}, "ACME", flag=False) == Decision(NOTHING, "variable", variable)


@pytest.mark.parametrize("value", spellings([*TRUE, "log"]))
def test_the_telemetry_variable_has_no_opinion_when_it_says_yes_or_log(value: str) -> None:
    """`ACME_TELEMETRY=1` neither refuses nor consents; `log` asks to see."""
    assert refused({"ACME_TELEMETRY": value}, "ACME", flag=False) is None
    assert refused({}, "ACME", flag=False) is None


@pytest.mark.parametrize(
    "value",
    [*spellings(FALSE), "2", "logs", "enabled", "disabled", "y", "n", "none", "\x00", "\u217cog"],
)
def test_the_telemetry_variable_says_no_with_anything_else(value: str) -> None:
    """What is not understood is a no, the empty string too."""
    expected = Decision(NOTHING, "variable", "ACME_TELEMETRY")
    assert refused({"ACME_TELEMETRY": value}, "ACME", flag=False) == expected


@pytest.mark.parametrize("value", spellings(["log"]))
def test_every_spelling_of_log_is_log_mode(value: str) -> None:
    """`ACME_TELEMETRY=LOG` is log mode."""
    assert decision({"ACME_TELEMETRY": value}) == Decision(LOG)


@pytest.mark.parametrize(
    "environ",
    [
        {"OTHER_NO_TELEMETRY": "1"},
        {"NO_TELEMETRY": "1"},
        {"acme_no_telemetry": "1"},
        {"ACME_CLI_NO_TELEMETRY": "1"},
        {"OTHER_TELEMETRY": "0"},
        {"TELEMETRY": "0"},
    ],
)
def test_another_application_s_variable_is_no_answer(environ: dict[str, str]) -> None:
    """Each application listens to its own name."""
    assert decision(environ) == Decision(SEND)


@pytest.mark.parametrize(("reason", "environ", "facts"), REFUSALS[:5])
def test_nothing_is_looked_up_once_a_variable_or_the_flag_has_answered(
    reason: str, environ: dict[str, str], facts: dict[str, Any]
) -> None:
    """My no costs nothing: no file is read to hear it."""
    found = decide(environ, "ACME", flag=facts.get("flag", False), look=never)
    assert found == nothing(reason)
    assert refused(environ, "ACME", flag=facts.get("flag", False)) == found


def test_facts_are_asked_in_order_and_no_further_than_the_answer() -> None:
    """The disk is not asked whether it could store what will not be recorded."""
    world = World(ci=True)
    decide({}, "ACME", flag=False, look=lambda: world)
    assert list(dict.fromkeys(world.asked)) == [
        "choice",
        "foreign_user",
        "client",
        "watched",
        "test_run",
        "ci",
    ]


def test_facts_are_looked_up_once() -> None:
    """One decision sees one world."""
    looked: list[World] = []

    def look() -> Facts:
        looked.append(World())
        return looked[-1]

    decide({}, "ACME", flag=False, look=look)
    assert len(looked) == 1


WORLDS = st.fixed_dictionaries(
    {
        "choice": st.sampled_from(["none", "enabled", "disabled", "unreadable"]),
        **{name: st.booleans() for name in FAVOURABLE if name != "choice"},
    }
)
VALUES = st.sampled_from([*FALSE, *TRUE, "log", " LOG ", "2", "junk"])
ENVIRONMENTS = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("DO_NOT_TRACK", "NO_ANALYTICS", "ACME_NO_TELEMETRY", "ACME_TELEMETRY"), VALUES
    ),
)


def by_the_book(environ: dict[str, str], flag: bool, world: dict[str, Any]) -> Decision:
    """The rules once more, as the README tells them: a list of sentences, the first true one."""

    def says(name: str) -> str | None:
        return environ[name].strip().lower() if name in environ else None

    telemetry = says("ACME_TELEMETRY")
    enabled = world["choice"] == "enabled"
    sentences: list[tuple[bool, Decision]] = [(flag, Decision(NOTHING, "flag"))]
    for name in ("DO_NOT_TRACK", "NO_ANALYTICS", "ACME_NO_TELEMETRY"):
        refuses = says(name) not in (None, *FALSE)
        sentences.append((refuses, Decision(NOTHING, "variable", name)))
    understood = telemetry in (None, "log", *TRUE)
    sentences += [
        (not understood, Decision(NOTHING, "variable", "ACME_TELEMETRY")),
        (world["choice"] == "disabled", Decision(NOTHING, "choice")),
        (world["choice"] == "unreadable", Decision(NOTHING, "unreadable_choice")),
        (world["foreign_user"], Decision(NOTHING, "foreign_user")),
        (telemetry == "log", Decision(LOG)),
        (world["client"], Decision(CLIENT)),
        (world["watched"], Decision(WATCH)),
        (world["test_run"], Decision(NOTHING, "test_run")),
        (world["ci"], Decision(NOTHING, "ci")),
        (not world["write_key"], Decision(NOTHING, "no_write_key")),
        (not world["storable"], Decision(NOTHING, "not_storable")),
        (world["opt_in"] and not enabled, Decision(NOTHING, "not_opted_in")),
        (not world["notice_shown"] and not enabled, Decision(NOTHING, "notice_not_shown")),
        (True, Decision(SEND)),
    ]
    return next(decided for holds, decided in sentences if holds)


@given(ENVIRONMENTS, st.booleans(), WORLDS)
def test_every_decision_is_the_first_sentence_that_holds(
    environ: dict[str, str], flag: bool, world: dict[str, Any]
) -> None:
    """Whatever comes together, the rules decide as they are written down."""
    assert decision(environ, flag=flag, **world) == by_the_book(environ, flag, world)


@given(st.dictionaries(st.text(max_size=20), st.text(st.characters(exclude_categories=()))))
def test_no_environment_makes_a_decision_raise(environ: dict[str, str]) -> None:
    """Whatever stands in my environment, my command runs."""
    assert decision({**environ, "ACME_TELEMETRY": next(iter(environ.values()), "")}).mode in (
        SEND,
        LOG,
        NOTHING,
    )


def test_the_names_of_the_modes_never_change() -> None:
    """`watch` and `status` tell them to programs."""
    assert (SEND, LOG, CLIENT, WATCH, NOTHING) == ("send", "log", "client", "watch", "nothing")


def test_every_reason_has_a_sentence() -> None:
    """`status` can say each reason in words."""
    reasons = {reason.partition(" ")[0] for reason, _, _ in REFUSALS + CIRCUMSTANCES}
    assert set(REASONS) == reasons | {"excluded"}
    assert all(REASONS.values())


def test_a_decision_is_a_value() -> None:
    """Decisions compare by what they say, and show it."""
    assert Decision(NOTHING, "ci") != Decision(NOTHING, "test_run")
    assert Decision(SEND) != "send"
    found = Decision(NOTHING)
    assert (found.mode, found.reason, found.detail) == ("nothing", "", "")
    assert repr(Decision(NOTHING, "variable", "NO_ANALYTICS")) == (
        "Decision('nothing', 'variable', 'NO_ANALYTICS')"
    )
