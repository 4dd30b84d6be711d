"""Signals that the parent of a test run ignores: its children would ignore them too."""

from __future__ import annotations

import signal


def handle_ignored() -> None:
    """Let every child start with the default actions of SIGINT, SIGQUIT and SIGHUP.

    A shell without job control ignores the first two in what it starts with `&`, and nohup the
    third. A program that is executed inherits that; a handler it does not inherit. This process
    still survives the end of its terminal.
    """
    for name in ("SIGINT", "SIGQUIT", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_IGN:
            interrupts = name == "SIGINT"
            signal.signal(number, signal.default_int_handler if interrupts else _ignore)


def _ignore(number: int, frame: object) -> None:
    """Do nothing, as SIG_IGN does."""
