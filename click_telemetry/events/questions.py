"""Questions inside a flow: Click asks, and the flow tells that it was shown and what became of it.

Click is not imported here but found: it is the one whose command is running, which may be the copy
that Typer carries. The question's text and a free answer never leave.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ..frames import unlink
from .loud import complain
from .words import UNDECLARED, word_or_none, word_problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .active import Speaker

_COPIES = ("typer._click", "click")
"""Typer carries a copy since 0.26, whose package names less than Click's; its modules are alike."""


class Questions:
    """`prompt` and `confirm` of a flow, which says the events."""

    __slots__ = ()

    _speaker: Speaker

    def prompt(self, name: str, text: str, *args: Any, answer: bool = True, **options: Any) -> Any:
        """Ask as `click.prompt` does; the flow tells `Prompt Shown`, then what came of it.

        Args:
            name: what is asked for, as a snake_case word: the property `prompt`.
            text: the question, as Click shows it.
            *args: further arguments of `click.prompt`, such as the default.
            answer: whether an answer that is one of a `click.Choice`'s is recorded. False for
                choices that are the person's own, names of their projects, say. Any other answer
                is never recorded.
            **options: further arguments of `click.prompt`.

        Returns:
            What `click.prompt` returns.

        Raises:
            click.Abort: Ctrl-C, or the end of the input.
            DeclarationError: in a test, for a name that is no word.
        """
        ask = _click("prompt")
        word = self._asks(name)
        try:
            found = ask(text, *args, **options)
        except BaseException as error:
            self._cancelled(word, error)
            unlink(error)
            raise
        kind = options.get("type", args[3] if len(args) > 3 else None)
        hidden = options.get("hide_input", len(args) > 1 and args[1])
        told = _declared_choice(kind, found) if answer and not hidden else None
        self._tell("Prompt Answered", {"prompt": word, "answer": told})
        return found

    def confirm(self, name: str, text: str, *args: Any, **options: Any) -> bool:
        """Ask as `click.confirm` does; the answer, yes or no, is recorded.

        Args:
            name: what is asked for, as a snake_case word: the property `prompt`.
            text: the question, as Click shows it.
            *args: further arguments of `click.confirm`, such as the default.
            **options: further arguments of `click.confirm`. `abort=True` raises after a no, which
                is recorded as the answer first.

        Raises:
            click.Abort: Ctrl-C, the end of the input, or a no with `abort=True`.
            DeclarationError: in a test, for a name that is no word.
        """
        abort = options.pop("abort", False)
        if len(args) > 1:
            args, abort = (args[0], False, *args[2:]), args[1]
        ask = _click("confirm")
        word = self._asks(name)
        try:
            found = bool(ask(text, *args, **options))
        except BaseException as error:
            self._cancelled(word, error)
            unlink(error)
            raise
        self._tell("Prompt Answered", {"prompt": word, "answer": found})
        if abort and not found:
            raise _click("Abort")()
        return found

    def _asks(self, name: object) -> str:
        problem = word_problem("the prompt's name", name)
        complain(problem, self._speaker)
        word = word_or_none(name) or UNDECLARED
        self._tell("Prompt Shown", {"prompt": word})
        return word

    def _cancelled(self, word: str, error: BaseException) -> None:
        """Tell it, if it was: a `value_proc` that fails is no cancelled question."""
        from . import ending

        if ending.raised(error, own="__main__")["outcome"] == ending.CANCELLED:
            self._tell("Prompt Cancelled", {"prompt": word})

    if TYPE_CHECKING:  # the flow's

        def _tell(self, moment: str, properties: Mapping[str, Any]) -> None: ...


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
    import click.termui  # nothing runs: then the ordinary one

    return getattr(click.termui, name)


def _declared_choice(kind: Any, answer: Any) -> Any:
    """The answer, if it is one of a Choice's, as the code declares it; else None."""
    choices = getattr(kind, "choices", None)
    if isinstance(choices, (list, tuple)):
        for choice in choices:
            if choice is answer or (type(choice) is type(answer) and choice == answer):
                return choice
    return None
