"""The harness itself: what a contributor may rely on when the suite runs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import pytest

from .harness.interpreter import environment
from .harness.processes import REPOSITORY
from .harness.sampling import sampled

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


def test_each_module_of_the_tests_can_be_collected_on_windows() -> None:
    """What needs POSIX is skipped there, which a module that cannot be imported is not."""
    found = []
    posix = re.compile(r"^import (fcntl|grp|pty|pwd|resource|termios|tty)\b", re.MULTILINE)
    for path in sorted((REPOSITORY / "tests").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if posix.search(text):  # perhaps in the source of a program
            lines = [ast.unparse(node) for node in ast.parse(text).body]
            found += [f"{path.name}: {line}" for line in lines if posix.match(line)]
    assert found == []


@pytest.mark.parametrize(
    ("total", "keep", "expected"),
    [(10, 2, {0, 5}), (3, 1, {0}), (2, 5, {0, 1}), (87, 1, {0}), (5, 5, {0, 1, 2, 3, 4})],
)
def test_kept_cases_are_evenly_spaced(total: int, keep: int, expected: set[int]) -> None:
    """The default suite samples a long table from its beginning to its end."""
    assert sampled(total, keep) == expected


@pytest.mark.extended
def test_each_case_runs_by_default_or_is_extended() -> None:
    """No case of a sampled test is lost between the two parts of `.ci/run`."""
    path = "tests/contract/test_disk.py"

    def collected(*args: str) -> set[str]:
        command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n0", *args, path]
        run = subprocess.run(
            command, cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=60
        )
        return {line for line in run.stdout.splitlines() if "::" in line}

    default, extended = collected(), collected("-m", "extended and not slow")
    assert default
    assert extended
    assert default & extended == set()
    assert default | extended == collected("-m", "not slow")
