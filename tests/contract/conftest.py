"""What several contract tests need: an application that sends to the server."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ..harness.processes import Cli
from ..harness.sameness import program
from ..harness.server import Server


@pytest.fixture
def make(make_cli: Callable[..., Cli], server: Server) -> Callable[..., Cli]:
    """Makes a program (`harness.sameness.program`) that sends to the server."""

    def make_program(body: str = "", *, name: str = "acme.py", **more: str) -> Cli:
        made = make_cli(program(body, **more), name)
        made.environ["ACME_TELEMETRY_HOST"] = server.url
        return made

    return make_program
