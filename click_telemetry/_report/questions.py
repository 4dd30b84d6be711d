"""The questions, each once, as SQL: for the report on DuckDB, and for a warehouse in its dialect.

A question selects from *relations* whose columns are the same everywhere: `runs`, one row for each
run; `flow_events`, the starts and ends of flows; `all_events`; `delays`; `dropped_events`;
`health`. `LOCAL` makes them of the table `events` of `read`, once; `warehouse` writes them as
common table expressions over the tables that Segment loads. No name from an event becomes SQL.

A question uses what every dialect has. A percentile is the smallest value that at least that part
of all values does not exceed (nearest rank), by a sum over a histogram: the warehouses' own
percentile functions differ in form and in result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import duckdb

RUNS, FLOW_EVENTS, ALL_EVENTS, DELAYS, DROPPED, HEALTH = (
    *("runs", "flow_events", "all_events", "delays", "dropped_events", "health"),
)
"""The relations."""

OUTCOMES = ("completed", "aborted", "failed")
"""How a flow ends."""

MAX_FLAGS = 64
"""Flags of one run that are counted."""


class Question(NamedTuple):
    """One question.

    Attributes:
        name: the key of the answer in the report's JSON.
        title: a sentence for people, shown in SQL as a comment.
        relation: what it selects from.
        columns: those of `runs` that it needs; a warehouse has a column only if a value arrived.
        sql: the query.
    """

    name: str
    title: str
    relation: str
    columns: tuple[str, ...]
    sql: str


def _percentiles(relation: str, key: str, value: str, names: tuple[str, str]) -> str:
    """The 50th and the 95th percentile and the number of values, for each key."""
    partition = f"PARTITION BY {key} " if key else ""
    only = f"PARTITION BY {key}" if key else ""
    keyed = f"{key}, " if key else ""
    group = f"\nGROUP BY {key}\nORDER BY {key}" if key else ""
    return f"""
