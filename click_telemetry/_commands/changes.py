"""What changes something: `enable`, `disable`, `purge`, `reset-id`. Each prints what it did."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .._foreground import consent, identity
from .._recorder import LOG, OFF
from .application import application_of, setting_problem
from .spools import purge_all
from .terminal import counted, system_error

if TYPE_CHECKING:
    from .._recorder import Directories
    from .application import Application


def enable(context: click.Context) -> None:
    """Save that telemetry is enabled.

    Raises:
        click.ClickException: it could not be saved; the message names the fix.
    """
    application = application_of(context)
    _save(application, application.own_directories(), enabled=True)
    now = application_of(context)
    if now.decision.mode == OFF:
        click.echo(f"Nothing is recorded for now: {now.off_reason()}.")
    elif now.decision.mode == LOG:
        click.echo(f"{now.settings.prefix}_TELEMETRY is set to log: nothing is sent for now.")


def disable(context: click.Context) -> None:
    """Save that telemetry is disabled, then delete everything else.

    Raises:
        click.ClickException: one of the two failed; the message names the fix.
    """
    application = application_of(context)
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
    application = application_of(context)
    _purge(application, application.own_directories())


def reset_id(context: click.Context) -> None:
    """Replace the anonymous ID.

    Raises:
        click.ClickException: it could not be stored; the message names the fix.
    """
    application = application_of(context)
    path = application.own_directories().anonymous_id
    try:
        replaced = identity.replace(path)
    except OSError as error:
        raise click.ClickException(
            f"The ID is unchanged: {system_error(error)}. Repair or remove "
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
        why = f"it {problem}" if problem else system_error(error)
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
            f"Not everything could be deleted: {system_error(error)}. Delete the directory "
            f"{application.path(directories.state)} yourself."
        ) from error
    if not purged.existed:
        click.echo("Nothing was stored.")
        return
    click.echo(f"Deleted: the anonymous ID and {counted(purged.messages, 'queued message')}.")
    if purged.sending:
        click.echo("A sender was running: it ends before its next request.")
