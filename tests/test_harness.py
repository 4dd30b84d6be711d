"""The harness itself: what a contributor may rely on when the suite runs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from .harness.interpreter import environment
from .harness.processes import REPOSITORY

NAMES = ("SIGINT", "SIGQUIT", "SIGHUP")

PARENT = f"""
import signal, subprocess, sys
from tests.harness.signals import handle_ignored

def print_ignored():
    print([name for name in {NAMES} if signal.getsignal(getattr(signal, name)) is signal.SIG_IGN])

if len(sys.argv) > 1:
    print_ignored()
else:
    for repair in (lambda: None, handle_ignored):
        repair()
        command = [sys.executable, "-S", "-c", sys.orig_argv[-1], "child"]
        print(subprocess.run(command, capture_output=True, text=True, check=True).stdout, end="")
    signal.raise_signal(signal.SIGHUP)
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        print("interrupted")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_suite_passes_in_the_background_of_a_script_and_under_nohup() -> None:
    """Both ignore signals, and what they start would; then no Ctrl-C ends a command."""
    ran = subprocess.run(
        ["sh", "-c", 'trap "" INT QUIT HUP; exec "$0" -S -c "$1"', sys.executable, PARENT],
        env=environment(),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.stderr == ""
    assert ran.stdout.splitlines() == [str([*NAMES]), "[]", "interrupted"]
