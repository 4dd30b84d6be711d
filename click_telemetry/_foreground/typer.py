"""Instruments Typer applications, whose Click commands Typer makes anew at each call.

`app()`, `typer.main.get_command`, Typer's test runner and shell completion read the same attributes
of the application whenever they make its commands. A declared application reads them through
properties, which put a `CommandMaker` in place of the classes that the commands are made of, so
that each root is instrumented however it is made, and commands may be added at any time.

This module never imports Typer: what it needs of it is in the module that defines the application's
own class. Nothing in Typer's modules is changed.
"""

from __future__ import annotations

import sys
from copy import copy
from typing import TYPE_CHECKING, Any

from .._instrument import CLICK_FAMILY, KEY, CommandState, install, pass_on
from .._recorder import package_of_callback
from .declaration import combined, declared_state, package_without_callback
from .options import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Mapping

_ATTRIBUTES = ("info", "registered_callback", "registered_commands", "registered_groups")


# Declarations -------------------------------------------------------------------------------------


def is_application(thing: Any) -> bool:
    """Whether a thing is a Typer application, of any class."""
    return hasattr(type(thing), "add_typer") and hasattr(thing, "registered_groups")


def declare(app: Any, options: Mapping[str, Any]) -> None:
    """Check what was declared for a Typer application, and instrument what is made of it.

    Args:
        app: the application; a second declaration changes the first.
        options: those of `instrument`.

    Raises:
        DeclarationError: for an unknown option, or a value that cannot be used.
    """
    known = app.__dict__.get(KEY)
    callback = getattr(app.registered_callback or app.info, "callback", None)
    if _is_one_command(app):
        callback = app.registered_commands[0].callback
    package = package_of_callback(callback) if callable(callback) else ""
    declared = combined(known, options, "the Typer application")
    package = package or package_without_callback(known, options)
    _keep(app, declared_state(known, declared, package))


def exclude(app: Any) -> None:
    """Leave out what is made of a Typer application, which another one contains."""
    state = app.__dict__.get(KEY) or CommandState()
    state.excluded = True
    _keep(app, state)


def command_of(app: Any) -> Any:
    """The Click command of a Typer application as a run has it, instrumented if that is declared.

    Raises:
        RuntimeError: Typer's own, for an application without commands.
    """
    return _module(app).get_command(app)


def check_unregistered(function: Any) -> None:
    """Raise if a Typer application makes a command of a function itself.

    Args:
        function: what is to be instrumented, or to become a group of its own, which no Typer
            application would contain.

    Raises:
        DeclarationError: `instrument` takes the application itself.
    """
    frame: Any = sys._getframe(1)
    while frame is not None:
        top = str(frame.f_globals.get("__name__")).partition(".")[0]
        if top not in (*CLICK_FAMILY, __name__.partition(".")[0]):
            break
        frame = frame.f_back
    known = {**frame.f_globals, **frame.f_locals} if frame is not None else {}
    for name, thing in known.items():
        if is_application(thing):
            infos = (thing.info, thing.registered_callback, *thing.registered_commands)
            if any(getattr(info, "callback", None) is function for info in infos):
                raise DeclarationError(
                    f"{function.__name__} is a function of the Typer application {name}, which "
                    f"makes its own Click group: write instrument({name}, app=…) instead"
                )


# What Typer reads ---------------------------------------------------------------------------------


class ObservedAttribute:
    """A property in front of an attribute that Typer makes commands from.

    Args:
        name: the attribute's.
        inherited: what the application's own class has under that name, or None.
    """

    def __init__(self, name: str, inherited: Any) -> None:
        self.name = name
        self.inherited = inherited

    def __get__(self, app: Any, kind: Any = None) -> Any:
        """The attribute's value, with a `CommandMaker` in place of each class."""
        if app is None:
            return self
        if self._is_property() or self.name not in app.__dict__:
            if not hasattr(type(self.inherited), "__get__"):
                raise AttributeError(self.name)
            found = self.inherited.__get__(app, kind)
        else:
            found = app.__dict__[self.name]
        try:
            _prepare(app, self.name, found)
        except Exception as error:
            pass_on(error)  # else Typer has changed: it makes its commands without us
        return found

    def __set__(self, app: Any, value: Any) -> None:
        """Set the attribute."""
        if self._is_property():
            self.inherited.__set__(app, value)
        else:
            app.__dict__[self.name] = value

    def _is_property(self) -> bool:
        return hasattr(type(self.inherited), "__set__")


