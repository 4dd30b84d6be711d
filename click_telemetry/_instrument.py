"""Instruments commands: decorators, hooks, the option --no-telemetry, the opt-out variables.

Every run of an instrumented application loads this module; a run that is opted out by a variable
loads no other. It knows how Click parses and invokes. What may be recorded, and how, is
`_recorder`'s, which is loaded when the first leaf begins.

Hooks are callables in a command's instance `__dict__`, in front of its class's own methods. A hook
captures neither the root nor its settings, looks the original up when it is called, and adds no
frame to a traceback. docs/click.md lists the rules of Click's behaviour that this module relies on.

What our code raises never reaches the application. What a signal handler of the application raises
while our code runs does: every `except` here asks `pass_on` first.
"""

from __future__ import annotations

import os
import sys
from threading import get_ident
from time import monotonic_ns
from types import FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

KEY = "_click_telemetry"  # in the `__dict__` of commands and contexts
FLAG = "--no-telemetry"
WATCH_VARIABLE = "CLICK_TELEMETRY_WATCH"
OFF_VARIABLE = "CLICK_TELEMETRY_OFF"  # opts out of every application that uses this library
CLICK_FAMILY = frozenset(
    ("click", "rich_click", "typer", "cloup", "click_extra", "asyncclick", "click_repl")
)
_PLAIN: dict[str, tuple[object, ...]] = {
    "ci": ("off", "label"),
    "consent": ("opt-out", "opt-in"),
    "delivery": ("detached", "inline"),
    "no_telemetry_option": (True, False, "hidden"),
    "notice": (True, False),
}
_OWN = ("__getstate__", "make_context")  # not for a copy: they are bound to the original
_DEVICES = ("con", "prn", "aux", "nul", "com", "lpt")  # how names begin that Windows reserves
FALSE = ("", "0", "false", "no", "off")  # values of a variable that is set and has no effect
_NO_OPINION = ("log", "1", "true", "yes", "on")
_mro = type.__dict__["__mro__"].__get__  # whatever a metaclass does


# Declarations -------------------------------------------------------------------------------------


def instrument(command: Any = None, **options: Any) -> Any:
    """Instrument a group with all that is below it, or a one-command application, in place.

    Args:
        command: a Click group or command of any class, or a Typer application.
        **options: as in the README's table of options.

    Returns:
        The same object.

    Raises:
        DeclarationError: a `TypeError` and a `ValueError`; its message names the fix.
    """
    app: Any = options.get("app")
    # What is plainly valid needs no closer look; `_foreground.declaration` has the full rule.
    plain = is_command(command) and KEY not in command.__dict__ and type(app) is str
    plain = plain and getattr(command, "callback", None) is not None
    for below in getattr(getattr(command, "commands", None), "values", tuple)():
        plain = plain and KEY not in getattr(below, "__dict__", ())
    for option, value in options.items():
        if option in ("app", "version", "write_key") and type(value) is str:
            plain = plain and value.isprintable() and value.isascii() and " " not in value
            plain = plain and 0 < len(value) < 65
        elif option in ("host", "notice_url") and type(value) is str and value[:8] == "https://":
            host, slash, path = value[8:].partition("/")
            plain = plain and host.replace(".", "").isalnum() and value.isascii()
            plain = plain and host[0] != "." != host[-1] and ".." not in host
            plain = plain and (not slash or option == "notice_url") and path.isprintable()
            plain = plain and " " not in path and len(value) < 65
        elif option == "destination" and type(value).__module__ == "click_telemetry.destinations":
            others = options.keys().isdisjoint(("auth", "host", "write_key"))
            plain = plain and others and value.transport != ""
        elif type(value) not in (bool, str) or value not in _PLAIN.get(option, ()):
            plain = False
    # An asynchronous `invoke` (asyncclick) is refused there.
    flags = getattr(getattr(getattr(command, "invoke", None), "__code__", None), "co_flags", 0)
    if plain and app.isalnum() and app[:3].lower() not in _DEVICES and not flags & 0x80:
        state = command.__dict__[KEY] = CommandState(app, options)
        state.flag = options.get("no_telemetry_option", True)
    else:
        from ._foreground import declaration  # 0.3 ms, for what is declared rarely

        declaration.declare(command, options)
    install(command)
    return command


