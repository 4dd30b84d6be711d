"""Instruments commands: the decorators, the hooks, the option --no-telemetry, the opt-out variables.

Every run of an instrumented application loads this module; a run that is opted out by a variable
loads no other. It knows how Click parses and invokes. What may be recorded, and how, is
`_recorder`'s, which is loaded when the first command begins.

Hooks are callables in a command's instance `__dict__`, in front of its class's own methods. A hook
captures neither the root nor its settings, looks the original up when it is called, and adds no
frame to a traceback. docs/click.md lists the rules of Click's behaviour that this module relies on.
"""

from __future__ import annotations

import atexit
import os
import sys
from threading import get_ident
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ._recorder import Invocation, Run

KEY = "_click_telemetry"
"""Where our state lies in the `__dict__` of commands and contexts."""

FLAG = "--no-telemetry"
DESTINATION = "no_telemetry"
OTHER_DESTINATION = "click_telemetry_off"
"""Where the application has a parameter of the first name."""
FLAG_HELP = "Record nothing about this run."

WATCH_VARIABLE = "CLICK_TELEMETRY_WATCH"
OFF_VARIABLE = "CLICK_TELEMETRY_OFF"
"""Opts out of every application that uses this library; `child_env()` passes an opt-out on with it."""
LOG = "log"
DEFAULT_HOST = "https://api.segment.io"
MAX_VERSION = 128
"""Characters; the version is on every event twice."""
MAX_APP = 64
"""Characters."""

CLICK_FAMILY = frozenset(
    ("click", "rich_click", "typer", "cloup", "click_extra", "asyncclick", "click_repl")
)
"""Packages that are Click, extend it, or contain a copy of it."""

_RESERVED_ON_WINDOWS = frozenset(("con", "prn", "aux", "nul", "com", "lpt"))
"""How reserved names begin; `_foreground.declaration` knows them all."""
_FALSE = frozenset(("", "0", "false", "no", "off"))
_NO_OPINION = frozenset((LOG, "1", "true", "yes", "on"))
_PLAIN_VALUES: dict[str, tuple[object, ...]] = {
    "consent": ("opt-out", "opt-in"),
    "notice": (True, False),
    "ci": ("off", "label"),
    "delivery": ("detached", "inline"),
    "no_telemetry_option": (True, False, "hidden"),
}
_COROUTINE = 0x80
"""`inspect.CO_COROUTINE`, of a code object's flags; `inspect` is not always loaded."""


class Settings:
    """What an application declared, valid by construction; the README's table has the options.

    Args:
        package: the top-level package of the root's callback; `__main__` for a script.
        fallback: the application's name where `app` is not given and there is no package.
        options: the keywords of `instrument`.

    Raises:
        DeclarationError: for an unknown option, or a value that cannot be used.
    """

    version: str | None = None
    write_key: str | None = None
    host: str | Callable[[], object] = DEFAULT_HOST
    client: Any = None
    consent = "opt-out"
    notice: bool | str = True
    ci = "off"
    properties: Mapping[str, Any] = {}  # noqa: RUF012
    auth: Callable[[], object] | None = None
    error_packages: Iterable[str] = ()
    delivery = "detached"
    flush_timeout = 0.5
    no_telemetry_option: bool | str = True

    def __init__(self, package: str, fallback: str, options: Mapping[str, Any]) -> None:
        self.package = package
        self.declared = options
        app = options.get("app")
        self.app_known = app is not None or package not in ("", "__main__")
        name = app if app is not None else package if self.app_known else fallback
        if is_plain_name(name):
            self.app, self.prefix = name, name.replace("-", "_").upper()
        else:
            from ._foreground import declaration

            self.app = declaration.checked_app(app) if app is not None else declaration.usable(name)
            self.prefix = declaration.variable_prefix(self.app)
        for option, value in options.items():
            if option != "app" and not _is_plain(option, value):
                from ._foreground import declaration  # 0.3 ms, for what is rarely declared

                value = declaration.checked(option, value)
            if option != "app" and value is not None:
                setattr(self, option, value)


def _is_plain(option: str, value: Any) -> bool:
    """Whether a value needs no closer look; `_foreground.declaration` has the full rule."""
    if option in ("version", "write_key") and type(value) is str:
        return value.isascii() and value.isprintable() and 0 < len(value) <= MAX_VERSION
    for plain in _PLAIN_VALUES.get(option, ()):
        if value is plain or (type(value) is str and value == plain):
            return True
    return False


