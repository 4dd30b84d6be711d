"""Why no event arrived: every reason, as a table."""

from __future__ import annotations

import pytest

from click_telemetry._foreground.consent import REASONS
from click_telemetry._recorder import CLIENT, LOG, OFF, WATCH
from click_telemetry._tools.explanation import DecisionReport, Evidence, explain
from click_telemetry._tools.senders import Remainder

FOUND = DecisionReport("acme", decided=False)


def decided(mode: str, reason: str = "", detail: str = "", app: str = "acme") -> DecisionReport:
    return DecisionReport(app, True, mode, reason, detail)


def why(
    *reports: DecisionReport,
    command: str = "acme deploy",
    status: int = 0,
    remainders: tuple[Remainder, ...] = (),
    arrived: tuple[str, ...] = (),
) -> list[str]:
    return explain(
        Evidence(command.split(), status, reports, remainders, arrived, rows=len(arrived))
    )


@pytest.mark.parametrize(
    ("report", "cause", "fix"),
    [
        (decided(OFF, "flag"), "--no-telemetry was given", "Omit it"),
        (decided(OFF, "variable", "DO_NOT_TRACK"), "DO_NOT_TRACK opts out", "Unset DO_NOT_TRACK"),
        (
            decided(OFF, "variable", "ACME_TELEMETRY"),
            "ACME_TELEMETRY opts out",
            "Unset ACME_TELEMETRY",
        ),
        (decided(OFF, "administrator"), "administrator of this machine", "telemetry.json"),
        (decided(OFF, "setting"), "disabled by a saved setting", "`telemetry enable`"),
        (decided(OFF, "unreadable_setting"), "cannot be read", "`telemetry enable`"),
        (decided(OFF, "other_user"), "HOME belongs to another user", "Run it as the user"),
        (decided(OFF, "excluded"), "excludes this command", "Watch another command"),
        (decided(LOG), "on stderr and sent none", "unset ACME_TELEMETRY"),
        (decided(CLIENT), "to its own client", "omit client="),
        (decided(WATCH), "could not store them", "set HOME"),
        (decided("another mode"), "it reported no reason", "install the same version"),
        *(
            (decided(OFF, reason), REASONS[reason], "install the same version")
            for reason in (
                *("test_run", "ci", "no_destination", "not_storable"),
                *("not_opted_in", "notice_not_shown"),
            )
        ),
    ],
)
def test_a_decision_is_shown_with_its_fix(report: DecisionReport, cause: str, fix: str) -> None:
    """One sentence has the reason, the next one the fix."""
    (reason,) = why(FOUND, report)
    assert reason.startswith("acme ")
    assert cause in reason
    assert fix in reason


def test_a_masked_command_is_shown_with_the_line_to_add() -> None:
    """Also where its events arrived."""
    masked = DecisionReport("acme", True, WATCH, "masked", "acme_db")
    (sentence,) = why(FOUND, decided(WATCH), masked, arrived=("acme",))
    assert sentence.endswith("packages=('acme_db',)")


def test_every_reason_is_explained() -> None:
    """A new reason cannot be forgotten here."""
    for reason in REASONS:
        (sentence,) = why(decided(OFF, reason, "VARIABLE"))
        assert REASONS[reason] in sentence or "VARIABLE opts out" in sentence


@pytest.mark.parametrize("reason", ["flag", "variable", "setting", "unreadable_setting"])
def test_an_opt_out_is_shown_to_apply_under_watch(reason: str) -> None:
    """Watch overrides no opt-out, and the sentence states it."""
    (sentence,) = why(decided(OFF, reason, "DO_NOT_TRACK"))
    assert "which applies under watch too" in sentence


@pytest.mark.parametrize(
    ("command", "status", "expected"),
    [
        ("acme --help", 0, "--help and --version end before one"),
        ("acme deploy --bad", 2, "its command line is wrong (exit status 2)"),
        ("acme deploy", 1, "before it ended (exit status 1)"),
        ("acme deploy", 137, "before it ended (exit status 137)"),
        ("acme deploy --no-telemetry", 0, "--no-telemetry was given"),
        ("acme run -- ls --no-telemetry", 0, "--help and --version end before one"),
    ],
)
def test_an_application_that_began_no_command_is_distinguished(
    command: str, status: int, expected: str
) -> None:
    """Help, a usage error, a failed group: found, but nothing to record."""
    (sentence,) = why(FOUND, command=command, status=status)
    assert sentence.startswith("acme ")
    assert expected in sentence