def instrumented_group(target: Any = None, /, **options: Any) -> Any:
    """Instrument a whole command tree: on a group of any class, or on a function to make one.

    Without parentheses or with options. On a function, what is no option of ours is passed to
    Click, `cls` too.

    Args:
        target: what is decorated.
        **options: as in the README's table of options.

    Raises:
        DeclarationError: a `TypeError` and a `ValueError`; its message names the fix.
    """
    if target is None:
        return lambda target: instrumented_group(target, **options)
    if is_command(target) and hasattr(target, "resolve_command"):
        return instrument(target, **options)
    from ._foreground import declaration

    return declaration.make_group(target, options)


def is_command(thing: Any) -> bool:
    """Whether a thing is an instance of a command of Click or of a copy of it."""
    for name in ("invoke", "make_context", "params", "__dict__"):
        if not hasattr(thing, name):
            return False
    return not isinstance(thing, type)


# State on the application's own objects -----------------------------------------------------------


class CommandState:
    """On a command: it is a root with these options, or excluded, or both."""

    app = ""
    excluded = False
    flag: object = True  # the option no_telemetry_option
    options: Mapping[str, Any] | None = None  # None where it is no root
    package: str | None = None
    prefix = ""  # the application's name as variables write it, such as ACME_CLI
    settings: Any = None  # `_recorder.Settings`, made of the options at the first leaf
    undeclared: tuple[str, ...] = ()  # sub-commands that a group made from what was typed

    def __init__(self, app: str = "", options: Mapping[str, Any] | None = None) -> None:
        self.app = app
        self.flags: dict[str, Any] = {}  # our option, by the Click that it is made of
        self.options = options
        self.prefix = app.upper()


def scope_of(context: Any) -> Scope:
    """What was observed of a context, made if there is nothing yet."""
    found = context.__dict__.get(KEY)
    if type(found) is not Scope:
        found = context.__dict__[KEY] = Scope()
    return found


def contexts_from_root(context: Any) -> list[Any]:
    """The contexts from the outermost instrumented command down to this one.

    Empty where neither this command nor one above is instrumented: that is plain Click.
    """
    chain: list[Any] = []
    outermost = 0
    while context is not None:
        chain.append(context)
        found = context.command.__dict__.get(KEY)
        if type(found) is CommandState and found.options is not None:
            outermost = len(chain)
        context = context.parent
    return chain[:outermost][::-1]


def on_command_line(context: Any, name: str) -> bool:
    """Whether a parameter's value was typed. The *name* of its source is what Click keeps."""
    return getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"


# The hooks ----------------------------------------------------------------------------------------


class Hook:
    """Stands in front of one method of one command.

    Args:
        owner: the command.
        name: the method's name.
        own: what the instance had under that name before, or `Hook` for nothing.
    """

    __slots__ = ("name", "own", "owner")

    def __init__(self, owner: Any, name: str, own: Any) -> None:
        self.owner = owner
        self.name = name
        self.own = own

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        context = args[0] if args else kwargs.get("ctx")
        command = self.owner
        running = getattr(context, "command", None)
        if running is not command and getattr(running, "__dict__", {}).get(self.name) is self:
            command = running  # a shallow copy has this very hook
        before, after = _OBSERVERS[self.name]
        observed: Any = None
        try:
            if before is not None:
                args, observed = before(command, context, args, kwargs)
        except Exception as error:
            pass_on(error)  # else a fault of ours: the command runs as if we were not there
        try:
            result = self.original(command)(*args, **kwargs)
        except BaseException as error:
            if type(observed) is Scope:
                observed.leave(error, None)
            below = error.__traceback__
            if below is not None:
                error.__traceback__ = below.tb_next  # without our frame
                if sys.version_info < (3, 11):  # `raise` puts it back there
                    from . import _tracebacks  # Python 3.10 alone

                    _tracebacks.unlink_below(below)
            raise
        if type(observed) is Scope:
            observed.leave(None, result)
        elif after is not None:
            try:
                return after(command, context, observed, result)
            except Exception as error:
                pass_on(error)  # likewise: the result is the command's own
        return result

    def original(self, command: Any) -> Callable[..., Any]:
        """The method as it would be without us, as of now: a patched class counts."""
        if self.own is not Hook:
            return self.own  # type: ignore[no-any-return]
        kind = type(command)
        for cls in _mro(kind):
            if self.name in cls.__dict__:
                found = cls.__dict__[self.name]
                bind = getattr(type(found), "__get__", None)
                return found if bind is None else bind(found, command, kind)  # type: ignore[no-any-return]
        raise AttributeError(f"{kind.__name__!r} object has no attribute {self.name!r}")

    def __getattr__(self, name: str) -> Any:
        if name == "__wrapped__":
            return self.original(self.owner)
        if name.startswith("__") and name not in (
            "__name__",
            "__qualname__",
            "__func__",
            "__self__",
        ):
            raise AttributeError(name)  # copying and pickling ask; the class answers for itself
        return getattr(self.original(self.owner), name)


