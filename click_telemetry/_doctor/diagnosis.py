"""The diagnosis: a pure function of what was found in an application, and of a trial.

A reason is why nothing would be sent (`reasons`). A note is what a maintainer should know although
events are sent. Every text is escaped where it is shown, not here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from click import UsageError

from .._commands.terminal import pluralize
from .._foreground.options import MAX_TIMEOUT
from .._recorder import LOG, PERSONAL
from .reasons import (
    Reason,
    applies_everywhere,
    current_queue,
    decided,
    in_order,
    undelivered,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


class Note(NamedTuple):
    """What is worth knowing, and what to do.

    Attributes:
        note: a word, such as `masked_command`.
        detail: a clause.
        fix: a sentence.
    """

    note: str
    detail: str
    fix: str


class Diagnosis(NamedTuple):
    """What is known of one command.

    Attributes:
        app: the application's name; None if none was found.
        command: its path, as it would be recorded.
        mode: of the decision here.
        reasons: why nothing would be sent here; empty if it would be.
        production: the same for production; None if it could not be examined.
        notes: what else to know.
        known: whether it could be examined at all.
        has_client: whether a client of the application's own gets the events.
    """

    app: str | None
    command: str | None
    mode: str
    reasons: Sequence[Reason]
    production: Sequence[Reason] | None
    notes: Sequence[Note]
    known: bool = True
    has_client: bool = False

    @property
    def would_send(self) -> bool:
        """Whether this command, here, would send its events."""
        return self.known and not self.reasons


class Evidence(NamedTuple):
    """What a doctored command left behind.

    Attributes:
        command: its words.
        status: its exit status, as in a shell.
        found: what its processes reported, in order.
        problem: why it could not be started; else empty.
        ran: whether it was to do its work.
        problems: what was dropped while it did, and why; and mistakes that would raise in a test.
    """

    command: Sequence[str]
    status: int
    found: Sequence[Mapping[str, Any]] = ()
    problem: str = ""
    ran: bool = False
    problems: Sequence[str] = ()

    @property
    def first(self) -> Mapping[str, Any] | None:
        """The examination of the first application that recognised the doctor, or None."""
        return next((one for one in self.found if "production" in one), None)

    @property
    def roots(self) -> list[Mapping[str, Any]]:
        """The instrumented commands of the first application's process, or else of every one."""
        examined = [self.first] if self.first is not None else self.found
        return [root for one in examined for root in one.get("roots", ())]

    @property
    def events(self) -> list[str] | None:
        """Names of the events that were recorded; None if the command did not do its work."""
        return self._events("names") if self.ran else None

    @property
    def undeclared(self) -> list[str]:
        """Names of those that were tracked by name, and are declared nowhere."""
        return self._events("undeclared")

    def _events(self, key: str) -> list[str]:
        found = [name for one in self.found for name in one.get("events", {}).get(key, ())]
        return [*dict.fromkeys(found)]


def diagnosis_of(evidence: Evidence, trial: Mapping[str, Any] | None) -> Diagnosis:
    """What is known of a command; if that is nothing, the reason why."""
    first = evidence.first
    if first is not None:
        found = diagnose(first, trial, evidence.roots, evidence.undeclared, evidence.problems)
        others = {one["app"]: None for one in evidence.found if "status" in one}
        del others[found.app]
        notes = [
            Note("other_application", f"{app} ran too", "Examine its command by itself.")
            for app in others
        ]
        return found._replace(notes=[*found.notes, *notes])
    reason, detail, fix = _unknown(evidence)
    app = next((one["app"] for one in [*evidence.found, *evidence.roots] if "app" in one), None)
    return Diagnosis(app, None, "unknown", [Reason(reason, detail, fix)], None, [], known=False)


def _unknown(evidence: Evidence) -> tuple[str, str, str]:
    """Why nothing could be examined."""
    name = evidence.command[0]
    failed = next((one for one in evidence.found if "failed" in one), None)
    if evidence.problem:
        return "not_started", "the command could not be started", evidence.problem
    if failed is not None:
        fix = failed.get("fix", "Report it with the command.")
        return "failed", f"the examination failed ({failed['failed']})", fix
    if any("status" in one for one in evidence.found):
        return (
            "not_stopped",
            f"{name} did its work and was not stopped: it runs as another user than doctor",
            "Run click-telemetry itself as that user.",
        )
    parsed = [one for one in evidence.roots if one["ran"]]
    idle = [one for one in evidence.roots if not one["ran"]]
    if evidence.status == UsageError.exit_code and parsed:
        return (
            "usage_error",
            f"{parsed[0]['app']} rejected its command line (exit status 2)",
            "Correct what its error message names; if it printed its help, add a command.",
        )
    if parsed:
        return (
            "no_command",
            f"{parsed[0]['app']} began no command (exit status {evidence.status}): --help, "
            "--version, a completion or a group's own callback ended it",
            "Examine a command that does work.",
        )
    if idle:
        return (
            "not_used",
            f"{idle[0]['app']} is declared on {idle[0]['command']!r}, which never ran: another "
            "command object did, or the program ended before",
            "Instrument the object that is called. In Typer, that is the typer.Typer itself: "
            "instrument(app, app=…) after its commands.",
        )
    if evidence.status:
        return (
            "crashed",
            f"{name} ended with exit status {evidence.status} before an instrumented application "
            "was found",
            "Correct what its error message names.",
        )
    return (
        "not_instrumented",
        f"no instrumented application was found in {name}",
        "Put @instrumented_group above its root, and install click-telemetry in its environment. "
        "Programs such as sudo, ssh and docker do not pass the doctor's variables on.",
    )


