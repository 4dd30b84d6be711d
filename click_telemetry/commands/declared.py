"""The command lines: names, options, help. What a command does is imported when it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .group import TelemetryCommand

if TYPE_CHECKING:
    from collections.abc import Callable


def status() -> click.Command:
    """`status`."""

    @click.command("status", cls=TelemetryCommand)
    @click.option("--why", is_flag=True, help="List every switch, its value, and which one wins.")
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and all of it.")
    @click.pass_context
    def status(ctx: click.Context, why: bool, as_json: bool) -> None:
        """Tell whether anything is recorded, what waits here and what was sent."""
        from .status import run

        run(ctx, why=why, as_json=as_json)

    return status


def enable() -> click.Command:
    """`enable`."""

    @click.command("enable", cls=TelemetryCommand)
    @click.pass_context
    def enable(ctx: click.Context) -> None:
        """Allow it, for good; any other no still wins."""
        from .change import enable

        enable(ctx)

    return enable


def disable() -> click.Command:
    """`disable`."""

    @click.command("disable", cls=TelemetryCommand)
    @click.pass_context
    def disable(ctx: click.Context) -> None:
        """Refuse it, for good, and delete the ID and everything that waits."""
        from .change import disable

        disable(ctx)

    return disable


def show() -> click.Command:
    """`show`."""

    @click.command("show", cls=TelemetryCommand)
    @click.option("--json", "as_json", is_flag=True, help="Print each message on a line, whole.")
    @click.pass_context
    def show(ctx: click.Context, as_json: bool) -> None:
        """Print the very messages that wait to be sent."""
        from .show import run

        run(ctx, as_json=as_json)

    return show


def flush() -> click.Command:
    """`flush`."""

    @click.command("flush", cls=TelemetryCommand)
    @click.pass_context
    def flush(ctx: click.Context) -> None:
        """Deliver what waits, now, and wait for it.

        The exit status is 0 when everything that waited was delivered.
        """
        from .flush import run

        run(ctx)

    return flush


def purge() -> click.Command:
    """`purge`."""

    @click.command("purge", cls=TelemetryCommand)
    @click.pass_context
    def purge(ctx: click.Context) -> None:
        """Delete the ID and everything that waits; your choice stays."""
        from .change import purge

        purge(ctx)

    return purge


def reset_id() -> click.Command:
    """`reset-id`."""

    @click.command("reset-id", cls=TelemetryCommand)
    @click.pass_context
    def reset_id(ctx: click.Context) -> None:
        """Exchange the anonymous ID for a new one."""
        from .change import reset_id

        reset_id(ctx)

    return reset_id


COMMANDS: dict[str, Callable[[], click.Command]] = {
    "status": status,
    "enable": enable,
    "disable": disable,
    "show": show,
    "flush": flush,
    "purge": purge,
    "reset-id": reset_id,
}