def test_nothing_found_names_the_possible_causes() -> None:
    """Without an instrumented application, what may be missing is listed."""
    (sentence,) = why(command="plain.py hello")
    for text in (
        "found in plain.py.",
        "not instrumented",
        "another Python environment",
        "sudo",
        "ended",
    ):
        assert text in sentence
    assert "@instrumented_group" in sentence


@pytest.mark.parametrize(
    ("remainder", "expected"),
    [
        (Remainder("acme", locked=1), "a process that is still running writes 1 file of them"),
        (Remainder("acme", locked=3), "writes 3 files of them"),
        (
            Remainder("acme", undelivered=1, error="ConnectionError", exit_status=0),
            "1 file of them is still queued, and the sender could not deliver them "
            "(ConnectionError). A firewall",
        ),
        (Remainder("acme", undelivered=2, exit_status=1), "the sender failed (exit status 1)"),
        (Remainder("acme", undelivered=2), "the sender was stopped before it had finished"),
        (Remainder("acme", undelivered=2, exit_status=0), "could not claim them"),
        (
            Remainder("acme", rejected=2, error="http_400", exit_status=0),
            "2 messages that the receiver rejected (http_400)",
        ),
    ],
)
def test_queued_events_are_explained(remainder: Remainder, expected: str) -> None:
    """Recorded and not arrived: which process writes them, or why the sender failed."""
    (sentence,) = why(FOUND, decided(WATCH), remainders=(remainder,))
    assert expected in sentence


def test_what_arrived_needs_no_reason() -> None:
    """A run that went well has nothing to explain."""
    assert why(FOUND, decided(WATCH), arrived=("acme",)) == []


def test_events_of_another_client_need_no_reason() -> None:
    """What another client posted to the receiver arrived as well."""
    assert explain(Evidence(["curl"], 0, rows=1)) == []


def test_an_opt_out_is_shown_below_the_events_of_another_application() -> None:
    """The events of one arrived; why the other recorded nothing is shown too."""
    (sentence,) = why(
        FOUND,
        decided(WATCH),
        DecisionReport("beta", decided=False),
        decided(OFF, "variable", "BETA_NO_TELEMETRY", app="beta"),
        arrived=("acme",),
    )
    assert sentence.startswith("beta recorded nothing: BETA_NO_TELEMETRY opts out")


def test_help_of_another_application_is_not_mentioned() -> None:
    """An application that only printed its help is not reported if others sent events."""
    assert (
        why(FOUND, decided(WATCH), DecisionReport("beta", decided=False), arrived=("acme",)) == []
    )


def test_a_reason_is_shown_once() -> None:
    """Twenty commands of a script with DO_NOT_TRACK give one sentence."""
    assert len(why(*[FOUND, decided(OFF, "variable", "DO_NOT_TRACK")] * 20)) == 1


def test_every_application_is_explained() -> None:
    """Two applications, two reasons: both are shown, the undelivered one first."""
    sentences = why(
        decided(OFF, "flag", app="beta"), decided(WATCH), remainders=(Remainder("acme", locked=1),)
    )
    assert [sentence.split()[0] for sentence in sentences] == ["acme", "beta"]


def test_foreign_names_cannot_control_the_terminal() -> None:
    """Neither an application's name nor a variable's can move the cursor."""
    evil = "a\x1b[2J"
    reports = [
        DecisionReport(evil, True, mode, reason, evil)
        for mode in (OFF, LOG, CLIENT, WATCH)
        for reason in ("variable", "flag", evil)
    ]
    sentences = [
        *why(*reports, remainders=(Remainder(evil, 1, 1, 1, evil, None),)),
        *why(DecisionReport(evil, decided=False)),
        *why(command=evil),
    ]
    assert len(sentences) > 8
    assert all(sentence.isprintable() for sentence in sentences)
