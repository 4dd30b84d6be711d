"""The facts that consent asks for, each looked up when it is asked: the rim around `decide`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from ..storage import can_be_made
from . import choice
from .directories import directories
from .refusal import WATCH_VARIABLE
from .surroundings import is_ci, is_test_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .settings import Settings


class RealFacts:
    """What is the case for one application in this process, now."""

    __slots__ = (
        *("_anonymous", "_own_host", "_token"),
        *("choice", "environ", "places", "settings", "stdout"),
    )

    def __init__(self, settings: Settings, environ: Mapping[str, str], stdout: object) -> None:
        self.settings = settings
        self.environ = environ
        self.stdout = stdout
        self.places = directories(settings.app, environ)
        self.choice = choice.read(self.places.choice) if self.places else choice.NONE
        self._anonymous: tuple[tuple[str, str] | None] | None = None
        self._own_host: tuple[str | None] | None = None
        self._token: tuple[str | None] | None = None

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
        return (
            "_pytest" in sys.modules
            or is_test_environment(self.environ)
            or type(self.stdout).__module__.endswith("click.testing")
        )

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
        """Whether events would have a destination; where a key will do, `auth` is not asked yet."""
        if self._named_host and self._without_token is not None:
            return True
        return self.destination is not None

    @property
    def destination(self) -> tuple[str, str] | None:
        """Host and write key, or with a token the host that the code names, and no key.

        Each of the application's functions is asked once: it may change its mind.
        """
        if self.token is not None:
            return (self.own_host, "") if self._named_host and self.own_host is not None else None
        return self._without_token

    @property
    def _named_host(self) -> bool:
        """Whether the code names a host: Segment, the default, is nobody to show a token to."""
        return self.settings.declared.get("host") is not None

    @property
    def _without_token(self) -> tuple[str, str] | None:
        if self._anonymous is None:
            self._anonymous = (destination(self.settings, self.environ, lambda: self.own_host),)
        return self._anonymous[0]

    @property
    def token(self) -> str | None:
        """What `auth` gives, asked once; None also where it fails, or where nothing may send it."""
        if self.settings.auth is None:
            return None
        if self._token is None:
            from .token import ask

            self._token = (ask(self.settings.auth) if self.settings.app_known else None,)
        return self._token[0]

    @property
    def own_host(self) -> str | None:
        """The host that the application's code gives."""
        if self._own_host is None:
            self._own_host = (own_host(self.settings),)
        return self._own_host[0]

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


def destination(
    settings: Settings,
    environ: Mapping[str, str],
    host: Callable[[], str | None] | None = None,
) -> tuple[str, str] | None:
    """Host and write key of events without a token, or None when there is nowhere to send to.

    A host from the environment counts only on loopback: a stray `.env` must not move events. A
    write key from the environment counts only where the code gives none.

    Args:
        settings: what the application declared.
        environ: the process's environment.
        host: gives what the code names, where that is known already.
    """
    if not settings.app_known:
        return None
    write_key = _write_key(settings, environ)
    if write_key is None:
        return None
    given = environ.get(settings.variable_prefix + "_TELEMETRY_HOST")
    if given is not None:
        from .origin import origin

        by_variable = origin(given)
        if by_variable is not None and by_variable[1]:
            return by_variable[0], write_key
    found = host() if host is not None else own_host(settings)
    return None if found is None else (found, write_key)


def own_host(settings: Settings) -> str | None:
    """The host that the code gives: an https origin, or a loopback one; None for no answer."""
    host = settings.host
    if isinstance(host, str):
        return host
    from .origin import origin

    try:
        found = origin(host())
    except Exception:  # the application's own function: without an answer there is no host
        return None
    if found is None or not (found[1] or found[0].startswith("https://")):
        return None
    return found[0]


def _write_key(settings: Settings, environ: Mapping[str, str]) -> str | None:
    given = environ.get(settings.variable_prefix + "_TELEMETRY_WRITE_KEY", "").strip()
    found = settings.write_key or given
    return found if found and found.isprintable() else None
