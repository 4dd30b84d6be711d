"""What an application declares, without an application."""

from __future__ import annotations

from typing import Any

import click

from click_telemetry._foreground.declaration import declare
from click_telemetry._instrument import KEY
from click_telemetry._recorder import Settings


def settings_of(package: str = "acme", name: str | None = "cli", **options: Any) -> Settings:
    """The settings of an application that declares these options.

    Args:
        package: of its root command's callback; empty for no callback.
        name: of its root command.
        options: as `instrument()` takes them.
    """

    def callback() -> None: ...

    callback.__module__ = package
    command = click.Command(name, callback=callback if package else None)
    declare(command, options)
    settings = command.__dict__[KEY].settings
    assert isinstance(settings, Settings)
    return settings


def acme(**options: Any) -> Settings:
    """The settings of `acme`, which has a write key."""
    return settings_of(**{"app": "acme", "write_key": "key", **options})