def diagnose(
    examination: Mapping[str, Any],
    trial: Mapping[str, Any] | None = None,
    roots: Sequence[Mapping[str, Any]] = (),
    events: Sequence[str] = (),
    problems: Sequence[str] = (),
) -> Diagnosis:
    """The diagnosis of a command whose first leaf was examined.

    Args:
        examination: see `examination.examine_leaf`.
        trial: see `trial.main`; None if there was none.
        roots: further instrumented commands, of other processes.
        events: names of events that were tracked without a class.
        problems: what was dropped, and why.
    """
    status = examination["status"]
    mode = status["mode"]
    here = [*decided(examination, status), *undelivered(examination, mode, trial)]
    if examination["log"] and status["reason"] not in PERSONAL:
        mode = LOG  # which overrides every circumstance
    production: list[Reason] | None = None
    if "production" in examination:
        there = examination["production"]
        found = [*decided(examination, there), *undelivered(examination, there["mode"], trial)]
        production = [one for one in found if applies_everywhere(one, examination, trial)]
    return Diagnosis(
        examination["app"],
        examination["command"],
        mode,
        in_order(here),
        None if production is None else in_order(production),
        [*_notes(examination, roots, events), *map(_problem_note, problems)],
        has_client=examination["client"],
    )


# Notes --------------------------------------------------------------------------------------------


def _notes(
    examination: Mapping[str, Any], roots: Sequence[Mapping[str, Any]], events: Sequence[str]
) -> Iterator[Note]:
    app = examination["app"]
    masked: dict[str, list[str]] = {}
    nested = []
    for one in examination.get("commands", ()):
        if "nested" in one:
            nested.append(one["command"])
        else:
            masked.setdefault(one["package"], []).append(one["command"])
    for package, commands in masked.items():
        yield Note(
            "masked_command",
            f"{_listed(commands)}: recorded as <plugin>, since {package!r} is another package",
            f"If it is yours, declare packages=({package!r},).",
        )
    for command in nested:
        yield Note(
            "nested_group",
            f"{command} is instrumented too; below {app} its options have no effect",
            f"Remove the decorator from {command}: the root's covers everything below it.",
        )
    own = [one for one in roots if one["app"] == app]
    apart = [one for one in own if not one["nested"]]
    if len(apart) > 1:
        yield Note(
            "same_name",
            f"{pluralize(len(apart), 'root command')} declare the name {app!r}, and share one "
            "queue, setting and notice",
            "Give each application a name of its own with app=.",
        )
    versions = examination.get("versions")
    if versions is not None and versions["app"] is None:
        yield Note(
            "no_version",
            "the version on every event is null",
            'Declare version="…", or __version__ in the root package.',
        )
    for variable in examination.get("key_variables", ()):
        yield Note(
            "key_from_variable",
            f"write_key= has the value of the variable {variable}: where that is not set, nothing "
            "is sent",
            "Put the key itself into the code, unless every machine has the variable.",
        )
    declared, queue = examination["declared"], current_queue(examination)
    queued = queue["messages"] if queue is not None else 0
    if declared["delivery"] == "inline" and queued:
        yield Note(
            "inline_timeout",
            f"{pluralize(queued, 'message')} of earlier commands wait, although delivery is inline "
            f"(flush_timeout={declared['flush_timeout']:g} s)",
            f"Raise flush_timeout=, up to {MAX_TIMEOUT}, and run `{examination['group']} flush`."
            if examination["group"]
            else f"Raise flush_timeout=, up to {MAX_TIMEOUT}.",
        )
    if declared["sample"] is not None:
        yield Note(
            "sampled",
            f"sample={declared['sample']:g}: that share of the installations records, always the "
            "same ones; the others send nothing",
            "Look at the events of any of them with `click-telemetry watch`.",
        )
    for event in events:
        yield Note(
            "undeclared_event",
            f"{event} is tracked by its name only: its properties are not declared",
            "Make it a class of Event, or declare its name with events=.",
        )


def _problem_note(problem: str) -> Note:
    """A sentence of the strict mode, whose fix follows a semicolon, or else a colon."""
    detail, _, fix = problem.rpartition("; " if "; " in problem else ": ")
    return Note("dropped", detail or problem, fix and fix[0].upper() + fix[1:] + ".")


def _listed(names: Sequence[str], limit: int = 3) -> str:
    more = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {more} more" if more > 0 else "")


# Sentences ----------------------------------------------------------------------------------------


def outside_watch(examination: Mapping[str, Any], trial: Mapping[str, Any] | None = None) -> str:
    """What would happen to a watched command without watch, in one paragraph."""
    if "failed" in examination:
        why = f"the examination of {examination['app']} failed ({examination['failed']})"
        return f"Outside watch: unknown, since {why}."
    found = diagnose(examination, trial)
    app = found.app
    if found.would_send:
        if found.has_client:
            return f"Outside watch: {app} passes its events to its own client."
        return f"Outside watch: {app} sends to {examination['host']}."
    parts = [f"{one.detail} (fix: {one.fix.rstrip('.')})" for one in found.reasons]
    return f"Outside watch: {app} would send nothing, since {'; '.join(parts)}."
