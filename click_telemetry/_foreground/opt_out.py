"""Opt-outs on the command line: where the flag is noticed, and what else it applies to.

Only a command line that contains the flag comes here, a command that declares it itself, what runs
inside a command that is opted out, and a command whose option cannot be Click's ordinary one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import _instrument
from .._instrument import (
    FLAG,
    KEY,
    OPTED_OUT,
    SCOPES,
    Hook,
    Scope,
    contexts_from_root,
    on_command_line,
    scope_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._instrument import CommandState


def before_parse_args(
    command: Any, context: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], bool]:
    """What the command may parse, and whether the flag is among it before any `--`.

    A default-command group would take the flag for its command's first argument, and a command
    that shows help without arguments would no longer do so: leading flags are removed there.
    """
    if not has_flag(context):
        return args, False
    rest = args[1] if len(args) == 2 else kwargs["args"]
    reacts = hasattr(command, "resolve_command") or getattr(command, "no_args_is_help", False)
    if reacts and not owns_flag(command.params):
        while rest and rest[0] == FLAG:
            rest = rest[1:]
            opt_out(context)
        if len(args) == 2:
            args = (context, rest)
        else:
            kwargs["args"] = rest
    return args, FLAG in before_separator(rest)


def after_parse_args(command: Any, context: Any, typed: bool, result: Any) -> Any:
    """Notice the flag: parsed by us, by the application's own option, or not at all.

    Args:
        command: the command.
        context: its context.
        typed: whether the flag is among its arguments.
        result: what `parse_args` returned.

    Returns:
        What `parse_args` is to return.
    """
    option = scope_of(context).option
    parsed = option is not None and context.get_parameter_source(option.name) is not None
    if (parsed and on_command_line(context, option.name)) or any(
        _is_own_opt_out(parameter, context) for parameter in getattr(command, "params", ())
    ):
        opt_out(context)
    elif typed and not parsed and not owns_flag(command.params):
        opt_out(context)  # passed through, or parsed by hand: the literal word counts
    elif typed and getattr(getattr(context.parent, "command", None), "chain", False):
        # In a chain, what follows a command's arguments is the next command's name.
        while context.args and context.args[0] == FLAG:
            opt_out(context)
            context.args = context.args[1:]
            result = context.args
    return result


class MakeContextHook(Hook):
    """In front of a class's own `make_context`, which may parse in a way that we do not know."""

    __slots__ = ()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        typed = [*(args[1] if len(args) > 1 else kwargs.get("args", ()))]
        context = self.original(self.owner)(*args, **kwargs)
        try:
            unparsed = FLAG in before_separator(typed) and not scope_of(context).parsed
            if unparsed and has_flag(context):
                opt_out(context)
        except Exception as error:
            _instrument.pass_on(error)
        return context


def watch_make_context(command: Any, attributes: dict[str, Any]) -> None:
    """Hook `make_context` of a command whose class overrides it."""
    if not isinstance(attributes.get("make_context"), Hook):
        own = attributes.get("make_context", Hook)
        attributes["make_context"] = MakeContextHook(command, "make_context", own)


def enclosing(scope: Scope) -> str:
    """Why a command is opted out that runs inside an opted-out one; empty where it does not.

    A thread without a command of its own belongs to no known command: if an opted-out command is
    running in another thread, it is treated as part of that.
    """
    own = [one.opted_out for one in SCOPES if one.thread == scope.thread and one is not scope]
    if own:
        return next(filter(None, own), "")
    if _instrument.events is not None and _instrument.events.is_in_run():
        return ""
    return OPTED_OUT[-1].opted_out


def opt_out(context: Any) -> None:
    """Opt out of the whole command line that a context belongs to: its root's nearest context.

    While a leaf is running there (a REPL that invokes its root's context again and again), the
    command line is only what was parsed just now.
    """
    if getattr(context, "resilient_parsing", False):
        return  # completion: nothing runs
    contexts = contexts_from_root(context)
    for above in reversed(contexts):
        if above.command is contexts[0].command:
            line = scope_of(above)
            running = line.entered and any(one.root is line.root and one.is_leaf for one in SCOPES)
            scope_of(context if running else above).opted_out = "flag"
            return


def has_flag(context: Any) -> bool:
    """Whether a context is below an instrumented root that has the flag."""
    contexts = contexts_from_root(context)
    return bool(contexts) and bool(contexts[0].command.__dict__[KEY].flag)


def owns_flag(parameters: Any) -> bool:
    """Whether the application declares the flag itself; then it keeps it."""
    return any(
        FLAG in getattr(parameter, "opts", ()) or FLAG in getattr(parameter, "secondary_opts", ())
        for parameter in parameters
    )


def before_separator(arguments: list[str]) -> list[str]:
    """The arguments before `--`, after which everything is data."""
    return arguments[: arguments.index("--")] if "--" in arguments else arguments


def _is_own_opt_out(parameter: Any, context: Any) -> bool:
    """Whether a parameter is the application's own flag and is set to off, from whatever source."""
    if FLAG in getattr(parameter, "opts", ()):
        off: object = True
    elif FLAG in getattr(parameter, "secondary_opts", ()):
        off = False
    else:
        return False
    if parameter.name in context.params:
        return bool(context.params[parameter.name] is off)
    return on_command_line(context, parameter.name)  # not exposed: typed is all that can be known


NAME = "click_telemetry_off"
"""Where the application has a parameter `no_telemetry`."""
HELP = "Record nothing about this run."


def special_option(
    root: CommandState, make: Callable[..., Any] | None, options: list[Any]
) -> Any | None:
    """The option under another name, or for a copy of Click without options of its own (Typer's).

    Args:
        root: the root's state.
        make: the class of options, if there is one.
        options: the command's. The help option is a flag of the right kind everywhere: without a
            class of options, ours is a copy of it.
    """
    hidden = root.flag == "hidden"
    if make is not None:
        return make(
            [FLAG, NAME],
            is_flag=True,
            expose_value=False,
            allow_from_autoenv=False,
            hidden=hidden,
            help=HELP,
        )
    for option in options:
        if getattr(option, "is_eager", False) and "--help" in getattr(option, "opts", ()):
            import copy

            made = copy.copy(option)
            made.name, made.opts, made.secondary_opts = NAME, [FLAG], []
            made.is_eager, made.callback, made.envvar = False, None, None
            made.help, made.hidden, made.allow_from_autoenv = HELP, hidden, False
            return made
    return None
