"""The notice's text for one application: what its users can type. It looks nothing up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..privacy import notice
from .flag import FLAG

if TYPE_CHECKING:
    from ..privacy.settings import Settings

DEEPEST = 4
"""Levels at which the telemetry group is looked for."""


def notice_text(settings: Settings, context: Any) -> str:
    """What to show, ending in a newline.

    Args:
        settings: what the application declared; its own text comes first.
        context: the root's.
    """
    own = settings.notice
    if isinstance(own, str):
        return own if own.endswith("\n") else own + "\n"
    group = telemetry_words(context.command)
    return notice.text(
        settings.app,
        settings.variable_prefix,
        flag=FLAG if settings.no_telemetry_option else None,
        group=" ".join([context.command_path, *group]) if group else None,
    )


def telemetry_words(command: Any, depth: int = 0) -> list[str]:
    """The words by which the telemetry group is reached; empty where there is none.

    Only groups that are there already are looked into: a lazy one may load plugins, or print.
    """
    registered = getattr(command, "__dict__", {}).get("commands")
    if not isinstance(registered, dict) or depth >= DEEPEST:
        return []
    for name, below in registered.items():
        if getattr(type(below), "is_telemetry_group", False):
            return [str(name)]
    for name, below in registered.items():
        words = telemetry_words(below, depth + 1)
        if words:
            return [str(name), *words]
    return []
