"""A run under `click-telemetry watch`: where it listens, and telling it what was decided.

The watcher cannot know an application's name, so its two variables carry none. Its state directory
is its own; nothing is written here unless it gave one.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .refusal import WATCH_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .consent import Decision
    from .directories import Directories

ADDRESS_VARIABLE = WATCH_VARIABLE
STATE_VARIABLE = "CLICK_TELEMETRY_WATCH_STATE"

WRITE_KEY = "watch"
"""What a watched run sends instead of the application's key, which is none of the watcher's."""

TOLD = "told"
"""The watcher's folder of decisions, a small JSON file for each."""


def watch_address(environ: Mapping[str, str]) -> str | None:
    """The loopback origin that a watcher listens at, or None."""
    given = environ.get(ADDRESS_VARIABLE)
    if given is None:
        return None
    from .origin import origin

    found = origin(given)
    return found[0] if found is not None and found[1] else None


def watch_state(environ: Mapping[str, str]) -> str | None:
    """The watcher's own state directory, or None."""
    given = environ.get(STATE_VARIABLE, "")
    return given if os.path.isabs(given) else None


def watched_places(places: Directories, app: str, environ: Mapping[str, str]) -> Directories:
    """The directories of a watched run: the person's own choice, and a state apart from theirs."""
    from .directories import Directories

    state = watch_state(environ) or os.path.join(places.state, "watched")
    return Directories(places.config, os.path.join(state, app))


def tell(environ: Mapping[str, str], app: str, decision: Decision | None) -> None:
    """Tell the watcher what was decided, so that it can say why nothing came.

    Args:
        environ: the process's environment.
        app: the application's name.
        decision: None when the root was only found, and no command has begun.
    """
    state = watch_state(environ) if watch_address(environ) is not None else None
    if state is None:
        return
    import json

    from ..storage import replace_file

    said = {"app": app, "decided": decision is not None}
    if decision is not None:
        said |= {"mode": decision.mode, "reason": decision.reason, "detail": decision.detail}
    told = os.path.join(state, TOLD)
    try:
        try:
            os.mkdir(told, 0o700)  # never what is above it: the watcher may have removed it
        except FileExistsError:
            pass
        replace_file(os.path.join(told, f"{os.urandom(8).hex()}.json"), json.dumps(said).encode())
    except OSError:
        return  # the watcher has gone, and with it whoever would read this
