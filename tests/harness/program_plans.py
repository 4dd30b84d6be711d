"""Plans of programs at random, and what is to be recorded of one, by the leaves that ran. Pure.

A plan is JSON: a tree of commands, a line that runs one of them, and in each command's entry of a
line the lines that it starts. `generated_program` makes a program of it.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from itertools import count
from typing import Any

from hypothesis import strategies as st

from .generated_program import (
    ENDS,
    FLAG,
    FORKING,
    IN_PROCESS,
    NEW_PROCESS,
    OTHER,
    Plan,
    Record,
    nodes_of,
)

KINDS = ("group", "chain", "chain", "chain", "lazy", "dynamic", "aliases", "prefix")
ARGUMENTS = ("none", "one", "many", "extra")
WITHOUT_A_LINE = ("invoke", "forward", "invoke of another")
ALL_ENDS = (*["return"] * 12, "exit 0", "exit 3", *ENDS)

VARIABLES = {
    "DO_NOT_TRACK": "1",
    "NO_ANALYTICS": "true",
    "CLICK_TELEMETRY_OFF": "yes",
    "ACME_NO_TELEMETRY": "1",
    "ACME_TELEMETRY": "off",
}
SETTINGS = {
    "disabled setting": '{"enabled": false}\n',
    "malformed setting": '{"enabled": "false"',
    "setting of the wrong type": '{"enabled": 0}',
}
CIRCUMSTANCES: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "CI": ({"CI": "true"}, {}),
    "GitHub": ({"GITHUB_ACTIONS": "true"}, {}),
    "test run": ({"PYTEST_VERSION": "9"}, {}),
    "no write key": ({}, {"write_key": None}),
    "notice not shown": ({}, {"notice": True}),
    "opt-in not given": ({}, {"consent": "opt-in"}),
}
"""Variables and options for each."""
PERSONAL = (*VARIABLES, *SETTINGS)


class _Draw:
    """Draws the parts of a plan.

    Args:
        chance: where randomness comes from.
        hows: how a command may start a line.
    """

    def __init__(self, chance: random.Random, hows: tuple[str, ...]) -> None:
        self._chance = chance
        self._hows = hows
        self._nodes, self._options, self._lines = count(), count(), count()
        self.tree = self._node(0, "group")
        self._all = list(nodes_of(self.tree))

    def one(self, *values: Any) -> Any:
        """One of some values."""
        return self._chance.choice(values)

    def _node(self, depth: int, parent: str) -> Plan:
        number = next(self._nodes)
        kind = "command"
        if depth == 0 or (depth < 3 and parent != "chain" and self.one(True, False, False)):
            kind = self.one(*KINDS)
        name = f"run-{number}-it"
        node: Plan = {
            "number": number,
            "kind": kind,
            "name": name,
            "own_name": "cli" if parent == "lazy" else name,
            "typed": {"prefix": name[:-1], "aliases": f"alias-{number}"}.get(parent, name),
            "excluded": depth > 0 and self.one(*[False] * (7 if kind == "command" else 3), True),
            "plugin": depth > 0 and self.one(*[False] * 7, True),
            "options": [
                {"number": next(self._options), "kind": self.one("flag", "switch", "value")}
                for _ in range(self.one(0, 1, 2))
            ],
            "argument": "none",
        }
        node["segment"] = "acme" if depth == 0 else "<dynamic>" if parent == "dynamic" else name
        if node["plugin"]:
            node["segment"] = "<plugin>"
        if kind == "command":
            node["argument"] = self.one(*ARGUMENTS[: 2 if parent == "chain" else 4])
        else:
            node["alone"] = self.one(False, True)
            least = 2 if kind == "chain" else 1
            children = range(self.one(least, least + 1))
            node["children"] = [self._node(depth + 1, kind) for _ in children]
        return node

    def line(self, depth: int = 0, how: str = "main") -> Plan:
        """A command line, with what its commands do."""
        line: Plan = {"number": next(self._lines), "how": how}
        path = [OTHER] if how == "other" else self._path()
        opted_out = self.one(False, False, False, True)
        at = self.one(*range(len(path))) if opted_out else None
        words: list[str] = []
        entries = []
        for place, node in enumerate(path):
            is_last = place == len(path) - 1
            entry, more = self._entry(node, place > 0, at == place, depth, is_last)
            entries.append(entry)
            words += more
        return {**line, "entries": entries, "words": words, "opted out at": at}

    def _path(self) -> list[Plan]:
        path = [self.tree]
        while path[-1]["kind"] != "command":
            group = path[-1]
            if group["alone"] and self.one(False, False, True):
                break
            if group["kind"] == "chain":
                most = min(3, len(group["children"]))
                chosen = self._chance.sample(group["children"], self.one(1, most, most))
                return [*path, *chosen]
            path.append(self.one(*group["children"]))
        return path

    def _entry(
        self, node: Plan, typed: bool, opted_out: bool, depth: int, is_last: bool
    ) -> tuple[Plan, list[str]]:
        parts: list[list[str]] = []
        flags = []
        for option in node.get("options", ()):
            form = self.one(None, "on", "off")
            if form is None:
                continue
            number, kind = option["number"], option["kind"]
            if kind == "switch":
                parts.append([f"--{form}-{number}"])
                flags.append(f"{form}_{number}")
            elif kind == "value":
                value = self.one("x", FLAG) if node["argument"] != "extra" else "x"
                parts.append([f"--value-{number}", value])
                flags.append(f"value_{number}")
            else:
                parts.append([f"--is-{number}"])
                flags.append(f"is_{number}")
        if node["argument"] == "one":
            parts.append(["word"])
        elif node["argument"] != "none":
            parts += [["word"]] * self.one(0, 1, 2)
        if opted_out:
            parts.insert(self.one(*range(len(parts) + 1)), [FLAG])
        if node["argument"] in ("many", "extra") and self.one(False, True):
            parts.append(["--", FLAG])
        words = [word for part in parts for word in part]
        is_command = node["kind"] == "command"
        calls = []
        if depth < 3:
            most = (0, 0, 1) if depth else (0, 1, 2) if is_last else (0, 1)
            calls = [self._call(depth) for _ in range(self.one(*most))]
        ends = ALL_ENDS if is_command or is_last else ("return",) * 18 + ("runtime", "exit 3")
        entry = {
            "node": node["number"],
            "flags": flags,
            "ticks": self.one(False, True),
            "calls": calls,
            "end": self.one(*ends),
        }
        return entry, [node["typed"], *words] if typed else words

    def _call(self, depth: int) -> Plan:
        how = self.one(*self._hows, *WITHOUT_A_LINE)
        if how in WITHOUT_A_LINE:
            leaves = [node["number"] for node in self._all if node["kind"] == "command"]
            return {"how": how, "target": self.one(*leaves)}
        raises = how == "main" and self.one(False, False, True)
        return {"how": how, "raises": raises, "line": self.line(depth + 1, how)}


@st.composite
def programs(draw: Any, *, processes: bool = False) -> Plan:
    """Programs, each of a seed: Hypothesis itself prefers small trees without a flag.

    An opt-out of the whole program is `off`; `options` are those of the declaration.

    Args:
        draw: by Hypothesis.
        processes: whether a command may fork and start processes, and what else only a process of
            its own has.
    """
    hows = (*IN_PROCESS, *FORKING, *NEW_PROCESS, "process with child_env")
    chance = random.Random(draw(st.integers(0, 2**64 - 1)))
    made = _Draw(chance, hows if processes else IN_PROCESS)
    reasons = (*PERSONAL, *CIRCUMSTANCES) if processes else PERSONAL
    off = made.one(*[""] * len(reasons) * 2, *reasons)
    options: dict[str, Any] = {}
    if processes:
        options = {"write_key": "key", "notice": False}
        options |= CIRCUMSTANCES[off][1] if off in CIRCUMSTANCES else {}
    plan: Plan = {
        "tree": made.tree,
        "off": off,
        "options": options,
        "tracks": made.one(True, False),
    }
    plan["spool"] = processes or made.one(False, True)
    plan["line"] = made.line()
    return plan


# What is to be recorded ---------------------------------------------------------------------------


def opted_out_lines(plan: Plan) -> set[tuple[int, int]]:
    """The entries that a person has opted out of, by line and node.

    The flag applies to its line, and to all that the line starts in its process or with
    `child_env`, by the environment of all processes below. A group's callback runs before what
    follows it on the line is parsed.
    """
    found: set[tuple[int, int]] = set()

    def visit(line: Plan, inherited: bool, environment: bool) -> None:
        entries = line["entries"]
        at = line["opted out at"]
        for place, entry in enumerate(entries):
            is_group = place < len(entries) - 1 and not _is_chained(plan, entries, place)
            off = inherited or (at is not None and (not is_group or at <= place))
            if off:
                found.add((line["number"], entry["node"]))
            for call in entry["calls"]:
                if "line" in call:
                    passed_on = environment or (off and call["how"] == "process with child_env")
                    inside = passed_on or (off and call["how"] not in NEW_PROCESS)
                    visit(call["line"], inside, passed_on)

    visit(plan["line"], False, False)
    return found


def _is_chained(plan: Plan, entries: list[Plan], place: int) -> bool:
    """Whether an entry is one of several commands of a chain."""
    kinds = {node["number"]: node["kind"] for node in nodes_of(plan["tree"])}
    return place > 0 and kinds[entries[place]["node"]] == "command"


def lines_under_runner(plan: Plan) -> set[int]:
    """The lines that Click's runner runs, directly or not, in the same process: a test run."""
    found: set[int] = set()

    def visit(line: Plan, inside: bool) -> None:
        if inside:
            found.add(line["number"])
        for entry in line["entries"]:
            for call in entry["calls"]:
                if "line" in call:
                    how = call["how"]
                    new = how in (*NEW_PROCESS, "process with child_env")
                    visit(call["line"], how == "runner" or (inside and not new))

    visit(plan["line"], False)
    return found


