"""The private channel between a tool and the command that it starts.

A command reports in files of the tool's directory, with the version of its library. Only a file
that a living doctor holds locked makes a command stop: a variable that is left behind, set by
mistake or copied does not.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from .. import __version__
from .._foreground.sinks import address, state_directory
from .._recorder import encode
from .._storage import (
    check_private_directory,
    open_private,
    read_small,
    replace_file,
    try_lock,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

EXAMINATIONS = "examinations"
"""The folder of what was found in an application, a JSON file for each root command."""

PROBLEMS = "problems"
"""The folder of what was dropped, and of mistakes that would raise in a test."""

ORDER = "doctor"
"""The file of a doctor that is running: it names its directory, and whether commands run."""
ORDER_LIMIT = 16 * 1024


def order(environ: Mapping[str, str]) -> dict[str, Any] | None:
    """What the doctor asks for that started this process; None if no doctor is running.

    The variables alone have no effect: the directory must be this user's own, the file in it must
    name that directory, and a living process must hold its lock.

    Args:
        environ: the process's environment.
    """
    state = state_directory(environ) if address(environ) is not None else None
    if state is None:
        return None
    path = os.path.join(state, ORDER)
    try:
        check_private_directory(state)
        content = read_small(path, limit=ORDER_LIMIT)
        descriptor = open_private(path, os.O_RDWR)
        try:
            if try_lock(descriptor):
                return None  # the doctor has ended
        finally:
            os.close(descriptor)
        found = json.loads(content)
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and found.get("directory") == state else None


def put(folder: str, found: dict[str, Any]) -> None:
    """Write a small JSON file to a folder of the receiver's state directory, if there is one.

    Args:
        folder: `sinks.DECISIONS`, EXAMINATIONS or PROBLEMS.
        found: JSON values.
    """
    state = state_directory(os.environ) if address(os.environ) is not None else None
    if state is None:
        return
    folder = os.path.join(state, folder)
    try:
        try:
            os.mkdir(folder, 0o700)  # never what is above it: the receiver may have removed it
        except FileExistsError:
            pass
        name = f"{os.urandom(8).hex()}.json"
        content = encode({"library": __version__, **found})
        replace_file(os.path.join(folder, name), content.encode("ascii"))
    except OSError:
        return  # the receiver has ended
