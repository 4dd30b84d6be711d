"""One pass over the spool under the sender's lock: claim, post, acknowledge.

Before each request it asks again whether it may: the person's choice, the lock's name, and
whether what is accepted can be unlinked afterwards.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_OID, uuid5

from ...privacy import choice
from .. import refusal
from ..spool import LOCK
from .answer import ACCEPTED, MUCH_LATER, SPLIT, Answer
from .batches import MOST_BYTES, MOST_MESSAGES, batches
from .standing import Standing
from .waiting import Claim, claim, waiting

if TYPE_CHECKING:
    from .transport import SegmentTransport


class Delivery:
    """A pass.

    Args:
        letter: what the launcher wrote (`launcher.Letter`).
        lock: the sender's lock, held.
    """

    def __init__(self, letter: dict[str, Any], lock: int) -> None:
        self._spool: str = letter["spool"]
        self._host: str = letter["host"]
        self._write_key: str = letter["write_key"]
        self._choice: str | None = letter["choice"]
        self._anonymous_id: str | None = letter["anonymous_id"]
        self._token: str | None = letter.get("token")
        self._lock = lock
        self._standing = Standing(self._spool)
        self._transport: SegmentTransport | None = None

    def run(self) -> bool:
        """Deliver what waits.

        Returns:
            Whether everything that could be claimed is gone. If not, looking again will not help.
        """
        group: list[Claim] = []
        count = size = 0
        for name in waiting(self._spool):
            taken = claim(self._spool, name)
            if taken is None:
                continue
            if group and (
                count + len(taken.messages) > MOST_MESSAGES or size + taken.size > MOST_BYTES
            ):
                if not self._send(group):
                    taken.release()
                    return False
                group, count, size = [], 0, 0
            group.append(taken)
            count += len(taken.messages)
            size += taken.size
        return self._send(group) if group else True

    def _send(self, group: list[Claim]) -> bool:
        """Deliver some files together; all of them are acknowledged or none."""
        messages = [message for taken in group for message in taken.messages]
        identify = self._identify(messages)
        if identify is not None:
            messages.insert(0, identify)
        for batch in batches(messages):
            answer = self._post(batch)
            if answer is None or answer.verdict != ACCEPTED:
                if answer is not None:
                    self._standing.failed(
                        answer.error,
                        configuration=answer.verdict == MUCH_LATER,
                        retry_after=answer.retry_after,
                    )
                    self._judge_token(answer)
                for taken in group:
                    taken.release()
                return False
            self._judge_token(answer)
        gone = True
        for taken in group:
            try:
                taken.acknowledge()
            except OSError:
                gone = False  # sent again later, under the same message IDs
        self._standing.delivered(
            len(messages), self._anonymous_id if identify is not None else None
        )
        return gone

    def _post(self, batch: list[dict[str, Any]]) -> Answer | None:
        """Post a batch, cut down to the message at fault where there is one; None: it may not."""
        if not self._may_send():
            return None
        answer = self._open_transport().post(batch)
        if answer.verdict != SPLIT:
            return answer
        if len(batch) == 1:
            self._standing.refused(1, answer.error)
            return Answer(ACCEPTED, answer.status)
        middle = len(batch) // 2
        first = self._post(batch[:middle])
        if first is None or first.verdict != ACCEPTED:
            return first
        return self._post(batch[middle:])

    def _judge_token(self, answer: Answer) -> None:
        """A refused token is not tried again; with a fresh one its events need not wait."""
        if self._token is None:
            return
        if answer.status in (401, 403):
            refusal.remember(self._spool, self._token)
        else:
            refusal.forget(self._spool)

    def _open_transport(self) -> SegmentTransport:
        if self._transport is None:
            from .transport import SegmentTransport  # 110 ms, only when there is something to send

            self._transport = SegmentTransport(self._host, self._write_key, self._token)
        return self._transport

    def _may_send(self) -> bool:
        """Whether nobody has said no, taken the spool away, or made it read-only since."""
        if self._choice is not None:
            said = choice.read(self._choice)
            if said in (choice.DISABLED, choice.UNREADABLE):
                return False
        try:
            ours = os.fstat(self._lock)
            named = os.lstat(os.path.join(self._spool, LOCK))
        except OSError:
            return False
        return (ours.st_dev, ours.st_ino) == (named.st_dev, named.st_ino) and os.access(
            self._spool, os.W_OK | os.X_OK
        )

    def _identify(self, messages: list[dict[str, Any]]) -> dict[str, Any] | None:
        """The one `identify` of an anonymous ID, the same however often it is made."""
        if self._anonymous_id is None or self._standing.identified == self._anonymous_id:
            return None
        app = messages[0].get("context", {}).get("app", {}).get("name")
        return {
            "type": "identify",
            "messageId": str(
                uuid5(NAMESPACE_OID, f"click_telemetry identify {self._anonymous_id}")
            ),
            "anonymousId": self._anonymous_id,
            "traits": {},
            "context": {"app": {"name": app}, "library": {"name": "click_telemetry"}},
        }
