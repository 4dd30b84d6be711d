"""The one switch: which client an invocation gets, by what was decided."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..privacy import identity
from ..privacy.consent import CLIENT, LOG, WATCH

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..privacy.consent import Decision
    from ..privacy.directories import Directories
    from ..privacy.facts import RealFacts
    from .client import Client


def choose(decision: Decision, facts: RealFacts, leaving: Callable[[], bool]) -> tuple[Client, str]:
    """A client, and the anonymous ID that goes with it.

    Args:
        decision: not NOTHING.
        facts: what the decision was made from.
        leaving: tells, when something is handed off, whether the process is about to end.

    Raises:
        OSError: the ID or the spool cannot be stored.
    """
    places = facts.places
    if decision.mode == CLIENT and facts.settings.client is not None:
        return facts.settings.client, _id_at_hand(places)
    if decision.mode == LOG:
        from .plain import LogClient

        return LogClient(), _id_at_hand(places)
    if places is None:
        from .plain import NullClient

        return NullClient(), identity.fresh()
    if decision.mode == WATCH:
        return _watched(facts, places, leaving), identity.fresh()
    if facts.destination is None:
        from .plain import NullClient

        return NullClient(), identity.fresh()  # a token, and no host that the code names
    host, write_key = facts.destination
    anonymous_id = identity.read_or_create(places.anonymous_id)
    client = _spooled(facts, places, host, write_key, anonymous_id, leaving, facts.token)
    return client, anonymous_id


def _id_at_hand(places: Directories | None) -> str:
    """The stored ID, or one of the moment; nothing is written for a run that sends nothing."""
    stored = identity.read(places.anonymous_id) if places is not None else None
    return stored or identity.fresh()


def _watched(facts: RealFacts, places: Directories, leaving: Callable[[], bool]) -> Client:
    from ..privacy.watched import WRITE_KEY, watch_address, watch_state, watched_places

    address = watch_address(facts.environ) or ""
    apart = watched_places(places, facts.settings.app, facts.environ)
    state = watch_state(facts.environ)
    if state is None:
        return _spooled(facts, apart, address, WRITE_KEY, None, leaving)
    if not os.path.isdir(state):
        from .plain import NullClient

        return NullClient()  # the watcher has gone, and its directory is not ours to make again
    from .spool import SpoolClient

    # The watcher delivers when the command has ended, rather than wait for the sender's sleep.
    return SpoolClient(apart.spool(address, WRITE_KEY), lambda: None)


def _spooled(
    facts: RealFacts,
    places: Directories,
    host: str,
    write_key: str,
    anonymous_id: str | None,
    leaving: Callable[[], bool],
    token: str | None = None,
) -> Client:
    from .launcher import Letter, can_start, hand_off
    from .spool import SpoolClient

    spool = places.spool(host, write_key, identified=token is not None)
    letter = Letter(spool, host, write_key, places.choice, anonymous_id, token)
    settings = facts.settings
    if settings.delivery == "inline" or os.getpid() == 1 or not can_start():
        from .inline import hand_off_inline

        return SpoolClient(spool, lambda: hand_off_inline(letter, settings.flush_timeout))
    client = SpoolClient(spool, lambda: hand_off(letter, client.written, leaving=leaving()))
    return client