WITH histogram AS (
  SELECT {keyed}{value}, COUNT(*) AS n FROM {relation} WHERE NOT {value} IS NULL
  GROUP BY {keyed}{value}
), ranked AS (
  SELECT {keyed}{value},
    SUM(n) OVER (
      {partition}ORDER BY {value} ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS up_to,
    SUM(n) OVER ({only}) AS total
  FROM histogram
)
SELECT {keyed}MAX(total) AS measured,
  MIN(CASE WHEN 100 * up_to >= 50 * total THEN {value} END) AS {names[0]},
  MIN(CASE WHEN 100 * up_to >= 95 * total THEN {value} END) AS {names[1]}
FROM ranked{group}
"""


def _shares(name: str, title: str, *keys: str) -> Question:
    """Runs and users by properties of the run."""
    listed = ", ".join(keys)
    return Question(
        name,
        title,
        RUNS,
        (*keys, "anonymous_id"),
        f"""
SELECT {listed}, COUNT(*) AS run_count,
  ROUND(100.0 * COUNT(*) / SUM(COUNT(*)) OVER (), 1) AS share,
  COUNT(DISTINCT anonymous_id) AS users
FROM runs
GROUP BY {listed}
ORDER BY run_count DESC, {listed}
""",
    )


QUESTIONS = (
    Question(
        "totals",
        "Runs, users, and the days of the first and the last run.",
        RUNS,
        ("anonymous_id", "day"),
        """
SELECT COUNT(*) AS run_count, COUNT(DISTINCT anonymous_id) AS users,
  MIN(day) AS first_day, MAX(day) AS last_day
FROM runs
""",
    ),
    Question(
        "days",
        "Runs and users by day (UTC).",
        RUNS,
        ("anonymous_id", "day"),
        """
SELECT day, COUNT(*) AS run_count, COUNT(DISTINCT anonymous_id) AS users
FROM runs
WHERE NOT day IS NULL
GROUP BY day
ORDER BY day
""",
    ),
    Question(
        "commands",
        "Commands by runs, with their share of all runs, their users, and how they ended.",
        RUNS,
        ("command", "anonymous_id", "outcome"),
        """
SELECT command, COUNT(*) AS run_count,
  ROUND(100.0 * COUNT(*) / SUM(COUNT(*)) OVER (), 1) AS share,
  COUNT(DISTINCT anonymous_id) AS users,
  SUM(CASE WHEN outcome = 'success' THEN 1 ELSE 0 END) AS successes,
  SUM(CASE WHEN outcome = 'failure' THEN 1 ELSE 0 END) AS failures,
  SUM(CASE WHEN outcome = 'cancelled' THEN 1 ELSE 0 END) AS cancelled,
  SUM(CASE WHEN outcome = 'unfinished' THEN 1 ELSE 0 END) AS unfinished,
  SUM(CASE WHEN outcome IS NULL THEN 1 ELSE 0 END) AS without_end
FROM runs
GROUP BY command
ORDER BY run_count DESC, command
""",
    ),
    Question(
        "durations",
        "Durations of commands in milliseconds, the 50th and the 95th percentile.",
        RUNS,
        ("command", "duration_ms"),
        _percentiles("runs", "command", "duration_ms", ("p50_ms", "p95_ms")),
    ),
    Question(
        "failures",
        "Failures by command and error class.",
        RUNS,
        ("command", "error_class", "exit_code", "outcome", "anonymous_id"),
        """
SELECT command, error_class, exit_code, COUNT(*) AS failures,
  COUNT(DISTINCT anonymous_id) AS users
FROM runs
WHERE outcome = 'failure'
GROUP BY command, error_class, exit_code
ORDER BY failures DESC, command, COALESCE(error_class, ''), exit_code
""",
    ),
    Question(
        "flags",
        "Flags that were typed, by command, with their share of the command's runs.",
        RUNS,
        ("command", "flags"),
        f"""
WITH combinations AS (
  SELECT command, flags, COUNT(*) AS n, SUM(COUNT(*)) OVER (PARTITION BY command) AS total
  FROM runs
  GROUP BY command, flags
), digits AS (
  {" UNION ALL ".join(f"SELECT {number} AS digit" for number in range(8))}
), places AS (
  SELECT 8 * a.digit + b.digit + 1 AS place FROM digits AS a CROSS JOIN digits AS b
), typed AS (
  SELECT command, n, total,
    TRIM(
      SPLIT_PART(
        REPLACE(REPLACE(REPLACE(flags, '[', ''), ']', ''), '"', ''), ',', CAST(place AS INT)
      )
    ) AS flag
  FROM combinations CROSS JOIN places
  WHERE NOT flags IS NULL
)
SELECT command, flag, SUM(n) AS run_count,
  ROUND(CAST(100.0 * SUM(n) / MAX(total) AS DECIMAL(18, 6)), 1) AS share
FROM typed
WHERE flag <> ''
GROUP BY command, flag
ORDER BY command, run_count DESC, flag
""",
    ),
    Question(
        "flows",
        "Flows: how many started, and how many ended with which step, reason and error.",
        FLOW_EVENTS,
        (),
        """
SELECT flow, outcome, step, reason, error_class, COUNT(*) AS flow_count
FROM flow_events
GROUP BY flow, outcome, step, reason, error_class
ORDER BY flow, outcome, flow_count DESC, COALESCE(step, ''), COALESCE(reason, ''),
  COALESCE(error_class, '')
""",
    ),
    Question(
        "events",
        "Events by name.",
        ALL_EVENTS,
        (),
        """
SELECT event_text, COUNT(DISTINCT id) AS event_count, COUNT(DISTINCT anonymous_id) AS users
FROM all_events
GROUP BY event_text
ORDER BY event_count DESC, event_text
""",
    ),
    _shares("versions", "Versions of the application.", "version"),
    _shares("systems", "Operating systems and architectures.", "os", "arch"),
    _shares("pythons", "Versions of Python.", "python_version"),
    _shares("callers", "People, agents, scripts and CI.", "cli_context", "ci"),
    Question(
        "delays",
        "Seconds from an event to its delivery, the 50th and the 95th percentile.",
        DELAYS,
        (),
        _percentiles("delays", "", "delay", ("p50_s", "p95_s")),
    ),
    Question(
        "dropped",
        "Events that were dropped (the column exists once any were).",
        DROPPED,
        (),
        "SELECT COALESCE(SUM(dropped), 0) AS dropped FROM dropped_events",
    ),
    Question(
        "health",
        "What senders report once a day, by the version of the library.",
        HEALTH,
        (),
        """
SELECT library_version, COUNT(*) AS report_count, COUNT(DISTINCT anonymous_id) AS users,
  SUM(delivered_count) AS delivered, SUM(rejected_count) AS rejected,
  SUM(dropped_count) AS dropped, SUM(failure_count) AS failed_attempts,
  CAST(
    ROUND(SUM(CAST(delay_ms AS DOUBLE) * delivered_count) / NULLIF(SUM(delivered_count), 0))
    AS BIGINT
  ) AS mean_delay_ms,
  MAX(max_delay_ms) AS longest_delay_ms, MAX(queue_age_ms) AS oldest_queued_ms
FROM health
GROUP BY library_version
ORDER BY report_count DESC, library_version
""",
    ),
    Question(
        "sampling",
        "Runs by sample rate, and how many they stand for (the column exists if any are sampled).",
        RUNS,
        ("sample_rate", "anonymous_id"),
        """
SELECT sample_rate, COUNT(*) AS run_count, COUNT(DISTINCT anonymous_id) AS users,
  ROUND(COUNT(*) / sample_rate) AS estimated_runs
FROM runs
WHERE sample_rate >= 0.000001 AND sample_rate < 1
GROUP BY sample_rate
ORDER BY sample_rate
""",
    ),
)

_RUN_COLUMNS = """
  run_id, anonymous_id, CAST(occurred_at AS DATE) AS day, command, flags, version, os, arch,
  python_version, cli_context, ci, outcome, exit_code, error_class, duration_ms, sample_rate
"""

LOCAL = {
    # A run has an end, or only its beginning arrived yet.
    RUNS: f"""
SELECT {_RUN_COLUMNS} FROM events
WHERE event = 'Command Completed' AND NOT run_id IS NULL AND NOT command IS NULL
UNION ALL
SELECT {_RUN_COLUMNS} FROM events
WHERE event = 'Command Invoked' AND NOT command IS NULL AND NOT run_id IN (
  SELECT run_id FROM events WHERE event = 'Command Completed' AND NOT run_id IS NULL
)
""",
    # A flow's end has a duration; that of a timed event also has `succeeded`.
    FLOW_EVENTS: """
WITH named AS (
  SELECT regexp_extract(event, '(?s)^(.+) (?:Started|Completed|Aborted|Failed)$', 1) AS flow,
    LOWER(regexp_extract(event, ' (\\w+)$', 1)) AS outcome,
    step, reason, error_class, duration_ms, has_succeeded
  FROM events
  WHERE event <> 'Command Completed'
    AND regexp_matches(event, '. (Started|Completed|Aborted|Failed)$')
), ends AS (
  SELECT DISTINCT flow FROM named
  WHERE outcome <> 'started' AND NOT duration_ms IS NULL AND NOT has_succeeded
)
SELECT flow, outcome, step, reason, error_class FROM named
WHERE list_contains($flows, flow) OR ($flows IS NULL AND flow IN (SELECT flow FROM ends))
""",
    ALL_EVENTS: """
SELECT event AS event_text, id, anonymous_id FROM events WHERE NOT event IS NULL
""",
    DELAYS: "SELECT delay FROM events WHERE NOT event IS NULL",
    DROPPED: "SELECT dropped FROM events WHERE dropped > 0",
    HEALTH: "SELECT * FROM events WHERE event = 'Telemetry Health'",
}
"""The relations on the table `events` of `read`."""


def ask(
    connection: duckdb.DuckDBPyConnection, flows: list[str] | None = None
) -> dict[str, list[dict[str, Any]]]:
    """The answers to all questions on the table `events`, by name; each is a list of rows.

    Args:
        connection: to a database of `read.database`, with `events` loaded.
        flows: the declared flows; without them, events that end as a flow does are taken for one.
    """
    for relation, sql in LOCAL.items():
        parameters = {"flows": flows} if relation == FLOW_EVENTS else {}
        connection.execute(f"CREATE TEMP TABLE {relation} AS {sql}", parameters)
    answers = {}
    for question in QUESTIONS:
        cursor = connection.execute(question.sql)
        names = [column[0] for column in cursor.description or ()]
        answers[question.name] = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return answers
