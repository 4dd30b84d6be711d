"""The person's no that costs nothing to see: the variables. Pure; `consent` has the whole order."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

LOG = "log"

WATCH_VARIABLE = "CLICK_TELEMETRY_WATCH"
OFF_VARIABLE = "CLICK_TELEMETRY_OFF"
"""A no to every application that uses this library; `child_env()` hands a run's no down with it."""

_FALSE = frozenset(("", "0", "false", "no", "off"))
_NO_OPINION = frozenset((LOG, "1", "true", "yes", "on"))


def variable_saying_no(environ: Mapping[str, str], prefix: str) -> str | None:
    """The first variable that says no, or None.

    Args:
        environ: the process's environment.
        prefix: the application's name as variables write it, such as `ACME_CLI`.
    """
    for variable in ("DO_NOT_TRACK", "NO_ANALYTICS", OFF_VARIABLE, prefix + "_NO_TELEMETRY"):
        value = environ.get(variable)
        if value is not None and value.strip().lower() not in _FALSE:
            return variable
    value = environ.get(prefix + "_TELEMETRY")
    if value is not None and value.strip().lower() not in _NO_OPINION:
        return prefix + "_TELEMETRY"
    return None
