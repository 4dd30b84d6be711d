"""Which packages are the application's own: only names from these leave the machine.

The plain path compares package names; what needs more than that comes here. Nothing is imported,
and no code of the application runs.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from .._instrument import CLICK_FAMILY
from .._recorder import package_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from .._recorder import Settings

MAX_WRAPPERS = 64
INSTALLED = ("site-packages", "dist-packages")
"""Folders of what was installed, even where a virtual environment is beside a script."""


def of_callback(callback: Any) -> str:
    """The package of the innermost function that a callback wraps; empty for no callback.

    Followed are partials, bound methods and `__wrapped__`. A callable instance is of its class's
    package.
    """
    if callback is None:
        return ""
    for _ in range(MAX_WRAPPERS):
        inner = _wrapped(callback)
        if inner is None:
            break
        callback = inner
    functions = (FunctionType, BuiltinFunctionType)
    module = getattr(callback, "__module__", None)
    if not isinstance(callback, (*functions, type)) and not _is_compiled(callback):
        module = type.__dict__["__module__"].__get__(type(callback))
    return package_of(module) if type(module) is str else ""


def _wrapped(callback: Any) -> Any:
    if isinstance(callback, partial):
        return callback.func
    if isinstance(callback, MethodType):
        return callback.__func__
    try:
        return getattr(callback, "__wrapped__", None)
    except Exception:  # an attribute of the application's own
        return None


def _is_compiled(callback: Any) -> bool:
    """Whether it is a function of a compiler such as Cython, which has a type of its own."""
    return type(callback).__name__ in ("cython_function_or_method", "fused_cython_function")


def of_caller() -> str:
    """The package of the code that declares something: the first outside this library and Click."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__")
        if type(module) is str and module.partition(".")[0] not in _NOT_CALLERS:
            return package_of(module)
        frame = frame.f_back
    return "__main__"


_NOT_CALLERS = {*CLICK_FAMILY, __name__.partition(".")[0], "functools"}


def is_declared(package: str, callback: Any, settings: Settings) -> bool:
    """Whether a command may be reported by name that is not of the application's own package.

    Args:
        package: of its callback, as `package_of` gives it.
        callback: the command's.
        settings: what the application declared.
    """
    if package.partition(".")[0] in CLICK_FAMILY:
        return True
    module = getattr(callback, "__module__", None)
    return is_own(module if type(module) is str else package, settings.package, settings.packages)


def is_own(module: str, own: str, packages: Collection[str]) -> bool:
    """Whether a module is the application's own.

    Args:
        module: its name.
        own: the application's package, as `package_of` gives it.
        packages: those that the application declares, each with all that is below it.
    """
    if package_of(module) == own:
        return True
    for declared in packages:
        if module == declared or module.startswith(declared + "."):
            return True
    return own == "__main__" and _is_beside_script(module)


def is_standard(module: str) -> bool:
    """Whether a module is loaded from Python's own library: a file of a user may have its name."""
    top = module.partition(".")[0]
    if top not in sys.stdlib_module_names:
        return False
    spec = getattr(sys.modules.get(top), "__spec__", None)
    origin = getattr(spec, "origin", None)
    if origin in ("built-in", "frozen"):
        return True
    library = os.path.dirname(os.path.realpath(os.__file__))
    return _is_below(origin, library)


def _is_beside_script(module: str) -> bool:
    """Whether a module is in the folder of the script that runs, and was not installed there."""
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    file = getattr(sys.modules.get(module), "__file__", None)
    if not isinstance(script, str):
        return False
    folder = os.path.dirname(os.path.realpath(script))
    prefix = os.path.realpath(sys.prefix)
    # An environment beside the script is below its folder; a script may be in an environment too.
    return _is_below(file, folder) and not (_is_below(prefix, folder) and _is_below(file, prefix))


def _is_below(path: Any, folder: str) -> bool:
    """Whether a file is below a folder, and not among what was installed there."""
    if not isinstance(path, str):
        return False
    path = os.path.realpath(path)
    if not path.startswith(folder.rstrip(os.sep) + os.sep):
        return False
    parts = path[len(folder) :].split(os.sep)
    return not any(part in INSTALLED for part in parts)
