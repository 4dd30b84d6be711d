"""The directories of an application on systems other than Linux, by platformdirs."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from .._recorder import Directories

if TYPE_CHECKING:
    from collections.abc import Mapping


def platform_directories(app: str, environ: Mapping[str, str]) -> Directories | None:
    """What platformdirs answers; None where it finds no absolute path.

    Args:
        app: a valid application name.
        environ: the process's environment.
    """
    platform: str = sys.platform  # mypy would call what follows unreachable
    if platform != "win32" and not environ.get("HOME", "").startswith("/"):
        # It would ask the user database instead, which may open a socket to nscd.
        return None
    import platformdirs

    try:
        config = platformdirs.user_config_dir(app, appauthor=False)
        state = platformdirs.user_state_dir(app, appauthor=False)
    except (OSError, RuntimeError):  # what platformdirs raises where it finds no home
        return None
    if os.path.isabs(config) and os.path.isabs(state):
        return Directories(config, os.path.join(state, "telemetry"))
    return None
