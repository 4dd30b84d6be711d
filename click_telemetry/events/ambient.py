"""The facts that surround every event of an invocation; nothing here can name a person."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from ..identifiers import is_random_id, random_id
from ..privacy import surroundings
from .text import plain_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .text import Json

SESSION_VARIABLE = "CLICK_TELEMETRY_SESSION_ID"

_SYSTEMS = {"darwin": "macos", "win32": "windows", "cygwin": "windows"}
_CONTAINER_MARKS = ("/.dockerenv", "/run/.containerenv")  # Docker; Podman
_CONTAINER_VARIABLES = ("KUBERNETES_SERVICE_HOST", "container")  # kubelet; systemd-nspawn, Podman


def ambient(environ: Mapping[str, str], version: str | None) -> dict[str, Json]:
    """The base properties that stay the same for a whole invocation."""
    ci = surroundings.is_ci(environ)
    tty = is_terminal(1)
    found: dict[str, Json] = {
        "version": plain_text(version) if version is not None else None,
        "os": system(),
        "arch": machine(environ),
        "python_version": "{}.{}.{}".format(*sys.version_info),
        "is_ci": ci,
        "is_tty": tty,
        "cli_context": surroundings.cli_context(
            environ, is_ci=ci, terminal=is_terminal(0) and (tty or is_terminal(2))
        ),
        "in_container": in_container(environ),
    }
    return found


def system() -> str:
    """`linux`, `macos`, `windows`, or Python's name for another platform."""
    return _SYSTEMS.get(sys.platform, sys.platform)


def machine(environ: Mapping[str, str]) -> str:
    """The processor's architecture; `platform.machine` may run a program to find out."""
    if hasattr(os, "uname"):
        return os.uname().machine.lower()
    return environ.get("PROCESSOR_ARCHITECTURE", "").lower()


def in_container(environ: Mapping[str, str]) -> bool:
    """Whether the marks of the common container engines are there."""
    return any(name in environ for name in _CONTAINER_VARIABLES) or any(
        os.path.exists(mark) for mark in _CONTAINER_MARKS
    )


def is_terminal(descriptor: int) -> bool:
    """Whether one of the standard descriptors is a terminal; a closed one is not."""
    try:
        return os.isatty(descriptor)
    except OSError:
        return False


def session_id(environ: Mapping[str, str]) -> str:
    """The session that a parent handed down through `child_env()`, else a new one."""
    given = environ.get(SESSION_VARIABLE, "")
    return given if is_random_id(given) else random_id()