def is_plain_name(name: object) -> bool:
    """Whether a text can name directories and variables on every system, without a closer look."""
    if type(name) is not str or not name.isascii() or len(name) > MAX_APP or "--" in name:
        return False
    words = name.replace("-", "")
    return name[:1].isalnum() and words.isalnum() and name[:3].lower() not in _RESERVED_ON_WINDOWS


# Declarations -------------------------------------------------------------------------------------


def instrument(command: Any, **options: Any) -> Any:
    """Instrument a group with all that is below it, or a one-command application, in place.

    Args:
        command: a Click group or command of any class.
        **options: as in the README's table of options.

    Returns:
        The same object.

    Raises:
        DeclarationError: a `TypeError` and a `ValueError`; its message names the fix.
    """
    if not is_command(command):
        from ._foreground import declaration

        raise declaration.not_a_command("instrument() takes a Click command or group", command)
    if getattr(getattr(type(command).invoke, "__code__", None), "co_flags", 0) & _COROUTINE:
        from ._foreground import declaration

        raise declaration.asynchronous(command)
    state = command_state(command)
    if state.settings is not None:
        # Instrumented twice, by class and by decorator: what is not declared anew stays.
        options = {**state.settings.declared, **options}
    module = getattr(getattr(command, "callback", None), "__module__", None)
    package = module.partition(".")[0] if isinstance(module, str) and module else "__main__"
    name = getattr(command, "name", None)
    state.settings = Settings(package, name if isinstance(name, str) else "", options)
    state.options = {}
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
    from . import _group

    return _group.make_group(target, options)


def exclude(command: Any) -> Any:
    """Leave out a command and everything below it: no events, and `track` in it does nothing.

    It stands above the decorator that makes the command:

        @exclude
        @cli.command()
        def receiver(): ...

    Raises:
        DeclarationError: it was put on something that is no command yet.
    """
    if not is_command(command):
        from ._foreground import declaration

        raise declaration.not_a_command(
            "exclude takes a Click command or group",
            command,
            "put @exclude above the decorator that makes the command (@exclude, then "
            "@cli.command())",
        )
    command_state(command).excluded = True
    return command


def is_command(thing: Any) -> bool:
    """Whether a thing is an instance of a command of Click or of a copy of it."""
    if isinstance(thing, type):
        return False
    return all(hasattr(thing, name) for name in ("invoke", "make_context", "params", "__dict__"))


# State on the application's own objects -----------------------------------------------------------


class CommandState:
    """On a command: it is a root with these settings, or excluded, or both.

    Attributes:
        options: our option, by the module of the Click that it is made of.
    """

    __slots__ = ("excluded", "options", "settings")

    def __init__(self) -> None:
        self.excluded = False
        self.options: dict[str, Any] = {}
        self.settings: Settings | None = None


class ContextState:
    """On a context: what was observed of it so far.

    Attributes:
        entered: whether its command has been invoked.
        option: our option, where it was among the parameters.
        opted_out: whether the flag was given on the command line that begins here.
        owns_flag: whether the application itself declares the flag here.
        parameters: what its command was parsed with.
        parsed: whether its command's `parse_args` was called.
        registered: the sub-commands that the group had before it was asked for one.
        root: the running root command, on the root's context.
    """

    __slots__ = (
        *("entered", "option", "opted_out", "owns_flag", "parameters", "parsed", "registered"),
        "root",
    )

    def __init__(self) -> None:
        self.entered = False
        self.option: Any = None
        self.opted_out = False
        self.owns_flag = False
        self.parameters: list[Any] = []
        self.parsed = False
        self.registered: dict[str, Any] | None = None
        self.root: Scope | None = None


def command_state(command: Any) -> CommandState:
    """A command's state, made if it has none."""
    found = command.__dict__.get(KEY)
    if not isinstance(found, CommandState):
        found = command.__dict__[KEY] = CommandState()
    return found


def context_state(context: Any) -> ContextState:
    """A context's state, made if it has none."""
    found = context.__dict__.get(KEY)
    if not isinstance(found, ContextState):
        found = context.__dict__[KEY] = ContextState()
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
        if isinstance(found, CommandState) and found.settings is not None:
            outermost = len(chain)
        context = context.parent
    return chain[:outermost][::-1]


def on_command_line(context: Any, name: str) -> bool:
    """Whether a parameter's value was typed; the *name* of its source is what Click keeps stable."""
    return getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"


# The hooks ----------------------------------------------------------------------------------------


