"""The console script `click-telemetry`: a group of commands, each in a room of its own."""

from __future__ import annotations

import rich_click as click

from .. import __version__
from .watch import watch


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="click-telemetry")
def main() -> None:
    """See and check what an application instrumented with click_telemetry sends."""


main.add_command(watch)
