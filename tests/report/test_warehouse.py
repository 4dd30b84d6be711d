"""The questions for a warehouse: the same answers, in SQL that each dialect parses."""

from __future__ import annotations

import random
from datetime import datetime, timezone

import duckdb
import pytest
import sqlglot
from click.testing import CliRunner

from click_telemetry._report import questions, warehouse
from click_telemetry._report.answers import Plan
from click_telemetry._report.command import DIALECTS
from click_telemetry._report.read import database, find_files, load
from click_telemetry._tools.cli import cli

from ..harness.messages import track
from ..harness.pages import page
from ..harness.simulation import Message, exported, simulate
from ..harness.warehouse import create, tables
from .conftest import Write

FLOWS = {"Application Create": True, "Plan Change": True}
PLAN = Plan({"demo deploy": ["region", "it's"], "demo vanish": [], "demo it's": ["x"]}, FLOWS)


def sql(*args: str) -> str:
    result = CliRunner().invoke(cli, ["report", "--sql", *args])
    assert result.exit_code == 0, result.output
    return result.stdout


def statements(text: str) -> list[str]:
    return [part for part in text.split(";\n") if part.strip()]


def rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, object]]:
    cursor = connection.execute(query)
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def sampled(rng: random.Random) -> list[Message]:
    """The messages of 40 users, as an export has them."""
    messages = [exported(message, rng) for message in simulate(5, range(40))]
    for message in messages:
        message["properties"]["sample_rate"] = 0.25
    return messages


def too_early(messages: list[Message]) -> list[Message]:
    """Second ends of runs: each was reported as unfinished before it ended."""
    ends = [one for one in messages if one["properties"].get("outcome") == "failure"][:5]
    assert ends
    return [{**end, "properties": {**end["properties"], "outcome": "unfinished"}} for end in ends]


@pytest.fixture(scope="module")
def loaded() -> duckdb.DuckDBPyConnection:
    """Segment's tables of 40 users, some of whose events were loaded twice."""
    rng = random.Random(5)
    messages = sampled(rng)
    connection = duckdb.connect()
    create(connection, tables([*messages, *rng.sample(messages, 100), *too_early(messages)]))
    return connection


@pytest.mark.extended
def test_segment_s_tables_give_the_answers_of_the_report(
    loaded: duckdb.DuckDBPyConnection, write: Write
) -> None:
    """I get the same numbers from my warehouse as from the files."""
    messages = sampled(random.Random(5))
    for message in messages:
        # A warehouse's tables have no corrected time that the questions use.
        message["timestamp"] = message["originalTimestamp"]
    path = write("events.jsonl", [*too_early(messages), *messages])
    with database() as connection:
        load(connection, find_files([str(path)]))
        expected = questions.ask(connection, [*FLOWS])
    found = statements(warehouse.queries("duckdb", flows=FLOWS))
    assert len(found) == len(questions.QUESTIONS)
    for question, query in zip(questions.QUESTIONS, found, strict=True):
        answer = rows(loaded, query)
        assert answer, question.name
        assert answer == expected[question.name], question.name


def test_what_is_never_used_is_asked_too(loaded: duckdb.DuckDBPyConnection) -> None:
    """With a plan, two more queries list the commands and flags that I could remove."""
    *_, commands, flags = statements(warehouse.queries("duckdb", flows=FLOWS, plan=PLAN))
    assert rows(loaded, commands) == [{"command": "demo it's"}, {"command": "demo vanish"}]
    assert rows(loaded, flags) == [
        {"command": "demo deploy", "flag": "it's"},
        {"command": "demo it's", "flag": "x"},
    ]


def test_since_is_a_condition_of_each_query(loaded: duckdb.DuckDBPyConnection) -> None:
    """A query over years of events reads only those that I ask for."""
    since = datetime(2026, 3, 20, tzinfo=timezone.utc)
    found = statements(warehouse.queries("duckdb", flows=FLOWS, since=since))
    (totals,) = rows(loaded, found[0])
    (every,) = rows(loaded, statements(warehouse.queries("duckdb"))[0])
    assert 0 < totals["run_count"] < every["run_count"]  # type: ignore[operator]
    assert all("received_at >= " in query for query in found)


def is_decimal(rounded: sqlglot.exp.Round) -> bool:
    """Whether no part of what is rounded is a number of the column's own type, such as DOUBLE."""
    return rounded.this.is_type("decimal") or not [*rounded.this.find_all(sqlglot.exp.Column)]


