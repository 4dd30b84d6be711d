"""What can go wrong on the platform, each with its exit code."""

from __future__ import annotations

import rich_click as click


class BillingRequired(click.ClickException):
    """The plan costs money and the account has no payment method."""

    exit_code = 3


class ApiError(click.ClickException):
    """The platform could not be reached; the cause is the error below it."""

    exit_code = 4


class ProfileError(click.ClickException):
    """The profile could not be saved. Whatever was done on the platform stays done."""
