"""Which names leave the machine: those that the application's own packages declare.

The plain path compares the typed name with the registered one, and one package's name with
another's; what needs more than that comes here. Nothing is imported, and of the application's code
only `list_commands` runs.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from .._instrument import CLICK_FAMILY, KEY, WATCH_VARIABLE, CommandState, pass_on, scope_of
from .._recorder import DYNAMIC, WATCH, package_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from .._recorder import Settings


def segment(parent: Any, context: Any) -> str:
    """The declared name of a sub-command, whatever was typed for it.

    A name is declared if the group had it before it was asked for the command, or lists it. A
    group may register a command under the name that was typed while it is asked: that is not
    declared, unless the group lists it by other means too (as lazy groups do).

    Args:
        parent: the group's context.
        context: the sub-command's.
    """
    group, command, typed = parent.command, context.command, context.info_name
    own = command.name
    registered = scope_of(parent).registered
    now = getattr(group, "commands", None)
    now = now if isinstance(now, dict) else {}
    if registered is None:
        registered = now
    names = [name for name, found in registered.items() if found is command]
    if names:
        # Of several names the command's own is the application's; others may be a user's aliases.
        return str(own if own in names else typed if typed in names else names[0])
    # The last resort, since listing may load plugins.
    listing = getattr(group, "list_commands", None)
    added = {name: now.pop(name) for name in list(now) if name not in registered}
    try:
        declared = list(listing(parent)) if listing is not None else []
    finally:
        now.update(added)
    if typed in declared:
        return str(typed)
    if isinstance(own, str) and own in declared:
        return own
    # A group may register the command in another spelling. It is not declared the next time either.
    made = [name for name, found in added.items() if found is command]
    if made:
        known = group.__dict__.setdefault(KEY, CommandState())
        known.undeclared = (*known.undeclared, *made)
    return DYNAMIC


def negative(parameter: Any, others: Iterable[Any] = ()) -> str:
    """The name of an on/off option that is off: of its negative form, `no_color`.

    Args:
        parameter: an option whose value is False.
        others: the parameters of its command. Two flags may share a name, one for each value:
            False is then of the negative one, whichever is asked for.
    """
    name = str(parameter.name)
    forms = _negative_forms(parameter)
    for other in others:
        if not forms and getattr(other, "name", None) == parameter.name:
            forms = _negative_forms(other)
    if not getattr(parameter, "is_flag", False) or not forms:
        return name
    return max(forms, key=len).lstrip("-/+").replace("-", "_") or name


def _negative_forms(parameter: Any) -> Any:
    forms = getattr(parameter, "secondary_opts", ())
    if not forms and getattr(parameter, "flag_value", None) is False:
        forms = parameter.opts
    return forms


MAX_WRAPPERS = 64
INSTALLED = ("site-packages", "dist-packages")
"""Folders of what was installed, even where a virtual environment is next to a script."""


def package_of_callback(callback: Any) -> str:
    """The package of the innermost function that a callback wraps; empty for no callback.

    Followed are partials, bound methods and `__wrapped__`. A callable instance is of its class's
    package.
    """
    return package_of(module_of(callback)) if callback is not None else ""


def module_of(callback: Any) -> str:
    """The module of the innermost function that a callback wraps; empty if it has no name."""
    for _ in range(MAX_WRAPPERS):
        inner = _wrapped(callback)
        if inner is None:
            break
        callback = inner
    functions = (FunctionType, BuiltinFunctionType)
    module = getattr(callback, "__module__", None)
    if not isinstance(callback, (*functions, type)) and not _is_compiled(callback):
        module = type.__dict__["__module__"].__get__(type(callback))
    return module if type(module) is str else ""


def _wrapped(callback: Any) -> Any:
    if isinstance(callback, partial):
        return callback.func
    if isinstance(callback, MethodType):
        return callback.__func__
    try:
        return getattr(callback, "__wrapped__", None)
    except Exception as error:  # an attribute of the application's own
        pass_on(error)
        return None


def _is_compiled(callback: Any) -> bool:
    """Whether it is a function of a compiler such as Cython, which has a type of its own."""
    return type(callback).__name__ in ("cython_function_or_method", "fused_cython_function")


def package_of_caller() -> str:
    """The package of the code that declares something: the first outside this library and Click."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__")
        if type(module) is str and module.partition(".")[0] not in _NOT_CALLERS:
            return package_of(module)
        frame = frame.f_back
    return "__main__"


_NOT_CALLERS = {*CLICK_FAMILY, __name__.partition(".")[0], "contextlib", "functools"}


def is_declared(package: str, callback: Any, settings: Settings) -> bool:
    """Whether a command may be reported by name that is not of the application's own package.

    Args:
        package: of its callback, as `package_of` gives it.
        callback: the command's.
        settings: what the application declared.
    """
    if package.partition(".")[0] in CLICK_FAMILY:
        return True
    module = module_of(callback)
    found = is_own(module, settings.package, settings.packages)
    if not found and WATCH_VARIABLE in os.environ:
        from . import sinks

        sinks.report(settings.app, sinks.MASKED, package or module, WATCH)
    return found


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
    return own == "__main__" and _is_next_to_script(module)


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


def _is_next_to_script(module: str) -> bool:
    """Whether a module is in the folder of the script that runs, and was not installed there."""
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    file = getattr(sys.modules.get(module), "__file__", None)
    if not isinstance(script, str):
        return False
    folder = os.path.dirname(os.path.realpath(script))
    prefix = os.path.realpath(sys.prefix)
    # An environment next to the script is below its folder; a script may be in an environment too.
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
