"""`click-telemetry …`, for the maintainer of an instrumented application."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the console script, or name the extra that it needs."""
    try:
        from .cli import cli  # it imports rich-click, which is an extra
    except ModuleNotFoundError as error:
        if error.name not in ("rich", "rich_click"):
            raise
        sys.exit(f"click-telemetry needs {error.name}: pip install 'click-telemetry[tools]'")
    cli()
