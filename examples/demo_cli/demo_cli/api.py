"""The platform itself: a few applications in memory, the same in every run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from demo_cli.errors import ApiError, BillingRequired, ProfileError


class Plan(str, Enum):
    """The plans, from the smallest to the largest: the only place that lists them."""

    FREE = "free"
    PRO = "pro"
    SCALE = "scale"


PLANS = tuple(plan.value for plan in Plan)
REGIONS = ("eu", "us", "asia")
USER = "ada@example.com"


@dataclass(frozen=True)
class App:
    """An application on the platform."""

    id: str
    name: str
    region: str
    plan: str = "free"


class Api:
    """A client of the platform.

    Args:
        simulate: `ok`, or what goes wrong: `billing`, `api-error` or `courtesy-error`.
    """

    def __init__(self, simulate: str = "ok") -> None:
        self.simulate = simulate

    def authenticate(self) -> str:
        """Return the signed-in user."""
        return USER

    def apps(self) -> list[App]:
        """Return the user's applications; the first is the one that a new profile uses."""
        return [
            App("app-shop", "Shop", "eu"),
            App("app-blog", "Blog", "us", "pro"),
            App("app-search", "Search", "asia", "scale"),
        ]

    def create_app(self, name: str, region: str) -> App:
        """Create an application on the free plan.

        Raises:
            ApiError: the platform could not be reached.
        """
        self._request("POST", "/apps")
        return App("app-" + "-".join(name.lower().split()), name, region)

    def create_key(self, app: App) -> str:
        """Return the application's first API key."""
        return f"demo-key-{app.id.removeprefix('app-')}"

    def change_plan(self, app: App, plan: str) -> App:
        """Return the application on its new plan.

        Raises:
            ApiError: the platform could not be reached.
            BillingRequired: the account has no payment method.
        """
        self._request("PUT", f"/apps/{app.id}/plan")
        if self.simulate == "billing":
            raise BillingRequired(
                f"No payment method for the {plan} plan: add one at https://demo.example/billing"
            )
        return replace(app, plan=plan)

    def configure_profile(self, profile: str, app: App) -> None:
        """Make an application the one that the profile uses.

        Raises:
            ProfileError: the profile could not be saved.
        """
        if self.simulate == "courtesy-error":
            raise ProfileError(f"Cannot save the profile {profile}; {app.name} itself is ready.")

    def _request(self, method: str, path: str) -> None:
        try:
            if self.simulate == "api-error":
                raise ConnectionError(f"{method} {path}: connection refused")
        except ConnectionError as error:
            raise ApiError("Cannot reach the platform. Try again in a moment.") from error
