"""Questions that several commands ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import rich_click as click
from click_telemetry import Flow

if TYPE_CHECKING:
    from collections.abc import Sequence


def ask(
    name: str,
    question: str,
    choices: Sequence[str],
    default: str | None = None,
    flow: Flow | None = None,
) -> str:
    """Prompt for one of the choices, as a part of a flow if there is one."""
    answer: str = Flow.of(flow).prompt(name, question, type=click.Choice(choices), default=default)
    return answer
