"""`flush`: deliver what waits now, wait for it, and say honestly what became of it."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from time import monotonic, sleep
from typing import TYPE_CHECKING, NamedTuple

import click

from ..delivery import NOT_BEFORE
from ..delivery.attended import Attended
from ..delivery.launcher import Letter
from ..delivery.sender.deadline import DEADLINE
from ..delivery.sender.name import stem
from ..privacy import identity
from ..privacy.consent import NOTHING, SEND
from ..privacy.reasons import REASONS
from ..visible import visible
from .application import application
from .console import console, counted
from .problems import delivery_error
from .spools import sender_lives, spool, spools

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .application import Application
    from .spools import Spool

PAUSE = 0.05
LONGEST = 2 * DEADLINE
"""Seconds: another sender's whole life, then one of our own."""


class Result(NamedTuple):
    """What became of it.

    Attributes:
        before: the spool as it was; None where there was none.
        after: the spool as it is.
        problem: why no sender could do its work, where that is known; else empty.
    """

    before: Spool
    after: Spool
    problem: str = ""

    @property
    def delivered(self) -> int:
        """How many messages were accepted meanwhile."""
        return max(self.after.remembered.delivered - self.before.remembered.delivered, 0)

    @property
    def refused(self) -> int:
        """How many the server will never take."""
        return max(self.after.remembered.refused - self.before.remembered.refused, 0)

    @property
    def dropped(self) -> int:
        """How many were given up."""
        return max(self.after.remembered.dropped - self.before.remembered.dropped, 0)


def run(context: click.Context) -> None:
    """Deliver, and exit with 0 when all that waited was delivered, else with 1.

    Raises:
        click.ClickException: nothing may be sent; the message says why.
    """
    told = application(context)
    told.own_places()
    _refuse_when_off(told)
    waits = [one for one in spools(told.places, told.destinations) if one.files]
    if not waits:
        click.echo("Nothing waits to be delivered.")
        return
    can = [one for one in waits if _letter(told, one) is not None]
    cannot = [one for one in waits if one not in can]
    with _progress(context, sum(one.waits for one in can)) as seen:
        results = [deliver(told, one, seen) for one in can]
    context.exit(max(_say(results), *(_cannot(one) for one in cannot), 0))


def deliver(told: Application, before: Spool, seen: Callable[[int], None]) -> Result:
    """Deliver one spool: by a sender that is alive already, then by our own.

    Args:
        told: the application.
        before: the spool as it is.
        seen: called with the number of messages that have gone, again and again.
    """
    directory = before.directory
    sender, until = Attended(), monotonic() + LONGEST
    tried: set[str] = set()
    gone = 0
    try:
        while monotonic() < until:
            # Asked first: what a sender does until then is in what is looked at after.
            busy = sender.busy or sender_lives(directory)
            now = spool(directory, before.destination)
            by_now = max(before.waits - now.waits, gone)
            seen(by_now - gone)
            gone = by_now
            free = {stem(file.name) for file in now.files if not file.held}
            letter = _letter(told, before)
            if not busy and letter is not None:
                if not free - tried:
                    break
                tried |= free
                _forget_wait(directory)
                sender.start(letter)
                if sender.problem:
                    break
            sleep(PAUSE)
    finally:
        sender.end()
    problem = sender.problem
    if sender.exit_status:
        problem = problem or f"the sender failed (exit status {sender.exit_status})"
    return Result(before, spool(directory, before.destination), problem)


def _refuse_when_off(told: Application) -> None:
    decision = told.decision
    if decision.mode == SEND:
        return
    if decision.mode != NOTHING:
        why = f"{told.settings.app} is in {decision.mode} mode"
    elif decision.detail:
        why = f"{decision.detail} says no"
    else:
        why = REASONS[decision.reason]
    raise click.ClickException(f"Nothing was sent: {why}.")


def _letter(told: Application, spool: Spool) -> Letter | None:
    """What its sender is told, or None where nobody could open the destination now."""
    places, known = told.own_places(), spool.destination
    if known is None:
        return None
    token = told.facts.token if known.identified else None
    if known.identified and token is None:
        return None
    anonymous_id = identity.read(places.anonymous_id)
    return Letter(spool.directory, known.host, known.write_key, places.choice, anonymous_id, token)


def _forget_wait(directory: str) -> None:
    """Somebody asks for it now: an earlier failure's wait does not stand in the way."""
    try:
        os.unlink(os.path.join(directory, NOT_BEFORE))
    except OSError:
        return  # there was none


def _say(results: Sequence[Result]) -> int:
    """Tell what became of it, and give the exit status."""
    click.echo(f"{counted(sum(one.delivered for one in results), 'message')} delivered.")
    return max((_left(one) for one in results), default=0)


def _left(result: Result) -> int:
    """Tell what was not delivered, and give the exit status."""
    after = result.after
    if result.refused:
        click.echo(
            f"{counted(result.refused, 'message')} the server will never take: dropped.", err=True
        )
    if result.dropped:
        click.echo(f"{counted(result.dropped, 'message')} dropped: too old, or too many.", err=True)
    held = sum(len(file.messages) for file in after.files if file.held)
    left = after.waits - held
    if left:
        memory = after.remembered
        failed = delivery_error(memory.last_error or "") if memory.failures else ""
        why = result.problem or failed
        told = f": {visible(why, 200)}" if why else ""
        click.echo(f"{_waits(left)}, to be tried again{told}.", err=True)
    if held:
        click.echo(f"{_waits(held)} for a command that still runs.", err=True)
    return 1 if left or held or result.refused or result.dropped else 0


def _cannot(spool: Spool) -> int:
    """Tell why a spool was not even tried, and give the exit status."""
    if spool.destination is not None:
        click.echo(f"{_waits(spool.waits)} until you are signed in.", err=True)
    else:
        click.echo(
            f"{_waits(spool.waits)} for another key or server than now, until the application "
            "runs with those again.",
            err=True,
        )
    return 1


def _waits(messages: int) -> str:
    return f"{counted(messages, 'message')} wait{'s' if messages == 1 else ''}"


@contextmanager
def _progress(context: click.Context, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr, on a terminal alone; gives what is to be called with what has gone."""
    if not sys.stderr.isatty():
        yield lambda gone: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    with Progress(
        TextColumn("Delivering"),
        BarColumn(),
        MofNCompleteColumn(),
        console=console(context, stderr=True),
        transient=True,
    ) as progress:
        task = progress.add_task("", total=total)
        yield lambda gone: progress.advance(task, gone)
