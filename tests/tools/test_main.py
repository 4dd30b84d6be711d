"""The console script, without what it needs and out of an application's way."""

from __future__ import annotations

import subprocess
import sys


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
        "apart = ('click_telemetry._tools', 'click_telemetry._doctor')\n"
        "found = [name for name in sys.modules if name.startswith(apart)]\n"
        "sys.exit(found or None)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_without_the_extra_it_names_the_fix() -> None:
    """The command needs rich-click, which an application does not."""
    program = (
        "import sys\n"
        "sys.modules['rich_click'] = None\n"
        "from click_telemetry._tools import main\n"
        "main()\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == (
        "click-telemetry needs rich_click: pip install 'click-telemetry[tools]'\n"
    )
