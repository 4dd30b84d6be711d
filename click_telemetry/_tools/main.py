"""The console script `click-telemetry`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run it, or name the extra that it needs."""
    try:
        from .watch_command import cli
    except ModuleNotFoundError as error:
        if error.name not in ("rich", "rich_click"):
            raise
        sys.exit(f"click-telemetry needs {error.name}: pip install 'click-telemetry[tools]'")
    cli()
