"""Mistakes in what an application says while it runs: loud in its tests, silent at a prompt."""

from __future__ import annotations

import os
import sys

from ..privacy.surroundings import is_test_run

_TESTING_MODULE = f"{__package__.partition('.')[0]}.testing"


class MisuseError(TypeError, ValueError):
    """What was said while a command runs cannot be said so; the message names the fix.

    Raised in tests alone. At a prompt the same mistake costs what was said, and is counted.
    """


def is_loud() -> bool:
    """Whether a mistake may be told: pytest, Click's own runner, a recording client at hand."""
    return _TESTING_MODULE in sys.modules or is_test_run(os.environ, sys.stdout)


def mistake(problem: str) -> None:
    """Tell a mistake to whoever tests the application; to nobody else.

    Args:
        problem: what is wrong, and what to write instead.

    Raises:
        MisuseError: in a test.
    """
    if is_loud():
        raise MisuseError(problem)
