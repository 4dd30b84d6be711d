"""Why no events arrived, or not all of them: a pure function of what a watched run left behind.

Each reason is a sentence or two, and names the fix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from click import UsageError

from .._commands.terminal import escape, pluralize
from .._foreground.consent import REASONS
from .._foreground.options import variable_prefix
from .._foreground.sinks import MASKED
from .._instrument import FLAG
from .._recorder import CLIENT, LOG, OFF, PERSONAL, WATCH
from .senders import MAX_WAIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .senders import Remainder

_FIXES = {
    "flag": "Omit it to see the events.",
    "administrator": (
        "Ask for the telemetry.json in the application's site configuration directory."
    ),
    "setting": "Run its `telemetry enable` to see the events.",
    "unreadable_setting": (
        "Run its `telemetry enable`, or repair telemetry.json in its config directory, to see the "
        "events."
    ),
    "other_user": "Run it as the user who owns HOME.",
    "excluded": "Watch another command, or remove @exclude.",
}


class DecisionReport(NamedTuple):
    """What an application reported to the receiver (`_foreground.sinks.report`).

    Attributes:
        app: the application's name.
        decided: whether a command began; if not, the application was only found.
        mode: of the decision.
        reason: a key of REASONS if the mode is OFF; MASKED for a command that was masked.
        detail: the variable that opted out, if one did; the package of a masked command.
    """

    app: str
    decided: bool
    mode: str = ""
    reason: str = ""
    detail: str = ""


class Evidence(NamedTuple):
    """What is known after a watched run.

    Attributes:
        command: the words of the command line.
        status: its exit status.
        reports: of the applications, in order.
        remainders: what is still in the spools.
        arrived: the names of the applications whose events arrived.
        rows: how many events arrived, from any sender.
        problems: what was dropped, and why; and mistakes that would raise in a test.
        outside: what would happen without watch, a line for each application.
    """

    command: Sequence[str]
    status: int
    reports: Sequence[DecisionReport] = ()
    remainders: Sequence[Remainder] = ()
    arrived: Sequence[str] = ()
    rows: int = 0
    problems: Sequence[str] = ()
    outside: Sequence[str] = ()


def explain(evidence: Evidence) -> list[str]:
    """The reasons why no events arrived; if some arrived, why not all of them.

    What the sender could not deliver is first, then the decisions, then what never began.
    """
    found = [sentence for one in evidence.remainders for sentence in _undelivered(one)]
    stored = {*evidence.arrived, *(one.app for one in evidence.remainders)}
    found += [_decision(report, stored) for report in evidence.reports if report.decided]
    if not evidence.rows:
        decided = {report.app for report in evidence.reports if report.decided}
        found += [
            _not_begun(report.app, evidence)
            for report in evidence.reports
            if not report.decided and report.app not in decided
        ]
        if not evidence.reports and not evidence.remainders:
            found.append(_not_found(evidence.command))
    return [*dict.fromkeys(sentence for sentence in found if sentence)]


def _undelivered(remainder: Remainder) -> Iterable[str]:
    app = escape(remainder.app)
    if remainder.locked:
        yield (
            f"{app} has events that did not arrive: a process that is still running writes "
            f"{pluralize(remainder.locked, 'file')} of them. Let it end within {MAX_WAIT:g} s of "
            "the command."
        )
    if remainder.undelivered:
        verb = "is" if remainder.undelivered == 1 else "are"
        yield (
            f"{app} has events that did not arrive: {pluralize(remainder.undelivered, 'file')} of "
            f"them {verb} still queued, and {_failure(remainder)}"
        )
    if remainder.rejected:
        yield (
            f"{app} has {pluralize(remainder.rejected, 'message')} that the receiver rejected "
            f"({escape(remainder.error) or 'unknown'}), as Segment would."
        )


def _failure(remainder: Remainder) -> str:
    if remainder.error:
        return (
            f"the sender could not deliver them ({escape(remainder.error, 200)}). A firewall or a "
            "sandbox may block 127.0.0.1."
        )
    if remainder.exit_status is None:
        return "the sender was stopped before it had finished. Try again."
    if remainder.exit_status:
        return (
            f"the sender failed (exit status {remainder.exit_status}). Check that this works: "
            'python -c "import segment.analytics"'
        )
    return "the sender could not claim them. Check that the temporary directory has working locks."


def _decision(report: DecisionReport, stored: set[str]) -> str:
    app = escape(report.app)
    if report.mode == WATCH:
        if report.reason == MASKED:
            return (
                f"{app} reported a command as <plugin>, without its options: the package "
                f"{escape(report.detail)!r} is not the application's. If it is yours, declare it: "
                f"packages=({escape(report.detail)!r},)"
            )
        if report.app in stored:
            return ""
        return (
            f"{app} recorded events, and could not store them: set HOME to an absolute path, and "
            "check that the disk has space."
        )
    if report.mode == LOG:
        variable = escape(variable_prefix(report.app)) + "_TELEMETRY"
        return (
            f"{app} printed its events on stderr and sent none: unset {variable}, which is set to "
            "log, to see them here."
        )
    if report.mode == CLIENT:
        return f"{app} passed its events to its own client: omit client= to see them here."
    if report.mode == OFF and report.reason == "variable":
        variable = escape(report.detail)
        return (
            f"{app} recorded nothing: {variable} opts out, which applies under watch too. Unset "
            f"{variable} to see the events."
        )
    why = REASONS.get(report.reason, escape(report.reason) or "it reported no reason")
    applies = ", which applies under watch too" if report.reason in PERSONAL else ""
    fix = _FIXES.get(
        report.reason,
        "Watch overrides this: install the same version of click-telemetry in the application's "
        "environment.",
    )
    return f"{app} recorded nothing: {why}{applies}. {fix}"


def _not_begun(app: str, evidence: Evidence) -> str:
    words = [*evidence.command]
    if FLAG in (words[: words.index("--")] if "--" in words else words):
        return _decision(DecisionReport(app, True, OFF, "flag"), set())
    shown = escape(app)
    if evidence.status == UsageError.exit_code:
        return (
            f"{shown} is instrumented, but none of its commands began: its command line is wrong "
            "(exit status 2). Correct what its error message names."
        )
    if evidence.status == 0:
        return (
            f"{shown} is instrumented, but no command that it records began: --help and --version "
            "end before one, and an excluded command is not recorded. Watch a command that runs."
        )
    return (
        f"{shown} is instrumented, but no command that it records began before it ended (exit "
        f"status {evidence.status}): a group's own callback may have ended it, or the command is "
        "excluded."
    )


def _not_found(command: Sequence[str]) -> str:
    name = escape(command[0], 100) if command else "the command"
    return (
        f"No instrumented application was found in {name}. Either it is not instrumented, or it "
        "runs in another Python environment without click_telemetry, or a program such as sudo "
        "removed CLICK_TELEMETRY_WATCH from its environment, or it ended before it parsed its "
        "command line. Put @instrumented_group above its root, and install click-telemetry in its "
        "environment."
    )
