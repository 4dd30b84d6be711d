"""An application that records all that can be recorded: the allow-list is compared with it.

`python -m tests.golden.scenario COMMAND` runs one of its commands, as a process of its own.
"""

from __future__ import annotations

import os
import signal
from typing import Any, Literal

import click

from click_telemetry import (
    Event,
    current,
    flow,
    identify,
    instrumented_group,
    resource,
    set_context,
    track,
    track_command,
    track_error,
    track_warning,
)

OWN = "own_"
"""What the application itself names begins so, at any depth; the allow-list has `<own>`."""

CREATE = flow(
    "Application Create",
    steps=("terms", "api_call"),
    reasons=("declined_terms",),
    step_events=True,
    own_region="eu",
)


class PlanChanged(Event):
    """A typed event.

    Attributes:
        own_plan: which one.
    """

    own_plan: Literal["free", "pro"]


class Unnamed(Exception):
    """Of no package that may be named."""


Unnamed.__module__ = "somewhere.else"


@instrumented_group(
    app="acme",
    version="2.1.0",
    write_key="key",
    notice=False,
    properties={"own_team": "factory"},
    sample=float(os.environ.get("SAMPLE", "1")),
)
@click.group()
def cli() -> None:
    """Acme."""
    set_context(own_agent="claude")


@cli.command()
@click.option("--dry-run", is_flag=True)
def deploy(dry_run: bool) -> None:
    """Events of one's own."""
    track("Invoice Exported", {"own_format": "pdf", "own_more": {"own_inner": [{"own_x": 1}]}})
    track("Invoice Exported", {"own_number": 10**400})
    current().track("Invoice Read")
    track(PlanChanged(own_plan="pro"))
    track(PlanChanged(own_plan="other"))  # type: ignore[arg-type]
    with PlanChanged(own_plan="pro").timed():
        pass


@cli.command()
def create() -> None:
    """A flow with all that may happen in it."""
    with CREATE() as f:
        f.step("terms")
        f.event("Accepted Terms", own_kind="eula")
        f.prompt("plan", "Plan", type=click.Choice(["free", "pro"]))
        f.confirm("sure", "Sure?")
        f.step("undeclared_step")
        f.complete(own_plan="free")
    with CREATE() as f:
        f.abort("declined_terms")
    with CREATE():
        raise Unnamed


@cli.command()
def machine() -> None:
    """The life of a resource."""
    found = resource("Machine", "m-1")
    found.created(own_size=1)
    found.connected()
    found.deleted()


@cli.command()
def login() -> None:
    """A user, errors, a command that is not Click's."""
    identify("42", {"own_plan": "pro"})
    track_error(OSError(28, "full"), code="disk_full")
    track_error(Unnamed(), handled=False)
    track_warning("deprecated_config")
    with track_command("review", source="skill", message_id="m-1"):
        pass


@cli.command()
def stop() -> None:
    """Ctrl-C."""
    raise click.Abort


@cli.command()
def vanish() -> None:
    """Killed."""
    os.kill(os.getpid(), signal.SIGKILL)


LINES = (
    ("deploy --dry-run", "", 0),
    ("create", "pro\ny\n", 1),
    ("machine", "", 0),
    ("login", "", 0),
    ("stop", "", 1),
    ("vanish", "", -9),
)
"""Each command line, what is typed into it, and how it ends."""


def paths(value: Any, before: str = "") -> set[str]:
    """The keys of a message at every depth: `context.app.name`; a list counts as what is in it."""
    if isinstance(value, list):
        return {path for item in value for path in paths(item, before)}
    if not isinstance(value, dict):
        return {before} if before else set()
    found: set[str] = set()
    for key, item in value.items():
        path = f"{before}.{key}" if before else key
        if key.startswith(OWN):
            found.add(f"{before}.<own>")
        else:
            found |= paths(item, path) or {path}
    return found


if __name__ == "__main__":
    cli()
