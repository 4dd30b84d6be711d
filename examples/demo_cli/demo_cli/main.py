"""The root of demo-cli: its options, and which commands it has."""

from __future__ import annotations

import os

import rich_click as click
from click_telemetry import instrumented_group, telemetry_group

from demo_cli.account import login, whoami
from demo_cli.apps import apps
from demo_cli.deploy import deploy, push
from demo_cli.fail import fail
from demo_cli.import_ import import_records
from demo_cli.lazy import LazyGroup
from demo_cli.panels import HELP_CONFIG
from demo_cli.pipeline import pipeline
from demo_cli.run import run
from demo_cli.session import Session
from demo_cli.status import internals, status
from demo_cli.wait import wait


@instrumented_group(app="demo", version="1.4.0")
@click.group(
    cls=LazyGroup,
    name="demo-cli",
    lazy_subcommands={"db": "demo_cli.db:db"},
    context_settings={"help_option_names": ["--help", "-h"], "rich_help_config": HELP_CONFIG},
    epilog="Nothing here is real: the commands only print, and send no event. To see the events: "
    "`click-telemetry watch -- demo-cli deploy`, or `DEMO_TELEMETRY=log demo-cli deploy`.",
)
@click.version_option("1.4.0", prog_name="demo-cli")
@click.option(
    "--profile",
    default="default",
    envvar="DEMO_PROFILE",
    show_default=True,
    show_envvar=True,
    help="Whose settings to use.",
)
@click.option("-v", "--verbose", count=True, metavar="", help="Print more, on stderr.")
@click.option("--color/--no-color", default=None, help="Color the output, always or never.")
@click.pass_context
def cli(ctx: click.RichContext, profile: str, verbose: int, color: bool | None) -> None:
    """Deploy and manage applications on the Demo platform."""
    if color is None and os.environ.get("NO_COLOR"):
        color = False
    ctx.color = color
    ctx.obj = Session(profile, verbose)


for command in (
    apps,
    deploy,
    fail,
    import_records,
    internals,
    login,
    pipeline,
    push,
    run,
    status,
    wait,
    whoami,
):
    cli.add_command(command)
cli.add_command(telemetry_group())
