"""Fixtures for tracking plans: applications of a few lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ..harness.planned import Applications


@pytest.fixture
def applications(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Applications]:
    """Writes and imports packages."""
    made = Applications(tmp_path, monkeypatch)
    yield made
    made.close()
