"""Long-lived invocations: a series of files, called parts, which are published as it runs.

The new part is complete on disk before the old one ends with `next`: at any moment
one of the two, or both in the same words, knows which runs are open.
"""

from __future__ import annotations

import errno
from time import monotonic_ns
from typing import TYPE_CHECKING

from .._instrument import pass_on
from .._recorder import encode
from .._spool import FILE_LIMIT, NEXT, PUBLISH_AFTER

if TYPE_CHECKING:
    from .._recorder import Fact, Invocation
    from .._spool import Spool

MAX_OPEN = 256 * 1024
"""Bytes of the begin lines of open runs in a head; some 200 runs, of as many threads."""


def head(invocation: Invocation, spool: Spool) -> Fact:
    """The first line of a part after the first one."""
    opened: list[Fact] = []
    room = MAX_OPEN
    ended: dict[str, list[Fact]] = {}
    latest = invocation.latest
    if latest is not None and latest.number not in spool.begun:
        begin = latest.begin
        if begin["n"] <= spool.last_n:  # else it is not written yet
            ended["ended"] = [begin]
            room -= len(encode(begin))
    for begin in spool.begun.values():
        room -= len(encode(begin))
        if room < 0:
            break
        opened.append(begin)
    return {
        **invocation.head,
        "part": spool.part,
        "at": spool.last_at,
        "n": spool.last_n,
        "user": spool.user,
        "open": opened,
        **ended,
    }


def publish(invocation: Invocation, spool: Spool) -> None:
    """Let a sender have what is written so far. Never raises for what the disk does."""
    spool.published_at = monotonic_ns()
    try:
        rotate(invocation, spool)
    except OSError as error:
        pass_on(error)
        return  # everything stays in this file until the next time
    spool.publication += 1
    if spool.unsent:
        try:
            spool.hand_over(leaving=False)
        except OSError as error:
            pass_on(error)  # the next invocation's sender delivers it


def make_room(invocation: Invocation, spool: Spool, length: int, *, lifecycle: bool) -> None:
    """Make room for more bytes than the file may have.

    Raises:
        OSError: only begin and end lines still fit.
    """
    if lifecycle:
        rotate(invocation, spool)
        return
    before = spool.publication
    if monotonic_ns() - spool.published_at >= PUBLISH_AFTER:
        publish(invocation, spool)
    if spool.publication == before or length > FILE_LIMIT:
        raise OSError(errno.ENOSPC, "the invocation's file is full")


def rotate(invocation: Invocation, spool: Spool) -> None:
    """Release the file; while runs are open the next part is written before that.

    If the process is killed at any moment, one of the two files, or both in the same words, has the
    runs that are open: the head of the next part is on disk before the old one gets `next`.

    Raises:
        OSError: the next part cannot be made; the file stays as it is.
    """
    old = spool.file
    if old is None:
        return
    if not spool.begun:
        old.release()
        spool.file = None
        return
    new = spool.new_file(invocation)
    try:
        new.append(spool.head(invocation))
        old.append(NEXT)
    except BaseException:
        spool.part -= 1
        new.discard()
        raise
    old.release()
    spool.file = new


def sign_out_later(spool: Spool, fact: Fact) -> None:
    """Keep a sign-out that cannot be written; a sign-in that cannot be becomes one.

    Raises:
        OSError: the sign-in is dropped.
    """
    is_sign_in = fact["identify"] is not None
    kept = {"identify": None, "at": fact["at"]} if is_sign_in else fact
    last = spool.unwritten[-1] if spool.unwritten else {}
    if last.get("identify", "") is not None:
        spool.unwritten = [*spool.unwritten, kept]
    elif "dropped" in kept:
        last["dropped"] = last.get("dropped", 0) + kept["dropped"]
    if is_sign_in:
        raise OSError(errno.ENOSPC, "the sign-in has no room")
