"""`show`: the very messages that wait, exactly as they would be sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click
from rich.json import JSON

from ..delivery.sender.identify import identify
from ..privacy import identity
from .application import application
from .console import console, counted
from .spools import spools

if TYPE_CHECKING:
    from typing import Any

    from .spools import Spool


def run(context: click.Context, *, as_json: bool) -> None:
    """Print the messages.

    Args:
        context: the command's.
        as_json: one message a line, and nothing else; ASCII alone.
    """
    told = application(context)
    found = spools(told.places, told.destinations)
    anonymous_id = identity.read(told.places.anonymous_id) if told.places else None
    if as_json:
        for spool in found:
            for message in to_be_sent(spool, anonymous_id):
                click.echo(json.dumps(message, separators=(",", ":"), allow_nan=False))
        return
    out = console(context)
    app = told.settings.app
    if not any(spool.waits for spool in found):
        out.print(f"Nothing of {app} waits to be sent.")
        return
    for spool in found:
        said = to_be_sent(spool, anonymous_id)
        if not said:
            continue
        where = "" if spool.destination else ", for another key or server than now"
        out.print(f"{counted(len(said), 'message')} of {app} {_wait(said)} to be sent{where}:")
        for message in said:
            out.print()
            out.print(JSON.from_data(message, ensure_ascii=True))
    out.print()
    out.print(f"Delete them: {told.group} purge")


def to_be_sent(spool: Spool, anonymous_id: str | None) -> list[dict[str, Any]]:
    """A spool's messages in the order in which they would be sent.

    Args:
        spool: as it is.
        anonymous_id: the stored one; the destination is told of it once.
    """
    said = [message for file in spool.files for message in file.messages]
    introduced = identify(anonymous_id, spool.remembered.identified, said)
    return said if introduced is None else [introduced, *said]


def _wait(said: list[dict[str, Any]]) -> str:
    return "waits" if len(said) == 1 else "wait"
