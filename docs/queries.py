"""Writes the queries into docs/warehouse.md: `uv run python docs/queries.py`."""

from __future__ import annotations

from pathlib import Path

from click_telemetry._report.answers import Plan
from click_telemetry._report.warehouse import queries

PAGE = Path(__file__).with_name("warehouse.md")
HEADING = "## The queries\n"
DIALECT = "bigquery"
PLAN = Plan({"acme deploy": ["dry_run", "region"], "acme login": []}, {"Application Create": True})


def sections() -> str:
    """Each query in a block of its own, below the sentence that is its comment."""
    found = []
    for query in queries(DIALECT, flows=PLAN.flows, plan=PLAN).split(";\n")[:-1]:
        title, sql = query.strip().split("\n", 1)
        found.append(f"{title.removeprefix('-- ')}\n\n```sql\n{sql};\n```\n")
    return "\n".join(found)


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8").partition(HEADING)[0]
    PAGE.write_text(f"{text}{HEADING}\n{sections()}", encoding="utf-8")
