"""What a run hands down to the processes that it starts: its session, or its silence."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..events.ambient import SESSION_VARIABLE
from ..privacy.refusal import OFF_VARIABLE
from .state import REFUSED_LINES

if TYPE_CHECKING:
    from collections.abc import Mapping


def child_env(env: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment for a child process that is part of what this run does.

        subprocess.run(["acme-worker"], env=child_env())

    In a recorded run it is `env` with `CLICK_TELEMETRY_SESSION_ID`, so that the child's events, if
    it is instrumented too, have our `session_id`. In a run that a person has said no to (by the
    flag, a variable or a stored choice), and in a test run that is off, it is `env` with
    `CLICK_TELEMETRY_OFF=1`: the child records nothing either, whatever application it is. Else,
    and before the command has begun, it is `env` as it stands. `os.environ` is never written.

    Args:
        env: what the child gets anyway; `os.environ` by default.

    Returns:
        A new mapping.
    """
    from ..events import active

    made = dict(os.environ if env is None else env)
    speaker = active.ACTIVE.get()
    if speaker is None and not REFUSED_LINES:
        speaker = active.LIVE.only()
    # A bare thread cannot tell whose it is. Beside a line that somebody refused, it is that one's.
    if speaker is active.REFUSED or (speaker is None and REFUSED_LINES):
        made[OFF_VARIABLE] = "1"
    elif speaker is not None and speaker.session_id is not None:
        made[SESSION_VARIABLE] = speaker.session_id
    return made
