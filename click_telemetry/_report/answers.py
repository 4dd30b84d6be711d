"""The report as one object: the answers to all questions, with what a tracking plan adds.

It is what `--json` prints, and all that the terminal and the page show. Its keys are documented in
docs/report.md; they change as the names of properties do, not at all.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from .questions import OUTCOMES, ask

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    import duckdb

    from .read import Sources

    Report = dict[str, Any]


class NoPlan(Exception):
    """A file is no tracking plan; the message names the fix."""


class Plan(NamedTuple):
    """What a tracking plan declares.

    Attributes:
        commands: with their flags.
        flows: their names, and whether they have steps.
    """

    commands: dict[str, list[str]]
    flows: dict[str, bool]


# The tracking plan --------------------------------------------------------------------------------


def read_plan(path: str) -> Plan:
    """The plan in a file that `click-telemetry plan --format jsonschema` has written.

    Raises:
        NoPlan: the file cannot be read, or declares no command.
    """
    try:
        with open(path, encoding="utf-8") as file:
            schema = json.load(file)
        commands = {
            str(command): [flag for flag in declared["flags"] if isinstance(flag, str)]
            for command, declared in schema["x-commands"].items()
        }
        flows = {
            str(flow): declared.get("steps") != []
            for flow, declared in schema.get("x-flows", {}).items()
        }
    except (OSError, ValueError, RecursionError) as error:
        raise NoPlan(f"it cannot be read ({error})") from error
    except (LookupError, TypeError, AttributeError) as error:
        raise NoPlan("it does not declare its commands (x-commands)") from error
    return Plan(commands, flows)


# The object ---------------------------------------------------------------------------------------


def build(
    connection: duckdb.DuckDBPyConnection,
    sources: Sources,
    *,
    plan: Plan | None = None,
    since: datetime | None = None,
) -> Report:
    """Ask the questions, and join the answers.

    Args:
        connection: to the database with the events.
        sources: what was read.
        plan: the application's, for what is never used.
        since: as it was given to `read.load`.
    """
    rows = ask(connection, None if plan is None else [*plan.flows])
    (totals,) = rows["totals"]
    commands = _commands(rows)
    flags = [_renamed(row, run_count="runs") for row in rows["flags"]]
    used_flags = {(row["command"], row["flag"]) for row in flags}
    return {
        "sources": {
            **sources._asdict(),
            "bad_files": [
                {"file": file, "bad_lines": bad, "incomplete": incomplete}
                for file, bad, incomplete in sources.bad_files
            ],
        },
        "since": None if since is None else since.isoformat(),
        "first_day": _day(totals["first_day"]),
        "last_day": _day(totals["last_day"]),
        "runs": totals["run_count"],
        "users": totals["users"],
        "commands": commands,
        "unused_commands": None
        if plan is None
        else sorted(plan.commands.keys() - {command["command"] for command in commands}),
        "failures": [_renamed(row, failures="count") for row in rows["failures"]],
        "flags": flags,
        "unused_flags": None
        if plan is None
        else [
            {"command": command, "flag": flag}
            for command in sorted(plan.commands)
            for flag in sorted(plan.commands[command])
            if (command, flag) not in used_flags
        ],
        "flows": _flows(rows["flows"], () if plan is None else plan.flows),
        "days": [
            {"day": _day(row["day"]), "runs": row["run_count"], "users": row["users"]}
            for row in rows["days"]
        ],
        **{
            name: [_renamed(row, run_count="runs") for row in rows[name]]
            for name in ("versions", "systems", "pythons")
        },
        "callers": [
            {**_renamed(row, run_count="runs"), "ci": row["ci"] == "yes"} for row in rows["callers"]
        ],
        "events": [
            _renamed(row, event_text="event", event_count="count") for row in rows["events"]
        ],
        "delivery": _delivery(rows),
        "sampling": [_renamed(row, run_count="runs") for row in rows["sampling"]],
    }


def _commands(rows: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    durations = {row["command"]: row for row in rows["durations"]}
    return [
        {
            **_renamed(row, run_count="runs"),
            "p50_ms": durations.get(row["command"], {}).get("p50_ms"),
            "p95_ms": durations.get(row["command"], {}).get("p95_ms"),
        }
        for row in rows["commands"]
    ]


def _flows(rows: Sequence[Mapping[str, Any]], declared: Iterable[str]) -> list[dict[str, Any]]:
    """Each flow, those that started most often first; `open` ones have no end yet."""
    flows: dict[str, dict[str, Any]] = {
        name: {"flow": name, "started": 0, "ends": []}
        for name in [*(row["flow"] for row in rows), *declared]
    }
    for row in rows:
        flow = flows[row["flow"]]
        if row["outcome"] in OUTCOMES:
            end = {name: row[name] for name in ("outcome", "step", "reason", "error_class")}
            flow["ends"].append({**end, "count": row["flow_count"]})
        else:
            flow["started"] += row["flow_count"]
    for flow in flows.values():
        for outcome in OUTCOMES:
            ends = [end["count"] for end in flow["ends"] if end["outcome"] == outcome]
            flow[outcome] = sum(ends)
        flow["ended"] = sum(flow[outcome] for outcome in OUTCOMES)
        flow["open"] = max(0, flow["started"] - flow["ended"])
    return sorted(flows.values(), key=lambda flow: (-flow["started"], flow["flow"]))


def _delivery(rows: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    (delays,) = rows["delays"]
    (dropped,) = rows["dropped"]
    commands = rows["commands"]
    return {
        "dropped": int(dropped["dropped"]),
        "unfinished": sum(row["unfinished"] for row in commands),
        "without_end": sum(row["without_end"] for row in commands),
        "delays_measured": int(delays["measured"] or 0),
        "delay_p50_s": delays["p50_s"],
        "delay_p95_s": delays["p95_s"],
        "health": [_renamed(row, report_count="reports") for row in rows["health"]],
    }


def _renamed(row: Mapping[str, Any], **names: str) -> dict[str, Any]:
    """A row with the report's names; in SQL `runs` is a relation, so a number has another name."""
    return {
        names.get(name, name): float(value) if isinstance(value, Decimal) else value
        for name, value in row.items()
    }


def _day(day: Any) -> str | None:
    return None if day is None else day.isoformat()
