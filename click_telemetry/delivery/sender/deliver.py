"""One pass over the spool under the sender's lock: claim, post, acknowledge.

Before each request it asks again whether it may: the person's choice, the lock's name, and
whether what is accepted can be unlinked afterwards.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ...privacy import choice
from ...storage import check_private_directory
from .. import LOCK, refusal
from .answer import ACCEPTED, MUCH_LATER, SPLIT, UNASKED, Answer
from .attempt import Attempt, Withdrawn
from .batches import batches, fits
from .bounds import Blocked, Bounds
from .identify import identify
from .standing import CONFIGURATION_WAIT, FIRST_WAIT, Standing
from .waiting import Claim, claim, waiting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .deadline import Deadline
    from .patience import Patience
    from .transport import SegmentTransport

ROOM_FOR_IDENTIFY = 2_000
"""Bytes, beside one message."""


class Delivery:
    """A pass.

    Args:
        letter: what the launcher wrote (`launcher.Letter`).
        lock: the sender's lock, held.
        deadline: of this process, or the patience of one that waits for its end.
    """

    def __init__(self, letter: dict[str, Any], lock: int, deadline: Deadline | Patience) -> None:
        self._spool: str = letter["spool"]
        self._host: str = letter["host"]
        self._write_key: str = letter["write_key"]
        self._choice: str | None = letter["choice"]
        self._anonymous_id: str | None = letter["anonymous_id"]
        self._token: str | None = letter.get("token")
        self._may_deliver: bool = letter.get("deliver", True)
        self._lock = lock
        self._deadline = deadline
        self._standing = Standing(self._spool)
        self._bounds = Bounds(self._spool, self._standing, deadline.progress)
        self._transport: SegmentTransport | None = None

    def run(self) -> bool:
        """Deliver what waits, and drop what is too much of what cannot be delivered.

        Returns:
            Whether everything that could be claimed is gone. If not, looking again will not help.
        """
        if not self._is_our_turn():
            return False
        try:
            self._bounds.tidy()
            gone = self._may_deliver and self._deliver()
            if not gone and self._is_our_turn():
                self._bounds.trim()
        except Blocked:
            self._standing.failed("unlink", first=CONFIGURATION_WAIT)
            return False
        return gone

    def close(self) -> None:
        """Leave no connection behind."""
        if self._transport is not None:
            self._transport.close()

    def _deliver(self) -> bool:
        group: list[Claim] = []
        count, size = 1, ROOM_FOR_IDENTIFY
        for taken in self._claims():
            if not taken.messages:
                self._bounds.drop([taken])
                continue
            if group and not fits(count, size, len(taken.messages), taken.size):
                if not self._send(group):
                    taken.release()
                    return False
                group, count, size = [], 1, ROOM_FOR_IDENTIFY
            group.append(taken)
            count += len(taken.messages)
            size += taken.size
        return not group or self._send(group)

    def _claims(self) -> Iterator[Claim]:
        """Everything that can be claimed, oldest first, whatever cannot lies between."""
        last = ""
        while names := waiting(self._spool, after=last):
            for name in names:
                taken = claim(self._spool, name)
                if taken is not None:
                    yield taken
            last = names[-1]

    def _send(self, group: list[Claim]) -> bool:
        """Deliver some files together; all of them are acknowledged or none."""
        self._report(group)
        attempt = Attempt(group)
        messages = attempt.messages
        introduced = identify(self._anonymous_id, self._standing.identified, messages)
        if introduced is not None:
            messages.insert(0, introduced)
        refused: list[Answer] = []
        try:
            for batch in batches(messages):
                answer = self._post(batch, attempt, refused)
                if answer.verdict != ACCEPTED:
                    attempt.give_up()
                    self._failed(answer)
                    return False
        except Withdrawn:
            return self._send_what_is_left(attempt)
        self._standing.settle(
            [str(taken.name) for taken in group],
            delivered=len(messages) - len(refused),
            refused=len(refused),
            error=refused[-1].error if refused else "",
            dropped=attempt.too_large,
            identified=None if introduced is None else self._anonymous_id,
        )
        self._bounds.acknowledge(group)
        return True

    def _send_what_is_left(self, attempt: Attempt) -> bool:
        """Somebody removed files while we were about to send them, or no file can be renamed."""
        present = attempt.forget_missing()
        if len(present) == len(attempt.files):
            attempt.give_up()
            self._standing.failed("unwritable", first=CONFIGURATION_WAIT)
            return False
        return not present or self._send(present)

    def _post(self, batch: list[dict[str, Any]], attempt: Attempt, refused: list[Answer]) -> Answer:
        """Post a batch, cut down to the message at fault where there is one."""
        if not self._may_send():
            return Answer(UNASKED)
        answer = self._open_transport().post(batch, attempt.leaving)
        attempt.answered(answer)
        self._judge_token(answer)
        if answer.verdict != SPLIT:
            return answer
        self._deadline.progress()
        if len(batch) == 1:
            refused.append(answer)
            return Answer(ACCEPTED, answer.status)
        middle = len(batch) // 2
        first = self._post(batch[:middle], attempt, refused)
        return first if first.verdict != ACCEPTED else self._post(batch[middle:], attempt, refused)

    def _judge_token(self, answer: Answer) -> None:
        """A refused token is not tried again; with a fresh one its events need not wait."""
        if self._token is None:
            return
        if answer.status in (401, 403):
            refusal.remember(self._spool, self._token)
        else:
            refusal.forget(self._spool)

    def _failed(self, answer: Answer) -> None:
        """Put off the next request, longer where only people can mend it."""
        if answer.verdict != UNASKED:
            first = CONFIGURATION_WAIT if answer.verdict == MUCH_LATER else FIRST_WAIT
            self._standing.failed(answer.error, first=first, retry_after=answer.retry_after)

    def _report(self, group: list[Claim]) -> None:
        """Let the next event that leaves say how many messages were dropped, exactly once."""
        lost = self._standing.unreported
        reporter = next((taken for taken in group if taken.reports), None) if lost else None
        if reporter is None:
            return
        before, after = reporter.name, reporter.name.reporting(lost)
        if not self._standing.report(str(before), str(after)):
            return
        try:
            reporter.report(after)
        except OSError:
            return  # `Bounds.tidy` gives it its name before anything is sent

    def _open_transport(self) -> SegmentTransport:
        if self._transport is None:
            from .transport import SegmentTransport  # 110 ms, only when there is something to send

            self._transport = SegmentTransport(
                self._host, self._write_key, self._token, self._deadline
            )
        return self._transport

    def _may_send(self) -> bool:
        """Whether nobody has said no, taken the spool away, or made it read-only since."""
        if self._choice is not None:
            said = choice.read(self._choice)
            if said in (choice.DISABLED, choice.UNREADABLE):
                return False
        return (
            self._is_our_turn()
            and not self._deadline.is_near
            and os.access(self._spool, os.W_OK | os.X_OK)
        )

    def _is_our_turn(self) -> bool:
        """Whether the spool is ours alone, and our lock is still the one that others try."""
        try:
            check_private_directory(self._spool)
            ours = os.fstat(self._lock)
            named = os.lstat(os.path.join(self._spool, LOCK))
        except OSError:
            return False
        return (ours.st_dev, ours.st_ino) == (named.st_dev, named.st_ino)
