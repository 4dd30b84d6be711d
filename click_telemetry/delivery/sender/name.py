"""A spool file's name: when it was begun, and what senders have to remember of it. Pure.

A file keeps its writer's bytes. What is learnt later stands in its name, since a rename happens
whole or not at all, survives every kill, and is forgotten together with the file:
`<nanoseconds>-<random>[.lost-<count>][.tried-<seconds>][.whole].jsonl`.
"""

from __future__ import annotations

import re

_NAME = re.compile(
    r"([0-9]{20})-([0-9a-z]{1,32})"
    r"(?:\.lost-([0-9]{1,9}))?(?:\.tried-([0-9]{1,12}))?(\.whole)?\.jsonl"
)

KEPT = 7 * 24 * 3600.0
"""Seconds that a file may wait."""
OPEN = 20 * 3600.0
"""Seconds from the first attempt that may have arrived: Segment tells repetitions for a day."""
LONGEST_AGE = 365 * 24 * 3600.0
LONGEST_LEAD = 3600.0
"""Seconds; an age or a lead beyond these is a clock that was wrong, then or now."""

MOST_LOST = 10**9 - 1

KEEP = "keep"
DROP = "drop"
DATE_ANEW = "date anew"


class FileName:
    """A name that is one of ours.

    Attributes:
        begun: when its writer made it, in nanoseconds since the epoch; names sort by it.
        tail: what tells those of one nanosecond apart.
        lost: how many messages were dropped before it, which its first event reports; 0 for none.
        tried: since when its messages may have arrived without our knowing, in seconds since the
            epoch; None when no attempt is open.
        whole: whether it was written at once, under another name, and has no living writer.
    """

    __slots__ = ("begun", "lost", "tail", "tried", "whole")

    def __init__(
        self, begun: int, tail: str, lost: int = 0, tried: int | None = None, whole: bool = False
    ) -> None:
        self.begun = begun
        self.tail = tail
        self.lost = lost
        self.tried = tried
        self.whole = whole

    def __str__(self) -> str:
        lost = f".lost-{self.lost}" if self.lost else ""
        tried = f".tried-{self.tried}" if self.tried is not None else ""
        return f"{self.begun:020d}-{self.tail}{lost}{tried}{'.whole' if self.whole else ''}.jsonl"

    def reporting(self, lost: int) -> FileName:
        """The name that says how many messages its first event reports as dropped."""
        return FileName(self.begun, self.tail, min(lost, MOST_LOST), self.tried, self.whole)

    def tried_at(self, at: int | None) -> FileName:
        """The name that says since when an attempt is open."""
        return FileName(self.begun, self.tail, self.lost, at, self.whole)

    def begun_at(self, now: float) -> FileName:
        """The name of a file whose waiting is counted from now on."""
        now = max(now, 0.0)  # a clock before 1970
        tried = None if self.tried is None else int(now)
        return FileName(int(now * 1e9), self.tail, self.lost, tried, self.whole)


def parse(name: str) -> FileName | None:
    """What a name says, or None where it is none of ours."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    begun, tail, lost, tried, whole = found.groups()
    return FileName(
        int(begun), tail, int(lost or 0), None if tried is None else int(tried), whole is not None
    )


def stem(name: str) -> str:
    """What stays of a file's name whatever senders learn of it."""
    return name.partition(".")[0]


def verdict(name: FileName, written_at: float, now: float) -> str:
    """Whether a file may wait on: KEEP, DROP, or DATE_ANEW where no clock reading can be true.

    Args:
        name: the file's.
        written_at: its last write, in seconds since the epoch.
        now: seconds since the epoch.
    """
    tried_for = 0.0 if name.tried is None else now - name.tried
    if not _credible(tried_for):
        return DATE_ANEW
    if tried_for > OPEN:
        return DROP
    for since in (written_at, name.begun / 1e9):
        if _credible(now - since):
            return DROP if now - since > KEPT else KEEP
    return DATE_ANEW


def _credible(age: float) -> bool:
    return -LONGEST_LEAD <= age <= LONGEST_AGE
