"""Where the suites of others are kept: `UPSTREAM_SUITES`, else pytest's own cache."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from .suites import Project, Suite


@pytest.fixture(scope="session")
def suite_of(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Project], Suite]:
    """Gets a project's suite, once for all tests."""
    given = os.environ.get("UPSTREAM_SUITES")
    kept = Path(given).absolute() if given else request.config.cache.mkdir("upstream")

    @cache
    def get(project: Project) -> Suite:
        return Suite(project, kept, tmp_path_factory.mktemp(project.name))

    return get