class Attributes(dict[str, Any]):
    """A hooked command's `__dict__`: whoever iterates over it does not meet the hooks.

    Applications clone a command by passing its attributes to its class, which has no parameter
    `invoke`. Attribute access does not iterate, and finds the hooks.
    """

    __slots__ = ()

    def items(self) -> Any:
        """Without the hooks."""
        return {name: self[name] for name in self}.items()

    def __iter__(self) -> Any:
        return iter([name for name in dict.__iter__(self) if type(self[name]) is not Hook])

    def copied(self) -> dict[str, Any]:
        """For `copy` and `pickle`, by `__getstate__`: a copy is hooked as the original is."""
        names = dict.__iter__(self)
        return {name: self[name] for name in names if name not in _OWN}


def install(command: Any) -> None:
    """Put the hooks in front of a command's methods; again is harmless, name by name.

    Args:
        command: what a group resolved; anything that is no command is left alone.
    """
    held = getattr(command, "__dict__", None)
    kind = type(command)
    if held is None or not hasattr(kind, "invoke"):
        return
    made = {}
    for name in _OBSERVERS:
        own = held.get(name, Hook)
        if type(own) is not Hook and hasattr(kind, name):
            made[name] = Hook(command, name, own)
    if made:
        if type(held) is not Attributes:
            held = command.__dict__ = Attributes(held)
            if getattr(kind, "__getstate__", None) is getattr(object, "__getstate__", None):
                held["__getstate__"] = held.copied
        held.update(made)
        if is_overridden(kind, "make_context"):
            from ._foreground import opt_out

            opt_out.watch_make_context(command, held)


def is_overridden(kind: type, method: str) -> bool:
    """Whether a method comes from a class that is not Click's or a relative's."""
    for cls in _mro(kind):
        if method in cls.__dict__:
            return str(cls.__module__).partition(".")[0] not in CLICK_FAMILY
    return False


def pass_on(error: BaseException) -> None:
    """Raise again what a signal handler of the application raised while we ran."""
    if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
        loaded = sys.modules.get("click_telemetry._tracebacks")
        check: Any = getattr(loaded, "raise_from_handler", None)
        if check is None:  # perhaps another thread is loading it
            try:
                from ._tracebacks import raise_from_handler as check  # after an exception alone
            except Exception:  # no memory or descriptor is left, or the command broke importing
                return
        check(error)


# What the hooks observe ---------------------------------------------------------------------------


def _before_invoke(command: Any, context: Any, args: Any, kwargs: Any) -> Any:
    contexts = contexts_from_root(context)
    scope = scope_of(context)
    # Invoked again, or by another command, it is part of the first time.
    if not contexts or scope.entered or getattr(context, "resilient_parsing", False):
        return args, None
    SCOPES.append(scope)
    try:
        scope.enter(command, contexts)
    except BaseException as error:
        try:
            if not isinstance(error, Exception):
                raise
            pass_on(error)
        except BaseException:  # such as Ctrl-C: the command does not begin
            scope.leave(error, None)
            raise
    return args, scope


def _before_parse_args(command: Any, context: Any, args: Any, kwargs: Any) -> Any:
    scope_of(context).parsed = True
    if FLAG in (args[1] if len(args) == 2 else kwargs.get("args", ())):
        from ._foreground import opt_out

        return opt_out.before_parse_args(command, context, args, kwargs)
    return args, False


def _after_parse_args(command: Any, context: Any, typed: bool, result: Any) -> Any:
    scope = scope_of(context)
    option = scope.option
    if typed or scope.owns_flag or (option is not None and on_command_line(context, option.name)):
        from ._foreground import opt_out

        return opt_out.after_parse_args(command, context, typed, result)
    return result


