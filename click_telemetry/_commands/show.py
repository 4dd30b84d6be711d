"""`show`: the queued messages, exactly as they would be sent."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import click

from .application import application_of
from .spools import messages_to_send, read_spools, stored_id
from .terminal import counted, printer

if TYPE_CHECKING:
    from typing import Any

_KEY = re.compile(r'^( *)("(?:[^"\\]|\\.)*")(?=: )', re.MULTILINE)


def run(context: click.Context, *, as_json: bool) -> None:
    """Print the messages.

    Args:
        context: the command's.
        as_json: one message per line and nothing else, in ASCII.
    """
    application = application_of(context)
    spools = read_spools(application.directories, application.destinations)
    anonymous_id = stored_id(application.directories)
    if as_json:
        for spool in spools:
            for message in messages_to_send(spool, anonymous_id):
                click.echo(json.dumps(message, separators=(",", ":"), allow_nan=False))
        return
    output = printer(context)
    app = application.settings.app
    if not any(spool.queued for spool in spools):
        output(f"The queue of {app} is empty.")
        return
    for spool in spools:
        messages = messages_to_send(spool, anonymous_id)
        if messages:
            where = "" if spool.known else " for another write key or host than the current one"
            output(f"{counted(len(messages), 'message')} in the queue of {app}{where}:")
            for message in messages:
                output("")
                output(_highlighted(message))
    output("")
    output(f"To delete them: {application.group} purge")


def _highlighted(message: dict[str, Any]) -> str:
    """Indented JSON in ASCII, with coloured keys."""
    text = json.dumps(message, indent=2, allow_nan=False)
    return _KEY.sub(lambda found: found[1] + click.style(found[2], fg="blue"), text)
