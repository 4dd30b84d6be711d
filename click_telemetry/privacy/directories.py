"""Where an application's telemetry lives: two directories, named and never created here.

The choice is configuration (people commit their dotfiles), the ID and the spool are state (an ID
must not travel with them). The answers are platformdirs'; those of Linux are given without it.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Directories:
    """The two directories of one application.

    Attributes:
        config: holds `telemetry.json`, the person's choice; shared with the application.
        state: ours alone: the anonymous ID, the notice's marker and the spool.
    """

    __slots__ = ("config", "state")

    def __init__(self, config: str, state: str) -> None:
        self.config = config
        self.state = state

    @property
    def choice(self) -> str:
        """The file with the person's choice."""
        return os.path.join(self.config, "telemetry.json")

    @property
    def anonymous_id(self) -> str:
        """The file with the anonymous ID."""
        return os.path.join(self.state, "id")

    @property
    def notice(self) -> str:
        """The marker that the notice was claimed, then shown."""
        return os.path.join(self.state, "notice")

    def spool(self, host: str, write_key: str, *, identified: bool = False) -> str:
        """The spool of one destination; no run can deliver what was meant for another.

        Args:
            host: an origin.
            write_key: Segment's.
            identified: whether a token goes with its events: no sender without one takes them.
        """
        digest = destination_digest(host, write_key, identified=identified)
        return os.path.join(self.state, "spool", digest)


def directories(app: str, environ: Mapping[str, str]) -> Directories | None:
    """The directories of an application, or None where there is no absolute place for them.

    Args:
        app: a valid application name (`Settings` sees to that).
        environ: the process's environment.
    """
    platform: str = sys.platform  # mypy would call what follows unreachable
    if platform == "linux":
        return plain_directories(app, environ)
    if platform != "win32" and not environ.get("HOME", "").startswith("/"):
        # It would ask the user database instead, which may open a socket to nscd.
        return None
    try:
        found = platform_directories(app)
    except (OSError, RuntimeError):  # what platformdirs raises where it finds no home
        return None
    if os.path.isabs(found.config) and os.path.isabs(found.state):
        return found
    return None


def plain_directories(app: str, environ: Mapping[str, str]) -> Directories | None:
    """What platformdirs answers on Linux, without its 9 ms of import.

    As the specification has it: a directory that is not absolute is none, and no blank is cut off.
    (platformdirs follows it since 4.14.3. Before 4.12 it took relative directories too, and from
    4.6 to 4.14.2 it cut blanks off. A choice must not move when it is upgraded.)
    """
    home = environ.get("HOME", "")
    config = environ.get("XDG_CONFIG_HOME", "")
    state = environ.get("XDG_STATE_HOME", "")
    if not config.startswith("/") or not state.startswith("/"):
        if not home.startswith("/"):
            return None
        home = home.rstrip("/")
        config = config if config.startswith("/") else home + "/.config"
        state = state if state.startswith("/") else home + "/.local/state"
    return Directories(os.path.join(config, app), os.path.join(state, app, "telemetry"))


def platform_directories(app: str) -> Directories:
    """What platformdirs answers, on any system."""
    import platformdirs  # 9 ms: for the systems whose rules are not plain

    return Directories(
        platformdirs.user_config_dir(app, appauthor=False),
        os.path.join(platformdirs.user_state_dir(app, appauthor=False), "telemetry"),
    )


def destination_digest(host: str, write_key: str, *, identified: bool = False) -> str:
    """Sixteen hexadecimal digits for a destination, the same in every process.

    FNV-1a in 64 bits (draft-eastlake-fnv): it tells a person's few destinations apart and guards
    no secret. A cryptographic one loads a library first: 0.2 ms, or 3 ms by way of hashlib.
    """
    tier = "\0bearer" if identified else ""  # no key has a NUL
    digest = 0xCBF29CE484222325
    for byte in f"{host}\0{write_key}{tier}".encode("utf-8", "surrogatepass"):
        digest = (digest ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{digest:016x}"
