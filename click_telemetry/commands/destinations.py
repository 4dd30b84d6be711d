"""Where an application's events go, as it is configured now: told without asking for a token."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..privacy.facts import destination, own_host

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..privacy.directories import Directories
    from ..privacy.settings import Settings


class Destination(NamedTuple):
    """One of them; an application has two where it knows who is signed in.

    Attributes:
        spool: its directory.
        host: an origin.
        write_key: Segment's; empty where a token takes its place.
        identified: whether only a token opens it.
    """

    spool: str
    host: str
    write_key: str
    identified: bool


def destinations(
    settings: Settings, environ: Mapping[str, str], places: Directories | None
) -> list[Destination]:
    """The anonymous one, then the one for people who are signed in, where there are such."""
    if places is None:
        return []
    found: list[Destination] = []
    anonymous = destination(settings, environ)
    if anonymous is not None:
        found.append(Destination(places.spool(*anonymous), *anonymous, identified=False))
    if settings.auth is not None and settings.declared.get("host") is not None:
        host = own_host(settings)
        if host is not None and settings.app_known:
            found.append(Destination(places.spool(host, "", identified=True), host, "", True))
    return found