class CommandMaker(type):
    """The class of classes that make a command of the class that they inherit, and instrument it.

    Such a class stands in place of the one that an application declares for its commands. Typer
    asks whether that is a subclass of its own, so that no other callable would do.
    """

    telemetry_app: Any
    telemetry_declared: Any

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Make a command of the inherited class itself."""
        try:
            command = cls.__bases__[-1](*args, **kwargs)
        except BaseException as error:
            below = error.__traceback__
            if below is not None:
                error.__traceback__ = below.tb_next  # without our frame; Python 3.10 keeps it
            raise
        try:
            _instrument(cls.telemetry_app, command)
        except Exception as error:
            pass_on(error)  # else a fault of ours: the command runs as if we were not there
        return command


class Unannounced:
    """Stands before a class of the application's that is inherited: its own hook is not called."""

    __slots__ = ()

    def __init_subclass__(cls, **kwargs: Any) -> None: ...


def _keep(app: Any, state: CommandState) -> None:
    """Keep what was declared, and observe the attributes."""
    app.__dict__[KEY] = state
    kind = type(app)
    if not isinstance(kind.__dict__.get(_ATTRIBUTES[0]), ObservedAttribute):
        body: dict[str, Any] = {
            name: ObservedAttribute(name, getattr(kind, name, None)) for name in _ATTRIBUTES
        }
        try:
            app.__class__ = _inheriting(type(kind), (kind,), body)
        except TypeError as error:
            raise DeclarationError(
                f"{kind.__name__} cannot be instrumented, since Python permits no subclass in its "
                f"place ({error}): instrument a typer.Typer() that it is added to, with add_typer()"
            ) from error


def _inheriting(metaclass: Any, bases: tuple[Any, ...], body: dict[str, Any]) -> Any:
    """A class that looks like the last of its bases."""
    kind = bases[-1]
    names = {name: getattr(kind, name) for name in ("__doc__", "__module__", "__qualname__")}
    return metaclass(kind.__name__, bases, {"__slots__": (), **names, **body})


def _module(app: Any) -> Any:
    """Typer's module that makes commands: the one that defines the first class of applications."""
    kinds = [kind for kind in type(app).__mro__ if "add_typer" in kind.__dict__]
    return sys.modules[kinds[-1].__module__]


def _prepare(app: Any, name: str, found: Any) -> None:
    """Put a maker in place of each class in an attribute's value."""
    if name == "registered_commands":
        for info in found:
            _replace(info, app, "TyperCommand")
    elif name == "registered_groups":
        _prepare_groups(found)
    elif name == "info" or (found is not None and _is_explicit(found.cls)):
        _replace(found, app, "TyperGroup")


def _prepare_groups(infos: Any) -> None:
    """What `add_typer(sub, cls=…)` makes is not made of the class that `sub` itself declares."""
    for info in infos:
        app = info.typer_instance
        if KEY in app.__dict__ and _is_explicit(info.cls):
            _replace(info, app, "TyperGroup")
        _prepare_groups(app.__dict__.get("registered_groups", ()))


def _replace(info: Any, app: Any, default: str) -> None:
    """Put a maker in place of the class in the information about a command.

    Args:
        info: it has the class, or Typer's placeholder for none.
        app: the application that declares the command.
        default: the name of Typer's own class.
    """
    declared = info.cls
    if isinstance(declared, CommandMaker):
        declared = declared.telemetry_declared
    kind = declared if isinstance(declared, type) else getattr(_module(app), default)
    if isinstance(info.cls, CommandMaker) and info.cls.__bases__[-1] is kind:
        return  # rich-click may replace Typer's own class
    metaclass = type("CommandMaker", (CommandMaker, type(kind)), {})
    body = {"telemetry_app": app, "telemetry_declared": declared}
    info.cls = _inheriting(metaclass, (Unannounced, kind), body)


def _is_explicit(declared: Any) -> bool:
    """Whether a class was given, or None, rather than Typer's placeholder for what was not."""
    return declared is None or isinstance(declared, type)


def _is_one_command(app: Any) -> bool:
    """Whether Typer makes a command of an application, rather than a group."""
    return len(app.registered_commands) == 1 and not (
        app.registered_callback or app.info.callback or app.registered_groups
    )


def _instrument(app: Any, command: Any) -> None:
    """Instrument a command that was just made, if it is the application's group or only command."""
    state: CommandState = app.__dict__[KEY]
    is_group = hasattr(command, "resolve_command")
    if not is_group and not _is_one_command(app):
        return
    if state.excluded:
        # Without a name of its own, a sub-application's commands become its parent's.
        for made in (command, *(command.commands.values() if is_group else ())):
            made.__dict__[KEY] = copy(made.__dict__.get(KEY) or CommandState())
            made.__dict__[KEY].excluded = True
    if state.options is None:
        return
    known = command.__dict__.get(KEY)
    if known is not None:  # the class declares something of its own
        declared = {**(known.options or {}), **state.options}
        state = declared_state(known, declared, state.package or "")
    package = package_of_callback(command.callback)
    if package:
        state.package = state.settings.package = package
    command.__dict__[KEY] = state
    install(command)