class Absent:
    """The instance had no attribute of that name. A class, since copies of it are itself."""


_OF_A_METHOD = ("__name__", "__qualname__", "__func__", "__self__")
_mro = type.__dict__["__mro__"].__get__
"""A class's `__mro__`, whatever its metaclass does."""


class Hook:
    """Stands in front of one method of one command.

    Args:
        owner: the command.
        name: the method's name.
        own: what the instance had under that name before, or `Absent`.
    """

    __slots__ = ("name", "own", "owner")

    def __init__(self, owner: Any, name: str, own: Any) -> None:
        self.owner = owner
        self.name = name
        self.own = own

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        context = args[0] if args else kwargs.get("ctx")
        command = self.command(context)
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
            if observed.__class__ is Scope:
                observed.leave(error, None)
            _unlink(error)
            raise
        try:
            return after(command, context, observed, result)
        except Exception as error:
            pass_on(error)  # likewise: the result is the command's own
            return result

    def original(self, command: Any) -> Callable[..., Any]:
        """The method as it would be without us, as of now: a patched class counts."""
        if self.own is not Absent:
            return self.own  # type: ignore[no-any-return]
        kind = type(command)
        for cls in _mro(kind):
            if self.name in cls.__dict__:
                found = cls.__dict__[self.name]
                bind = getattr(type(found), "__get__", None)
                return found if bind is None else bind(found, command, kind)  # type: ignore[no-any-return]
        raise AttributeError(f"{kind.__name__!r} object has no attribute {self.name!r}")

    def command(self, context: Any) -> Any:
        """The command that is called: a shallow copy has this very hook and is not its owner."""
        running = getattr(context, "command", None)
        if running is not self.owner and running is not None:
            if getattr(running, "__dict__", {}).get(self.name) is self:
                return running
        return self.owner

    @property
    def __wrapped__(self) -> Callable[..., Any]:
        return self.original(self.owner)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in _OF_A_METHOD:
            raise AttributeError(name)  # copying and pickling ask; the class answers for itself
        return getattr(self.original(self.owner), name)


class Attributes(dict[str, Any]):
    """A hooked command's `__dict__`: whoever iterates over it does not meet the hooks.

    Applications clone a command by passing its attributes to its class, which has no parameter
    `invoke`. Attribute access does not iterate, and finds the hooks.
    """

    __slots__ = ()

    def _visible(self) -> dict[str, Any]:
        return {name: self[name] for name in dict.__iter__(self) if type(self[name]) is not Hook}

    def __iter__(self) -> Any:
        return iter(self._visible())

    def keys(self) -> Any:
        return self._visible().keys()

    def values(self) -> Any:
        return self._visible().values()

    def items(self) -> Any:
        return self._visible().items()

    def everything(self) -> dict[str, Any]:
        """For `copy` and `pickle`: a copied command is hooked as the original is."""
        names = [name for name in dict.__iter__(self) if name not in ("__getstate__", "make_context")]
        return {name: self[name] for name in names}


def install(command: Any) -> None:
    """Put the hooks in front of a command's methods; again is harmless, name by name.

    Args:
        command: what a group resolved; anything that is no command is left alone.
    """
    held = getattr(command, "__dict__", None)
    kind = type(command)
    if held is None or not hasattr(kind, "invoke"):
        return
    made = {
        name: Hook(command, name, held.get(name, Absent))
        for name in _OBSERVERS
        if type(held.get(name)) is not Hook and hasattr(kind, name)
    }
    if "make_context" in made and not _is_overridden(kind, "make_context"):
        del made["make_context"]  # a copy's hook would make the context of the original
    if not made:
        return
    if type(held) is not Attributes:
        held = Attributes(held)
        if getattr(kind, "__getstate__", None) is getattr(object, "__getstate__", None):
            held["__getstate__"] = held.everything
        command.__dict__ = held
    held.update(made)


def _is_overridden(kind: type, method: str) -> bool:
    """Whether a method comes from a class that is not Click's or a relative's."""
    for cls in _mro(kind):
        if method in cls.__dict__:
            return str(cls.__module__).partition(".")[0] not in CLICK_FAMILY
    return False


