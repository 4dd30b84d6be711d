"""The console script."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from click_telemetry import __version__
from click_telemetry._tools.watch_command import cli


def test_it_prints_its_version() -> None:
    """`click-telemetry --version` gives the library's version."""
    result = CliRunner().invoke(cli, ["--version"])
    assert (result.exit_code, result.output) == (0, f"click-telemetry, version {__version__}\n")


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_its_help_names_its_commands(flag: str) -> None:
    """The help page lists `watch`."""
    result = CliRunner().invoke(cli, [flag])
    assert result.exit_code == 0
    assert "watch" in result.output


@pytest.mark.parametrize("args", [[], ["--"], ["--json"]])
def test_watching_nothing_names_the_fix(args: list[str]) -> None:
    """Without a command there is a usage error with an example."""
    result = CliRunner().invoke(cli, ["watch", *args])
    assert result.exit_code == 2
    assert "click-telemetry watch -- demo-cli deploy" in " ".join(result.output.split())


def test_an_unknown_option_before_the_command_is_an_error() -> None:
    """A typing error in our own option is not taken for the command."""
    result = CliRunner().invoke(cli, ["watch", "--jsn", "true"])
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
        "found = [name for name in sys.modules if name.startswith('click_telemetry._tools')]\n"
        "sys.exit(found or None)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_without_the_extra_it_names_the_fix() -> None:
    """The command needs rich-click, which an application does not."""
    program = (
        "import sys\n"
        "sys.modules['rich_click'] = None\n"
        "from click_telemetry._tools.main import main\n"
        "main()\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == (
        "click-telemetry needs rich_click: pip install 'click-telemetry[tools]'\n"
    )
