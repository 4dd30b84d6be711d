"""Compares the journals of programs with what arrived from them. Pure.

A journal's lines are `before`, `began`, `ending` or `after`, a kind, a mark and more words. `run`
and `custom` have all four, `event` and `user` only `before` and `after`. A line's number is its
time.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from click_telemetry._sender.state import SenderState

    Message = dict[str, Any]
    Window = tuple[float, float]

AT_END = (inf, inf)


class Ending(NamedTuple):
    """How a process ended."""

    killed: bool
    status: int
    errors: str


@dataclass
class Run:
    """A run by its journal: of a command or of a custom one."""

    process: str
    before: float
    outer: str = ""
    began: float = inf
    ending: float = inf
    after: float = inf
    outcome: str = ""
    invocation: str = ""
    run_id: str = ""


@dataclass
class Record:
    """An event, or a sign-in or sign-out, by its journal."""

    run: str
    before: float
    after: float = inf
    user: str | None = None
    arrived: bool = False

    @property
    def window(self) -> Window:
        """When it was recorded."""
        return self.before, self.after


@dataclass
class Journals:
    """What all processes wrote, by mark."""

    runs: dict[str, Run] = field(default_factory=dict)
    events: dict[str, Record] = field(default_factory=dict)
    users: dict[str, Record] = field(default_factory=dict)

    @classmethod
    def parse(cls, journals: Mapping[str, list[str]]) -> Journals:
        """Of the lines of each process."""
        found = cls()
        for process, lines in journals.items():
            for at, line in enumerate(lines):
                found._note(process, at, *line.split(" "))
        return found

    def _note(self, process: str, at: int, verb: str, kind: str, mark: str, *words: str) -> None:
        if kind == "event" or kind == "user":
            records = self.events if kind == "event" else self.users
            if verb == "before":
                user = words[1] if kind == "user" and words[1] != "-" else None
                records[mark] = Record(words[0], at, user=user)
            else:
                records[mark].after = at
        elif verb == "before":
            self.runs[mark] = Run(process, at, words[0] if words else "")
        else:
            run = self.runs[mark]
            setattr(run, verb, at)
            if verb == "ending":
                (run.outcome,) = words
            elif words:
                run.invocation, run.run_id = words

    def invocation_of(self, mark: str) -> str:
        """Of a run; empty if its process was killed before it could write that."""
        run = self.runs[mark]
        return run.invocation if not run.outer else self.invocation_of(run.outer)


class Reconciliation:
    """What was recorded against what arrived.

    Attributes:
        rows: a label and a count each.
        problems: broken promises, with examples; empty if all were kept.
    """

    def __init__(self) -> None:
        self.rows: list[tuple[str, object]] = []
        self.problems: dict[str, list[Any]] = {}

    def __str__(self) -> str:
        width = max(len(name) for name, _ in self.rows)
        return "\n".join(f"{name:<{width}}  {value:>8}" for name, value in self.rows)

    def count(self, label: str, found: Iterable[Any], *, problem: bool = False) -> None:
        """Add a row; with `problem`, each of what was found breaks a promise."""
        found = list(found)
        self.rows.append((label, len(found)))
        if problem and found:
            self.problems[label] = found

    def count_messages(self, batches: list[list[Message]], messages: list[Message]) -> None:
        """Add what was received and accepted; a repetition that differs breaks a promise.

        Args:
            batches: all requests that arrived whole, with repetitions.
            messages: those that were accepted, each ID once.
        """
        texts: dict[str, set[str]] = {}
        for batch in batches:
            for message in batch:
                texts.setdefault(message["messageId"], set()).add(json.dumps(message))
        different = [key for key, text in texts.items() if len(text) > 1]
        self.rows.append(("messages received, repetitions included", sum(map(len, batches))))
        self.count("messages accepted, each ID once", messages)
        self.count("IDs in different words", different, problem=True)


def reconcile(
    counts: Mapping[str, int],
    lines: Mapping[str, list[str]],
    endings: Mapping[str, Ending],
    batches: list[list[Message]],
    messages: list[Message],
    state: SenderState,
) -> Reconciliation:
    """Compare.

    Args:
        counts: further rows.
        lines: the journal of each process.
        endings: how each process ended.
        batches: all requests that arrived whole, with repetitions.
        messages: those that were accepted, each ID once.
        state: of the last sender.
    """
    found = Reconciliation()
    found.rows += sorted(counts.items())
    found.count(
        "processes that failed",
        [e for e in endings.values() if not e.killed and (e.status or e.errors)],
        problem=True,
    )
    found.count_messages(batches, messages)
    _Comparison(found, Journals.parse(lines), endings, messages, state)
    return found


class _Comparison:
    def __init__(
        self,
        found: Reconciliation,
        journals: Journals,
        endings: Mapping[str, Ending],
        messages: list[Message],
        state: SenderState,
    ) -> None:
        self.found = found
        self.journals = journals
        self.endings = endings
        self.tracks = [m for m in messages if m["type"] == "track"]
        self.identifies = {
            m["traits"]["mark"]: m for m in messages if "userId" in m and m["type"] == "identify"
        }
        self.state = state
        self.invoked: dict[str, list[Message]] = {}
        self.completed: dict[str, list[Message]] = {}
        self.ticked: dict[str, list[Message]] = {}
        for message in self.tracks:
            own = message["properties"]
            if message["event"] == "Command Invoked":
                self.invoked.setdefault(own["run_id"], []).append(message)
            elif message["event"] == "Command Completed":
                self.completed.setdefault(own["run_id"], []).append(message)
            else:
                self.ticked.setdefault(own["mark"], []).append(message)
        self._join()
        self.marks = {run.run_id: mark for mark, run in journals.runs.items() if run.run_id}
        self._compare_runs()
        self._compare_events()
        self._compare_users()
        self._compare_sequences()
        self._compare_dropped()

    def _join(self) -> None:
        """Give custom commands their run's ID, and mark what arrived."""
        for run_id, messages in self.invoked.items():
            mark = messages[0]["properties"].get("message_id")
            if mark in self.journals.runs:
                self.journals.runs[mark].run_id = run_id
                self.journals.runs[mark].invocation = messages[0]["properties"]["invocation_id"]
        for mark, record in self.journals.events.items():
            record.arrived = mark in self.ticked
        for mark, record in self.journals.users.items():
            record.arrived = mark in self.identifies

    def _compare_runs(self) -> None:
        found, runs = self.found, self.journals.runs
        begun = {mark: run for mark, run in runs.items() if run.began < inf}
        killed_early = [run for run in runs.values() if not run.outer and run.began == inf]
        found.count("runs begun, by the journals", begun)
        found.count("of them ended, by the journals", [r for r in begun.values() if r.after < inf])
        commands = {mark: run for mark, run in begun.items() if not run.outer}
        found.count(
            "commands whose begin did not arrive",
            [m for m, run in commands.items() if len(self.invoked.get(run.run_id, ())) != 1],
            problem=True,
        )
        arrived = {*self.invoked, *self.completed}
        found.count("runs that arrived", arrived)
        found.count(
            "of them without exactly one begin and one end",
            [
                run
                for run in arrived
                if (len(self.invoked.get(run, ())), len(self.completed.get(run, ()))) != (1, 1)
            ],
            problem=True,
        )
        unknown = [run_id for run_id in arrived if run_id not in self.marks]
        found.count("of them killed before their journal had them", unknown)
        if len(unknown) > len(killed_early):
            found.problems["runs that no journal has"] = unknown
        ends = {run_id: ends[0]["properties"] for run_id, ends in self.completed.items()}
        unfinished = {run for run, own in ends.items() if own["outcome"] == "unfinished"}
        found.count("of them unfinished", unfinished)
        found.count(
            "unfinished, but ended by its journal, or in a process that ended",
            [
                mark
                for run_id, mark in self.marks.items()
                if run_id in unfinished
                and (runs[mark].after < inf or not self.endings[runs[mark].process].killed)
            ],
            problem=True,
        )
        found.count(
            "ended with another outcome than in its journal",
            [
                (mark, ends[run_id]["outcome"])
                for run_id, mark in self.marks.items()
                if run_id in ends
                and run_id not in unfinished
                and ends[run_id]["outcome"] != runs[mark].outcome
            ]
            + [run for run in unknown if run not in unfinished],
            problem=True,
        )

    def _compare_events(self) -> None:
        found, events = self.found, self.journals.events
        recorded = {mark for mark, record in events.items() if record.after < inf}
        found.count("events recorded (the call returned)", recorded)
        found.count("of them arrived", recorded & set(self.ticked))
        found.count("events begun, and killed before the call returned", set(events) - recorded)
        found.count("of them arrived", set(self.ticked) & (set(events) - recorded))
        found.count("phantoms", set(self.ticked) - set(events), problem=True)
        found.count(
            "events that arrived under two IDs",
            [mark for mark, messages in self.ticked.items() if len(messages) > 1],
            problem=True,
        )
        found.count(
            "events of another run than in their journal",
            [
                mark
                for mark, record in events.items()
                if record.arrived
                and (expected := self.journals.runs[record.run].run_id)
                and self.ticked[mark][0]["properties"]["run_id"] != expected
            ],
            problem=True,
        )

    def _windows(self) -> Iterator[tuple[Message, str, Window]]:
        """Each track of a known run, with its invocation and when it was recorded."""
        for run_id, mark in self.marks.items():
            run = self.journals.runs[mark]
            for message in self.invoked.get(run_id, ()):
                yield message, run.invocation, (run.before, run.began)
            for message in self.completed.get(run_id, ()):
                unfinished = message["properties"]["outcome"] == "unfinished"
                window = AT_END if unfinished else (run.ending, run.after)
                yield message, run.invocation, window
        for mark, record in self.journals.events.items():
            invocation = self.journals.invocation_of(record.run)
            if record.arrived and invocation:
                yield self.ticked[mark][0], invocation, record.window

    def _compare_users(self) -> None:
        signed: dict[str, list[Record]] = {}
        for record in self.journals.users.values():
            signed.setdefault(self.journals.invocation_of(record.run), []).append(record)
        wrong = []
        with_user = 0
        for message, invocation, window in self._windows():
            user = message.get("userId")
            with_user += user is not None
            if user not in possible_users(signed.get(invocation, []), window):
                wrong.append((message["event"], message["properties"], user, window))
        wrong_identify = [
            mark
            for mark, message in self.identifies.items()
            if mark not in self.journals.users
            or message["userId"] != self.journals.users[mark].user
        ]
        self.found.rows.append(("sign-ins and sign-outs", len(self.journals.users)))
        self.found.rows.append(("messages with a user", with_user))
        self.found.count("messages with a wrong user", [*wrong, *wrong_identify], problem=True)

    def _compare_sequences(self) -> None:
        numbers: dict[str, list[int]] = {}
        for message in self.tracks:
            own = message["properties"]
            numbers.setdefault(own["invocation_id"], []).append(own["sequence"])
        self.found.count("invocations", numbers)
        self.found.count(
            "of them with a gap or a repetition in their sequence",
            [
                (invocation, len(found), sorted(Counter(found).items())[-3:])
                for invocation, found in numbers.items()
                if sorted(found) != list(range(1, len(found) + 1))
            ],
            problem=True,
        )
        latest: dict[str, tuple[list[Window], list[int]]] = {}
        for message, invocation, window in self._windows():
            windows, sequences = latest.setdefault(invocation, ([], []))
            windows.append(window)
            sequences.append(message["properties"]["sequence"])
        self.found.count(
            "of them in another order than in their journal",
            [
                invocation
                for invocation, (windows, sequences) in latest.items()
                if not is_ordered(windows, sequences)
            ],
            problem=True,
        )

    def _compare_dropped(self) -> None:
        """What was recorded and did not arrive is counted, unless a kill came before the count."""
        last: dict[str, float] = {}
        for _, invocation, (before, _after) in self._windows():
            if before < inf:
                last[invocation] = max(last.get(invocation, 0.0), before)
        lost: list[tuple[str, float]] = []
        for record in self.journals.events.values():
            if not record.arrived and record.after < inf:
                lost.append((self.journals.invocation_of(record.run), record.after))
        for record in self.journals.users.values():
            if record.user is not None and not record.arrived and record.after < inf:
                lost.append((self.journals.invocation_of(record.run), record.after))
        for run in self.journals.runs.values():
            if run.outer and run.began < inf and not run.run_id:
                lost.append((self.journals.invocation_of(run.outer), run.began))
        certain = [invocation for invocation, at in lost if at < last.get(invocation, 0.0)]
        reported = sum(m["properties"].get("dropped", 0) for m in self.tracks)
        counted = reported + self.state.unreported
        self.found.count("recorded, and did not arrive", lost)
        self.found.rows.append(("dropped, reported by events", reported))
        self.found.rows.append(("dropped, not reported yet", self.state.unreported))
        self.found.rows.append(
            ("killed before the next event could report them", len(lost) - counted)
        )
        self.found.rows.append(("dropped by senders", self.state.dropped))
        if not len(certain) <= counted <= len(lost) or self.state.dropped:
            by_invocation = Counter(certain)
            for message in self.tracks:
                own = message["properties"]
                by_invocation[own["invocation_id"]] -= own.get("dropped", 0)
            self.found.problems["lost"] = [
                (len(certain), counted, len(lost), self.state.dropped),
                [found for found in by_invocation.items() if found[1]],
            ]


def possible_users(signed: list[Record], window: Window) -> set[str | None]:
    """Who may be signed in during a window, by all sign-ins and sign-outs of the invocation."""
    before, after = window
    started = [Record("", -1, -1), *(record for record in signed if record.before < after)]
    users: set[str | None] = set()
    for record in started:
        if any(record.after < other.before and other.after < before for other in started):
            continue  # another one came in between
        users.add(record.user)
        if record.user is not None and not record.arrived:
            users.add(None)
            if record.after < inf:  # dropped and counted: no user is signed in then
                users.discard(record.user)
    return users


def is_ordered(windows: list[Window], sequences: list[int]) -> bool:
    """Whether what ended before something else began has a lower sequence."""
    begins = sorted(zip(windows, sequences, strict=True))
    ends = sorted((after, sequence) for (_, after), sequence in begins)
    highest = taken = 0
    for (before, _after), sequence in begins:
        while taken < len(ends) and ends[taken][0] < before:
            highest = max(highest, ends[taken][1])
            taken += 1
        if sequence < highest:
            return False
    return True
