"""How something ended: the exit code that the shell will see, and a class that may be named.

Exceptions are told apart by name and home, never by `isinstance` against Click: some libraries
carry their own copy of it. No exception's own code runs here.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from ..privacy.settings import CLICK_FAMILY

if TYPE_CHECKING:
    from collections.abc import Collection

    from .text import Json

SUCCESS = "success"
FAILURE = "failure"
CANCELLED = "cancelled"

_LONGEST_CAUSE = 16


def raised(
    error: BaseException, *, own: str, packages: Collection[str] = (), typer: bool = False
) -> dict[str, Json]:
    """How a leaf ended that an exception ended: properties of `Command Completed`.

    Args:
        error: the very object, before Click turns it into anything else.
        own: the application's own top-level package; `__main__` counts as its own anyway.
        packages: further top-level packages whose classes may be named.
        typer: whether Typer runs the command, whose Ctrl-C is 130.
    """
    if isinstance(error, SystemExit):
        return _ended(exit_status(_attribute(error, "code")))
    family = _family_names(error)
    if "Exit" in family:
        return _ended(exit_status(_attribute(error, "exit_code")))
    if isinstance(error, (KeyboardInterrupt, EOFError)) or "Abort" in family:
        interrupted = typer and isinstance(error, KeyboardInterrupt)
        ended = _ended(130 if interrupted else 1)
        ended |= {"outcome": CANCELLED, "user_cancelled": True}
    elif "ClickException" in family:
        ended = _ended(exit_status(_attribute(error, "exit_code")))
    else:
        ended = _ended(1)
    ended["error_class"], masked = error_class_of(error, own, packages)
    if masked:
        ended["error_class_masked"] = True
    return ended


def exit_status(code: Any) -> int:
    """What the shell sees of `sys.exit(code)`: as CPython and the kernel treat it.

    None is 0, an integer its low 8 bits on POSIX (32 on Windows), one beyond 64 bits 255, and
    anything else is printed and 1.
    """
    if code is None:
        return 0
    if not isinstance(code, int):
        return 1
    number = int.__int__(code)
    if not -(2**63) <= number < 2**63:
        return 255 if os.name == "posix" else 0xFFFFFFFF
    return number & (0xFF if os.name == "posix" else 0xFFFFFFFF)


def error_class_of(
    error: BaseException, own: str, packages: Collection[str] = ()
) -> tuple[str, bool]:
    """The class that tells what went wrong, and whether it had to be masked by an ancestor.

    A ClickException raised `from` another exception is a wrapper, and so is one of the
    application's own classes: the informative one is its cause.
    """
    for position, cls in enumerate(ancestry(unwrapped(error, own)[-1])):
        named = _public_name(cls, (*_homes(own), *packages))
        if named is not None:
            return named, position > 0
    return "BaseException", True


def unwrapped(error: BaseException, own: str) -> list[BaseException]:
    """An exception, what it wraps, and so on: wrappers first, the informative one last."""
    homes = _homes(own)
    found = [error]
    while len(found) < _LONGEST_CAUSE and _is_wrapper(error, homes):
        cause: BaseException | None = BaseException.__dict__["__cause__"].__get__(error)
        if cause is None or any(cause is one for one in found):
            break
        found.append(cause)
        error = cause
    return found


def ancestry(error: BaseException) -> tuple[type, ...]:
    """An exception's classes, its own first, read past any metaclass."""
    found: tuple[type, ...] = type.__dict__["__mro__"].__get__(type(error))
    return found


def _ended(status: int) -> dict[str, Json]:
    return {
        "exit_code": status,
        "succeeded": status == 0,
        "outcome": SUCCESS if status == 0 else FAILURE,
    }


def _homes(own: str) -> tuple[str, str]:
    """The packages whose classes are the application's own."""
    return (_package(own), "__main__")


def _package(own: str) -> str:
    """The package whose `__main__` is running, where the application comes from there."""
    if own != "__main__":
        return own
    package = getattr(sys.modules.get("__main__"), "__package__", None)
    return str(package or own).partition(".")[0]


def _is_wrapper(error: BaseException, homes: Collection[str]) -> bool:
    home = _home(type(error)).partition(".")[0]
    return "ClickException" in _family_names(error) or home in homes


def _public_name(cls: type, packages: Collection[str]) -> str | None:
    """`module.QualName` of a class that is what it claims to be and that may be named."""
    home = _home(cls)
    top = home.partition(".")[0]
    name: str = type.__dict__["__qualname__"].__get__(cls)
    if top not in packages and top not in CLICK_FAMILY and top not in sys.stdlib_module_names:
        return None
    found: Any = sys.modules.get(home)
    for part in name.split("."):
        found = getattr(found, "__dict__", {}).get(part)
    if found is not cls:
        return None  # made at run time, or claiming another's name
    return name if home in ("builtins", "__main__") else f"{home}.{name}"


def _family_names(error: BaseException) -> set[str]:
    """The names of the exception's classes that come from Click or one of its kin."""
    return {
        type.__dict__["__name__"].__get__(cls)
        for cls in ancestry(error)
        if _home(cls).partition(".")[0] in CLICK_FAMILY
    }


def _home(cls: type) -> str:
    """A class's module, read past any metaclass."""
    home = type.__dict__["__module__"].__get__(cls)
    return home if isinstance(home, str) else ""


def _attribute(error: BaseException, name: str) -> Any:
    """An attribute of an exception; 1, what Click would end with, if its own code fails."""
    try:
        return getattr(error, name)
    except Exception:
        return 1
