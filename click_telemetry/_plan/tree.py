"""The commands of an application, as their paths and flags are recorded; none of them is run.

It imports the root, and walks the tree: each lazy command is loaded. The rules of names are those
of `_recorder.command_and_flags`; a test compares them.
"""

from __future__ import annotations

import inspect
import os
import sys
import warnings
from dataclasses import dataclass, field
from importlib import import_module
from types import FunctionType, SimpleNamespace
from typing import TYPE_CHECKING, Any

from .._foreground import names, typer
from .._foreground.options import DeclarationError
from .._instrument import (
    CLICK_FAMILY,
    FLAG,
    KEY,
    CommandState,
    is_command,
    is_overridden,
)
from .._recorder import DYNAMIC, PLUGIN, package_of_callback, settings_of

if TYPE_CHECKING:
    from .._recorder import Settings

MAX_DEPTH = 16
"""Levels of groups; a group may make itself anew at each look-up."""


class CannotLoad(Exception):
    """The root cannot be imported, or is no instrumented application; the message names the fix."""


@dataclass(frozen=True)
class Command:
    """A command that can be recorded.

    Attributes:
        path: as in `command`, such as `acme db migrate`.
        description: the line that the help shows.
        flags: names as in `flags`, each with the option's form and help; those of groups above it
            come first.
    """

    path: str
    description: str = ""
    flags: dict[str, tuple[str, str]] = field(default_factory=dict)


@dataclass
class Tree:
    """What was found.

    Attributes:
        commands: by path.
        excluded: paths that are never recorded.
        group_flags: the flags of each group, and of those above it, by path.
        open_groups: groups that may have commands whose names cannot be known, each with what
            replaces them: `<dynamic>`, `<plugin>`.
        telemetry: the path of the commands of `telemetry_group`, if the application has them.
        unloadable: paths of commands that could not be loaded, with the reason.
    """

    commands: dict[str, Command] = field(default_factory=dict)
    excluded: list[str] = field(default_factory=list)
    group_flags: dict[str, list[str]] = field(default_factory=dict)
    open_groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    telemetry: str | None = None
    unloadable: dict[str, str] = field(default_factory=dict)


def import_root(target: str) -> Any:
    """The object that `package.module:object` names; modules are found from the current directory.

    Raises:
        CannotLoad: there is no such module or object, or importing it fails.
    """
    name, colon, attribute = target.partition(":")
    if not colon or not name or not attribute:
        raise CannotLoad(f"{target!r} is not MODULE:OBJECT, such as acme.main:cli")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found: Any = import_module(name)
    except SystemExit as error:
        raise CannotLoad(
            f"{name} ends the process when it is imported: call the command below "
            'if __name__ == "__main__":'
        ) from error
    except Exception as error:
        raise CannotLoad(f"{name} cannot be imported: {_described(error)}") from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise CannotLoad(f"{name} has no {attribute}: name the root command, as in {name}:cli")
        found = getattr(found, part)
    return found


def command_of(root: Any) -> Any:
    """The Click command of a root, which may be a Typer application.

    Raises:
        CannotLoad: it is none.
    """
    if typer.is_application(root):
        try:
            root = typer.command_of(root)
        except Exception as error:
            raise CannotLoad(f"Typer makes no command of it: {_described(error)}") from error
    if not is_command(root):
        raise CannotLoad(
            f"it is a {type(root).__name__}, and no Click command, group or Typer application"
        )
    return root


def settings_of_root(command: Any) -> Settings:
    """What the application declared.

    Raises:
        CannotLoad: it is not instrumented.
    """
    state = command.__dict__.get(KEY)
    if type(state) is not CommandState or state.options is None:
        raise CannotLoad(
            "it is not instrumented once its module is imported: write @instrumented_group() above "
            "it, or instrument(…) at the top of the module, or name the command that is"
        )
    scope: Any = SimpleNamespace(state=state, root=SimpleNamespace(command=command))
    try:
        return settings_of(scope)
    except DeclarationError as error:
        raise CannotLoad(str(error)) from error


class Ownership:
    """Which modules are the application's.

    Args:
        settings: what it declared.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        root = sys.modules.get(settings.package)
        file = getattr(root, "__file__", None)
        single = isinstance(file, str) and not hasattr(root, "__path__")
        self._folder = os.path.dirname(os.path.realpath(file)) if single and file else None

    def is_named(self, callback: Any) -> bool:
        """Whether a command is reported by name, however the application is started."""
        package = package_of_callback(callback)
        return package == self._settings.package or names.is_declared(
            package, callback, self._settings
        )

    def is_named_in_script(self, callback: Any) -> bool:
        """Whether it is where the application is run as a script, next to the module."""
        return self._is_neighbour(names.module_of(callback))

    def __call__(self, module: str) -> bool:
        """Whether a module is the application's own."""
        own = names.is_own(module, self._settings.package, self._settings.packages)
        return own or self._is_neighbour(module)

    def _is_neighbour(self, module: str) -> bool:
        if self._folder is None or module.partition(".")[0] in (*CLICK_FAMILY, "click_telemetry"):
            return False
        file = getattr(sys.modules.get(module), "__file__", None)
        prefix = os.path.realpath(sys.prefix)
        return names._is_below(file, self._folder) and not names._is_below(file, prefix)


