"""The options of a declaration: each one's check, whose message names the fix. Pure.

Loaded with `declaration`, and for the few of its rules that others need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from .._recorder import MAX_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

OPTIONS = (
    *("app", "version", "write_key", "host", "destination", "client", "consent", "notice"),
    *("notice_url", "ci", "properties", "auth", "packages", "delivery", "flush_timeout"),
    *("no_telemetry_option", "events", "sample"),
)
MAX_APP = 64
"""Characters."""
MAX_TIMEOUT = 5
"""Seconds."""
MAX_URL = 200
"""Characters: a person reads it on a terminal."""


class DeclarationError(TypeError, ValueError):
    """A declaration that cannot be used; its message names the fix.

    Raised at import or in a test, never while a command runs. It is a `TypeError` and a
    `ValueError`, so that a caller need not know which of the two a mistake counts as.
    """

    __module__ = "click_telemetry"  # a traceback shows the name that can be imported


class MisplacedAttribute(DeclarationError, AttributeError):
    """An attribute of a thing that must be called or entered first; the message names the fix."""


_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))]
)


def check(name: str, value: Any) -> Any:
    """The value of an option other than `app`, as `Settings` keeps it; None for the default.

    Raises:
        DeclarationError: it cannot be used, or there is no such option.
    """
    if name not in _CHECKS:
        raise DeclarationError(unknown_option(name))
    return _CHECKS[name](value)


def unknown_option(name: object) -> str:
    """The sentence for an option that is none, with the one that was probably meant."""
    import difflib

    close = difflib.get_close_matches(str(name), OPTIONS, n=1)
    meant = f": did you mean {close[0]!r}?" if close else ""
    return f"unknown telemetry option {name!r}{meant}; the options are {', '.join(OPTIONS)}"


def variable_prefix(app: str) -> str:
    """`acme-cli` to `ACME_CLI`: capitals, every run of other characters as one underscore."""
    letters: list[str] = []
    for letter in app:
        if letter.isascii() and letter.isalnum():
            letters.append(letter.upper())
        elif letters and letters[-1] != "_":
            letters.append("_")
    return "".join(letters)


def checked_app(app: object) -> str:
    """The application's name, as it was declared.

    Raises:
        DeclarationError: it cannot name directories and variables.
    """
    if not isinstance(app, str):
        raise DeclarationError(f'app must be a string such as app="acme", not {type(app).__name__}')
    problem = _name_problem(app)
    if problem:
        raise DeclarationError(
            f"app {app!r} {problem}: it names directories and variables. Use letters, digits, "
            f'".", "_" and "-", beginning with a letter or digit, such as app={usable(app)!r}'
        )
    return app


def _name_problem(app: str) -> str:
    if not app:
        return "is empty"
    if len(app) > MAX_APP:
        return f"is longer than {MAX_APP} characters"
    if (
        app[0] not in _LETTERS
        or app[-1] == "."
        or not all(c in _LETTERS or c in "._-" for c in app)
    ):
        return "cannot name a directory on every system"
    if app.partition(".")[0].lower() in _DEVICES:
        return "is reserved on Windows"
    return ""


def usable(name: str) -> str:
    """The nearest valid application name: a name that we derive ourselves must never raise."""
    kept = "".join(c if c in _LETTERS or c in "._-" else "-" for c in name)[:MAX_APP].strip("._-")
    return kept if kept and not _name_problem(kept) else "app"


def _text_or_none(option: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise DeclarationError(
            f"{option} must be a string or None, not {type(value).__name__}: write "
            f'{option}="…", or leave it out'
        )
    if any(not c.isprintable() for c in value):
        raise DeclarationError(f"{option} has an unprintable character: remove it, or strip() it")
    return value


def _version(version: object) -> str | None:
    found = _text_or_none("version", version)
    if found is not None and len(found) > MAX_VERSION:
        raise DeclarationError(
            f"version is longer than {MAX_VERSION} characters: write the number alone, such as "
            'version="2.1.0"'
        )
    return found


def _write_key(write_key: object) -> str | None:
    found = _text_or_none("write_key", write_key)
    return found.strip() or None if found is not None else None


def _host(host: object) -> str | Callable[[], str] | None:
    if host is None:
        return None
    if callable(host):
        return host
    from .destination import origin

    found = origin(host)
    if found is None or not (found[0].startswith("https://") or found[1]):
        raise DeclarationError(
            f'host {host!r} is not an https origin: write host="https://events.example.com", '
            "without a path, or a function that returns such a string"
        )
    return found[0]


def expanded(declared: Mapping[str, Any]) -> Mapping[str, Any]:
    """What was declared, with Segment's `destination=` as `write_key=` and `host=`.

    Raises:
        DeclarationError: other options contradict the destination.
    """
    destination = declared.get("destination")
    if destination is None:
        return declared
    kind = type(destination).__name__
    both = [name for name in ("write_key", "host") if declared.get(name) is not None]
    if both:
        raise DeclarationError(
            f"{' and '.join(both)} cannot be combined with destination={kind}(…): remove "
            f"{'it' if len(both) == 1 else 'them'}, or write "
            'destination=Segment("YOUR_SEGMENT_WRITE_KEY", host=…)'
        )
    _destination(destination)
    if declared.get("auth") is not None and not destination.accepts_token:
        raise DeclarationError(
            f"auth cannot be combined with destination={kind}(…), which takes no token of a user: "
            "remove auth, or use Segment(…) or Webhook(…)"
        )
    if destination.transport:
        return declared
    write_key, host = destination.key, destination.host
    return {**declared, "destination": None, "write_key": write_key, "host": host}


def _destination(destination: object) -> Any:
    if destination is None:
        return None
    if getattr(destination, "accepts_token", None) in (True, False) and not isinstance(
        destination, type
    ):
        return destination
    raise DeclarationError(
        "destination must be an object of click_telemetry.destinations, such as "
        f'Webhook("https://events.example.com/acme"), not {destination!r}'
    )


def _client(client: object) -> Any:
    if client is None:
        return None
    missing = [name for name in ("record", "close") if not callable(getattr(client, name, None))]
    if missing or isinstance(client, type):
        what = (
            "a class; pass an instance" if isinstance(client, type) else f"without {missing[0]}()"
        )
        raise DeclarationError(
            f"client is {what}: it must have record(message) and close(), as "
            "click_telemetry.testing.RecordingClient() has"
        )
    return client


def _one_of(option: str, value: object, allowed: tuple[str, ...]) -> Any:
    if isinstance(value, str) and value in allowed:
        return value
    raise DeclarationError(
        f"{option} must be one of {', '.join(map(repr, allowed))}, not {value!r}"
    )


def _notice(notice: object) -> bool | str:
    if isinstance(notice, bool) or (isinstance(notice, str) and notice.strip()):
        return notice
    raise DeclarationError(
        f"notice must be True, False or a text, not {notice!r}: write notice=False for an "
        "application that informs its users itself"
    )


def _notice_url(url: object) -> str | None:
    if url is None:
        return None
    if isinstance(url, str) and len(url) <= MAX_URL and url.isprintable() and " " not in url:
        from .destination import origin  # nothing else needs it here

        host = url[8:].partition("/")[0].partition("?")[0].partition("#")[0]
        if url.startswith("https://") and origin(f"https://{host}") is not None and url.isascii():
            return url
    raise DeclarationError(
        f"notice_url {url!r} is not an https address of at most {MAX_URL} characters: write "
        'notice_url="https://acme.example/telemetry", a page that people can read'
    )


def _properties(properties: Any) -> Mapping[str, Any] | None:
    if properties is None:
        return None
    try:
        checked = dict(properties.items())
    except Exception as error:
        raise DeclarationError(
            'properties must be a mapping such as properties={"team": "factory"}, not '
            f"{type(properties).__name__}"
        ) from error
    from .._reader import RESERVED_PROPERTIES  # no run without own properties needs the reader

    for key in checked:
        if not isinstance(key, str) or not key:
            raise DeclarationError(
                f"properties has the key {key!r}: every key must be a non-empty string"
            )
        if key in RESERVED_PROPERTIES:
            raise DeclarationError(
                f"properties has the key {key!r}, which events carry already: rename it, "
                f"for example to {'app_' + key!r}"
            )
    return checked


def _function_or_none(option: str, value: object, gives: str) -> Any:
    if value is None or callable(value):
        return value
    raise DeclarationError(
        f"{option} must be a function that returns {gives}, not {type(value).__name__}: write "
        f"{option}=lambda: …"
    )


def _packages(names: object) -> Sequence[str]:
    if isinstance(names, (list, tuple, set, frozenset)) and all(
        isinstance(name, str) and name for name in names
    ):
        return tuple(names)
    raise DeclarationError(
        f'packages must be a list of package names such as ["acme_plugins"], not {names!r}'
    )


def _seconds(value: object) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= MAX_TIMEOUT:
        return float(value)
    raise DeclarationError(
        f"flush_timeout must be seconds, more than 0 and at most {MAX_TIMEOUT}, not {value!r}"
    )


def _flag_choice(value: object) -> bool | Literal["hidden"]:
    if isinstance(value, bool):
        return value
    if value == "hidden":
        return "hidden"
    raise DeclarationError(f'no_telemetry_option must be True, "hidden" or False, not {value!r}')


def _sample(rate: object) -> float | None:
    if rate is None or (rate == 1 and rate is not True):
        return None
    if isinstance(rate, (int, float)) and not isinstance(rate, bool) and 0 < rate < 1:
        return float(rate)
    raise DeclarationError(
        "sample must be the share of installations that record, more than 0 and at most 1, not "
        f"{rate!r}: write sample=0.1"
    )


def _events(events: Any) -> tuple[tuple[Any, ...] | None, str]:
    """What the application tracks, None if it does not declare it; and which command events."""
    if events is None or (isinstance(events, str) and events in COMMAND_EVENTS):
        return None, events or "all"
    if isinstance(events, str) or not isinstance(events, (list, tuple, set, frozenset)):
        raise DeclarationError(
            'events must be "all", "completed" or a tuple of what the application tracks, such as '
            f'events=(PlanChanged, "Invoice Exported"), not {events!r}'
        )
    mode = "all"
    kept = []
    for event in events:
        if isinstance(event, str) and event in COMMAND_EVENTS:
            mode = event
        else:
            _check_event(event)
            kept.append(event)
    return tuple(kept) if kept or not events else None, mode


def _check_event(event: Any) -> None:
    """Raise unless it is an event's class, a flow, or the name of an event.

    Raises:
        DeclarationError: it is none of them.
    """
    if event_name(event) is None:
        raise DeclarationError(
            f"events has {event!r}: write a class of Event, a flow, or an event's name, such as "
            '"Invoice Exported"'
        )
    if isinstance(event, str):
        from .._events.text import name_problem  # for names alone
        from .._reader import OUR_EVENTS  # likewise

        problem = name_problem("events: the name", event)
        if problem is None and event in OUR_EVENTS:
            problem = f"events has {event!r}, which is recorded of each command: remove it"
        if problem is not None:
            raise DeclarationError(problem)


def event_name(event: Any) -> str | None:
    """The name of an item of the option `events`; None for what is no declaration."""
    if isinstance(event, str):
        return event
    plan = event.__dict__.get("__telemetry__") if isinstance(event, type) else _plan_of(event)
    name = getattr(plan, "name", None)
    return name if isinstance(name, str) else None


def _plan_of(event: Any) -> Any:
    return getattr(event, "plan", None) if hasattr(type(event), "start") else None


def undeclared_event(name: object, events: tuple[Any, ...]) -> str | None:
    """The problem with an event that is tracked by a name that `events=` does not have, or None."""
    if name in [event_name(event) for event in events]:
        return None
    return (
        f"track({name!r}): events=… does not declare it: add the name there, or make it a class of "
        "Event, whose properties are checked"
    )


def replaced_property(name: object, properties: Any) -> str | None:
    """The problem with properties of which one is replaced by what every event has, or None."""
    from .._reader import BASE_PROPERTIES  # in tests alone

    try:
        replaced = [key for key in properties or () if key in BASE_PROPERTIES]
    except Exception:  # an object whose own code fails: it is left out as a whole
        return None
    if not replaced:
        return None
    key = replaced[0]
    return (
        f"track({name!r}): every event has the property {key!r} already, which replaces this one: "
        f"rename it, for example to {'app_' + key!r}"
    )


COMMAND_EVENTS = ("all", "completed")
"""Of each command both events, or its end alone."""

_CHECKS: dict[str, Callable[[Any], Any]] = {
    "version": _version,
    "write_key": _write_key,
    "host": _host,
    "destination": _destination,
    "client": _client,
    "consent": lambda value: _one_of("consent", value, ("opt-out", "opt-in")),
    "notice": _notice,
    "notice_url": _notice_url,
    "ci": lambda value: _one_of("ci", value, ("off", "label")),
    "properties": _properties,
    "auth": lambda value: _function_or_none("auth", value, "a token or None"),
    "packages": _packages,
    "delivery": lambda value: _one_of("delivery", value, ("detached", "inline")),
    "flush_timeout": _seconds,
    "no_telemetry_option": _flag_choice,
    "events": _events,
    "sample": _sample,
}
