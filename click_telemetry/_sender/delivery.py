"""One pass over the spool under the sender's lock: claim, post, acknowledge.

Before each request it checks whether it may be made: the saved setting, the lock's name, and
whether what is accepted can be unlinked afterwards.
"""

from __future__ import annotations

import os
from datetime import datetime, timezone
from time import time
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_OID, uuid5

from .. import __version__
from .._reader import TELEMETRY_HEALTH
from .._recorder import is_disabled_for_all, read_setting
from .._spool import LOCK
from .._storage import check_private_directory
from .queue import Claim, Entry, claim, length, oldest_names, parse, reported_by
from .retention import MAX_AMBIGUITY, Blocked, Retention
from .state import CONFIGURATION_WAIT, FIRST_WAIT, SenderState, note, note_request
from .transports import (
    ACCEPTED,
    MISCONFIGURED,
    NOT_SENT,
    SPLIT,
    DeliveryResult,
    Withdrawn,
    open_transport,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from .transports import Transport
    from .watchdog import Timeout, Watchdog

    OpenTransport = Callable[[Mapping[str, Any], Watchdog | Timeout], Transport]

MAX_MESSAGES = 100
MAX_BYTES = 400_000
"""Of one request's messages; Segment rejects a request over 500 KB."""
ROOM_FOR_IDENTIFY = 2_000
"""Bytes, besides one message."""
HEALTH_PERIOD = 24 * 3600.0
"""Of the event that reports how delivery from this installation works; seconds between two."""


class Delivery:
    """A pass.

    Args:
        job: what the launcher wrote on standard input.
        lock: the sender's lock, held.
        timeout: the process's watchdog, or the timeout of an in-process delivery.
        open_transport: called with the job and the timeout when there is something to send.
    """

    def __init__(
        self,
        job: dict[str, Any],
        lock: int,
        timeout: Watchdog | Timeout,
        open_transport: OpenTransport = open_transport,
    ) -> None:
        self._spool: str = job["spool"]
        self._job = job
        self._setting: str | None = job["setting"]
        self._site_setting: str | None = job.get("site_setting")
        self._anonymous_id: str | None = job["anonymous_id"]
        self._token: str | None = job.get("token")
        self._may_deliver: bool = job.get("deliver", True)
        self._lock = lock
        self._timeout = timeout
        self._state = SenderState(self._spool)
        self._retention = Retention(self._spool, self._state, timeout.progress)
        self._open_transport = open_transport
        self._transport: Transport | None = None

    def run(self) -> bool:
        """Deliver what is queued, and apply the bounds to what cannot be delivered.

        Returns:
            Whether everything that could be claimed is gone. If not, another pass will not help.
        """
        if not self._is_our_turn():
            return False
        try:
            self._retention.clean()
            done = self._may_deliver and self._deliver()
            if not done and self._is_our_turn():
                self._retention.trim()
        except Blocked:
            self._state.record_failure("unlink", first=CONFIGURATION_WAIT)
            return False
        return done

    def close(self) -> None:
        """Close every connection."""
        if self._transport is not None:
            self._transport.close()

    def _deliver(self) -> bool:
        group: list[Claim] = []
        count, size = 1, ROOM_FOR_IDENTIFY
        for taken in self._claims():
            if taken.newer:
                taken.release()
                continue
            if not taken.entries:
                self._retention.drop([taken])
                continue
            if group and not fits(count, size, len(taken.entries), taken.size):
                if not self._send(group):
                    taken.release()
                    return False
                group, count, size = [], 1, ROOM_FOR_IDENTIFY
            group.append(taken)
            count += len(taken.entries)
            size += taken.size
        return not group or self._send(group)

    def _claims(self) -> Iterator[Claim]:
        """All files that can be claimed, oldest first."""
        last = ""
        while names := oldest_names(self._spool, after=last):
            for name in names:
                taken = claim(self._spool, name)
                if taken is not None:
                    yield taken
            last = names[-1]

    def _send(self, group: list[Claim]) -> bool:
        """Deliver some files together; all of them are acknowledged or none."""
        self._report_dropped(group)
        attempt = Attempt(group)
        note("claim", files=len(group), messages=sum(len(taken.entries) for taken in group))
        own = [entry for taken in group for entry in taken.entries]
        entries = [*own]
        report = next_report(self._state, self._spool, self._anonymous_id, own[0].message, time())
        if report is not None and not self._state.save_report(report):
            report = None
        if report is not None:
            entries.append(Entry(report, length(report)))
        introduction = identify(self._anonymous_id, self._state.identified, own[0].message)
        if introduction is not None:
            entries.insert(0, Entry(introduction, length(introduction)))
        rejected: list[tuple[DeliveryResult, dict[str, Any]]] = []
        try:
            for batch in batches(entries):
                result = self._post(batch, attempt, rejected)
                if result.verdict != ACCEPTED:
                    attempt.give_up()
                    self._record_failure(result)
                    return False
        except Withdrawn:
            return self._send_rest(attempt)
        refused = {id(message) for _, message in rejected}
        self._state.commit(
            [str(taken.name) for taken in group],
            delivered=len(entries) - len(rejected) - attempt.left_out,
            rejected=len(rejected) + attempt.left_out,
            error=rejected[-1][0].error if rejected else "partial" if attempt.left_out else "",
            dropped=sum(taken.dropped for taken in group),
            unreported=sum(taken.unreported for taken in group)
            + sum(reported_by(message) for _, message in rejected),
            identified=None if introduction is None else self._anonymous_id,
            delays=delays([one.message for one in own if id(one.message) not in refused], time()),
            reported=report is not None,
        )
        self._retention.acknowledge(group)
        return True

    def _send_rest(self, attempt: Attempt) -> bool:
        """Files were removed right before they were sent, or no file can be renamed."""
        present = attempt.release_missing()
        if len(present) == len(attempt.claims):
            attempt.give_up()
            self._state.record_failure("unwritable", first=CONFIGURATION_WAIT)
            return False
        return not present or self._send(present)

    def _post(
        self,
        batch: list[dict[str, Any]],
        attempt: Attempt,
        rejected: list[tuple[DeliveryResult, dict[str, Any]]],
    ) -> DeliveryResult:
        """Post a batch; if the server rejects one of its messages, halve it down to that one."""
        obstacle = self._obstacle()
        if obstacle:
            note("withheld", reason=obstacle)
            return DeliveryResult(NOT_SENT)
        if self._transport is None:
            self._transport = self._open_transport(self._job, self._timeout)
        note_request(self._job["host"], batch)
        result = self._transport.post(batch, attempt.mark)
        note("response", status=result.status, verdict=result.verdict, error=result.error or None)
        attempt.note(result)
        if result.verdict != SPLIT:
            return result
        self._timeout.progress()
        if len(batch) == 1:
            rejected.append((result, batch[0]))
            return DeliveryResult(ACCEPTED, result.status)
        middle = len(batch) // 2
        first = self._post(batch[:middle], attempt, rejected)
        if first.verdict != ACCEPTED:
            return first
        return self._post(batch[middle:], attempt, rejected)

    def _record_failure(self, result: DeliveryResult) -> None:
        """Postpone the next request, longer if a person must change the configuration."""
        if result.verdict == NOT_SENT:
            return
        misconfigured = result.verdict == MISCONFIGURED
        self._state.record_failure(
            result.error,
            first=CONFIGURATION_WAIT if misconfigured else FIRST_WAIT,
            retry_after=result.retry_after,
            constant=misconfigured and self._token is not None,  # the next run has another token
        )

    def _report_dropped(self, group: list[Claim]) -> None:
        """Let the next event that is sent report how many were dropped, exactly once."""
        dropped = self._state.unreported
        reporter = next((taken for taken in group if taken.can_report), None) if dropped else None
        if reporter is None:
            return
        before, after = reporter.name, reporter.name.reporting(dropped)
        if not self._state.hand_over_report(str(before), str(after)):
            return
        try:
            reporter.report(after)
        except OSError:
            return  # `Retention.clean` renames it before anything is sent

    def _obstacle(self) -> str:
        """What forbids a request: the setting, the lock, the time, the spool; empty for nothing."""
        if self._site_setting is not None and is_disabled_for_all(self._site_setting):
            return "administrator"
        if self._setting is not None and read_setting(self._setting) in ("disabled", "unreadable"):
            return "setting"
        if not self._is_our_turn():
            return "lock"
        if self._timeout.is_over:
            return "time"
        return "" if os.access(self._spool, os.W_OK | os.X_OK) else "read-only"

    def _is_our_turn(self) -> bool:
        """Whether the spool is ours alone, and our lock is still the one with the lock's name."""
        try:
            check_private_directory(self._spool)
            ours = os.fstat(self._lock)
            named = os.lstat(os.path.join(self._spool, LOCK))
        except OSError:
            return False
        return (ours.st_dev, ours.st_ino) == (named.st_dev, named.st_ino)


class Attempt:
    """One attempt to deliver some files together.

    It owns the mark in their names since when they may have arrived. The mark is made when the
    first byte of a message is about to be sent, which also shows that the directory is writable.

    Args:
        claims: files that we hold.
    """

    def __init__(self, claims: list[Claim]) -> None:
        self.claims = claims
        self.left_out = 0
        self._marked: list[Claim] = []
        self._may_have_arrived = False

    def mark(self) -> None:
        """Mark the files: their messages are about to be sent.

        Raises:
            Withdrawn: a file was removed meanwhile, or cannot be renamed.
        """
        now = max(int(time()), 0)
        for taken in self.claims:
            unmarked = taken.name.tried is None
            try:
                taken.rename(taken.name.tried_at(now) if unmarked else taken.name)
            except OSError as error:
                raise Withdrawn from error
            if unmarked:
                self._marked.append(taken)

    def note(self, result: DeliveryResult) -> None:
        """Note how one of its requests ended."""
        if result.ambiguous or result.verdict == ACCEPTED:
            self._may_have_arrived = True
        if result.verdict == ACCEPTED:
            self.left_out += result.rejected

    def give_up(self) -> None:
        """Release the files; those that certainly did not arrive are unmarked."""
        if not self._may_have_arrived:
            for taken in self._marked:
                try:
                    taken.rename(taken.name.tried_at(None))
                except OSError:
                    continue  # the mark stays: dropped too early rather than sent twice
        for taken in self.claims:
            taken.release()

    def release_missing(self) -> list[Claim]:
        """Release the files that were removed, and return the others."""
        present = []
        for taken in self.claims:
            try:
                taken.rename(taken.name)
            except OSError:
                taken.release()
            else:
                present.append(taken)
        return present


def batches(entries: list[Entry]) -> Iterator[list[dict[str, Any]]]:
    """The messages in order, divided into requests. Pure."""
    batch: list[dict[str, Any]] = []
    size = 0
    for message, bytes_of_message in entries:
        added = bytes_of_message + 2
        if batch and not fits(len(batch), size, 1, added):
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += added
    if batch:
        yield batch


def fits(count: int, size: int, more: int, more_size: int) -> bool:
    """Whether so many more messages of so many bytes fit into the same request."""
    return count + more <= MAX_MESSAGES and size + more_size <= MAX_BYTES


def identify(
    anonymous_id: str | None, identified: str | None, first: dict[str, Any]
) -> dict[str, Any] | None:
    """The one `identify` of an anonymous ID, the same message however often it is made. Pure.

    Args:
        anonymous_id: the installation's, or None if there is no stored one.
        identified: the ID that was identified at this destination.
        first: the first message that is to be sent after it.
    """
    if anonymous_id is None or identified == anonymous_id:
        return None
    return {
        "type": "identify",
        "messageId": str(uuid5(NAMESPACE_OID, f"click_telemetry identify {anonymous_id}")),
        "anonymousId": anonymous_id,
        "traits": {},
        "context": {
            "app": {"name": first["context"]["app"]["name"]},
            "library": {"name": "click_telemetry"},
        },
    }


def next_report(
    state: SenderState, spool: str, anonymous_id: str | None, first: Mapping[str, Any], now: float
) -> dict[str, Any] | None:
    """The report of health that is to be sent with the next messages, or None.

    It is saved before the first attempt, so that every attempt sends the same message. The first
    one comes a day after the first delivery.

    Args:
        state: of the spool's sender.
        spool: its directory.
        anonymous_id: the installation's, or None if there is no stored one.
        first: the first of the messages that it is sent with.
        now: seconds since the epoch.
    """
    counts = state.health
    if anonymous_id is None or not counts:
        return None
    saved = state.report
    is_ours = saved is not None and saved.get("anonymousId") == anonymous_id
    if saved is not None and is_ours and delays([saved], now)[0] <= MAX_AMBIGUITY:
        return saved
    elapsed = now - counts["at"]
    if elapsed < HEALTH_PERIOD:
        return None
    context = first["context"]
    properties: dict[str, Any] = {
        "library_version": __version__,
        "period_hours": round(elapsed / 3600),
        "delivered_count": int(counts["delivered"]),
        "rejected_count": int(counts["rejected"]),
        "dropped_count": int(counts["dropped"]),
        "failure_count": int(counts["failures"]),
        "delay_ms": round(counts["delay"] / max(counts["delivered"], 1) * 1000),
        "max_delay_ms": round(counts["max_delay"] * 1000),
        "queue_age_ms": round(_oldest_age(spool, now) * 1000),
    }
    rate = first.get("properties", {}).get("sample_rate")
    if rate is not None:
        properties["sample_rate"] = rate
    identity = f"click_telemetry health {anonymous_id} {spool} {now}"
    at = datetime.fromtimestamp(now, timezone.utc).isoformat(timespec="milliseconds")
    return {
        "type": "track",
        "event": TELEMETRY_HEALTH,
        "properties": properties,
        "messageId": str(uuid5(NAMESPACE_OID, identity)),
        "anonymousId": anonymous_id,
        "timestamp": at.replace("+00:00", "Z"),
        "context": {**context, "library": {"name": "click_telemetry", "version": __version__}},
    }


def delays(messages: Iterable[Mapping[str, Any]], now: float) -> list[float]:
    """Seconds from each event to now; 0 if a clock was wrong."""
    times = [str(message.get("timestamp")).replace("Z", "+00:00") for message in messages]
    return [max(now - datetime.fromisoformat(at).timestamp(), 0.0) for at in times]


def _oldest_age(spool: str, now: float) -> float:
    """Seconds since the oldest file was created; 0 without files, and if a clock was wrong."""
    for name in oldest_names(spool)[:1]:
        parsed = parse(name)
        return max(now - parsed.created / 1e9, 0.0) if parsed is not None else 0.0
    return 0.0
