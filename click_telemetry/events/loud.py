"""Whether a mistake is told aloud: in a developer's tests, never at a person's prompt."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from ..privacy.settings import DeclarationError

if TYPE_CHECKING:
    from .active import Speaker

_TESTING = f"{__package__.partition('.')[0]}.testing"


def complain(problem: str | None, speaker: Speaker | None) -> None:
    """Raise where a developer sees it; elsewhere what was done is done, and nothing is said.

    Args:
        problem: what is wrong and what to write instead; None if all is well.
        speaker: who speaks, if anybody does.

    Raises:
        DeclarationError: in a test.
    """
    if problem is not None and is_test(speaker):
        raise DeclarationError(problem)


def is_test(speaker: Speaker | None) -> bool:
    """Whether a test runs this very code: in pytest, in Click's runner, with a recording client.

    Narrower than consent's question. A command that somebody else's suite starts inherits
    pytest's variables, and one that runs pytest itself loads it; neither is a test of ours.
    """
    if "_pytest" in sys.modules and "PYTEST_CURRENT_TEST" in os.environ:
        return True
    if type(sys.stdout).__module__.endswith("click.testing"):
        return True
    testing = sys.modules.get(_TESTING)
    settings = speaker.settings if speaker is not None else None
    return (
        testing is not None
        and settings is not None
        and isinstance(settings.client, testing.RecordingClient)
    )