def recorded(plan: Plan, witnessed: Iterable[Record], *, sends: bool) -> list[Record]:
    """The leaves that are recorded, of those that ran.

    Args:
        plan: of the program.
        witnessed: the leaves.
        sends: whether events go to a server, so that a test run records nothing.
    """
    off = opted_out_lines(plan)
    tests = lines_under_runner(plan) if sends else set()
    return [
        record
        for record in witnessed
        if not plan["off"]
        and not record["excluded"]
        and (record["line"], record["node"]) not in off
        and record["line"] not in tests
    ]


def pairs(messages: Iterable[dict[str, Any]]) -> Counter[tuple[str, tuple[str, ...], int]]:
    """The pairs that arrived, as command, flags and exit code; each run must have exactly one."""
    runs: dict[str, list[dict[str, Any]]] = {}
    for message in messages:
        if message["type"] == "track" and message["event"].startswith("Command "):
            runs.setdefault(message["properties"]["run_id"], []).append(message)
    found: Counter[tuple[str, tuple[str, ...], int]] = Counter()
    for events in runs.values():
        names = [event["event"] for event in events]
        assert sorted(names) == ["Command Completed", "Command Invoked"], names
        begin, end = sorted(events, key=lambda event: int(event["properties"]["sequence"]))
        own, last = begin["properties"], end["properties"]
        assert begin["event"] == "Command Invoked"
        assert (own["command"], own["flags"]) == (last["command"], last["flags"])
        found[own["command"], tuple(own["flags"]), last["exit_code"]] += 1
    return found


def expected_pairs(records: Iterable[Record]) -> Counter[tuple[str, tuple[str, ...], int]]:
    """The pairs of leaves that are recorded."""
    return Counter((r["command"], tuple(r["flags"]), r["code"]) for r in records)


def ticks(messages: Iterable[dict[str, Any]]) -> Counter[tuple[str, int]]:
    """The events of the applications' own, by command and node."""
    return Counter(
        (message["properties"]["command"], message["properties"]["node"])
        for message in messages
        if message["type"] == "track" and message["event"] == "Ticked"
    )


def expected_ticks(plan: Plan, records: Iterable[Record]) -> Counter[tuple[str, int]]:
    """The same, of leaves that are recorded."""
    return Counter((r["command"], r["node"]) for r in records if plan["tracks"] and r["ticks"])
