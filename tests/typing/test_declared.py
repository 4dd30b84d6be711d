"""What a type checker is told holds at run time too, on every Python."""

from __future__ import annotations

import asyncio
import datetime

from .declared import Exported, Plan, PlanChanged, asynchronous_flows, flows, typed_events


def test_what_is_typed_runs() -> None:
    """The very file that mypy reads."""
    assert typed_events() == [
        PlanChanged(to_plan=Plan.PRO, direction="downgrade"),
        Exported(pages=3, formats=("pdf",), on=datetime.date(2026, 1, 2)),
    ]
    assert flows() == 2
    assert asyncio.run(asynchronous_flows()) == "x"
