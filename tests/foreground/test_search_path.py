"""Where the sender finds its dependencies, however long the application's search path is."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from click_telemetry._foreground.platforms import DEPENDENCIES, MAX_PATHS, installed


def directories(path: Path, count: int) -> list[str]:
    """So many directories that exist."""
    made = [path / f"package-{number:04d}" for number in range(count)]
    for directory in made:
        directory.mkdir()
    return [str(directory) for directory in made]


def test_short_search_path_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every directory that exists, in its order; nothing relative."""
    paths = directories(tmp_path, 5)
    monkeypatch.setattr(sys, "path", ["", "relative", *paths, str(tmp_path / "missing")])
    assert installed() == paths


def test_long_search_path_is_cut_down_to_the_dependencies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 1,000 directories the sender's job still fits in a pipe."""
    paths = directories(tmp_path, 1_000)
    for number, name in enumerate(DEPENDENCIES):
        (Path(paths[number * 60]) / name).mkdir()
    monkeypatch.setattr(sys, "path", paths)
    assert installed() == [paths[number * 60] for number in range(len(DEPENDENCIES))]
    assert len(DEPENDENCIES) <= MAX_PATHS


def test_cwd_and_the_script_s_directory_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in those was not installed."""
    kept, script, cwd = directories(tmp_path, 3)
    monkeypatch.setattr(sys, "path", [kept, script, cwd])
    monkeypatch.setattr(sys, "argv", [f"{script}/acme"])
    monkeypatch.chdir(cwd)
    monkeypatch.setenv("PWD", cwd)
    assert installed() == [kept]
