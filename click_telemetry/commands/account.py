"""What `status` tells, as values: collected once, shown as text or as JSON."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

from ..events.ambient import in_container
from ..privacy import identity, notice
from ..privacy.consent import NOTHING
from ..privacy.reasons import REASONS
from .problems import choice_problem, delivery_error
from .spools import spools
from .switches import switches, winner

if TYPE_CHECKING:
    from .application import Application
    from .spools import Spool
    from .switches import Switch


class Account(NamedTuple):
    """What is to be told.

    Attributes:
        application: whose.
        switches: every one, in the order in which they count.
        winner: the key of the one that decided; empty where none said no.
        problem: why the stored choice cannot be read; empty where it can be.
        anonymous_id: the stored one, or None.
        notice_shown: whether the marker says so.
        spools: the current destination's first.
    """

    application: Application
    switches: list[Switch]
    winner: str
    problem: str
    anonymous_id: str | None
    notice_shown: bool
    spools: list[Spool]


def account(application: Application) -> Account:
    """Collect it; reads, and changes nothing."""
    places = application.places
    return Account(
        application,
        switches(application),
        winner(application),
        choice_problem(places.choice) if places else "",
        identity.read(places.anonymous_id) if places else None,
        places is not None and notice.was_shown(places.notice),
        spools(places, application.destinations),
    )


def as_json(account: Account) -> dict[str, Any]:
    """The whole account; its keys are a contract, and times are UTC (RFC 3339)."""
    application = account.application
    decision, places, facts = application.decision, application.places, application.facts
    oldest = min((file.began for one in account.spools for file in one.files), default=None)
    return {
        "app": application.settings.app,
        "mode": decision.mode,
        "reason": decision.reason or None,
        "detail": decision.detail or None,
        "because": REASONS[decision.reason] if decision.mode == NOTHING else None,
        "switches": [
            {
                "key": switch.key,
                "name": switch.name,
                "value": switch.value,
                "says": switch.says,
                "wins": switch.key == account.winner,
            }
            for switch in account.switches
        ],
        "choice": facts.choice,
        "choice_problem": account.problem or None,
        "notice_shown": account.notice_shown,
        "anonymous_id": account.anonymous_id,
        "in_container": in_container(application.environ),
        "paths": {
            "choice": places.choice if places else None,
            "state": places.state if places else None,
        },
        "waiting": {
            "files": sum(len(one.files) for one in account.spools),
            "messages": sum(one.waits for one in account.spools),
            "oldest": moment(oldest),
        },
        "delivered": sum(one.remembered.delivered for one in account.spools),
        "refused": sum(one.remembered.refused for one in account.spools),
        "dropped": sum(one.remembered.dropped for one in account.spools),
        "destinations": [_destination(one) for one in account.spools],
    }


def _destination(spool: Spool) -> dict[str, Any]:
    known, memory = spool.destination, spool.remembered
    error = memory.last_error
    return {
        "directory": spool.directory,
        "current": known is not None,
        "host": known.host if known is not None else None,
        "identified": known.identified if known is not None else None,
        "sending": spool.sender,
        "files": len(spool.files),
        "messages": spool.waits,
        "oldest": moment(min((file.began for file in spool.files), default=None)),
        "delivered": memory.delivered,
        "delivered_at": moment(memory.delivered_at),
        "refused": memory.refused,
        "dropped": memory.dropped,
        "failures": memory.failures,
        "failed_at": moment(memory.failed_at),
        "last_error": error,
        "last_error_in_words": delivery_error(error) if error else None,
        "not_before": moment(spool.not_before),
    }


def moment(seconds: float | None) -> str | None:
    """Seconds since the epoch as RFC 3339 in UTC."""
    if seconds is None:
        return None
    try:
        found = datetime.fromtimestamp(seconds, timezone.utc)
    except (OverflowError, OSError, ValueError):
        return None
    return found.isoformat(timespec="seconds").replace("+00:00", "Z")


def at_home(path: str, home: str) -> str:
    """A path as people write it, with `~` for their home."""
    home = home.rstrip("/")
    return "~" + path[len(home) :] if home and path.startswith(home + os.sep) else path
