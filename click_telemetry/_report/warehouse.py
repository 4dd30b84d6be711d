"""The questions as SQL for a warehouse that Segment loads, in its dialect.

There each event has a table, named as the event in snake case: `command_completed`,
`application_create_aborted`. `tracks` has a row for each event, without its properties. RudderStack
uses the same names. The relations of the questions become common table expressions over these
tables, and sqlglot translates the whole. Rows that a warehouse holds twice count once.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import sqlglot
from sqlglot import exp

from .questions import ALL_EVENTS, DELAYS, DROPPED, FLOW_EVENTS, HEALTH, OUTCOMES, QUESTIONS, RUNS
from .read import HEALTH as HEALTH_PROPERTIES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from .answers import Plan
    from .questions import Question

INVOKED, COMPLETED = "command_invoked", "command_completed"


class Column(NamedTuple):
    """A column of the relation `runs`.

    Attributes:
        source: of a row of an event's table.
        aggregate: of the rows of one run; a run that ended is not `unfinished`, so the smallest
            of its outcomes counts.
        type: of its values, if only an end has them.
    """

    source: str
    aggregate: str = "MAX"
    type: str = ""


RUN_COLUMNS = {
    "anonymous_id": Column("anonymous_id"),
    "day": Column("CAST(original_timestamp AS DATE)", "MIN"),
    **{name: Column(name) for name in ("command", "flags", "version", "os", "arch")},
    **{name: Column(name) for name in ("python_version", "cli_context", "sample_rate")},
    "ci": Column("CASE WHEN is_ci THEN 'yes' ELSE 'no' END"),
    "outcome": Column("outcome", "MIN", "TEXT"),
    "error_class": Column("error_class", "MAX", "TEXT"),
    "exit_code": Column("exit_code", "MAX", "BIGINT"),
    "duration_ms": Column("duration_ms", "MAX", "BIGINT"),
}


def queries(
    dialect: str,
    *,
    flows: Mapping[str, bool] | None = None,
    plan: Plan | None = None,
    since: datetime | None = None,
) -> str:
    """All questions, each a query with a comment above it.

    Args:
        dialect: of sqlglot.
        flows: the names of flows, each of which has tables of its own, and whether these have a
            column for the step.
        plan: the tracking plan, for the commands and flags that are never used.
        since: events that were received before it are left out.
    """
    found = []
    for question in QUESTIONS:
        if question.relation != FLOW_EVENTS or flows:
            relation = _relation(question, flows or {}, since)
            found.append((question.title, _with(question.relation, relation, question.sql)))
        else:
            found.append((f"{question.title}\nName the flows with --plan, or with files.", ""))
    if plan is not None:
        found += _unused(plan, since)
    return "\n".join(_printed(title, sql, dialect) for title, sql in found)


def table_name(event: str) -> str:
    """The table of an event: `GitHub Connect Aborted` is `git_hub_connect_aborted`.

    Segment names it so (https://github.com/segmentio/go-snakecase).
    """
    return "_".join(re.findall(r"[A-Z0-9]+[a-z0-9]*|[a-z0-9]+", event)).lower()


# Relations ----------------------------------------------------------------------------------------


def _relation(question: Question, flows: Mapping[str, bool], since: datetime | None) -> str:
    when = "" if since is None else f"WHERE received_at >= {_moment(since)}"
    if question.relation == RUNS:
        return _runs(question.columns, when)
    if question.relation == FLOW_EVENTS:
        return _flow_events(flows, when)
    if question.relation == ALL_EVENTS:
        return f"SELECT id, event_text, anonymous_id FROM tracks {when}"
    if question.relation == DELAYS:
        difference = "DATE_DIFF('second', original_timestamp, sent_at)"
        return f"SELECT DISTINCT id, {difference} AS delay FROM tracks {when}"
    if question.relation == HEALTH:
        columns = ", ".join(HEALTH_PROPERTIES)
        return f"SELECT DISTINCT id, anonymous_id, {columns} FROM telemetry_health {when}"
    assert question.relation == DROPPED
    # It is nearly always the first event of an invocation that reports them.
    return f"SELECT DISTINCT id, dropped FROM {INVOKED} {when}"


def _runs(columns: Sequence[str], when: str) -> str:
    """One row for each run, of its end or, as long as there is none, of its beginning."""
    chosen = {name: RUN_COLUMNS[name] for name in columns}
    ends = [f"{column.source} AS {name}_" for name, column in chosen.items()]
    starts = [
        f"{f'CAST(NULL AS {column.type})' if column.type else column.source} AS {name}_"
        for name, column in chosen.items()
    ]
    merged = [f"{column.aggregate}({name}_) AS {name}" for name, column in chosen.items()]
    return f"""
SELECT run_id, {", ".join(merged)}
FROM (
  SELECT run_id, {", ".join(starts)} FROM {INVOKED} {when}
  UNION ALL
  SELECT run_id, {", ".join(ends)} FROM {COMPLETED} {when}
) AS recorded
WHERE NOT run_id IS NULL
GROUP BY run_id
"""


def _flow_events(flows: Mapping[str, bool], when: str) -> str:
    """The starts and ends of all flows, of their tables."""
    selects = []
    for flow, has_steps in flows.items():
        literal = exp.Literal.string(flow).sql("duckdb")
        for outcome in ("started", *OUTCOMES):
            own = {
                "step": has_steps and outcome != "started",
                "reason": outcome == "aborted",
                "error_class": outcome == "failed",
            }
            columns = ", ".join(
                name if has else f"CAST(NULL AS TEXT) AS {name}" for name, has in own.items()
            )
            selects.append(
                f"SELECT id, {literal} AS flow, '{outcome}' AS outcome, {columns} "
                f"FROM {table_name(f'{flow} {outcome}')} {when}"
            )
    return " UNION ".join(selects)


def _unused(plan: Plan, since: datetime | None) -> list[tuple[str, str]]:
    """Queries for what the plan declares and no run used: declared with 0 runs, and then summed."""
    found = []
    for name, title, keys in (
        ("commands", "Commands that are never used.", ("command",)),
        ("flags", "Flags that are never used.", ("command", "flag")),
    ):
        rows = (
            [(command,) for command in plan.commands]
            if name == "commands"
            else [(command, flag) for command, flags in plan.commands.items() for flag in flags]
        )
        if not rows:
            continue
        question = next(one for one in QUESTIONS if one.name == name)
        declared = " UNION ALL ".join(
            "SELECT "
            + ", ".join(
                f"{exp.Literal.string(value).sql('duckdb')} AS {key}"
                for key, value in zip(keys, row, strict=True)
            )
            + ", 0 AS run_count"
            for row in sorted(rows)
        )
        listed = ", ".join(keys)
        body = question.sql.strip().partition("\nORDER BY")[0]
        sql = f"""
WITH used AS ({body}),
counted AS (SELECT {listed}, run_count FROM used UNION ALL {declared})
SELECT {listed} FROM counted GROUP BY {listed} HAVING SUM(run_count) = 0 ORDER BY {listed}
"""
        found.append((title, _with(RUNS, _relation(question, {}, since), sql)))
    return found


def _with(name: str, relation: str, sql: str) -> str:
    """A query with one more common table expression, before its own."""
    rest = sql.strip()
    own = f", {rest.removeprefix('WITH ')}" if rest.startswith("WITH ") else f" {rest}"
    return f"WITH {name} AS ({relation}){own}"


def _moment(since: datetime) -> str:
    return f"CAST('{since.strftime('%Y-%m-%d %H:%M:%S')}' AS TIMESTAMPTZ)"


# Dialects -----------------------------------------------------------------------------------------


def _printed(title: str, sql: str, dialect: str) -> str:
    comment = "".join(f"-- {line}\n" for line in title.splitlines())
    return comment + (f"{translated(sql, dialect)};\n" if sql else "")


def translated(sql: str, dialect: str) -> str:
    """A query of DuckDB in another dialect."""
    tree = sqlglot.parse_one(sql, read="duckdb").transform(_portable, dialect)
    return tree.sql(dialect, pretty=True)


def _portable(node: exp.Expr, dialect: str) -> exp.Expr:
    """What sqlglot leaves as it is although a dialect has another function for it.

    Where a NULL is ordered differs; no question depends on it.
    """
    if isinstance(node, exp.Ordered):
        ordering = sqlglot.Dialect.get_or_raise(dialect).NULL_ORDERING
        descending = bool(node.args.get("desc"))
        first = {"nulls_are_small": not descending, "nulls_are_large": descending}
        node.set("nulls_first", first.get(ordering, False))
    if dialect == "bigquery":
        if isinstance(node, exp.SplitPart):
            text, place = node.this.sql(dialect), node.args["part_index"].sql(dialect)
            return _parsed(f"SPLIT({text}, ',')[SAFE_ORDINAL({place})]", dialect)
        if isinstance(node, exp.DateDiff):
            later, earlier = node.this.sql(dialect), node.expression.sql(dialect)
            return _parsed(f"TIMESTAMP_DIFF({later}, {earlier}, SECOND)", dialect)
    if dialect == "clickhouse" and isinstance(node, exp.SplitPart):
        text, place = node.this.sql(dialect), node.args["part_index"].sql(dialect)
        return _parsed(f"splitByChar(',', {text})[{place}]", dialect)
    return node


def _parsed(sql: str, dialect: str) -> exp.Expr:
    return sqlglot.parse_one(sql, read=dialect)
