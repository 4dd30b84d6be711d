"""Prompts of a flow: Click asks, and the flow records that it was shown, answered or cancelled.

Click is not imported here but found: it is the one whose command is running, which may be the copy
that Typer contains. The prompt's text and a free answer never leave the machine.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from .._foreground import outcome
from . import strict
from .text import UNDECLARED, word_or_none, word_problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .current import Recorder

_COPIES = ("typer._click", "click")
"""Typer contains a copy since 0.26, with the same modules."""


class Prompts:
    """`prompt` and `confirm` of a flow."""

    __slots__ = ()

    _recorder: Recorder

    def prompt(self, name: str, text: str, *args: Any, answer: bool = True, **options: Any) -> Any:
        """Ask as `click.prompt` does; record `Prompt Shown`, then whether it was answered.

        Args:
            name: what is asked for, as a snake_case word: the property `prompt`.
            text: the prompt, as Click shows it.
            *args: further arguments of `click.prompt`, such as the default.
            answer: whether an answer that is one of a `click.Choice`'s is recorded. False for
                choices that are the person's own, names of their projects, say. Any other answer
                is never recorded.
            **options: further arguments of `click.prompt`.

        Returns:
            What `click.prompt` returns.

        Raises:
            click.Abort: Ctrl-C, or the end of the input.
            DeclarationError: only in a test, for a name that is no word.
        """
        ask = _click("prompt")
        word = self._shown(name)
        try:
            found = ask(text, *args, **options)
        except BaseException as error:
            self._cancelled(word, error)
            unlink(error)
            raise
        kind = options.get("type", args[3] if len(args) > 3 else None)
        hidden = options.get("hide_input", len(args) > 1 and args[1])
        recorded = _declared_choice(kind, found) if answer and not hidden else None
        self._record_event("Prompt Answered", {"prompt": word, "answer": recorded})
        return found

    def confirm(self, name: str, text: str, *args: Any, **options: Any) -> bool:
        """Ask as `click.confirm` does; the answer, yes or no, is recorded.

        Args:
            name: what is asked for, as a snake_case word: the property `prompt`.
            text: the prompt, as Click shows it.
            *args: further arguments of `click.confirm`, such as the default.
            **options: further arguments of `click.confirm`. `abort=True` raises after a no, which
                is recorded as the answer first.

        Raises:
            click.Abort: Ctrl-C, the end of the input, or a no with `abort=True`.
            DeclarationError: only in a test, for a name that is no word.
        """
        abort = options.pop("abort", False)
        if len(args) > 1:
            args, abort = (args[0], False, *args[2:]), args[1]
        ask = _click("confirm")
        word = self._shown(name)
        try:
            found = bool(ask(text, *args, **options))
        except BaseException as error:
            self._cancelled(word, error)
            unlink(error)
            raise
        self._record_event("Prompt Answered", {"prompt": word, "answer": found})
        if abort and not found:
            raise _click("Abort")()
        return found

    def _shown(self, name: object) -> str:
        problem = word_problem("the prompt's name", name)
        strict.report(problem, self._recorder)
        word = word_or_none(name) or UNDECLARED
        self._record_event("Prompt Shown", {"prompt": word})
        return word

    def _cancelled(self, word: str, error: BaseException) -> None:
        """Record it, if it was: a `value_proc` that fails is no cancelled prompt."""
        if "cancelled" in outcome.of_error(error, own="__main__"):
            self._record_event("Prompt Cancelled", {"prompt": word})

    if TYPE_CHECKING:  # the flow's

        def _record_event(self, moment: str, properties: Mapping[str, Any]) -> None: ...


def unlink(error: BaseException) -> None:
    """Remove our own frame from the traceback of an exception that passes through it.

    Only for the `except` clause around another's code, where the first entry is ours.
    """
    traceback = error.__traceback__
    if traceback is None:
        return
    BaseException.with_traceback(error, traceback.tb_next)
    if sys.version_info < (3, 11):  # `raise` puts it back there
        from .. import _tracebacks

        _tracebacks.unlink_below(traceback)


def _click(name: str) -> Any:
    """A function of `termui`, or its Abort, of the Click whose command is running."""
    for copy in _COPIES:
        running, asking = sys.modules.get(f"{copy}.globals"), sys.modules.get(f"{copy}.termui")
        if (
            running is not None
            and asking is not None
            and running.get_current_context(silent=True) is not None
        ):
            return getattr(asking, name)
    import click.termui  # no command is running: the ordinary one

    return getattr(click.termui, name)


def _declared_choice(kind: Any, answer: Any) -> Any:
    """The answer, if it is one of a Choice's, as the code declares it; else None."""
    choices = getattr(kind, "choices", None)
    if isinstance(choices, (list, tuple)):
        for choice in choices:
            if choice is answer or (type(choice) is type(answer) and choice == answer):
                return choice
    return None
