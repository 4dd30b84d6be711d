"""What an application declared, checked once and frozen: owns the options, reads no environment."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..delivery.client import Client

DEFAULT_HOST = "https://api.segment.io"

MAX_VERSION = 128
"""Characters; it is on every event twice."""

OPTIONS = (
    "app",
    "version",
    "write_key",
    "host",
    "client",
    "consent",
    "notice",
    "ci",
    "properties",
    "auth",
    "error_packages",
    "delivery",
    "flush_timeout",
    "no_telemetry_option",
)

_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))]
)


class DeclarationError(TypeError, ValueError):
    """A declaration that cannot be used; its message names the fix.

    Raised at import alone, never while a command runs. It is a `TypeError` and a `ValueError`, so
    that a caller need not know which of the two a mistake counts as.
    """


class Settings:
    """The options of one instrumented command, valid by construction.

    Args:
        package: the top-level package that the callback comes from (`__main__` for a script).
        fallback: the application's name where `app` is not given and there is no package.
        options: the keywords of `instrument`, as DEFAULTS describes them.

    Raises:
        DeclarationError: for an unknown option, or a value that cannot be used.
    """

    __slots__ = (*OPTIONS, "app_known", "declared", "package", "variable_prefix")

    app: str
    version: str | None
    write_key: str | None
    host: str | Callable[[], str]
    client: Client | None
    consent: Literal["opt-out", "opt-in"]
    notice: bool | str
    ci: Literal["off", "label"]
    properties: Mapping[str, Any]
    auth: Callable[[], str | None] | None
    error_packages: Sequence[str]
    delivery: Literal["detached", "inline"]
    flush_timeout: float
    no_telemetry_option: bool | Literal["hidden"]
    app_known: bool
    declared: Mapping[str, Any]
    package: str
    variable_prefix: str

    def __init__(self, package: str, fallback: str, options: Mapping[str, Any]) -> None:
        for name in options:
            if name not in OPTIONS:
                raise DeclarationError(unknown_option(name))
        given = options.get
        self.declared = options
        self.package = package
        self.app, self.app_known = _app(given("app"), package, fallback)
        self.variable_prefix = variable_prefix(self.app)
        self.version = _version(given("version"))
        self.write_key = (_text_or_none("write_key", given("write_key")) or "").strip() or None
        self.host = _host(given("host"))
        self.client = _client(given("client"))
        self.consent = _one_of("consent", given("consent", "opt-out"), ("opt-out", "opt-in"))
        self.notice = _notice(given("notice", True))
        self.ci = _one_of("ci", given("ci", "off"), ("off", "label"))
        self.properties = _properties(given("properties"))
        self.auth = _function_or_none("auth", given("auth"), "a token or None")
        self.error_packages = _packages(given("error_packages", ()))
        self.delivery = _one_of("delivery", given("delivery", "detached"), ("detached", "inline"))
        self.flush_timeout = _seconds(given("flush_timeout", 0.5))
        self.no_telemetry_option = _flag_choice(given("no_telemetry_option", True))

    @property
    def current_version(self) -> str | None:
        """The declared version, else the `__version__` of the package if it is loaded."""
        if self.version is not None:
            return self.version
        # Not getattr: a package may run code for it, load importlib.metadata or warn (as Click's).
        found = getattr(sys.modules.get(self.package), "__dict__", {}).get("__version__")
        return found if isinstance(found, str) and len(found) <= MAX_VERSION else None


def variable_prefix(app: str) -> str:
    """`acme-cli` to `ACME_CLI`: capitals, every run of other characters as one underscore."""
    letters: list[str] = []
    for letter in app:
        if letter in _LETTERS:
            letters.append(letter.upper())
        elif letters and letters[-1] != "_":
            letters.append("_")
    return "".join(letters)


def unknown_option(name: object) -> str:
    """The sentence for an option that is none, with the one that was probably meant."""
    import difflib

    close = difflib.get_close_matches(str(name), OPTIONS, n=1)
    meant = f": did you mean {close[0]!r}?" if close else ""
    return f"unknown telemetry option {name!r}{meant}; the options are {', '.join(OPTIONS)}"


def _app(app: object, package: str, fallback: str) -> tuple[str, bool]:
    if app is None:
        known = package not in ("", "__main__")
        derived = package if known else fallback
        return _usable_name(derived), known
    if not isinstance(app, str):
        raise DeclarationError(f'app must be a string such as app="acme", not {type(app).__name__}')
    problem = _name_problem(app)
    if problem:
        raise DeclarationError(
            f"app {app!r} {problem}: it names directories and variables. Use letters, digits, "
            f'".", "_" and "-", beginning with a letter or digit, such as app={_usable_name(app)!r}'
        )
    return app, True


def _name_problem(app: str) -> str:
    if not app:
        return "is empty"
    if len(app) > 64:
        return "is longer than 64 characters"
    if (
        app[0] not in _LETTERS
        or app[-1] == "."
        or not all(c in _LETTERS or c in "._-" for c in app)
    ):
        return "cannot name a directory on every system"
    if app.partition(".")[0].lower() in _DEVICES:
        return "is reserved on Windows"
    return ""


def _usable_name(name: str) -> str:
    """The nearest valid application name: a name that we derive ourselves must never raise."""
    kept = "".join(c if c in _LETTERS or c in "._-" else "-" for c in name)[:64].strip("._-")
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


def _host(host: object) -> str | Callable[[], str]:
    if host is None:
        return DEFAULT_HOST
    if callable(host):
        return host
    from .origin import origin

    found = origin(host)
    if found is None or not (found[0].startswith("https://") or found[1]):
        raise DeclarationError(
            f'host {host!r} is not an https origin: write host="https://events.example.com", '
            "without a path, or a function that returns such a string"
        )
    return found[0]


def _client(client: object) -> Client | None:
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
    return client  # type: ignore[return-value]


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
        "application that tells its users itself"
    )


def _properties(properties: Any) -> Mapping[str, Any]:
    if properties is None:
        return {}
    try:
        checked = dict(properties.items())
    except Exception as error:
        raise DeclarationError(
            'properties must be a mapping such as properties={"team": "factory"}, not '
            f"{type(properties).__name__}"
        ) from error
    from ..events.names import RESERVED_PROPERTIES

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


def _packages(packages: object) -> Sequence[str]:
    if isinstance(packages, (list, tuple, set, frozenset)) and all(
        isinstance(name, str) and name for name in packages
    ):
        return tuple(packages)
    raise DeclarationError(
        f'error_packages must be a list of package names such as ["requests"], not {packages!r}'
    )


def _seconds(value: object) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= 3:
        return float(value)
    raise DeclarationError(
        f"flush_timeout must be seconds, more than 0 and at most 3, not {value!r}"
    )


def _flag_choice(value: object) -> bool | Literal["hidden"]:
    if isinstance(value, bool):
        return value
    if value == "hidden":
        return "hidden"
    raise DeclarationError(f'no_telemetry_option must be True, "hidden" or False, not {value!r}')