@pytest.mark.sample(2)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_dialect_parses_what_is_printed(
    dialect: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Every query is one statement of the dialect, and nothing was left untranslated."""
    flows = {**FLOWS, "It's \\ here": False}
    since = datetime(2026, 3, 20, tzinfo=timezone.utc)
    text = warehouse.queries(dialect, flows=flows, plan=PLAN, since=since)
    assert capfd.readouterr().err == ""
    found = sqlglot.parse(text, read=dialect, error_level=sqlglot.ErrorLevel.RAISE)
    trees = [tree for tree in found if isinstance(tree, sqlglot.exp.Query)]
    assert len(trees) == len(questions.QUESTIONS) + 2
    names = {one.name.lower() for tree in trees for one in tree.find_all(sqlglot.exp.Anonymous)}
    assert names <= {"splitbychar"}
    untranslated = {
        # A DATETIME of BigQuery cannot be compared with the TIMESTAMP of a table.
        "bigquery": ("SPLIT_PART", "DATE_DIFF", " UNION SELECT", "DATETIME"),
        "clickhouse": ("SPLIT_PART",),
    }
    assert [word for word in untranslated.get(dialect, ()) if word in text] == []
    # PostgreSQL rounds only a decimal to a number of digits.
    rounded = [one for tree in trees for one in tree.find_all(sqlglot.exp.Round)]
    assert [one.sql() for one in rounded if one.args.get("decimals") and not is_decimal(one)] == []
    literals = {one.this for tree in trees for one in tree.find_all(sqlglot.exp.Literal)}
    assert {"It's \\ here", "it's"} <= literals


def test_flows_are_those_of_the_files(write: Write) -> None:
    """Without a plan, the files name the flows; without files a comment names the fix."""
    text = sql("postgres", str(write("events.jsonl", simulate(1, range(3)))))
    assert "FROM plan_change_aborted" in text
    assert "--plan" in sql("postgres")
    assert "_aborted" not in sql("postgres")


def test_a_flow_without_steps_has_no_column_for_them(write: Write) -> None:
    """The query of flows runs though no event has brought a step."""
    schema: dict[str, object] = {"x-commands": {}, "x-flows": {"Sign Up": {"steps": []}}}
    ends = [track("Sign Up Started"), track("Sign Up Aborted", reason="no", duration_ms=1)]
    for args in (["--plan", write("plan.json", [schema])], [write("events.jsonl", ends)]):
        (query,) = [one for one in statements(sql("duckdb", *map(str, args))) if "sign_up" in one]
        connection = duckdb.connect()
        for table, columns in (
            ("started", "id TEXT"),
            ("completed", "id TEXT"),
            ("aborted", "id TEXT, reason TEXT"),
            ("failed", "id TEXT, error_class TEXT"),
        ):
            connection.execute(f"CREATE TABLE sign_up_{table} ({columns})")
        connection.execute("INSERT INTO sign_up_aborted VALUES ('m', 'no'), ('m', 'no')")
        assert [(row["step"], row["flow_count"]) for row in rows(connection, query)] == [(None, 1)]


@pytest.mark.parametrize(
    ("event", "table"),
    [
        ("Command Completed", "command_completed"),
        ("Application Create Step Reached", "application_create_step_reached"),
        ("GitHub Connect Started", "git_hub_connect_started"),
        ("OAuth2 Login  Failed", "oauth2_login_failed"),
        ("it's; DROP", "it_s_drop"),
    ],
)
def test_a_table_is_named_after_its_event(event: str, table: str) -> None:
    """The queries find the tables, and no name leaves its place."""
    assert warehouse.table_name(event) == table


def test_the_page_shows_what_the_command_prints(write: Write) -> None:
    """The SQL of the documentation is the real one; `docs/queries.py` writes it."""
    schema = {
        "x-commands": {
            "acme deploy": {"flags": ["dry_run", "region"]},
            "acme login": {"flags": []},
        },
        "x-flows": {"Application Create": {"steps": ["plan"]}},
    }
    printed = statements(sql("bigquery", "--plan", str(write("plan.json", [schema]))))
    shown = page("docs/warehouse.md").blocks("sql")
    assert [query.strip().split("\n", 1)[1] + ";\n" for query in printed] == shown


def test_every_dialect_is_on_the_page() -> None:
    """I see whether my warehouse is supported."""
    text = page("docs/warehouse.md").text
    assert [dialect for dialect in DIALECTS if f"`{dialect}`" not in text] == []
