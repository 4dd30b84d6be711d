"""Why nothing came, or not everything: a pure function of what a watched run left behind.

Each reason is a sentence or two, and names what to do about it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..privacy.consent import CLIENT, LOG, NOTHING, WATCH
from ..privacy.reasons import REASONS
from ..privacy.settings import variable_prefix
from ..visible import visible
from .senders import LONGEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .senders import Left

FLAG = "--no-telemetry"

_FIXES = {
    "flag": "Leave it out to see the events.",
    "choice": "Run its `telemetry enable` to see the events.",
    "unreadable_choice": (
        "Run its `telemetry enable`, or mend telemetry.json in its config directory, to see the "
        "events."
    ),
    "foreign_user": "Run it as the user whose HOME it is.",
    "excluded": "Watch another command, or remove the mark @exclude.",
}
_PERSONS = ("flag", "choice", "unreadable_choice", "foreign_user")


class Note(NamedTuple):
    """What an application told the watcher (`privacy.watched.tell`).

    Attributes:
        app: the application's name.
        decided: whether a command began; else the application was only found.
        mode: of the decision.
        reason: a key of REASONS where the mode is NOTHING.
        detail: the variable that decided, where one did.
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
        notes: what applications told, in order.
        left: what is still in the spools.
        arrived: the names of the applications whose events arrived.
        rows: how many events arrived, whoever sent them.
    """

    command: Sequence[str]
    status: int
    notes: Sequence[Note] = ()
    left: Sequence[Left] = ()
    arrived: Sequence[str] = ()
    rows: int = 0


def explain(evidence: Evidence) -> list[str]:
    """The reasons why nothing came; where something came, why not everything did.

    What the sender could not deliver comes first, then what was decided, then what never began.
    """
    found = [sentence for left in evidence.left for sentence in _undelivered(left)]
    stored = {*evidence.arrived, *(left.app for left in evidence.left)}
    found += [_decided(note, stored) for note in evidence.notes if note.decided]
    if not evidence.rows:
        decided = {note.app for note in evidence.notes if note.decided}
        found += [
            _not_begun(note.app, evidence)
            for note in evidence.notes
            if not note.decided and note.app not in decided
        ]
        if not evidence.notes and not evidence.left:
            found.append(_not_found(evidence.command))
    return [*dict.fromkeys(sentence for sentence in found if sentence)]


def _undelivered(left: Left) -> Iterable[str]:
    app = visible(left.app)
    if left.held:
        yield (
            f"{app} has events that did not arrive: a process that is still alive holds "
            f"{_files(left.held)} of them. Have it end within {LONGEST:g} s of the command."
        )
    if left.undelivered:
        yield (
            f"{app} has events that did not arrive: {_files(left.undelivered)} of them "
            f"{'waits' if left.undelivered == 1 else 'wait'} in the spool, and {_trouble(left)}"
        )
    if left.refused:
        yield (
            f"{app} has {left.refused} message{'' if left.refused == 1 else 's'} that the receiver "
            f"did not take ({visible(left.error) or 'unknown'}): Segment would not either."
        )


def _trouble(left: Left) -> str:
    if left.error:
        return (
            f"the sender could not deliver them ({visible(left.error, 200)}). A firewall or a "
            "sandbox may keep it from 127.0.0.1."
        )
    if left.exit_status is None:
        return "the sender was stopped before it was done. Try again."
    if left.exit_status:
        return (
            f"the sender failed (exit status {left.exit_status}). Check that this works: "
            'python -c "import segment.analytics"'
        )
    return "the sender could not claim them. Check that the temporary directory has working locks."


def _decided(note: Note, stored: set[str]) -> str:
    app, prefix = visible(note.app), visible(variable_prefix(note.app))
    if note.mode == WATCH:
        if note.app in stored:
            return ""
        return (
            f"{app} was to record, and could store nothing: set HOME to an absolute path, and see "
            "whether the disk has room."
        )
    if note.mode == LOG:
        return (
            f"{app} printed its events on stderr and sent none: unset {prefix}_TELEMETRY, which "
            "says log, to see them here."
        )
    if note.mode == CLIENT:
        return f"{app} gave its events to a client of its own: leave out client= to see them here."
    if note.mode == NOTHING and note.reason == "variable":
        variable = visible(note.detail)
        return (
            f"{app} recorded nothing: {variable} says no, which wins under watch too. Unset "
            f"{variable} to see the events."
        )
    why = REASONS.get(note.reason, visible(note.reason) or "it does not say why")
    wins = ", which wins under watch too" if note.reason in _PERSONS else ""
    fix = _FIXES.get(
        note.reason,
        "Watch lifts this: install the same version of click-telemetry beside the application.",
    )
    return f"{app} recorded nothing: {why}{wins}. {fix}"


def _not_begun(app: str, evidence: Evidence) -> str:
    words = [*evidence.command]
    if FLAG in (words[: words.index("--")] if "--" in words else words):
        return _decided(Note(app, True, NOTHING, "flag"), set())
    shown = visible(app)
    if evidence.status == 2:
        return (
            f"{shown} is instrumented, but no command of it began: it could not use the command "
            "line (exit status 2). Mend what it complained about."
        )
    if evidence.status == 0:
        return (
            f"{shown} is instrumented, but no command that it records began: --help and --version "
            "end before one, and an excluded command is not recorded. Name a command that runs."
        )
    return (
        f"{shown} is instrumented, but no command that it records began before it ended (exit "
        f"status {evidence.status}): a group's own callback may have ended it, or the command is "
        "excluded."
    )


def _not_found(command: Sequence[str]) -> str:
    name = visible(command[0], 100) if command else "the command"
    return (
        f"No instrumented application was found in {name}. It is not instrumented, or it runs in "
        "another Python environment, one without click_telemetry, or something such as sudo took "
        "CLICK_TELEMETRY_WATCH out of its environment, or it ended before it had read its command "
        "line. Put @instrumented_group above its root, and install click-telemetry beside it."
    )


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"