def pass_on(error: BaseException) -> None:
    """Raise an exception again that is the application's own, though it came out of our code.

    A signal handler of the application may have interrupted us. It is called with the interrupted
    frame: in the traceback, a frame that has the one before it among its arguments is a handler.
    """
    entry = error.__traceback__
    while entry is not None and entry.tb_next is not None:
        interrupted, entry = entry.tb_frame, entry.tb_next
        code = entry.tb_frame.f_code
        named = code.co_argcount + code.co_kwonlyargcount
        values = entry.tb_frame.f_locals
        for name in code.co_varnames[: named + (1 if code.co_flags & 0x04 else 0)]:
            value = values.get(name)
            if value is interrupted or (type(value) is tuple and interrupted in value):
                raise error


def _unlink(error: BaseException) -> None:
    """Take our frame out of the traceback of what passes through; only for a hook's `except`."""
    try:
        traceback = error.__traceback__
        if traceback is not None:
            BaseException.with_traceback(error, traceback.tb_next)
            if sys.version_info < (3, 11):  # `raise` puts it back there
                from ._foreground import tracebacks

                tracebacks.unlink_below(traceback)
    except Exception as problem:  # at the edge of the stack, say: then our frame is visible
        pass_on(problem)


# What the hooks observe ---------------------------------------------------------------------------


def _before_invoke(command: Any, context: Any, args: Any, kwargs: Any) -> Any:
    contexts = contexts_from_root(context)
    if not contexts or getattr(context, "resilient_parsing", False):
        return args, None
    state = context_state(context)
    if state.entered:
        return args, None  # invoked again, or by another command: part of the first time
    state.entered = True
    return args, enter(command, contexts)


def _after_invoke(command: Any, context: Any, scope: Any, result: Any) -> Any:
    if scope is not None:
        scope.leave(None, result)
    return result


def _before_parse_args(command: Any, context: Any, args: Any, kwargs: Any) -> Any:
    context_state(context).parsed = True
    if WATCH_VARIABLE in os.environ:
        from ._foreground import watch

        watch.report_root(context)
    typed = args[1] if len(args) == 2 else kwargs.get("args", ())
    if FLAG in typed:
        from ._foreground import parsing

        return parsing.before_parse_args(command, context, args, kwargs)
    return args, False


def _after_parse_args(command: Any, context: Any, typed: bool, result: Any) -> Any:
    state = context_state(context)
    option = state.option
    if typed or state.owns_flag or (option is not None and on_command_line(context, option.name)):
        from ._foreground import parsing

        return parsing.after_parse_args(command, context, typed, result)
    return result


def _before_make_context(command: Any, _: Any, args: Any, kwargs: Any) -> Any:
    return args, [*(args[1] if len(args) > 1 else kwargs.get("args", ()))]


def _after_make_context(command: Any, _: Any, typed: list[str], context: Any) -> Any:
    if FLAG in typed and not context_state(context).parsed:
        from ._foreground import parsing

        parsing.unparsed(context, typed)
    return context


def _after_get_params(command: Any, context: Any, _: Any, result: Any) -> Any:
    if type(result) is not list:
        result = list(result)  # an iterator can be read once
    state = context_state(context)
    if context.command is command:
        state.parameters = result
    return _with_option(command, context, state, result)


def _after_get_ungrouped_options(command: Any, context: Any, _: Any, result: Any) -> Any:
    return _with_option(command, context, context_state(context), list(result))


def _before_resolve_command(command: Any, context: Any, args: Any, kwargs: Any) -> Any:
    _keep_registered(command, context, again=True)
    return args, None


def _before_get_command(command: Any, context: Any, args: Any, kwargs: Any) -> Any:
    _keep_registered(command, context, again=False)
    return args, None


def _keep_registered(command: Any, context: Any, *, again: bool) -> None:
    """Keep the names that the group has, before it may register one that was typed."""
    state = context_state(context)
    if again or state.registered is None:
        found = getattr(command, "commands", None)
        state.registered = dict(found) if isinstance(found, dict) else {}


def _after_resolve(command: Any, context: Any, _: Any, result: Any) -> Any:
    """Hook a sub-command when it is resolved, so that lazy groups stay lazy."""
    install(result[1] if isinstance(result, tuple) else result)
    return result


_OBSERVERS: dict[str, tuple[Callable[..., Any] | None, Callable[..., Any]]] = {
    "invoke": (_before_invoke, _after_invoke),
    "parse_args": (_before_parse_args, _after_parse_args),
    "get_params": (None, _after_get_params),
    "get_ungrouped_options": (None, _after_get_ungrouped_options),  # cloup, click-extra
    "get_command": (_before_get_command, _after_resolve),
    "resolve_command": (_before_resolve_command, _after_resolve),
    "make_context": (_before_make_context, _after_make_context),
}