def _after_get_params(command: Any, context: Any, _: Any, result: Any) -> Any:
    """The parameters and our option, as a new list, before the first help option."""
    result = list(result)  # an iterator can be read once
    scope = scope_of(context)
    if context.command is command and not scope.parameters:
        scope.parameters = tuple(result)
    contexts = contexts_from_root(context)
    root: CommandState | None = contexts[0].command.__dict__[KEY] if contexts else None
    if root is None or not root.flag:
        return result
    is_special = False
    for parameter in (*result, *command.params):
        if FLAG in (*getattr(parameter, "opts", ()), *getattr(parameter, "secondary_opts", ())):
            scope.owns_flag = True
            return result
        is_special = is_special or getattr(parameter, "name", "") == "no_telemetry"
    if not hasattr(command, "resolve_command") and (
        (context.command is command and getattr(context, "ignore_unknown_options", False))
        or (not command.params and is_overridden(type(command), "parse_args"))
    ):
        return result  # it passes on what it does not know, or parses by hand
    # The option is made of the Click that the command is made of, once for each.
    for cls in _mro(type(command)):
        if cls.__name__ in ("Command", "BaseCommand"):
            break
    scope.option = root.flags.get(cls.__module__)
    if scope.option is None or is_special:
        make = getattr(sys.modules.get(cls.__module__), "Option", None)
        if make is None or is_special:
            from ._foreground import opt_out

            scope.option = opt_out.special_option(root, make, result)
        else:
            scope.option = root.flags[cls.__module__] = make(
                [FLAG, "no_telemetry"],
                is_flag=True,
                expose_value=False,
                allow_from_autoenv=False,
                hidden=root.flag == "hidden",
                help="Record nothing about this run.",
            )
    if scope.option is not None:
        for place, other in enumerate(result):
            # Click's own function shows the help, whatever the option is called.
            shows = getattr(getattr(other, "callback", None), "__qualname__", "")
            if getattr(other, "is_eager", False) and (
                "--help" in getattr(other, "opts", ()) or "show_help" in shows
            ):
                result.insert(place, scope.option)
                return result
        result.append(scope.option)
    return result


def _before_resolve(command: Any, context: Any, args: Any, kwargs: Any) -> Any:
    """Keep the sub-commands that the group has, before it may register one that was typed."""
    scope = scope_of(context)
    # `resolve_command` takes a list, and calls `get_command` with a name, perhaps several times.
    if scope.registered is None or (args and isinstance(args[-1], list)):
        found = getattr(command, "commands", None)
        scope.registered = dict(found) if isinstance(found, dict) else {}
        for name in getattr(command.__dict__.get(KEY), "undeclared", ()):
            scope.registered.pop(name, None)
    return args, None


def _after_resolve(command: Any, context: Any, _: Any, result: Any) -> Any:
    """Hook a sub-command when it is resolved, so that lazy groups stay lazy."""
    install(result[1] if isinstance(result, tuple) else result)
    return result


_OBSERVERS: dict[str, tuple[Callable[..., Any] | None, Callable[..., Any] | None]] = {
    "invoke": (_before_invoke, None),
    "parse_args": (_before_parse_args, _after_parse_args),
    "get_params": (None, _after_get_params),
    "get_ungrouped_options": (None, _after_get_params),  # cloup, click-extra
    "get_command": (_before_resolve, _after_resolve),
    "resolve_command": (_before_resolve, _after_resolve),
}


# What is running ----------------------------------------------------------------------------------


