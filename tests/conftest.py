"""Fixtures: an empty home, a server on loopback, a small application in a real process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

from .harness.processes import APP, Cli, Home
from .harness.sampling import mark_unsampled
from .harness.senders import end_senders
from .harness.server import Server
from .harness.signals import handle_ignored

handle_ignored()

collect_ignore: list[str] = []
if find_spec("rich_click") is None:  # the tools and the demo need it, and an application does not
    collect_ignore += ["tools", "demo", "contract/test_watch.py", "contract/test_doctor.py"]
    collect_ignore += ["contract/test_recorded_sessions.py", "plan/test_message_schema.py"]
    collect_ignore += ["plan/test_plan_command.py", "plan/test_tree.py", "doctor", "report"]

# A machine may be slow for a while: no test asserts a time.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Before pytest deselects what is extended."""
    mark_unsampled(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Half as many again as processors: some tests wait for a timeout."""
    return (3 * (os.cpu_count() or 1) + 1) // 2


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """An empty home, whose senders do not sleep and end with the test."""
    home = Home(tmp_path / "home")
    yield home
    end_senders(home)


@pytest.fixture
def default_delay(home: Home) -> None:
    """The home's senders sleep for a second, as everywhere."""
    del home.environ["ACME_TELEMETRY_DELAY"]


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that accepts everything until a test scripts it."""
    server = Server()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def make_cli(tmp_path: Path, home: Home) -> Callable[..., Cli]:
    """Writes an application to a script in the empty home's neighbourhood."""

    def make(source: str = APP, name: str = "acme.py") -> Cli:
        return Cli(tmp_path / name, home, source)

    return make


@pytest.fixture
def cli(make_cli: Callable[..., Cli], server: Server) -> Cli:
    """The small application, sending to the server."""
    made = make_cli()
    made.environ["ACME_TELEMETRY_HOST"] = server.url
    return made