# The option ---------------------------------------------------------------------------------------


def _with_option(command: Any, context: Any, state: ContextState, options: list[Any]) -> list[Any]:
    """A command's parameters and our option, as a new list, before the first help option."""
    root = flag_root(context)
    if root is None:
        return options
    state.owns_flag = owns_flag(options) or owns_flag(command.params)
    if state.owns_flag or is_pass_through(command, context):
        return options
    option = _option(root, command, options)
    if option is None:
        return options
    state.option = option
    for place, other in enumerate(options):
        if getattr(other, "is_eager", False) and "--help" in getattr(other, "opts", ()):
            return [*options[:place], option, *options[place:]]
    return [*options, option]


def _option(root: CommandState, command: Any, options: list[Any]) -> Any | None:
    """The option, made of the Click that the command is made of; one for each Click and name."""
    hidden = root.settings is not None and root.settings.no_telemetry_option == "hidden"
    name = DESTINATION
    if any(getattr(parameter, "name", None) == DESTINATION for parameter in command.params):
        name = OTHER_DESTINATION
    for cls in _mro(type(command)):
        if cls.__name__ in ("Command", "BaseCommand"):
            key = f"{cls.__module__} {name}"
            if key not in root.options:
                make = getattr(sys.modules.get(cls.__module__), "Option", None)
                if make is None:
                    from ._foreground import option  # a copy of Click without options: Typer's

                    return option.like_help(options, name, hidden=hidden)
                root.options[key] = make(
                    [FLAG, name],
                    is_flag=True,
                    expose_value=False,
                    allow_from_autoenv=False,
                    hidden=hidden,
                    help=FLAG_HELP,
                )
            return root.options[key]
    return None


def flag_root(context: Any) -> CommandState | None:
    """The state of the root above a context, unless there is none or it has no such option."""
    contexts = contexts_from_root(context)
    if not contexts:
        return None
    found = command_state(contexts[0].command)
    return found if found.settings is not None and found.settings.no_telemetry_option else None


def owns_flag(parameters: Iterable[Any]) -> bool:
    """Whether the application declares the flag itself; then it keeps it."""
    for parameter in parameters:
        if FLAG in getattr(parameter, "opts", ()) or FLAG in getattr(parameter, "secondary_opts", ()):
            return True
    return False


def is_pass_through(command: Any, context: Any) -> bool:
    """Whether a leaf passes on what it does not know, or parses by hand."""
    if hasattr(command, "resolve_command"):
        return False
    if context.command is command and getattr(context, "ignore_unknown_options", False):
        return True
    return not command.params and _is_overridden(type(command), "parse_args")


def opt_out_variable(environ: Mapping[str, str], prefix: str) -> str | None:
    """The first environment variable that opts out, or None.

    Args:
        environ: the process's environment.
        prefix: the application's name as variables write it, such as `ACME_CLI`.
    """
    for variable in ("DO_NOT_TRACK", "NO_ANALYTICS", OFF_VARIABLE, prefix + "_NO_TELEMETRY"):
        value = environ.get(variable)
        if value is not None and value.strip().lower() not in _FALSE:
            return variable
    value = environ.get(prefix + "_TELEMETRY")
    if value is not None and value.strip().lower() not in _NO_OPINION:
        return prefix + "_TELEMETRY"
    return None


# What is running ----------------------------------------------------------------------------------


class Scope:
    """One call of a hooked command's `invoke`.

    Attributes:
        settings: what the application declared.
        command: the command.
        root: the scope of the root command; itself for a root.
        is_leaf: whether the command does its own work rather than pass on to a sub-command.
        opted_out: why a person's opt-out applies to the command; empty if none does.
        excluded: whether the application excludes the command.
        run: what is recorded of it; None where nothing is.
        thread: the thread that it runs in.
        started: on the monotonic clock, in nanoseconds.
        token: of the context variable, where one is in use.
        decided: on a root, whether it has been decided that it may be recorded, or not.
        deferred: on a root, what was tracked before its first leaf began.
        dropped: on a root, events that were dropped before its first leaf began.
        invocation: on a root, what is recorded; None where nothing is.
    """

    __slots__ = (
        *("command", "decided", "deferred", "dropped", "excluded", "invocation", "is_leaf"),
        *("opted_out", "root", "run", "settings", "started", "thread", "token"),
    )

    def __init__(self, settings: Settings, command: Any, root: Scope | None) -> None:
        self.settings = settings
        self.command = command
        self.root = root or self
        self.is_leaf = False
        self.opted_out = ""
        self.excluded = False
        self.run: Run | None = None
        self.thread = get_ident()
        self.token: Any = None
        self.decided = False
        self.deferred: list[Any] = []
        self.dropped = 0
        self.invocation: Invocation | None = None
        self.started = monotonic_ns()

    def leave(self, error: BaseException | None, result: object) -> None:
        """The command has ended.

        Args:
            error: what ended it, or None.
            result: what it returned.
        """
        ended = monotonic_ns()
        try:
            if self.run is not None or self.invocation is not None:
                from . import _recorder

                _recorder.end(self, ended, error, result)
        except Exception as problem:
            pass_on(problem)  # else a fault of ours; what was written is safe
        finally:
            if self in SCOPES:
                SCOPES.remove(self)
            if self.token is not None and events is not None:
                events.leave(self)


