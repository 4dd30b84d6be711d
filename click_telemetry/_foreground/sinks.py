"""Where facts go that no sender delivers: an application's own client, log mode, watch, doctor.

A client gets messages: they are composed as the sender would compose them.

Under `click-telemetry watch` a run gets the receiver's address, and reports what was decided. The
receiver does not know the application's name, so its two variables carry none. Its state directory
is its own; nothing is written here unless it gave one. `click-telemetry doctor` uses the same two
variables (`_doctor.channel`).
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Protocol

from .._instrument import WATCH_VARIABLE, pass_on
from .._reader import Composer
from .._recorder import (
    CLIENT,
    ID_LIMIT,
    LOG,
    OFF,
    WATCH,
    Destination,
    Directories,
    encode,
    is_random_id,
    read_file,
)
from .identity import is_in_sample, random_id, read_or_create

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._recorder import Decision, Fact, Invocation, Settings
    from .._spool import Spool


class ClientSink:
    """Composes messages, and passes them to a client.

    Args:
        client: has `record(message)` and `close()`.
        state: the application's state directory, if something may be read there.
        read_only: whether nothing may be stored, in an application's own records either.
    """

    __slots__ = ("_client", "_composer", "publication", "read_only", "state_directory")

    def __init__(self, client: Any, state: str | None = None, *, read_only: bool = False) -> None:
        self._client = client
        self._composer: Composer | None = None
        self.publication = 0
        self.read_only = read_only
        self.state_directory = state

    def write(self, invocation: Invocation, facts: list[Fact], lifecycle: bool) -> None:
        """Pass on the messages that facts give."""
        if self._composer is None:
            self._composer = Composer(invocation.digits)
            self._composer.feed(invocation.head)
        for fact in facts:
            for message in self._composer.feed(fact):
                self._client.record(message)

    def publish(self, invocation: Invocation) -> None:
        """Everything has been passed on already."""

    def close(self, invocation: Invocation) -> None:
        """The invocation has ended."""
        self._client.close()


class LogClient:
    """Prints each message on stderr, exactly as it would be sent; nothing is sent.

    The JSON is ASCII: no value can move a cursor or turn the reading direction.
    """

    __slots__ = ()

    def record(self, message: dict[str, Any]) -> None:
        """Print one line."""
        sys.stderr.write(encode(message) + "\n")
        sys.stderr.flush()

    def close(self) -> None:
        """Every line was flushed when it was printed."""


def find(
    settings: Settings,
    environ: Mapping[str, str],
    directories: Directories | None,
    decision: Decision,
) -> tuple[Any, str]:
    """The sink of a run that no sender delivers, and its anonymous ID; None for nowhere."""
    if decision.mode == CLIENT:
        if settings.test_double or directories is None:
            return ClientSink(settings.client), _stored_id(directories)
        anonymous_id = read_or_create(directories.anonymous_id)
        if not is_in_sample(anonymous_id, settings.sample):
            return None, ""  # the first run, whose decision knew no ID yet
        return ClientSink(settings.client, directories.state), anonymous_id
    state = directories.state if directories is not None else None
    if decision.mode in (LOG, WATCH) and address(environ) is not None:
        from .._doctor import channel, examination  # under watch and doctor alone

        if channel.order(environ) is not None:
            return ClientSink(examination.Collector(settings), state, read_only=True), random_id()
    if decision.mode == LOG:
        return ClientSink(LogClient(), state, read_only=True), _stored_id(directories)
    if decision.mode == WATCH and directories is not None:
        return _watched(settings, environ, directories), random_id()
    return None, ""


def _stored_id(directories: Directories | None) -> str:
    """The stored ID, or a temporary one: nothing is stored for a run that sends nothing."""
    content = None
    if directories is not None:
        try:
            content = read_file(directories.anonymous_id, ID_LIMIT)
        except OSError as error:
            pass_on(error)
    found = (content or b"").decode("ascii", "replace").removesuffix("\n")
    return found if is_random_id(found) else random_id()


def _watched(
    settings: Settings, environ: Mapping[str, str], directories: Directories
) -> Spool | None:
    """A spool in the receiver's directory; the receiver delivers when the command has ended."""
    destination = Destination(address(environ) or "", WRITE_KEY)
    apart = watched_directories(directories, settings.app, environ)
    state = state_directory(environ)
    if state is not None and not os.path.isdir(state):
        return None  # the receiver has ended, and its directory is not made again
    from .._spool import Spool  # log mode and a client have no spool

    new = Spool
    if settings.delivery == "inline":
        from .inline import InlineSpool  # as without the receiver

        new = InlineSpool
    return new(settings, apart, destination, None, delivers=state is None)


class Client(Protocol):
    """Receives the messages of an application instead of the spool; pass it as `client=`.

    Its methods are called in the foreground, in the order of `sequence`, one call at a time for an
    invocation. An exception that they raise is caught, and the event counted as dropped.

    It receives messages where a destination would: not in CI or in a test run, and not before the
    notice was shown.

    A client of the application's own tests, such as `RecordingClient`, also has `test_double`, an
    attribute that is True: then it receives messages in all of these, and a mistake in what is
    recorded raises. It is read once, at the declaration, and False where the client does not have
    it.
    """

    def record(self, message: dict[str, Any], /) -> None:
        """Receive one Segment message (`track` or `identify`). The client owns it."""

    def close(self) -> None:
        """An invocation has ended; called at most once for each one that used the client."""


ADDRESS_VARIABLE = WATCH_VARIABLE
STATE_VARIABLE = "CLICK_TELEMETRY_WATCH_STATE"

WRITE_KEY = "watch"
"""What a watched run sends instead of the application's key."""

MASKED = "masked"
"""The reason that reports a command of a package that is not the application's."""

DECISIONS = "decisions"
"""The receiver's folder of decisions, a small JSON file for each."""


def address(environ: Mapping[str, str]) -> str | None:
    """The loopback origin that a receiver listens at, or None."""
    given = environ.get(ADDRESS_VARIABLE)
    if given is None:
        return None
    from .destination import origin

    found = origin(given)
    return found[0] if found is not None and found[1] else None


def state_directory(environ: Mapping[str, str]) -> str | None:
    """The receiver's own state directory, or None."""
    given = environ.get(STATE_VARIABLE, "")
    return given if os.path.isabs(given) else None


def watched_directories(found: Directories, app: str, environ: Mapping[str, str]) -> Directories:
    """The directories of a watched run: the person's saved setting, and a separate state."""
    state = state_directory(environ) or os.path.join(found.state, "watched")
    return Directories(
        os.path.dirname(found.setting),
        os.path.join(state, app),
        os.path.dirname(found.site_setting),
    )


def report(app: str, reason: str | None, detail: str = "", mode: str = OFF) -> None:
    """Report what was decided, so that the receiver can explain why nothing arrived.

    Args:
        app: the application's name.
        reason: why nothing is recorded; empty where something is. None when the root was only
            found, and no command has begun.
        detail: the variable that opted out.
        mode: as in `Decision`.
    """
    found: dict[str, Any] = {"app": app, "decided": reason is not None}
    if reason is not None:
        found |= {"mode": mode, "reason": reason, "detail": detail}
    from .._doctor import channel  # under watch and doctor alone

    channel.put(DECISIONS, found)
