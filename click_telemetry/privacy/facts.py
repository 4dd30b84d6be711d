"""The facts that consent asks for, each looked up when it is asked: the rim around `decide`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..storage import can_be_made
from . import choice
from .consent import WATCH_VARIABLE
from .directories import directories
from .surroundings import is_ci, is_test_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .settings import Settings


class RealFacts:
    """What is the case for one application in this process, now."""

    __slots__ = ("_destination", "choice", "environ", "places", "settings", "stdout")

    def __init__(self, settings: Settings, environ: Mapping[str, str], stdout: object) -> None:
        self.settings = settings
        self.environ = environ
        self.stdout = stdout
        self.places = directories(settings.app, environ)
        self.choice = choice.read(self.places.choice) if self.places else choice.NONE
        self._destination: tuple[tuple[str, str] | None] | None = None

    @property
    def foreign_user(self) -> bool:
        """Whether uid and euid differ (setuid), or HOME belongs to another user (`sudo -E`)."""
        if not hasattr(os, "geteuid"):
            return False
        if os.getuid() != os.geteuid():
            return True
        home = self.environ.get("HOME")
        if not home:
            return False
        try:
            return os.stat(home).st_uid != os.geteuid()
        except OSError:
            return False  # there is no such home; whether state can be stored is asked elsewhere

    @property
    def test_run(self) -> bool:
        """Whether pytest is loaded here or above, or Click's own runner holds stdout."""
        return is_test_run(self.environ, self.stdout)

    @property
    def ci(self) -> bool:
        """Whether this is CI and the application does not label such runs instead."""
        return self.settings.ci == "off" and is_ci(self.environ)

    @property
    def watched(self) -> bool:
        """Whether a loopback receiver is named for this run."""
        if WATCH_VARIABLE not in self.environ:
            return False
        from .watched import watch_address

        return watch_address(self.environ) is not None

    @property
    def client(self) -> bool:
        """Whether the application gave its own client."""
        return self.settings.client is not None

    @property
    def write_key(self) -> bool:
        """Whether events would have a destination."""
        return self.destination is not None

    @property
    def destination(self) -> tuple[str, str] | None:
        """Host and write key; asked once, since the host's function may change its mind."""
        if self._destination is None:
            self._destination = (destination(self.settings, self.environ),)
        return self._destination[0]

    @property
    def storable(self) -> bool:
        """Whether the state directory is there, or can be made."""
        return self.places is not None and can_be_made(self.places.state)

    @property
    def opt_in(self) -> bool:
        """Whether the application asks first."""
        return self.settings.consent == "opt-in"

    @property
    def notice_shown(self) -> bool:
        """Whether the notice has been shown, or the application tells its users itself."""
        if self.settings.notice is False:
            return True
        from . import notice

        return self.places is not None and notice.was_shown(self.places.notice)


def destination(settings: Settings, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """Host and write key, or None when there is nowhere to send to.

    A host from the environment counts only on loopback: a stray `.env` must not move events. A
    write key from the environment counts only where the code gives none.
    """
    if not settings.app_known:
        return None
    prefix = settings.variable_prefix
    write_key = settings.write_key or environ.get(prefix + "_TELEMETRY_WRITE_KEY", "").strip()
    if not write_key or not write_key.isprintable():
        return None
    given, host = environ.get(prefix + "_TELEMETRY_HOST"), settings.host
    if given is None and isinstance(host, str):
        return host, write_key
    from .origin import origin

    by_variable = origin(given)
    if by_variable is not None and by_variable[1]:
        return by_variable[0], write_key
    if callable(host):
        try:
            found = origin(host())
        except Exception:  # the application's own function: without an answer there is no host
            return None
        if found is None or not (found[1] or found[0].startswith("https://")):
            return None
        return found[0], write_key
    return host, write_key
