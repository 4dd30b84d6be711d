"""The events and flows that demo-cli records itself."""

from __future__ import annotations

from enum import Enum
from typing import Literal

from click_telemetry import Event, flow

from demo_cli.api import Plan
from demo_cli.errors import BillingRequired


class Direction(str, Enum):
    """Where a change of plan leads."""

    UPGRADE = "upgrade"
    DOWNGRADE = "downgrade"

    @classmethod
    def of(cls, before: Plan, after: Plan) -> Direction:
        """Return the direction from one plan to another."""
        plans = list(Plan)
        return cls.UPGRADE if plans.index(after) > plans.index(before) else cls.DOWNGRADE


class PlanChanged(Event):
    """An application is on another plan than before."""

    direction: Direction
    from_plan: Plan
    to_plan: Plan


class RecordsImported(Event):
    """An import has ended, well or not."""

    records: int


APPLICATION_CREATE = flow(
    "Application Create",
    steps=(
        "name",
        "auth",
        "plan",
        "terms",
        "region",
        "api_call",
        "api_key",
        "apply_plan",
        "profile_configure",
    ),
    reasons=("declined_terms",),
    aborts={BillingRequired: "billing_required"},
    step_events=True,
    plan=Plan,
    region=Literal["eu", "us", "asia"],
)

PLAN_CHANGE = flow(
    "Plan Change",
    steps=("plan", "terms", "api_call"),
    reasons=("already_on_plan", "declined_terms"),
    aborts={BillingRequired: "billing_required"},
    direction=Direction,
    from_plan=Plan,
    to_plan=Plan,
)
