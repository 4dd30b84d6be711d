"""Files of messages to one table, `events`, of a DuckDB database that lasts as long as the report.

A line is a message as Segment defines it: what `File` and `watch --json` write, and what Segment's
and RudderStack's exports contain. Nothing that a file contains is fatal. A line that is no message
is counted, a file that breaks off is read as far as it goes, and a message ID counts once. The
table holds no ID, only hashes, and no property that no question needs.
"""

from __future__ import annotations

import codecs
import errno
import glob
import gzip
import os
import shutil
import tempfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import duckdb

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

STDIN = "-"
"""As a path: standard input."""
MEMORY = "1500MB"
"""What DuckDB keeps in memory; the rest is written to the temporary directory."""
MAX_LINE = 16 * 1024 * 1024
"""Bytes of a line that DuckDB reads; a message has 32 KB. A longer one may be a bad line."""
FILES_AT_ONCE = 128
"""Files that one statement reads: each costs 2 ms of CPU, with 32 at once 3 ms. If one is damaged,
they are read again one by one."""
COMPRESSIONS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
"""By the first bytes of a file: a download may have been decompressed and keep its name."""
ENCODINGS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""By the byte order mark that PowerShell and editors on Windows write; DuckDB reads UTF-8 alone."""
NO_SPACE = (OSError, duckdb.IOException, duckdb.OutOfMemoryException, duckdb.FatalException)
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What Python and DuckDB raise if something cannot be written, and the numbers of its errors."""
PLAIN = "uncompressed"
"""The name of no compression, in every version of DuckDB."""
NO_MESSAGE = b"unreadable\n"
"""Written for what cannot be read, so that it is counted as a bad line."""

PROPERTIES = (
    *("run_id", "command", "flags", "version", "os", "arch", "python_version", "is_ci"),
    *("cli_context", "outcome", "exit_code", "error_class", "duration_ms", "succeeded"),
    *("step", "reason", "dropped", "sample_rate"),
)
"""The properties that questions need, as texts: an event may contain any type under any name."""

HEALTH = (
    *("library_version", "delivered_count", "rejected_count", "dropped_count", "failure_count"),
    *("delay_ms", "max_delay_ms", "queue_age_ms"),
)
"""Those of `Telemetry Health`, by which a sender reports how delivery works; all but one count."""

_COLUMNS = (
    "{type: 'VARCHAR', event: 'VARCHAR', messageId: 'VARCHAR', anonymousId: 'VARCHAR', "
    "timestamp: 'VARCHAR', originalTimestamp: 'VARCHAR', sentAt: 'VARCHAR', receivedAt: 'VARCHAR', "
    f"properties: 'STRUCT({', '.join(f'{name} VARCHAR' for name in PROPERTIES + HEALTH)})'}}"
)

# The client's clock is compared with itself where that is possible: `timestamp` of an export is
# corrected by the difference to the server's, `originalTimestamp` is not.
_SELECT = f"""
WITH lines AS (
  SELECT
    *,
    instant(timestamp) AS corrected_at,
    instant(COALESCE(originalTimestamp, timestamp)) AS original_at,
    instant(sentAt) AS sent_at,
    instant(receivedAt) AS received_at
  FROM read_json(
    ?, format = 'newline_delimited', columns = {_COLUMNS}, compression = ?,
    ignore_errors = true, filename = true
  )
)
SELECT
  filename AS file,
  CASE WHEN type IN ('track', 'identify', 'page', 'screen', 'group', 'alias') THEN type END AS type,
  CASE WHEN type = 'track' THEN COALESCE(event, '') END AS event,
  md5_number(messageId) AS id,
  md5_number(anonymousId) AS anonymous_id,
  CASE
    WHEN EXTRACT(year FROM COALESCE(corrected_at, original_at)) BETWEEN 1 AND 9999
    THEN COALESCE(corrected_at, original_at)
  END AS occurred_at,
  date_diff(
    'second',
    CASE WHEN sent_at IS NULL THEN corrected_at ELSE original_at END,
    COALESCE(sent_at, received_at)
  ) AS delay,
  md5_number(properties.run_id) AS run_id,
  properties.command AS command,
  properties.flags AS flags,
  properties.version AS version,
  properties.os AS os,
  properties.arch AS arch,
  properties.python_version AS python_version,
  CASE WHEN properties.is_ci = 'true' THEN 'yes' ELSE 'no' END AS ci,
  properties.cli_context AS cli_context,
  properties.outcome AS outcome,
  TRY_CAST(properties.exit_code AS INTEGER) AS exit_code,
  properties.error_class AS error_class,
  amount(properties.duration_ms) AS duration_ms,
  properties.succeeded IS NOT NULL AS has_succeeded,
  properties.step AS step,
  properties.reason AS reason,
  amount(properties.dropped) AS dropped,
  TRY_CAST(properties.sample_rate AS DOUBLE) AS sample_rate,
  properties.library_version AS library_version,
  {", ".join(f"amount(properties.{name}) AS {name}" for name in HEALTH[1:])}
FROM lines
"""


