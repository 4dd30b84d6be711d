"""The application that a telemetry command runs in: its settings, facts and places, as of now."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NamedTuple

import click

from ..observe.flag import opted_out
from ..observe.state import contexts_from_root, mark_of
from ..privacy.consent import Decision, decide
from ..privacy.facts import RealFacts
from .destinations import destinations

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..privacy.directories import Directories
    from ..privacy.settings import Settings
    from .destinations import Destination


class Application(NamedTuple):
    """What the commands are about.

    Attributes:
        settings: what the application declared.
        facts: what is the case here and now.
        decision: what would become of one of its recorded commands.
        flag: whether `--no-telemetry` stood on this command line.
        group: how the telemetry group was reached, such as `acme telemetry`.
        destinations: where its events go.
    """

    settings: Settings
    facts: RealFacts
    decision: Decision
    flag: bool
    group: str
    destinations: Sequence[Destination]

    @property
    def environ(self) -> Mapping[str, str]:
        """The process's environment."""
        return self.facts.environ

    @property
    def places(self) -> Directories | None:
        """Its directories, or None where there is no absolute place for them."""
        return self.facts.places

    def own_places(self) -> Directories:
        """Its directories, for a command that is to change what is in them.

        Raises:
            click.ClickException: there are none, or they are another user's.
        """
        if self.facts.foreign_user:
            raise click.ClickException(
                "Nothing was changed: this process runs for another user than the one whose files "
                "these are. Run it as the user whose HOME it is, without sudo."
            )
        if self.places is None:
            raise click.ClickException(
                "There is no place for it: set HOME to the absolute path of your home directory."
            )
        return self.places


def application(context: click.Context) -> Application:
    """The application above a telemetry command.

    Raises:
        click.UsageError: nothing above the command is instrumented.
    """
    contexts = contexts_from_root(context)
    mark = mark_of(contexts[0].command) if contexts else None
    if mark is None or mark.settings is None:
        raise click.UsageError(
            "telemetry_group() has to stand below an instrumented group: put @instrumented_group "
            "above the application's root."
        )
    settings = mark.settings
    facts = RealFacts(settings, os.environ, sys.stdout)
    flag = opted_out(contexts)
    decision = decide(os.environ, settings.variable_prefix, flag=flag, look=lambda: facts)
    group = context.parent.command_path if context.parent is not None else context.command_path
    known = destinations(settings, os.environ, facts.places)
    return Application(settings, facts, decision, flag, group, known)
