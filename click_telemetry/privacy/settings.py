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

_PLAIN: dict[str, tuple[object, ...]] = {
    "version": (None,),
    "write_key": (None,),
    "host": (None,),
    "client": (None,),
    "consent": ("opt-out", "opt-in"),
    "notice": (True, False),
    "ci": ("off", "label"),
    "properties": (None,),
    "auth": (None,),
    "error_packages": ((),),
    "delivery": ("detached", "inline"),
    "flush_timeout": (0.5,),
    "no_telemetry_option": (True, False, "hidden"),
}
"""Values that need no look, the default first; all others are `declaration`'s to check."""


_NAMES = frozenset(OPTIONS)
_RESERVED = frozenset(("con", "prn", "aux", "nul", "com", "lpt"))
"""How the names begin that Windows reserves; `declaration` knows them all."""

CLICK_FAMILY = frozenset(
    ("click", "rich_click", "typer", "cloup", "click_extra", "asyncclick", "click_repl")
)
"""Packages that are Click, extend it, or carry a copy of it: their errors may always be named."""


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
        if not frozenset(options) <= _NAMES:
            from .declaration import check_names

            check_names(options)
        self.declared = options
        self.package = package
        self.app, self.app_known = _app(options.get("app"), package, fallback)
        self.variable_prefix = variable_prefix(self.app)
        for name, plain in _PLAIN.items():
            value = options.get(name, plain[0])
            if not _is_plain(value, plain) and not _is_plain_text(name, value):
                from .declaration import checked  # 0.2 ms, for what is rarely declared

                value = checked(name, value)
            setattr(self, name, value)
        if self.write_key is not None:
            self.write_key = self.write_key.strip() or None
        self.host = self.host or DEFAULT_HOST
        self.properties = self.properties or {}

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
        if letter.isascii() and letter.isalnum():
            letters.append(letter.upper())
        elif letters and letters[-1] != "_":
            letters.append("_")
    return "".join(letters)


def is_plain_name(name: object) -> bool:
    """Whether a name can be an application's on every system, without a closer look."""
    if type(name) is not str or not name or not name.isascii() or len(name) > 64:
        return False
    words = name.replace("-", "").replace("_", "")
    return name[0].isalnum() and words.isalnum() and name[:3].lower() not in _RESERVED


def _app(app: object, package: str, fallback: str) -> tuple[str, bool]:
    known = app is not None or package not in ("", "__main__")
    name = app if app is not None else package if known else fallback
    if not is_plain_name(name):
        from .declaration import checked_app, usable_name

        name = checked_app(app) if app is not None else usable_name(str(name))
    return str(name), known


def _is_plain(value: object, plain: tuple[object, ...]) -> bool:
    return any(value is one or (type(value) is type(one) and value == one) for one in plain)


def _is_plain_text(name: str, value: object) -> bool:
    if type(value) is not str or not value.isprintable():
        return False
    return name == "write_key" or (name == "version" and len(value) <= MAX_VERSION)
