"""The quick start leads a maintainer from an existing application to the first event."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .harness.pages import page
from .harness.processes import REPOSITORY, Home

QUICK_START = page("docs/quick-start.md")


def commands() -> list[list[str]]:
    """The command lines of its consoles."""
    lines = [line for block in QUICK_START.blocks("console") for line in block.splitlines()]
    return [line.removeprefix("$ ").replace("'", "").split() for line in lines]


def test_its_steps_lead_to_the_first_event(tmp_path: Path, home: Home) -> None:
    """The application of the page, run by `watch`, gives two events."""
    pytest.importorskip("rich_click")
    follow(tmp_path, home, Path(sys.executable).parent)


@pytest.mark.slow
def test_its_steps_work_in_a_fresh_environment(tmp_path: Path, home: Home) -> None:
    """Nothing that only a contributor has is needed."""
    venv = tmp_path / "venv"
    subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, str(venv)], check=True)
    (install, *_) = commands()
    assert install == ["pip", "install", "click-telemetry[tools]"]
    package = f"{REPOSITORY}[tools]"
    subprocess.run(
        ["uv", "pip", "install", "--quiet", "--python", str(venv / "bin" / "python"), package],
        check=True,
    )
    follow(tmp_path, home, venv / "bin")


def follow(directory: Path, home: Home, programs: Path) -> None:
    """Follow the page's steps after the installation.

    Args:
        directory: of the application.
        home: of the person.
        programs: where `python` and `click-telemetry` are.
    """
    application, controls = QUICK_START.blocks("python")
    given = {**home.environ, "PATH": f"{programs}{os.pathsep}{home.environ.get('PATH', '')}"}

    def run(source: str, *command: str, status: int = 0) -> str:
        (directory / "acme.py").write_text(source, encoding="utf-8")
        ended = subprocess.run(
            [str(programs / command[0]), *command[1:]],
            cwd=directory,
            env=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert ended.returncode == status, ended.stderr
        return ended.stdout

    (doctor,) = [words for words in commands() if "doctor" in words]
    (watch,) = [words for words in commands() if "watch" in words]
    answer = run(application, *doctor, status=1)
    assert "Here: would not send. In production: would not send." in answer
    assert "write_key" in answer
    shown = run(application, *watch)
    assert "Deploying to eu" in shown
    assert "2 events arrived from acme through spool, sender and HTTP." in shown
    main = 'if __name__ == "__main__":'
    with_controls = application.replace(main, f"{controls}\n{main}")
    shown = run(with_controls, "python", "acme.py", "telemetry", "status")
    assert shown.startswith("Telemetry for acme is ")