class NoFiles(Exception):
    """A path leads to no file; the message names it."""


class NoSpace(Exception):
    """The events do not fit into the temporary directory; the message names it and the reason."""


class Sources(NamedTuple):
    """What was read.

    Attributes:
        files: their number.
        messages: lines that are messages, duplicates included.
        duplicates: messages with an ID that another message has.
        bad_lines: lines that are no message.
        bad_files: of each file that has any, their number and whether the rest of the file could
            not be read either; those with the most first.
    """

    files: int
    messages: int
    duplicates: int
    bad_lines: int
    bad_files: list[tuple[str, int, bool]]


@contextmanager
def database(
    *, memory: str = MEMORY, threads: int | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty database in a temporary directory, which is deleted afterwards.

    Args:
        memory: what it may keep in memory, such as `1500MB`; a report of any size then fits.
        threads: how many; by default one for each core.

    Raises:
        NoSpace: the temporary directory is full.
    """
    with tempfile.TemporaryDirectory(prefix="click-telemetry-report-") as directory:
        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": memory,
            "temp_directory": os.path.join(directory, "spilled"),
            # Nothing is fetched from another server, whatever a path or a query contains.
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "preserve_insertion_order": False,
        }
        if threads is not None:
            settings["threads"] = threads
        connection = duckdb.connect(os.path.join(directory, "events.duckdb"), config=settings)
        try:
            connection.execute("SET TimeZone = 'UTC'")
            yield connection
        except NO_SPACE as error:
            if isinstance(error, OSError) and error.errno not in FULL:
                raise
            raise NoSpace(f"{tempfile.gettempdir()}: {error}") from error
        finally:
            connection.close()


def find_files(paths: Sequence[str]) -> list[str]:
    """The files that paths lead to, each once.

    Args:
        paths: of files, of folders, of which every file counts that is not hidden, and globs, also
            with `**`. `-` is standard input.

    Raises:
        NoFiles: there is none.
    """
    found: dict[str, None] = {}
    for path in paths:
        if path == STDIN or os.path.isfile(path):
            below = [path]
        elif os.path.isdir(path):
            below = sorted(_files_below(path))
        else:
            matches = sorted(glob.glob(path, recursive=True))
            below = [
                file
                for match in matches
                for file in (sorted(_files_below(match)) if os.path.isdir(match) else [match])
            ]
        if not below:
            raise NoFiles(path)
        found |= dict.fromkeys(below)
    return [*found]


def _files_below(folder: str) -> Iterator[str]:
    for directory, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = os.path.join(directory, name)
            if not name.startswith(".") and os.path.isfile(path):
                yield path


def load(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[str],
    *,
    since: datetime | None = None,
    stdin: BinaryIO | None = None,
) -> Sources:
    """Read files into the table `events`.

    Args:
        connection: to a database of `database`.
        files: as `find_files` gives them.
        since: messages before it are left out, also from the counts. It is in UTC.
        stdin: what `-` stands for.
    """
    connection.execute(
        "CREATE MACRO instant(text) AS "
        "make_timestamp(epoch_us(TRY_CAST(TRY_CAST(text AS VARCHAR) AS TIMESTAMPTZ)))"
    )
    # A count or milliseconds; a forged number is so small that no sum and no product overflows.
    connection.execute(
        "CREATE MACRO amount(text) AS CASE WHEN TRY_CAST(text AS DECIMAL(12, 0)) >= 0 "
        "THEN CAST(TRY_CAST(text AS DECIMAL(12, 0)) AS BIGINT) END"
    )
    with tempfile.TemporaryDirectory(prefix="click-telemetry-report-") as directory:
        loader = _Loader(connection, directory)
        loader.load_all(files, stdin)
    bad = connection.execute(
        "SELECT file, COUNT(*) FROM events WHERE type IS NULL GROUP BY file ORDER BY 2 DESC, 1"
    ).fetchall()
    connection.execute("DELETE FROM events WHERE type IS NULL")
    if since is not None:
        connection.execute(
            "DELETE FROM events WHERE occurred_at IS NULL OR occurred_at < ?",
            [since.replace(tzinfo=None)],
        )
    messages = _number(connection, "SELECT COUNT(*) FROM events")
    _delete_copies(connection)
    return Sources(
        files=len(files),
        messages=messages,
        duplicates=messages - _number(connection, "SELECT COUNT(*) FROM events"),
        bad_lines=sum(count for _, count in bad),
        bad_files=[
            (loader.names.get(file, file), count, file in loader.incomplete) for file, count in bad
        ],
    )


def _delete_copies(connection: duckdb.DuckDBPyConnection) -> None:
    """Keep one message of each ID: of a run's two ends the one that is not `unfinished`."""
    connection.execute(
        "CREATE TEMP TABLE copied AS SELECT id FROM events GROUP BY id HAVING COUNT(*) > 1"
    )
    connection.execute(
        """
        DELETE FROM events WHERE rowid IN (
          SELECT row FROM (
            SELECT
              rowid AS row,
              ROW_NUMBER() OVER (
                PARTITION BY id ORDER BY COALESCE(outcome, '') = 'unfinished', rowid
              ) AS place
            FROM events WHERE id IN (SELECT id FROM copied WHERE id IS NOT NULL)
          ) WHERE place > 1
        )
        """
    )


class _Loader:
    """Reads files a few at a time; what DuckDB cannot read, it copies or repairs first.

    Args:
        connection: to the database.
        directory: for copies and repaired files.

    Attributes:
        names: of the files that copies and repaired ones stand for.
        incomplete: repaired files of which something is missing.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, directory: str) -> None:
        self._connection = connection
        self._directory = directory
        self._repaired_files: set[str] = set()
        self.names: dict[str, str] = {}
        self.incomplete: set[str] = set()
        empty = os.path.join(directory, "empty")
        open(empty, "xb").close()
        connection.execute(f"CREATE TABLE events AS {_SELECT}", [[empty], PLAIN])

    def load_all(self, files: Sequence[str], stdin: BinaryIO | None) -> None:
        """Read every file."""
        groups: dict[str, list[str]] = {}
        for file in files:
            path = self._copied(file, stdin)
            groups.setdefault(_by_start(COMPRESSIONS, path, PLAIN), []).append(path)
        for compression, group in groups.items():
            for start in range(0, len(group), FILES_AT_ONCE):
                self._load(group[start : start + FILES_AT_ONCE], compression)

    def _load(self, files: list[str], compression: str) -> None:
        try:
            # A path is a pattern for DuckDB.
            patterns = [glob.escape(file) for file in files]
            self._connection.execute(f"INSERT INTO events {_SELECT}", [patterns, compression])
        except (duckdb.Error, RuntimeError) as error:  # DuckDB 1.4: a path that is not UTF-8
            if isinstance(error, duckdb.OutOfMemoryException):
                raise
            if len(files) > 1:
                for file in files:
                    self._load([file], compression)
            elif files[0] not in self._repaired_files:
                self._load([self._repaired(files[0], compression)], PLAIN)
            else:
                raise

    def _copied(self, file: str, stdin: BinaryIO | None) -> str:
        """A file that can be read twice, in UTF-8: a copy of a pipe or of another encoding."""
        path = file
        if file == STDIN and stdin is not None:
            path = self._copy(file, stdin)
        elif not os.path.isfile(file) and os.access(file, os.R_OK):
            with open(file, "rb") as pipe:
                path = self._copy(file, pipe)
        encoding = _by_start(ENCODINGS, path)
        if encoding:
            with open(path, "rb") as encoded:
                path = self._copy(file, codecs.EncodedFile(encoded, "utf-8", encoding, "replace"))
        return path

    def _copy(self, name: str, stream: BinaryIO) -> str:
        path = self._new_file(name)
        with open(path, "wb") as copy:
            shutil.copyfileobj(stream, copy)
        return path

    def _new_file(self, name: str) -> str:
        path = os.path.join(self._directory, f"{len(self.names)}.jsonl")
        self.names[path] = name
        return path

    def _repaired(self, file: str, compression: str) -> str:
        """A file with the lines that can be read, and a bad line for each that cannot."""
        path = self._new_file(self.names.get(file, file))
        self._repaired_files.add(path)
        with open(path, "wb") as repaired:
            try:
                with gzip.open(file) if compression == "gzip" else open(file, "rb") as stream:
                    if compression == "zstd":
                        raise OSError("Python 3.13 and older cannot read zstd")
                    for line in _lines(stream):
                        repaired.write(line)
            except (OSError, EOFError, zlib.error):
                repaired.write(b"\n" + NO_MESSAGE)  # the end of the line that broke off
                self.incomplete.add(path)
        return path


def _lines(stream: BinaryIO | gzip.GzipFile) -> Iterator[bytes]:
    """The lines of a file; one that is too long, or no object, is replaced."""
    while line := stream.readline(MAX_LINE):
        if len(line) == MAX_LINE and not line.endswith(b"\n"):
            while (rest := stream.readline(MAX_LINE)) and not rest.endswith(b"\n"):
                pass
            line = NO_MESSAGE
        text = line.strip()
        yield line if not text or text[:1] + text[-1:] == b"{}" else NO_MESSAGE


def _by_start(names: Mapping[bytes, str], path: str, other: str = "") -> str:
    """What the first bytes of a file stand for."""
    try:
        with open(path, "rb") as file:
            start = file.read(4)
    except OSError:
        return other  # it is reported when it is read
    return next((name for first, name in names.items() if start.startswith(first)), other)


def _number(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0
