"""`--no-telemetry` on any command: one shared option, parsed like any other, never scanned for.

Only where Click does not parse (a pass-through command) the literal token before `--` counts; it
is passed through.
"""

from __future__ import annotations

import sys
from typing import Any

from ..privacy.settings import CLICK_FAMILY
from .state import contexts_from_root, mark_of, note, on_command_line

FLAG = "--no-telemetry"
DESTINATION = "_click_telemetry_off"
"""Private: an application may own a parameter called `no_telemetry`."""

HELP = "Record nothing about this run."


def make_option(command: Any, *, hidden: bool) -> Any | None:
    """The option, made of the Click that the command itself is made of.

    None for a copy of Click that has no options of its own (Typer's); see `_like_help`.
    """
    for cls in type(command).__mro__:
        if cls.__name__ in ("Command", "BaseCommand"):
            option = getattr(sys.modules.get(cls.__module__), "Option", None)
            if option is not None:
                return option(
                    [FLAG, DESTINATION],
                    is_flag=True,
                    expose_value=False,
                    allow_from_autoenv=False,
                    hidden=hidden,
                    help=HELP,
                )
    return None


def with_option(command: Any, context: Any, options: list[Any]) -> list[Any]:
    """A command's parameters and our option, on a copy of the list.

    Args:
        command: the command.
        context: its context, or that of a sub-command.
        options: all of its parameters, or those that help shows without a group.
    """
    root = _root_mark(context)
    if root is None or is_pass_through(command, context):
        return options
    if owns_flag(options) or owns_flag(command.params):
        return options
    if root.option is None:
        root.option = _like_help(options, hidden=root.settings.no_telemetry_option == "hidden")
        if root.option is None:
            return options
    last = options[-1] if options else None
    if last is not None and _is_help(last):
        return [*options[:-1], root.option, last]  # everybody expects --help to be the last
    return [*options, root.option]


def _like_help(options: list[Any], *, hidden: bool) -> Any | None:
    """The option as a copy of the help option, which is a flag of the right kind everywhere."""
    import copy  # 0.4 ms, and only Typer needs it

    for option in options:
        if _is_help(option):
            made = copy.copy(option)
            made.name, made.opts, made.secondary_opts = DESTINATION, [FLAG], []
            made.is_eager, made.callback, made.envvar = False, None, None
            made.help, made.hidden, made.allow_from_autoenv = HELP, hidden, False
            return made
    return None


def _is_help(option: Any) -> bool:
    return bool(getattr(option, "is_eager", False)) and "--help" in getattr(option, "opts", ())


def before_parsing(command: Any, context: Any, arguments: list[str]) -> list[str]:
    """The arguments that the command may parse; takes note of a flag that it will not see."""
    if _root_mark(context) is None:
        return arguments
    if is_pass_through(command, context):
        if FLAG in _before_separator(arguments):
            opt_out(context)
    elif _takes_no_arguments_seriously(command) and not owns_flag(command.params):
        # A default-command group would take the flag for its command's first argument, and a
        # command that shows help without arguments would no longer do so.
        while arguments and arguments[0] == FLAG:
            arguments = arguments[1:]
            opt_out(context)
    return arguments


def after_parsing(command: Any, context: Any) -> None:
    """Take note of the flag where it was parsed, ours or the application's own."""
    if on_command_line(context, DESTINATION) or any(
        _says_no(parameter, context) for parameter in getattr(command, "params", ())
    ):
        opt_out(context)


def opt_out(context: Any) -> None:
    """Silence the whole line that a context belongs to: its root's nearest context.

    While a leaf is running there (a REPL that invokes its root's context again and again), only
    what was parsed just now is a line.
    """
    if getattr(context, "resilient_parsing", False):
        return  # completion: nothing runs
    contexts = contexts_from_root(context)
    for above in reversed(contexts):
        if above.command is contexts[0].command:
            root = note(above).root
            line = context if root is not None and root.running else above
            note(line).opted_out = True
            return


def opted_out(contexts: list[Any]) -> bool:
    """Whether a flag was seen on the line of the last of these contexts."""
    return any(note(context).opted_out for context in contexts)


def owns_flag(parameters: list[Any]) -> bool:
    """Whether the application declares the flag itself; then it keeps it."""
    return any(
        FLAG in getattr(parameter, "opts", ()) or FLAG in getattr(parameter, "secondary_opts", ())
        for parameter in parameters
    )


def is_pass_through(command: Any, context: Any) -> bool:
    """Whether a leaf hands on what it does not know, or parses by hand."""
    if hasattr(command, "resolve_command"):
        return False
    if context.command is command and getattr(context, "ignore_unknown_options", False):
        return True
    return not command.params and _parses_by_hand(command)


def _root_mark(context: Any) -> Any:
    """The mark of the root above a context, unless there is none or it leaves the flag out."""
    contexts = contexts_from_root(context)
    found = mark_of(contexts[0].command) if contexts else None
    if found is None or found.settings is None or not found.settings.no_telemetry_option:
        return None
    return found


def _takes_no_arguments_seriously(command: Any) -> bool:
    return hasattr(command, "resolve_command") or bool(getattr(command, "no_args_is_help", False))


def _parses_by_hand(command: Any) -> bool:
    for cls in type(command).__mro__:
        if "parse_args" in cls.__dict__:
            return cls.__module__.partition(".")[0] not in CLICK_FAMILY
    return False


def _before_separator(arguments: list[str]) -> list[str]:
    return arguments[: arguments.index("--")] if "--" in arguments else arguments


def _says_no(parameter: Any, context: Any) -> bool:
    """Whether the application's own flag is set to off, wherever its value came from."""
    if FLAG in getattr(parameter, "opts", ()):
        off: object = True
    elif FLAG in getattr(parameter, "secondary_opts", ()):
        off = False
    else:
        return False
    if parameter.name in context.params:
        return bool(context.params[parameter.name] is off)
    return on_command_line(context, parameter.name)  # not exposed: typed is all that can be known
