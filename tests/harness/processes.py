"""Five-line CLIs in real processes, each in an empty home of its own."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

APP = """
import click
from click_telemetry import instrumented_group, track

@instrumented_group(app="acme", version="2.1.0", write_key="key", notice=False)
@click.group()
def cli(): pass

@cli.command()
@click.option("--dry-run", is_flag=True)
def deploy(dry_run): click.echo("deployed")

@cli.command()
def fail(): raise RuntimeError("secret")

@cli.command()
def wait():
    import time
    click.echo("waiting", nl=True)
    time.sleep(30)

if __name__ == "__main__":
    cli()
"""
"""The smallest application that is worth instrumenting."""

WITH_COMMANDS = APP.replace(
    "instrumented_group, track", "instrumented_group, telemetry_group"
).replace("if __name__", "cli.add_command(telemetry_group())\n\nif __name__")
"""The same, with the telemetry commands."""

as_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root, to act as another user"
)
"""For a test that changes its user or the owner of files."""


class Home:
    """An empty home, and the environment that a process in it gets.

    Attributes:
        path: the directory.
        environ: nothing of the test run's own environment but `PATH`. The senders of `acme` for
            a loopback address do not sleep.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self.environ = {
            "HOME": str(path),
            "PATH": os.environ["PATH"],
            "PYTHONDONTWRITEBYTECODE": "1",
            "LANG": "C.UTF-8",
            "ACME_TELEMETRY_DELAY": "0",
        }

    def state(self, app: str = "acme") -> Path:
        """Where an application keeps its ID, marker and spool here."""
        return self.path / ".local/state" / app / "telemetry"

    def choice(self, app: str = "acme") -> Path:
        """The file with the person's choice."""
        return self.path / ".config" / app / "telemetry.json"

    def spooled(self, app: str = "acme") -> list[Path]:
        """The files that wait."""
        return sorted(self.state(app).glob("spool/*/*.facts"))

    def files(self) -> list[str]:
        """Every path below the home, relative."""
        return sorted(str(path.relative_to(self.path)) for path in self.path.rglob("*"))

    def digest(self) -> str:
        """A digest of every path below the home, with its content."""
        digest = hashlib.sha256()
        for path in sorted(self.path.rglob("*")):
            digest.update(str(path).encode())
            digest.update(path.read_bytes() if path.is_file() else b"/")
        return digest.hexdigest()


class Cli:
    """A script with an application, to be run as often as a test likes.

    Args:
        script: where it is written.
        home: whose environment it gets.
        source: the application.
    """

    def __init__(self, script: Path, home: Home, source: str = APP) -> None:
        script.write_text(textwrap.dedent(source), encoding="utf-8")
        self.script = script
        self.home = home
        self.environ: dict[str, str] = {}

    def command(self, *args: str) -> list[str]:
        """The command line."""
        return [sys.executable, str(self.script), *args]

    def env(self, env: dict[str, str] | None = None) -> dict[str, str]:
        """The environment of a run."""
        return {**self.home.environ, **self.environ, **(env or {})}

    def run(
        self,
        *args: str,
        env: dict[str, str] | None = None,
        input: str = "",  # noqa: A002
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run(
            self.command(*args),
            env=self.env(env),
            input=input,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=self.home.path,
            check=False,
        )

    def start(self, *args: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        """Start it, with its output on a pipe."""
        return subprocess.Popen(
            self.command(*args),
            env=self.env(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.home.path,
        )
