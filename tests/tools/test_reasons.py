"""Why nothing came: every reason, as a table."""

from __future__ import annotations

import pytest

from click_telemetry.privacy.consent import CLIENT, LOG, NOTHING, WATCH
from click_telemetry.privacy.reasons import REASONS
from click_telemetry.tools.reasons import Evidence, Note, explain
from click_telemetry.tools.senders import Left

FOUND = Note("acme", decided=False)


def said(mode: str, reason: str = "", detail: str = "", app: str = "acme") -> Note:
    return Note(app, True, mode, reason, detail)


def why(
    *notes: Note,
    command: str = "acme deploy",
    status: int = 0,
    left: tuple[Left, ...] = (),
    arrived: tuple[str, ...] = (),
) -> list[str]:
    return explain(Evidence(command.split(), status, notes, left, arrived, rows=len(arrived)))


@pytest.mark.parametrize(
    ("note", "cause", "fix"),
    [
        (said(NOTHING, "flag"), "--no-telemetry was given", "Leave it out"),
        (said(NOTHING, "variable", "DO_NOT_TRACK"), "DO_NOT_TRACK says no", "Unset DO_NOT_TRACK"),
        (
            said(NOTHING, "variable", "ACME_TELEMETRY"),
            "ACME_TELEMETRY says no",
            "Unset ACME_TELEMETRY",
        ),
        (said(NOTHING, "choice"), "disabled by a stored choice", "`telemetry enable`"),
        (said(NOTHING, "unreadable_choice"), "cannot be read", "`telemetry enable`"),
        (said(NOTHING, "foreign_user"), "HOME is somebody else's", "Run it as the user"),
        (said(NOTHING, "excluded"), "excludes this command", "Watch another command"),
        (said(LOG), "on stderr and sent none", "unset ACME_TELEMETRY"),
        (said(CLIENT), "to a client of its own", "leave out client="),
        (said(WATCH), "could store nothing", "set HOME"),
        (said("another mode"), "it does not say why", "install the same version"),
        *(
            (said(NOTHING, reason), REASONS[reason], "install the same version")
            for reason in (
                *("test_run", "ci", "no_write_key", "not_storable"),
                *("not_opted_in", "notice_not_shown"),
            )
        ),
    ],
)
def test_a_decision_is_told_with_its_fix(note: Note, cause: str, fix: str) -> None:
    """What was decided is said in one sentence, and what to do about it in the next."""
    (reason,) = why(FOUND, note)
    assert reason.startswith("acme ")
    assert cause in reason
    assert fix in reason


def test_every_reason_of_consent_is_told() -> None:
    """A reason that is added to consent cannot be forgotten here."""
    for reason in REASONS:
        (told,) = why(said(NOTHING, reason, "VARIABLE"))
        assert REASONS[reason] in told or "VARIABLE says no" in told


@pytest.mark.parametrize("reason", ["flag", "variable", "choice", "unreadable_choice"])
def test_a_persons_no_wins_and_is_said(reason: str) -> None:
    """Nobody is left to wonder whether watch overrules a no."""
    (told,) = why(said(NOTHING, reason, "DO_NOT_TRACK"))
    assert "which wins under watch too" in told


@pytest.mark.parametrize(
    ("command", "status", "expected"),
    [
        ("acme --help", 0, "--help and --version end before one"),
        ("acme deploy --bad", 2, "could not use the command line (exit status 2)"),
        ("acme deploy", 1, "before it ended (exit status 1)"),
        ("acme deploy", 137, "before it ended (exit status 137)"),
        ("acme deploy --no-telemetry", 0, "--no-telemetry was given"),
        ("acme run -- ls --no-telemetry", 0, "--help and --version end before one"),
    ],
)
def test_an_application_that_began_no_command_is_told_apart(
    command: str, status: int, expected: str
) -> None:
    """Help, a usage error, a failed group: found, but nothing to record."""
    (told,) = why(FOUND, command=command, status=status)
    assert told.startswith("acme ")
    assert expected in told


def test_nothing_found_names_the_possible_causes() -> None:
    """A command without an instrumented application is told what may be missing."""
    (told,) = why(command="plain.py hello")
    for words in (
        "found in plain.py.",
        "not instrumented",
        "another Python environment",
        "sudo",
        "ended",
    ):
        assert words in told
    assert "@instrumented_group" in told


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        (Left("acme", held=1), "a process that is still alive holds 1 file of them"),
        (Left("acme", held=3), "holds 3 files of them"),
        (
            Left("acme", undelivered=1, error="ConnectionError", exit_status=0),
            "1 file of them waits in the spool, and the sender could not deliver them "
            "(ConnectionError). A firewall",
        ),
        (Left("acme", undelivered=2, exit_status=1), "the sender failed (exit status 1)"),
        (Left("acme", undelivered=2), "the sender was stopped before it was done"),
        (Left("acme", undelivered=2, exit_status=0), "could not claim them"),
        (
            Left("acme", refused=2, error="http_400", exit_status=0),
            "2 messages that the receiver did not take (http_400)",
        ),
    ],
)
def test_events_that_lie_in_the_spool_are_told(left: Left, expected: str) -> None:
    """Recorded and not arrived: who holds them, or what the sender ran into."""
    (told,) = why(FOUND, said(WATCH), left=(left,))
    assert expected in told


def test_what_arrived_needs_no_reason() -> None:
    """A run that went well has nothing to explain."""
    assert why(FOUND, said(WATCH), arrived=("acme",)) == []


def test_events_of_nobody_in_particular_need_no_reason() -> None:
    """What another client posted to the receiver arrived as well."""
    assert explain(Evidence(["curl"], 0, rows=1)) == []


def test_a_no_beside_events_that_came_is_told() -> None:
    """One application's events came, another one's person said no: that is said too."""
    (told,) = why(
        FOUND,
        said(WATCH),
        Note("beta", decided=False),
        said(NOTHING, "variable", "BETA_NO_TELEMETRY", app="beta"),
        arrived=("acme",),
    )
    assert told.startswith("beta recorded nothing: BETA_NO_TELEMETRY says no")


def test_help_beside_events_that_came_is_no_news() -> None:
    """An application that was only asked for help is not reported when others sent."""
    assert why(FOUND, said(WATCH), Note("beta", decided=False), arrived=("acme",)) == []


def test_a_reason_is_told_once() -> None:
    """Twenty commands of a script with DO_NOT_TRACK give one sentence."""
    assert len(why(*[FOUND, said(NOTHING, "variable", "DO_NOT_TRACK")] * 20)) == 1


def test_every_application_is_told() -> None:
    """Two applications, two reasons: both are said, the undelivered first."""
    told = why(said(NOTHING, "flag", app="beta"), said(WATCH), left=(Left("acme", held=1),))
    assert [sentence.split()[0] for sentence in told] == ["acme", "beta"]


def test_foreign_names_are_shown_and_not_obeyed() -> None:
    """Neither an application's name nor a variable's can move the cursor."""
    evil = "a\x1b[2J"
    notes = [
        Note(evil, True, mode, reason, evil)
        for mode in (NOTHING, LOG, CLIENT, WATCH)
        for reason in ("variable", "flag", evil)
    ]
    told = [
        *why(*notes, left=(Left(evil, 1, 1, 1, evil, None),)),
        *why(Note(evil, decided=False)),
        *why(command=evil),
    ]
    assert len(told) > 8
    assert all(sentence.isprintable() for sentence in told)
