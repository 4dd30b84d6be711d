"""How a command ended: the exit code that the shell will see, and a class that may be named.

Exceptions are identified by name and module, never by `isinstance` against Click: some libraries
contain their own copy of it. No code of the exception itself runs here, except for properties that
Click's own classes define.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from .._instrument import CLICK_FAMILY, pass_on
from .names import is_own, is_standard

if TYPE_CHECKING:
    from collections.abc import Collection

    from .._recorder import Settings

    Fact = dict[str, Any]

CANCELLED = "cancelled"
"""The outcome of what a person ended; `success` and `failure` follow from the exit code."""

_MAX_CAUSES = 16


def of_command(error: BaseException, settings: Settings, command: Any) -> Fact:
    """How a command ended that an exception ended: what the fact of its end contains.

    Args:
        error: the very object, before Click turns it into anything else.
        settings: what the application declared; its own exception classes may be named.
        command: the root, whose `main` ends the process. Typer's exit code of Ctrl-C is 130.
    """
    above = {
        _module(cls).partition(".")[0] for cls in type.__dict__["__mro__"].__get__(type(command))
    }
    fact = of_error(error, settings.package, tuple(settings.packages), typer="typer" in above)
    own = {_module(cls).partition(".")[0] for cls in ancestry(error)} & {"click", "typer"}
    if own and above & {"click", "typer"} and not own & above:
        # Of another copy of Click than the root's, which does not know the exception.
        fact.setdefault("error", error_class_of(error, "")[0])
        fact["exit"] = 1
    return fact


def of_error(
    error: BaseException, own: str, packages: Collection[str] = (), *, typer: bool = False
) -> Fact:
    """The same, for what is no command.

    Args:
        error: the very object.
        own: the application's own package.
        packages: further packages that the application declares.
        typer: whether Typer runs it.

    Returns:
        `exit`; then `outcome` and `cancelled`, `error`, `masked` where they apply.
    """
    if isinstance(error, SystemExit):
        return {"exit": exit_status(_attribute(error, "code"))}
    family = _family_names(error)
    if "Exit" in family:
        return {"exit": exit_status(_attribute(error, "exit_code"))}
    fact: Fact = {"exit": 1}
    if isinstance(error, (KeyboardInterrupt, EOFError)) or "Abort" in family:
        if typer and isinstance(error, KeyboardInterrupt):
            fact["exit"] = 130
        fact["outcome"] = CANCELLED
        fact["cancelled"] = True
    elif "ClickException" in family:
        fact["exit"] = exit_status(_attribute(error, "exit_code"))
    fact["error"], masked = error_class_of(error, own, packages)
    if masked:
        fact["masked"] = True
    return fact


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
    """The informative exception's class, and whether an ancestor had to mask it.

    A ClickException raised `from` another exception is a wrapper, and so is one of the
    application's own classes: the informative exception is its cause. One that was raised while
    another one was handled, without `from`, wraps that one too if its class may be named.

    Args:
        error: the exception.
        own: the application's own package.
        packages: further packages that the application declares.
    """
    for position, cls in enumerate(ancestry(unwrapped(error, own, packages)[-1])):
        named = _public_name(cls, own, packages)
        if named is not None:
            return named, position > 0
    return "BaseException", True


def unwrapped(
    error: BaseException, own: str, packages: Collection[str] = ()
) -> list[BaseException]:
    """An exception, what it wraps, and so on: wrappers first, the informative one last."""
    found = [error]
    while len(found) < _MAX_CAUSES and _is_wrapper(error, own, packages):
        inner = _attribute_of_base(error, "__cause__")
        if inner is None and not _attribute_of_base(error, "__suppress_context__"):
            inner = _attribute_of_base(error, "__context__")
            if inner is not None and _public_name(type(inner), own, packages) is None:
                break
        if inner is None or any(inner is one for one in found):
            break
        found.append(inner)
        error = inner
    return found


def _attribute_of_base(error: BaseException, name: str) -> Any:
    """An attribute of every exception, read past the class's own code."""
    return BaseException.__dict__[name].__get__(error)


def ancestry(error: BaseException) -> tuple[type, ...]:
    """An exception's classes, its own first, read past any metaclass."""
    found: tuple[type, ...] = type.__dict__["__mro__"].__get__(type(error))
    return found


def _is_wrapper(error: BaseException, own: str, packages: Collection[str]) -> bool:
    return "ClickException" in _family_names(error) or is_own(_module(type(error)), own, packages)


def _public_name(cls: type, own: str, packages: Collection[str]) -> str | None:
    """`module.QualName` of a class that is what it claims to be and that may be named."""
    module = _module(cls)
    name: str = type.__dict__["__qualname__"].__get__(cls)
    if module.partition(".")[0] not in CLICK_FAMILY and not (
        is_standard(module) or is_own(module, own, packages)
    ):
        return None
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, "__dict__", {}).get(part)
    if found is not cls:
        return None  # made at run time, or claiming another's name
    return name if module in ("builtins", "__main__") else f"{module}.{name}"


def _family_names(error: BaseException) -> set[str]:
    """The names of the exception's classes that come from Click or one of its relatives."""
    return {
        type.__dict__["__name__"].__get__(cls)
        for cls in ancestry(error)
        if _module(cls).partition(".")[0] in CLICK_FAMILY
    }


def _module(cls: type) -> str:
    """A class's module, read past any metaclass."""
    module = type.__dict__["__module__"].__get__(cls)
    return module if isinstance(module, str) else ""


def _attribute(error: BaseException, name: str) -> Any:
    """An attribute of an exception; 1, what Click would end with, if its own code fails."""
    try:
        return getattr(error, name)
    except Exception as problem:
        pass_on(problem)
        return 1
