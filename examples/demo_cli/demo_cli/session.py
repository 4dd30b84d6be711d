"""The values of the root options, for every command below them."""

from __future__ import annotations

from dataclasses import dataclass

import rich_click as click


@dataclass(frozen=True)
class Session:
    """One run of demo-cli: its profile, and how much it prints."""

    profile: str
    verbosity: int

    def detail(self, line: str) -> None:
        """Print a line on stderr if `--verbose` asked for it."""
        if self.verbosity:
            click.secho(line, dim=True, err=True)


pass_session = click.make_pass_decorator(Session)
