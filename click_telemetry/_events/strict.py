"""Strict mode: a mistake raises in a developer's tests, and never in a person's run."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .current import Recorder

_TESTING = f"{__package__.partition('.')[0]}.testing"


def report(problem: str | None, recorder: Recorder) -> None:
    """Raise in a test; elsewhere do nothing.

    Args:
        problem: what is wrong and what to write instead; None if nothing is.
        recorder: what records here.

    Raises:
        DeclarationError: in a test.
    """
    if problem is not None and is_test(recorder):
        raise declaration_error(problem)


def declaration_error(problem: str) -> Exception:
    """The exception for a declaration that cannot be used."""
    from .._foreground.declaration import DeclarationError  # loaded for those who need it

    return DeclarationError(problem)


def is_test(recorder: Recorder) -> bool:
    """Whether a test runs this very code: in pytest, in Click's runner, with a recording client.

    Narrower than what consent calls a test run: a command that another project's suite starts
    inherits pytest's variables, and one that runs pytest itself loads it; neither is a test of the
    application.
    """
    if "_pytest" in sys.modules and "PYTEST_CURRENT_TEST" in os.environ:
        return True
    if type(sys.stdout).__module__.endswith("click.testing"):
        return True
    testing = sys.modules.get(_TESTING)
    settings = recorder.settings
    return (
        testing is not None
        and settings is not None
        and isinstance(settings.client, testing.RecordingClient)
    )
