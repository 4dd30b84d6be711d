"""The commands that change something: `enable`, `disable`, `purge`, `reset-id` and `flush`.

Each prints what it did.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from time import monotonic, sleep
from typing import TYPE_CHECKING, NamedTuple

import click

from .._foreground import consent, identity
from .._recorder import LOG, OFF, SEND
from .._sender.watchdog import MAX_PAUSE
from .._spool import NOT_BEFORE
from .application import find_application, setting_problem
from .sender_process import SenderJob, SenderProcess, file_key
from .spools import is_sending, purge_all, read_spool, read_spools, stored_id
from .terminal import describe_delivery_error, describe_system_error, escape, pluralize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .._recorder import Directories
    from .application import Application
    from .spools import SpoolReport

POLL_EVERY = 0.05
MAX_WAIT = 2 * MAX_PAUSE
"""Seconds: those of another sender without progress, then those of our own."""


# Setting, ID and queue ----------------------------------------------------------------------------


def enable(context: click.Context) -> None:
    """Save that telemetry is enabled.

    Raises:
        click.ClickException: it could not be saved; the message names the fix.
    """
    application = find_application(context)
    _save(application, application.own_directories(), enabled=True)
    now = find_application(context)
    if now.decision.mode == OFF:
        click.echo(f"Nothing is recorded for now: {now.off_reason()}.")
    elif now.decision.mode == LOG:
        click.echo(f"{now.settings.prefix}_TELEMETRY is set to log: nothing is sent for now.")


def disable(context: click.Context) -> None:
    """Save that telemetry is disabled, then delete everything else.

    Raises:
        click.ClickException: one of the two failed; the message names the fix.
    """
    application = find_application(context)
    directories = application.own_directories()
    try:
        _save(application, directories, enabled=False)
    finally:
        _purge(application, directories)  # an opt-out that cannot be saved still deletes


def purge(context: click.Context) -> None:
    """Delete everything but the saved setting.

    Raises:
        click.ClickException: not all of it could be deleted; the message names the fix.
    """
    application = find_application(context)
    _purge(application, application.own_directories())


def reset_id(context: click.Context) -> None:
    """Replace the anonymous ID.

    Raises:
        click.ClickException: it could not be stored; the message names the fix.
    """
    application = find_application(context)
    path = application.own_directories().anonymous_id
    try:
        replaced = identity.replace(path)
    except OSError as error:
        raise click.ClickException(
            f"The ID is unchanged: {describe_system_error(error)}. Repair or remove "
            f"{application.path(path)}, then try again."
        ) from error
    if replaced is None:
        click.echo("There is no ID yet: the first command that is recorded creates one.")
        return
    click.echo(f"The new ID is {replaced}.")
    click.echo(f"Queued messages contain the old one; `{application.group} purge` deletes them.")


def _save(application: Application, directories: Directories, *, enabled: bool) -> None:
    shown = application.path(directories.setting)
    try:
        consent.write(directories.setting, enabled=enabled)
    except OSError as error:
        problem = setting_problem(directories.setting)
        why = f"it {problem}" if problem else describe_system_error(error)
        effect = "Telemetry is off until it can be read. " if problem else ""
        raise click.ClickException(
            f"The setting could not be saved in {shown}: {why}. {effect}Repair or remove it, then "
            "try again."
        ) from error
    state = "enabled" if enabled else "disabled"
    click.echo(f"Telemetry for {application.settings.app} is now {state} (saved in {shown}).")


def _purge(application: Application, directories: Directories) -> None:
    try:
        purged = purge_all(directories)
    except OSError as error:
        raise click.ClickException(
            f"Not everything could be deleted: {describe_system_error(error)}. Delete the "
            f"directory {application.path(directories.state)} yourself."
        ) from error
    if not purged.existed:
        click.echo("Nothing was stored.")
        return
    click.echo(f"Deleted: the anonymous ID and {pluralize(purged.messages, 'queued message')}.")
    if purged.sending:
        click.echo("A sender was running: it ends before its next request.")


# Delivery -----------------------------------------------------------------------------------------


class FlushResult(NamedTuple):
    """A spool before and after.

    Attributes:
        before: as it was.
        after: as it is.
        problem: why no sender could work, if that is known; else empty.
    """

    before: SpoolReport
    after: SpoolReport
    problem: str = ""

    @property
    def delivered(self) -> int:
        """Messages that were accepted."""
        return max(self.after.state.delivered - self.before.state.delivered, 0)

    @property
    def rejected(self) -> int:
        """Messages that the server rejected finally."""
        return max(self.after.state.rejected - self.before.state.rejected, 0)

    @property
    def dropped(self) -> int:
        """Messages that were dropped for other reasons."""
        return max(self.after.state.dropped - self.before.state.dropped, 0)


def flush(context: click.Context) -> None:
    """Deliver; the exit status is 0 if all that was queued was delivered, else 1.

    Raises:
        click.ClickException: nothing may be sent; the message gives the reason.
    """
    application = find_application(context)
    directories = application.own_directories()
    _check_mode(application)
    queued = [one for one in read_spools(directories, application.destinations) if one.files]
    if not queued:
        click.echo("The queue is empty.")
        return
    jobs = [(one, _job(application, one)) for one in queued]
    total = sum(one.queued for one, job in jobs if job is not None)
    with _progress(total) as advance:
        results = [deliver(one, job, advance) for one, job in jobs if job is not None]
    click.echo(f"{pluralize(sum(one.delivered for one in results), 'message')} delivered.")
    statuses = [_print_rest(result) for result in results]
    statuses += [_print_unsendable(one) for one, job in jobs if job is None]
    context.exit(max(statuses))


def deliver(before: SpoolReport, job: SenderJob, advance: Callable[[int], object]) -> FlushResult:
    """Deliver one spool: by a sender that is running already, then by our own.

    Args:
        before: the spool as it is.
        job: of our own senders.
        advance: called repeatedly with the number of messages that have left the queue.
    """
    directory = before.directory
    sender, until = SenderProcess(), monotonic() + MAX_WAIT
    tried: set[object] = set()
    gone = 0
    try:
        while monotonic() < until:
            # Checked first: what a sender does from here on is part of what is read next.
            busy = sender.is_running or is_sending(directory)
            now = read_spool(directory, before.known)
            gone_now = max(before.queued - now.queued, gone)
            advance(gone_now - gone)
            gone = gone_now
            free = {file_key(file.name) for file in now.files if not file.locked}
            if not busy:
                if not free - tried:
                    break
                tried |= free
                _clear_not_before(directory)
                sender.start(job)
                if sender.problem:
                    break
            sleep(POLL_EVERY)
    finally:
        sender.kill()
    problem = sender.problem
    if sender.exit_status:
        problem = problem or f"the sender failed (exit status {sender.exit_status})"
    return FlushResult(before, read_spool(directory, before.known), problem)


def _check_mode(application: Application) -> None:
    mode = application.decision.mode
    if mode != SEND:
        why = f"{application.settings.app} is in {mode} mode"
        if mode == OFF:
            why = application.off_reason()
        raise click.ClickException(f"Nothing was sent: {why}.")


def _job(application: Application, spool: SpoolReport) -> SenderJob | None:
    """The job of a spool's sender, or None if its destination cannot be sent to now."""
    known, directories = spool.known, application.own_directories()
    if known is None or not known.can_be_sent_to:
        return None
    host, write_key = known.destination.host, known.destination.write_key
    return SenderJob(
        spool.directory,
        host,
        write_key,
        directories.setting,
        stored_id(directories),
        known.destination.token,
        site_setting=directories.site_setting,
        transport=known.destination.transport,
    )


