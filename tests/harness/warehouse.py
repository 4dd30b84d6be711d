"""Messages as the tables that Segment loads into a warehouse.

As https://segment.com/docs/connections/storage/warehouses/schema/ describes it: a table for each
event, named in snake case as https://github.com/segmentio/go-snakecase does, with a column for each
property; `tracks` with what all events have; nested objects are flattened, arrays are texts. A
column exists if any value arrived.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from tempfile import NamedTemporaryFile
from typing import Any

import duckdb

Message = dict[str, Any]
Tables = dict[str, list[dict[str, Any]]]

SHARED = {
    "messageId": "id",
    "anonymousId": "anonymous_id",
    "userId": "user_id",
    "originalTimestamp": "original_timestamp",
    "sentAt": "sent_at",
    "receivedAt": "received_at",
    "timestamp": "timestamp",
}


def tables(messages: Iterable[Message]) -> Tables:
    """The rows of all tables."""
    found: Tables = {"tracks": []}
    for message in messages:
        if message["type"] != "track":
            continue
        words = re.sub(r"([a-z])(?=[A-Z])", r"\1 ", message["event"])
        slug = re.sub(r"\W+", "_", words.lower())
        row = {column: message[key] for key, column in SHARED.items() if key in message}
        row |= {
            "event": slug,
            "event_text": message["event"],
            **_flat("context", message["context"]),
        }
        found["tracks"].append(row)
        own: dict[str, Any] = {}
        for name, value in message["properties"].items():
            own |= _flat(name, value)
        found.setdefault(slug, []).append({**own, **row})
    return found


def _flat(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        found: dict[str, Any] = {}
        for key, item in value.items():
            found |= _flat(f"{name}_{key}", item)
        return found
    if isinstance(value, list):
        value = json.dumps(value, separators=(",", ":"))
    return {} if value is None else {name: value}


def columns(rows: Iterable[dict[str, Any]]) -> dict[str, str]:
    """The type of each column of a table, by its first value."""
    types: dict[type, str] = {bool: "BOOLEAN", int: "BIGINT", float: "DOUBLE"}
    found: dict[str, str] = {}
    for row in rows:
        for name, value in row.items():
            moment = name.endswith(("_at", "timestamp"))
            found.setdefault(name, "TIMESTAMP" if moment else types.get(type(value), "VARCHAR"))
    return found


def create(connection: duckdb.DuckDBPyConnection, found: Tables) -> None:
    """Create the tables in DuckDB."""
    for table, rows in found.items():
        listed = ", ".join(f"{name}: '{kind}'" for name, kind in columns(rows).items())
        with NamedTemporaryFile("w", suffix=".json") as file:
            file.writelines(f"{json.dumps(row)}\n" for row in rows)
            file.flush()
            connection.execute(
                f"CREATE TABLE {table} AS SELECT * FROM read_json(?, columns = {{{listed}}})",
                [file.name],
            )