def walk(command: Any, settings: Settings, is_own: Ownership) -> Tree:
    """The commands of an application.

    Args:
        command: its root.
        settings: what it declared.
        is_own: which modules are the application's.
    """
    walker = _Walker(is_own)
    context = walker.context(command, settings.app, None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Click's, about the application's parameters
        walker.visit(command, context, settings.app, {}, True, 0)
    return walker.tree


class _Walker:
    """Walks a tree.

    Args:
        is_own: which modules are the application's.
    """

    def __init__(self, is_own: Ownership) -> None:
        self.tree = Tree()
        self._is_own = is_own

    def context(self, command: Any, name: str, parent: Any) -> Any:
        """A context in which nothing is parsed."""
        kind = command.context_class
        given = {**getattr(command, "context_settings", {}), "resilient_parsing": True}
        return kind(command, info_name=name, parent=parent, **given)

    def visit(
        self,
        command: Any,
        context: Any,
        path: str,
        above: dict[str, tuple[str, str]],
        is_named: bool,
        depth: int,
    ) -> None:
        """Note a command and what is below it.

        Args:
            command: whatever its group gave.
            context: of it.
            path: of declared names.
            above: flags of the groups above it.
            is_named: whether it is reported by name.
            depth: how many groups are above it.
        """
        if type(command).__module__ == "click_telemetry._commands.group":
            self.tree.telemetry = path
            return
        if _is_excluded(command):
            self.tree.excluded.append(path)
            return
        flags = {**above, **(_flags(command, context) if is_named else {})}
        is_group = hasattr(command, "resolve_command")
        if not is_group or getattr(command, "invoke_without_command", False):
            known = self.tree.commands.get(path)
            flags_here = {**(known.flags if known is not None else {}), **flags}
            self.tree.commands[path] = Command(path, _description(command), flags_here)
        if is_group and depth < MAX_DEPTH:
            self._visit_group(command, context, path, flags, is_named, depth)

    def _visit_group(
        self,
        group: Any,
        context: Any,
        path: str,
        flags: dict[str, tuple[str, str]],
        is_named: bool,
        depth: int,
    ) -> None:
        self.tree.group_flags[path] = [*flags]
        if any(is_overridden(type(group), name) for name in ("get_command", "resolve_command")):
            self.tree.open_groups[path] = (DYNAMIC, PLUGIN)
        registered = getattr(group, "commands", None)
        registered = dict(registered) if isinstance(registered, dict) else {}
        try:
            listed = [name for name in group.list_commands(context) if isinstance(name, str)]
        except (Exception, SystemExit) as error:
            self.tree.unloadable[f"{path} …"] = _described(error)
            listed = []
        for name in dict.fromkeys([*listed, *registered]):
            try:
                child = group.get_command(context, name)
                if child is None and name in listed:
                    raise LookupError("the group lists it, and has no such command")
                if child is not None:
                    self._visit_child(
                        child, name, registered, context, path, flags, is_named, depth
                    )
            except RecursionError:
                raise
            except (Exception, SystemExit) as error:
                self.tree.unloadable[f"{path} {name}"] = _described(error)

    def _visit_child(
        self,
        child: Any,
        name: str,
        registered: dict[str, Any],
        parent: Any,
        path: str,
        flags: dict[str, tuple[str, str]],
        is_named: bool,
        depth: int,
    ) -> None:
        own = child.name
        places = [place for place, found in registered.items() if found is child]
        segment = str(own) if own in places else name
        segments = [segment]
        callback = getattr(child, "callback", None)
        if callback is not None:
            is_named = self._is_own.is_named(callback)
            if not is_named and self._is_own.is_named_in_script(callback):
                segments.append(PLUGIN)
            elif not is_named:
                segments = [PLUGIN]
        elif not is_named:
            segments = [PLUGIN]
        for one in segments:
            context = self.context(child, name, parent)
            self.visit(child, context, f"{path} {one}", flags, one != PLUGIN, depth + 1)


def _is_excluded(command: Any) -> bool:
    callback = getattr(command, "callback", None)
    function = callback if type(callback) is FunctionType else command
    for marked in (command, function):
        found = marked.__dict__.get(KEY)
        if type(found) is CommandState and found.excluded:
            return True
    return False


def _flags(command: Any, context: Any) -> dict[str, tuple[str, str]]:
    """The names of a command's options as they are recorded, with their forms and help."""
    found: dict[str, tuple[str, str]] = {}
    for parameter in (*command.get_params(context), *command.params):
        name = parameter.name
        if getattr(parameter, "param_type_name", "") != "option" or not isinstance(name, str):
            continue
        forms = [*parameter.opts, *parameter.secondary_opts]
        if FLAG in forms or _ends(parameter):
            continue
        help_text = getattr(parameter, "help", None) or ""
        negative = names.negative(parameter)
        if negative == name or parameter.secondary_opts or parameter.callback is not None:
            found.setdefault(name, (_longest(parameter.opts), help_text))
        if negative != name:
            found.setdefault(negative, (_longest(parameter.secondary_opts or forms), help_text))
    return found


def _longest(forms: list[str]) -> str:
    return max(forms, key=len, default="")


def _ends(parameter: Any) -> bool:
    """Whether an option ends the run when it is typed, as `--help` and `--version` do."""
    callback = getattr(parameter, "callback", None)
    family = str(getattr(callback, "__module__", "")).partition(".")[0] in CLICK_FAMILY
    name = str(getattr(callback, "__qualname__", ""))
    return family and ("show_help" in name or name.startswith(_ENDING))


_ENDING = ("version_option", "install_callback", "show_callback")
"""How the names of callbacks begin that Click and Typer (completion) end a run with."""


def _description(command: Any) -> str:
    """The first sentence of the help, without what a version of Click adds to it."""
    text = command.short_help or inspect.cleandoc(command.help or "")
    text = " ".join(text.partition("\f")[0].replace("\b", "").strip().partition("\n\n")[0].split())
    first, end, _ = text.partition(". ")
    return first + end.strip()


def _described(error: BaseException) -> str:
    text = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
