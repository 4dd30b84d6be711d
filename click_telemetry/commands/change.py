"""What changes something: `enable`, `disable`, `purge`, `reset-id`. They say what they did."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..privacy import choice, identity
from ..privacy.consent import LOG, NOTHING
from ..privacy.reasons import REASONS
from ..visible import visible
from .account import at_home
from .application import Application, application
from .erasing import erase_all
from .problems import choice_problem

if TYPE_CHECKING:
    from ..privacy.directories import Directories
    from .erasing import Erased


def enable(context: click.Context) -> None:
    """Store a yes.

    Raises:
        click.ClickException: it could not be stored; the message names the fix.
    """
    told = application(context)
    places = told.own_places()
    _store(told, places, enabled=True)
    app = told.settings.app
    click.echo(f"Telemetry of {app} is allowed: stored in {_shown(told, places.choice)}.")
    after = application(context)
    if after.decision.mode == NOTHING:
        why = REASONS[after.decision.reason]
        if after.decision.detail:
            why = f"{after.decision.detail} says no"
        click.echo(f"Nothing is recorded all the same, for now: {why}.")
    elif after.decision.mode == LOG:
        click.echo(f"{after.settings.variable_prefix}_TELEMETRY says log: nothing is sent for now.")


def disable(context: click.Context) -> None:
    """Store a no, then delete everything else.

    Raises:
        click.ClickException: one of the two failed; the message names the fix.
    """
    told = application(context)
    places = told.own_places()
    _store(told, places, enabled=False)
    click.echo(
        f"Telemetry of {told.settings.app} is off, for good: stored in "
        f"{_shown(told, places.choice)}."
    )
    _erase(told, places)


def purge(context: click.Context) -> None:
    """Delete everything but the choice.

    Raises:
        click.ClickException: it could not all be deleted; the message names the fix.
    """
    told = application(context)
    _erase(told, told.own_places())


def reset_id(context: click.Context) -> None:
    """Exchange the anonymous ID.

    Raises:
        click.ClickException: it could not be stored; the message names the fix.
    """
    told = application(context)
    places = told.own_places()
    try:
        made = identity.exchange(places.anonymous_id)
    except OSError as error:
        raise click.ClickException(
            f"The ID is as it was: {_why(error)}. Mend or remove "
            f"{_shown(told, places.anonymous_id)}, then try again."
        ) from error
    if made is None:
        click.echo("There is no ID: one is made when something is recorded for the first time.")
        return
    click.echo(f"The new ID is {made}.")
    click.echo(f"What waits already still carries the old one; `{told.group} purge` deletes it.")


def _store(told: Application, places: Directories, *, enabled: bool) -> None:
    try:
        choice.write(places.choice, enabled=enabled)
    except OSError as error:
        problem = choice_problem(places.choice)
        why = f"it {problem}" if problem else _why(error)
        stands = "It counts as a no already. " if problem else ""
        raise click.ClickException(
            f"Your choice could not be stored in {_shown(told, places.choice)}: {why}. {stands}"
            "Mend or remove it, then try again."
        ) from error


def _erase(told: Application, places: Directories) -> None:
    try:
        gone = erase_all(places)
    except OSError as error:
        raise click.ClickException(
            f"Not everything could be deleted: {_why(error)}. Delete the folder "
            f"{_shown(told, places.state)} yourself."
        ) from error
    click.echo(_gone(gone))
    if gone.sending:
        click.echo("A sender was at work: it ends before its next request.")


def _gone(gone: Erased) -> str:
    if not gone.anything:
        return "Nothing was stored here."
    waited = "1 message that" if gone.messages == 1 else f"{gone.messages or 'no'} messages that"
    return f"Deleted: the anonymous ID, and {waited} waited."


def _shown(told: Application, path: str) -> str:
    return visible(at_home(path, told.environ.get("HOME", "")))


def _why(error: OSError) -> str:
    return visible(error.strerror or str(error) or type(error).__name__)