def _clear_not_before(directory: str) -> None:
    """Remove the wait after an earlier failure: `flush` delivers now."""
    try:
        os.unlink(os.path.join(directory, NOT_BEFORE))
    except OSError:
        return  # there was none


# What a delivery prints ---------------------------------------------------------------------------


def _print_rest(result: FlushResult) -> int:
    """Print what was not delivered, and return the exit status."""
    after = result.after
    if result.rejected:
        rejected = pluralize(result.rejected, "message")
        click.echo(f"{rejected} dropped: the server rejected them.", err=True)
    if result.dropped:
        dropped = pluralize(result.dropped, "message")
        click.echo(f"{dropped} dropped: too old, too many or too large.", err=True)
    locked = sum(len(file.messages) for file in after.files if file.locked)
    left = after.queued - locked
    if left:
        failed = (
            describe_delivery_error(after.state.last_error or "") if after.state.failures else ""
        )
        why = result.problem or failed
        _print_queued(left, f": {escape(why, 200)}" if why else "")
    if locked:
        _print_queued(locked, " by a command that is still running")
    return 1 if left or locked or result.rejected or result.dropped else 0


def _print_unsendable(spool: SpoolReport) -> int:
    """Print why a spool was not even tried, and return the exit status."""
    if spool.known is not None:
        _print_queued(spool.queued, " until you are signed in")
    else:
        _print_queued(spool.queued, " for another write key or host than the current one")
    return 1


def _print_queued(messages: int, text: str) -> None:
    verb = "is" if messages == 1 else "are"
    click.echo(f"{pluralize(messages, 'message')} {verb} still queued{text}.", err=True)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], object]]:
    """A progress bar on stderr, if that is a terminal; gives what advances it."""
    if not sys.stderr.isatty():
        yield lambda gone: None
        return
    with click.progressbar(
        length=total, label="Delivering", show_pos=True, show_percent=False, file=sys.stderr
    ) as bar:
        yield bar.update