SCOPES: list[Scope] = []
"""The calls that are running now in this process: a registry, and nothing that outlives them."""

events: Any = None
"""The module `_events.current`, once the application has loaded it: it follows tasks and threads."""


def enter(command: Any, contexts: list[Any]) -> Scope | None:
    """A command is about to be invoked; None where there is nothing to observe.

    Args:
        command: the command.
        contexts: from the root's context down to the command's.
    """
    first = context_state(contexts[0])
    settings: Settings = command_state(contexts[0].command).settings  # type: ignore[assignment]
    enclosed = enclosing_opt_out()
    scope = Scope(settings, command, first.root)
    reason, detail = _opt_out_reason(scope, contexts, enclosed=enclosed)
    scope.opted_out = reason
    for context in contexts:
        found = context.command.__dict__.get(KEY)
        if isinstance(found, CommandState) and found.excluded:
            scope.excluded = True
    if first.root is None:
        first.root = scope
        if sys.version_info < (3, 11):
            from ._foreground import tracebacks

            tracebacks.unlink_at_close(contexts[0])
    SCOPES.append(scope)
    if reason or scope.excluded:
        if WATCH_VARIABLE in os.environ:
            from ._foreground import watch

            watch.report(os.environ, settings.app, "excluded" if scope.excluded else reason, detail)
    elif is_leaf(command, contexts[-1]):
        scope.is_leaf = True
        from . import _recorder

        try:
            _recorder.begin(scope, contexts)
        except Exception as error:
            try:
                pass_on(error)  # else a fault of ours: the command runs, and is not recorded
            except BaseException:
                scope.leave(error, None)
                raise
    if events is not None:
        events.enter(scope)
    return scope


def _opt_out_reason(scope: Scope, contexts: list[Any], *, enclosed: bool) -> tuple[str, str]:
    """Why a person's opt-out applies, and the variable that states it."""
    if any(context_state(context).opted_out for context in contexts):
        return "flag", ""
    if enclosed:
        return "flag", ""
    if not scope.root.decided:  # what was decided for a root holds for everything below it
        variable = opt_out_variable(os.environ, scope.settings.prefix)
        if variable is not None:
            return "variable", variable
    return "", ""


def enclosing_opt_out() -> bool:
    """Whether this code runs inside a command that a person has opted out of.

    A thread without a command of its own belongs to no known command: if an opted-out command is
    running in another thread, it is treated as part of that.
    """
    if not SCOPES:
        return False
    thread = get_ident()
    own = [scope for scope in SCOPES if scope.thread == thread]
    if not own and events is not None and events.is_in_run():
        return False
    return any(scope.opted_out for scope in own or SCOPES)


def is_leaf(command: Any, context: Any) -> bool:
    """Whether a command does its own work, rather than pass on to a sub-command.

    A group does only when it may be invoked alone and nothing is left to dispatch. Both lists are
    read from `__dict__`: the property `protected_args` warns from Click 8.2.
    """
    if not hasattr(command, "resolve_command"):
        return True
    if not getattr(command, "invoke_without_command", False):
        return False
    found = context.__dict__
    return not (found.get("_protected_args") or found.get("protected_args") or found.get("args"))


at_exit: list[Callable[[], None]] = []
"""What is to be done when the process ends."""


def _exit() -> None:
    while at_exit:
        try:
            at_exit.pop()()
        except BaseException:  # the interpreter would print it
            continue


# Registered when the application is imported, so that it runs after the functions that the
# application registers later: none of them can wait for a process that we start.
atexit.register(_exit)
