"""The answers of the report, counted in plain Python: the other half of a comparison."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

Message = dict[str, Any]

TYPES = {"track", "identify", "page", "screen", "group", "alias"}


def read(lines: Iterable[str]) -> tuple[list[Message], int, int]:
    """The messages with an ID each, the number of duplicates, and that of bad lines."""
    found: dict[str, Message] = {}
    duplicates = bad = 0
    for line in lines:
        try:
            message = json.loads(line)
        except ValueError:
            bad += 1
            continue
        if not isinstance(message, dict) or message.get("type") not in TYPES:
            bad += 1
        elif message["messageId"] in found:
            duplicates += 1
        else:
            found[message["messageId"]] = message
    return [*found.values()], duplicates, bad


def counted(messages: Iterable[Message]) -> dict[str, Any]:
    """The parts of a report that can be compared, keyed by what they are about."""
    tracks = [message for message in messages if message["type"] == "track"]
    runs: dict[str, Message] = {}
    for wanted in ("Command Invoked", "Command Completed"):
        for message in tracks:
            if message["event"] == wanted:
                runs[message["properties"]["run_id"]] = message
    by_command = defaultdict(list)
    for message in runs.values():
        by_command[message["properties"]["command"]].append(message)
    flags: Counter[tuple[str, str]] = Counter()
    failures: Counter[tuple[str, str | None, int]] = Counter()
    for message in runs.values():
        own = message["properties"]
        for flag in own["flags"]:
            flags[own["command"], flag] += 1
        if own.get("outcome") == "failure":
            failures[own["command"], own.get("error_class"), own["exit_code"]] += 1
    return {
        "runs": len(runs),
        "users": len({message["anonymousId"] for message in runs.values()}),
        "commands": {name: _command(found, len(runs)) for name, found in by_command.items()},
        "flags": dict(flags),
        "failures": dict(failures),
        "flows": _flows(tracks),
        "events": dict(Counter(message["event"] for message in tracks)),
        "versions": dict(Counter(message["properties"]["version"] for message in runs.values())),
        "dropped": sum(message["properties"].get("dropped", 0) for message in tracks),
        "health": _health(tracks),
    }


def _command(messages: list[Message], total: int) -> dict[str, Any]:
    outcomes = Counter(message["properties"].get("outcome") for message in messages)
    took = sorted(
        message["properties"]["duration_ms"]
        for message in messages
        if "duration_ms" in message["properties"]
    )
    return {
        "runs": len(messages),
        "share": round(100 * len(messages) / total, 1),
        "users": len({message["anonymousId"] for message in messages}),
        "failures": outcomes["failure"],
        "cancelled": outcomes["cancelled"],
        "unfinished": outcomes["unfinished"],
        "p50_ms": took[(50 * len(took) + 99) // 100 - 1] if took else None,
        "p95_ms": took[(95 * len(took) + 99) // 100 - 1] if took else None,
    }


def _health(tracks: list[Message]) -> tuple[int, ...]:
    """Reports, delivered and failed attempts, and the mean and the longest delay."""
    found = [one["properties"] for one in tracks if one["event"] == "Telemetry Health"]
    delivered = sum(one["delivered_count"] for one in found)
    total = sum(one["delay_ms"] * one["delivered_count"] for one in found)
    return (
        len(found),
        delivered,
        sum(one["failure_count"] for one in found),
        round(total / max(delivered, 1)),
        max((one["max_delay_ms"] for one in found), default=0),
    )


def _flows(tracks: list[Message]) -> dict[str, tuple[int, dict[tuple[Any, ...], int]]]:
    """By name: how many started, and the numbers of ends by outcome, step, reason and class."""
    started: Counter[str] = Counter()
    ends: dict[str, Counter[tuple[Any, ...]]] = defaultdict(Counter)
    for message in tracks:
        flow, _, moment = message["event"].rpartition(" ")
        own = message["properties"]
        if flow in ("", "Command"):
            continue
        if moment == "Started":
            started[flow] += 1
        elif moment in ("Completed", "Aborted", "Failed"):
            end = (own.get("step"), own.get("reason"), own.get("error_class"))
            ends[flow][(moment.lower(), *end)] += 1
    return {flow: (started[flow], dict(found)) for flow, found in ends.items()}


def reported(report: dict[str, Any]) -> dict[str, Any]:
    """A report's JSON in the form of `counted`."""
    compared = ("runs", "share", "users", "failures", "cancelled", "unfinished")
    return {
        "runs": report["runs"],
        "users": report["users"],
        "commands": {
            row["command"]: {name: row[name] for name in (*compared, "p50_ms", "p95_ms")}
            for row in report["commands"]
        },
        "flags": {(row["command"], row["flag"]): row["runs"] for row in report["flags"]},
        "failures": {
            (row["command"], row["error_class"], row["exit_code"]): row["count"]
            for row in report["failures"]
        },
        "flows": {
            flow["flow"]: (
                flow["started"],
                {
                    (end["outcome"], end["step"], end["reason"], end["error_class"]): end["count"]
                    for end in flow["ends"]
                },
            )
            for flow in report["flows"]
        },
        "events": {row["event"]: row["count"] for row in report["events"]},
        "versions": {row["version"]: row["runs"] for row in report["versions"]},
        "dropped": report["delivery"]["dropped"],
        "health": next(
            (
                (
                    row["reports"],
                    row["delivered"],
                    row["failed_attempts"],
                    row["mean_delay_ms"],
                    row["longest_delay_ms"],
                )
                for row in report["delivery"]["health"]
            ),
            (0, 0, 0, 0, 0),
        ),
    }
