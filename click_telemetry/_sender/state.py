"""What a sender keeps: a small file in the spool for the next one, and a log for a person.

The state: failures, the time before which no sender starts, the anonymous ID that was identified,
counts, and the files that are counted already and only have to be unlinked. Only the lock's holder
writes it; `telemetry status` reads it.

The log is what a sender did, a line each, in `debug/sender.log` of the state directory. A person
creates the directory `debug`; without it nothing is written. The log has no key, no token, no
content of a message and no text of a server: hosts, counts, words and message IDs. Only senders
look for it, and it never disturbs one: an error of the disk ends the log.
"""

from __future__ import annotations

import json
import os
import random
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .._spool import MAX_WAIT, NOT_BEFORE
from .._storage import (
    check_private_directory,
    is_ahead,
    open_private,
    read_small,
    replace_file,
    set_time,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

if TYPE_CHECKING:
    from collections.abc import Sequence

FILE = "state.json"
LIMIT = 64 * 1024

FIRST_WAIT = 30.0
MAX_BACKOFF = 6 * 3600.0
CONFIGURATION_WAIT = 3600.0
"""Seconds: after a failure, doubled for each further one; and where a person must act."""

MAX_WORD = 80
MAX_REPORT = 4096
"""Characters of a word, and of a report of health as JSON."""
MAX_COUNT = 10**12

_KEYS = (
    *("delivered", "delivered_at", "rejected", "dropped", "failures", "failed_at", "last_error"),
    *("identified", "unreported", "reporting", "settled", "health", "report"),
)
_HEALTH = ("at", "delivered", "rejected", "dropped", "failures", "delay", "max_delay")


class SenderState:
    """The state of one spool. A value that cannot be read, or is out of bounds, counts as absent.

    Args:
        directory: the spool.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        found = _read(os.path.join(directory, FILE))
        self._values: dict[str, Any] = {key: found[key] for key in _KEYS if key in found}

    @property
    def delivered(self) -> int:
        """Messages that were accepted."""
        return self._count("delivered")

    @property
    def delivered_at(self) -> float | None:
        """When the last ones were, in seconds since the epoch."""
        return self._time("delivered_at")

    @property
    def rejected(self) -> int:
        """Messages that a server rejected."""
        return self._count("rejected")

    @property
    def dropped(self) -> int:
        """Events that were too old, too many, too large or unreadable."""
        return self._count("dropped")

    @property
    def failures(self) -> int:
        """Failures since the last success."""
        return self._count("failures")

    @property
    def failed_at(self) -> float | None:
        """When the last one was, in seconds since the epoch."""
        return self._time("failed_at")

    @property
    def last_error(self) -> str | None:
        """Its reason in one word: `http_503`, `ConnectionError`, `lock`."""
        return self._word("last_error")

    @property
    def identified(self) -> str | None:
        """The anonymous ID that was identified at this destination."""
        return self._word("identified")

    @property
    def unreported(self) -> int:
        """How many dropped events no message has reported yet."""
        return self._count("unreported")

    @property
    def reporting(self) -> tuple[str, str] | None:
        """The names of a file before and after it was given the report of dropped events."""
        found = _names(self._values.get("reporting"))
        return (found[0], found[1]) if len(found) == 2 else None

    @property
    def settled(self) -> list[str]:
        """The names of files that have been counted and must not be sent again."""
        return _names(self._values.get("settled"))

    @property
    def health(self) -> dict[str, float]:
        """What was counted since `at`, the last report of health; empty before any delivery.

        `delay` is the sum of all seconds from an event to its delivery, `max_delay` the longest.
        """
        found = self._values.get("health")
        counts = found if isinstance(found, dict) else {}
        values = {name: _number(counts.get(name)) for name in _HEALTH}
        return values if values["at"] else {}

    @property
    def report(self) -> dict[str, Any] | None:
        """A report of health that was composed and may have been sent; None if there is none."""
        found = self._values.get("report")
        is_report = isinstance(found, dict) and isinstance(found.get("messageId"), str)
        return found if is_report and len(json.dumps(found)) <= MAX_REPORT else None

    def save_report(self, report: dict[str, Any]) -> bool:
        """Save a report of health before its first attempt; whether it may be sent."""
        self._values["report"] = report
        return self._save()

    def commit(
        self,
        names: list[str],
        *,
        delivered: int = 0,
        rejected: int = 0,
        error: str = "",
        dropped: int = 0,
        unreported: int = 0,
        identified: str | None = None,
        delays: Sequence[float] = (),
        reported: bool = False,
    ) -> None:
        """Count the result for some files before they are unlinked.

        If this process is killed in between, the next sender unlinks them and counts nothing twice.

        Args:
            names: of the files; the previous ones must be gone.
            delivered: messages that were accepted; the next sender may start at once.
            rejected: messages that the server rejected.
            error: the server's reason for that, in one word.
            dropped: events that were dropped now; a later message reports them.
            unreported: events that were dropped and counted earlier and still need a report.
            identified: the anonymous ID that was identified.
            delays: seconds from each event to its delivery.
            reported: whether a report of health was among the messages.
        """
        self._values["settled"] = names
        self._count_health(
            delivered=len(delays),
            delay=sum(delays),
            rejected=rejected,
            dropped=dropped,
            max_delay=max(delays, default=0.0),
            reported=reported,
        )
        self._add("delivered", delivered)
        self._add("rejected", rejected)
        self._add("dropped", dropped)
        self._add("unreported", dropped + unreported)
        if delivered or rejected:
            self._values["failures"] = 0
            self._clear_not_before()
        if error:
            self._values["last_error"] = error[:MAX_WORD]
        if delivered:
            self._values["delivered_at"] = time.time()
        if identified is not None:
            self._values["identified"] = identified
        self._save()
        counts = {"delivered": delivered, "rejected": rejected, "dropped": dropped}
        found = {name: count for name, count in counts.items() if count}
        note("settle", files=len(names), **found, error=error or None)

    def hand_over_report(self, before: str, after: str) -> bool:
        """Move the count of dropped events to a file, before the file gets the name that has it.

        Returns:
            Whether that was saved; if not, the file must not report it.
        """
        unreported = self.unreported
        self._values["unreported"] = 0
        self._values["reporting"] = [before, after]
        if self._save():
            return True
        self._values["unreported"] = unreported
        del self._values["reporting"]
        return False

    def record_failure(
        self,
        error: str,
        *,
        first: float = FIRST_WAIT,
        retry_after: float | None = None,
        constant: bool = False,
    ) -> None:
        """A request failed: postpone the next one, in every process.

        Args:
            error: one word for people.
            first: seconds to wait after the first failure, doubled for each further one.
            retry_after: seconds that the server asked for.
            constant: whether to wait for exactly `first` seconds after every failure.
        """
        self._count_health(failures=1)
        failures = self.failures + 1
        self._values["failures"] = failures
        self._values["last_error"] = error[:MAX_WORD]
        self._values["failed_at"] = time.time()
        wait = first
        if not constant:
            wait = min(first * 2 ** min(failures - 1, 20), MAX_BACKOFF)
            wait *= random.uniform(0.5, 1.0)  # so that machines do not come back all at once
        if retry_after is not None:
            wait = max(wait, retry_after)
        self._save()
        set_not_before(self._directory, wait)
        note("failure", error=error[:MAX_WORD], failures=failures, wait=f"{wait:.0f}s")

    def _count_health(
        self, *, max_delay: float = 0.0, reported: bool = False, **counted: float
    ) -> None:
        """Add to what the next report of health contains; it begins with a delivery."""
        now, counts = time.time(), self.health
        if reported:
            self._values.pop("report", None)
        begins = not counts and counted.get("delivered")
        if begins or reported or (counts and counts["at"] > now):
            counts = {**dict.fromkeys(_HEALTH, 0.0), "at": now}
        if counts:
            for name, count in counted.items():
                counts[name] = min(counts[name] + count, MAX_COUNT)
            counts["max_delay"] = max(counts["max_delay"], max_delay)
            self._values["health"] = counts

    def _clear_not_before(self) -> None:
        try:
            os.unlink(os.path.join(self._directory, NOT_BEFORE))
        except OSError:
            return  # there was none

    def _add(self, key: str, count: int) -> None:
        if count:
            self._values[key] = min(self._count(key) + count, MAX_COUNT)

    def _count(self, key: str) -> int:
        found = self._values.get(key)
        return found if type(found) is int and 0 <= found <= MAX_COUNT else 0

    def _time(self, key: str) -> float | None:
        found: Any = self._values.get(key)
        is_number = isinstance(found, (int, float)) and not isinstance(found, bool)
        return float(found) if is_number and 0 <= found <= MAX_COUNT else None

    def _word(self, key: str) -> str | None:
        found = self._values.get(key)
        return found if isinstance(found, str) and len(found) <= MAX_WORD else None

    def _save(self) -> bool:
        try:
            replace_file(
                os.path.join(self._directory, FILE), json.dumps(self._values).encode("ascii")
            )
        except OSError:
            return False  # delivery does not depend on it
        return True


def set_not_before(directory: str, wait: float) -> None:
    """Let no sender start for some seconds; the foreground needs one `stat` to see that."""
    path = os.path.join(directory, NOT_BEFORE)
    try:
        descriptor = open_private(path, os.O_RDWR | os.O_CREAT)
    except OSError:
        return  # the next command starts a sender; nothing else is lost
    try:
        set_time(descriptor, path, time.time() + min(wait, MAX_WAIT))
    except OSError:
        return  # as above
    finally:
        os.close(descriptor)


def is_postponed(directory: str) -> bool:
    """Whether a failure has postponed the next sender beyond now."""
    return is_ahead(os.path.join(directory, NOT_BEFORE), MAX_WAIT)


def _number(found: object) -> float:
    is_number = isinstance(found, (int, float)) and not isinstance(found, bool)
    return float(found) if is_number and 0 <= found <= MAX_COUNT else 0.0  # type: ignore[operator, arg-type]


def _names(found: object) -> list[str]:
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []


def _read(path: str) -> dict[str, Any]:
    try:
        found = json.loads(read_small(path, limit=LIMIT))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


# The sender's log ---------------------------------------------------------------------------------

LOG_DIRECTORY = "debug"
LOG = "sender.log"
PREVIOUS_LOG = "sender.log.1"
MAX_LOG = 256 * 1024
"""Of the log; then it becomes the previous one, which is replaced."""
MAX_LOG_LINE = 2_000
"""Characters; a request of many messages names the first ones."""


class DebugLog:
    """A log in a directory, if the directory is there and is this user's alone.

    Args:
        state: the application's state directory.
    """

    def __init__(self, state: str) -> None:
        self._directory = os.path.join(state, LOG_DIRECTORY)
        self._path = os.path.join(self._directory, LOG)
        self._descriptor: int | None = None
        try:
            check_private_directory(state)
            check_private_directory(self._directory)
            self._open()
        except OSError:
            self.close()

    def write(self, action: str, facts: dict[str, object]) -> None:
        """Append a line: when, which process, what it did, and `name=value` for each fact."""
        if self._descriptor is None:
            return
        now = time.time()
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z"
        words = [at, str(os.getpid()), action]
        words += [f"{name}={_word(value)}" for name, value in facts.items() if value is not None]
        line = " ".join(words)
        if len(line) > MAX_LOG_LINE:
            line = line[: MAX_LOG_LINE - 3] + "..."
        try:
            self._rotate()
            os.write(self._descriptor, line.encode("ascii", "replace") + b"\n")
        except OSError:
            self.close()

    def close(self) -> None:
        """Write nothing more."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _open(self) -> None:
        self._descriptor = open_private(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def _rotate(self) -> None:
        """Begin a new file where this one is full, or where another sender has begun one."""
        assert self._descriptor is not None
        ours = os.fstat(self._descriptor)
        try:
            full = ours.st_size >= MAX_LOG and os.path.samestat(ours, os.lstat(self._path))
        except FileNotFoundError:
            full = False  # deleted meanwhile; so is what would be appended
        if full:
            os.replace(self._path, os.path.join(self._directory, PREVIOUS_LOG))
        if ours.st_size >= MAX_LOG:
            self.close()
            self._open()


def _word(value: object) -> str:
    """A value without blanks and control characters."""
    return "".join(c if c.isprintable() and c != " " else "_" for c in str(value)) or "-"


_log: DebugLog | None = None


def open_log(state: str) -> None:
    """Log what this process does from now on; it is a sender of its own."""
    global _log
    _log = DebugLog(state)


def note(action: str, **facts: object) -> None:
    """Log what was done. Nothing happens without a log, as where the command's process delivers."""
    if _log is not None:
        _log.write(action, facts)


def note_request(host: str, batch: Iterable[dict[str, object]]) -> None:
    """Log a request, by the origin that it goes to and the IDs of its messages."""
    if _log is not None:
        found = urlsplit(host)
        ids = [str(message.get("messageId")) for message in batch]
        origin = f"{found.scheme}://{found.netloc.rpartition('@')[2]}"
        note("request", host=origin, messages=len(ids), ids=",".join(ids))


def log_path(state: str) -> str:
    """The path of the senders' log; they write it if its directory is there.

    Args:
        state: the application's state directory.
    """
    return os.path.join(state, LOG_DIRECTORY, LOG)