class Scope:
    """A context of a hooked command: what was observed of it, and the call of `invoke`."""

    # While the command is parsed:
    option: Any = None  # our option, where it was among the parameters
    opted_out = ""  # the reason, where a person's opt-out applies to the command line
    owns_flag = False  # the application itself declares the flag here
    parameters: tuple[Any, ...] = ()  # what the command was parsed with
    parsed = False  # its `parse_args` was called
    registered: dict[str, Any] | None = None  # a group's sub-commands before one was resolved
    # While it is invoked:
    command: Any = None
    entered = False
    excluded = False  # the application excludes the command
    is_leaf = False  # it does its own work rather than pass on to a sub-command
    root: Scope  # of the root; itself for a root
    run: Any = None  # the `_recorder.Run` that is recorded of it
    started = 0  # on the monotonic clock, in nanoseconds
    state: CommandState  # of the root
    thread = 0
    token: Any = None  # of the context variable, where one is in use
    # On a root:
    decided = False  # it has been decided whether anything is recorded
    decision: Any = None  # a `_recorder.Decision`
    deferred: Any = ()  # `_events.state.Deferred`: what was tracked before the first leaf began
    dropped = 0  # events that were dropped before that
    invocation: Any = None  # the `_recorder.Invocation`, where something is recorded

    @property
    def settings(self) -> Any:
        """What the application declared."""
        from . import _recorder  # a run that is opted out needs none

        return _recorder.settings_of(self)

    def enter(self, command: Any, contexts: list[Any]) -> None:
        """The command is about to be invoked: it is opted out, or a leaf, or passes on to one."""
        first = scope_of(contexts[0])
        if not first.entered:
            self.root = self
            if sys.version_info < (3, 11):
                from . import _tracebacks  # Python 3.10 alone

                _tracebacks.unlink_at_close(contexts[0])
        else:
            self.root = first.root
        self.entered = True
        self.command = command
        self.state = contexts[0].command.__dict__[KEY]
        self.thread = get_ident()
        self.started = monotonic_ns()
        for context in contexts:
            self.opted_out = self.opted_out or scope_of(context).opted_out
            own = context.command
            callback = getattr(own, "callback", None)
            # Typer makes the command of a function; the `__dict__` of other callables may raise.
            for marked in (own, callback if type(callback) is FunctionType else own):
                found = marked.__dict__.get(KEY)
                if type(found) is CommandState and found.excluded:
                    self.excluded = True
        if not self.opted_out and OPTED_OUT:
            from ._foreground import opt_out

            self.opted_out = opt_out.enclosing(self)
        # What was decided for a root holds for everything below it.
        undecided = not self.opted_out and not self.root.decided
        if undecided and opt_out_variable(os.environ, self.state.prefix) is not None:
            self.opted_out = "variable"
        if self.opted_out:
            OPTED_OUT.append(self)
        # A group is a leaf if nothing is left to dispatch. (The property `protected_args` warns.)
        left = contexts[-1].__dict__
        self.is_leaf = not hasattr(command, "resolve_command")
        if not self.is_leaf and getattr(command, "invoke_without_command", False):
            self.is_leaf = not any(map(left.get, ("_protected_args", "protected_args", "args")))
            own = getattr(command, "commands", None) if self.is_leaf else None
            for below in getattr(own, "values", tuple)():
                install(below)  # click-shell runs them without resolving them
        if self.is_leaf and not self.opted_out and not self.excluded:
            from . import _recorder  # no help and no opt-out loads it

            _recorder.begin(self, contexts)
        if events is not None:
            events.enter(self)

    def leave(self, error: BaseException | None, result: object) -> None:
        """The command has ended, by an exception or with a result."""
        ended = monotonic_ns()
        try:
            if self.run is not None or self.invocation is not None:
                from . import _recorder  # loaded before

                _recorder.end(self, ended, error, result)
        except Exception as problem:
            pass_on(problem)  # else a fault of ours; what was written is safe
        finally:
            for running in (SCOPES, OPTED_OUT):
                if self in running:
                    running.remove(self)
            if self.token is not None and events is not None:
                events.leave(self)


SCOPES: list[Scope] = []  # the calls that are running now in this process
OPTED_OUT: list[Scope] = []  # those of them that a person has opted out of

events: Any = None  # the module `_events.scope`, once it is loaded: it follows tasks and threads


def opt_out_variable(environ: Mapping[str, str], prefix: str) -> str | None:
    """The first environment variable that opts out, or None.

    Args:
        environ: the process's environment.
        prefix: the application's name as variables write it, such as `ACME_CLI`.
    """
    for variable in ("DO_NOT_TRACK", "NO_ANALYTICS", OFF_VARIABLE, prefix + "_NO_TELEMETRY"):
        value = environ.get(variable)
        if value is not None and value.strip().lower() not in FALSE:
            return variable
    value = environ.get(prefix + "_TELEMETRY")
    if value is not None and value.strip().lower() not in _NO_OPINION:
        return prefix + "_TELEMETRY"
    return None


at_exit: list[Callable[[], None]] = []  # what is to be done when the process ends


def _exit() -> None:
    for step in at_exit:
        try:
            step()
        except BaseException:  # the interpreter would print it
            continue


if opt_out_variable(os.environ, "") is None:
    import atexit  # 0.2 M instructions, which an opted-out run has no use for

    # Registered when this is imported, so that it runs after the functions that the application
    # registers later: none of them can wait for a process that we start.
    atexit.register(_exit)


def _watch() -> None:
    from ._doctor.observer import observe  # under watch and doctor alone

    observe(_OBSERVERS)


if WATCH_VARIABLE in os.environ:
    _watch()
