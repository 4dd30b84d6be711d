"""The console script."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from click_telemetry import __version__
from click_telemetry.tools.main import main


def test_it_says_its_version() -> None:
    """`click-telemetry --version` gives the library's version."""
    result = CliRunner().invoke(main, ["--version"])
    assert (result.exit_code, result.output) == (0, f"click-telemetry, version {__version__}\n")


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_its_help_names_its_commands(flag: str) -> None:
    """Whoever asks for help learns of `watch`."""
    result = CliRunner().invoke(main, [flag])
    assert result.exit_code == 0
    assert "watch" in result.output


@pytest.mark.parametrize("args", [[], ["--"], ["--json"]])
def test_watching_nothing_names_the_fix(args: list[str]) -> None:
    """Without a command there is a usage error with an example."""
    result = CliRunner().invoke(main, ["watch", *args])
    assert result.exit_code == 2
    assert "click-telemetry watch -- demo-cli deploy" in " ".join(result.output.split())


def test_an_unknown_option_before_the_command_is_an_error() -> None:
    """A typing error in our own option is not taken for the command."""
    result = CliRunner().invoke(main, ["watch", "--jsn", "true"])
    assert result.exit_code == 2
    assert "--jsn" in result.output


def test_the_foreground_never_loads_the_tools() -> None:
    """An instrumented application imports nothing of what its maintainers use."""
    program = (
        "import sys, click_telemetry\n"
        "from click_telemetry import instrumented_group, track, exclude, current\n"
        "@instrumented_group(app='acme')\n"
        "def cli(): pass\n"
        "@cli.command()\n"
        "def deploy(): track('One')\n"
        "cli(['deploy'], standalone_mode=False)\n"
        "found = [name for name in sys.modules if name.startswith('click_telemetry.tools')]\n"
        "sys.exit(found or None)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
