"""Pytest fixtures for an application's own tests. pytest loads this: imports wait for the use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .testing import RecordingClient, TelemetryEvents


@pytest.fixture
def recording_client(monkeypatch: pytest.MonkeyPatch) -> RecordingClient:
    """A client that keeps every message, in an environment without any variable of telemetry.

    The person who runs the tests may have opted out; the tests must not depend on that.
    """
    from .testing import RecordingClient  # when the fixture is used

    _remove_variables(monkeypatch)
    return RecordingClient()


@pytest.fixture
def telemetry_events(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., TelemetryEvents]]:
    """Records the events of the application under test, until the test ends.

        def test_deploy(telemetry_events):
            events = telemetry_events(cli)
            CliRunner().invoke(cli, ["deploy"])
            assert events.snapshot() == [...]

    The argument is a command, a group or a Typer application, instrumented or not; keywords are
    options of `instrument`. The environment is without any variable of telemetry. What production
    would drop raises.
    """
    from contextlib import ExitStack  # when the fixture is used, as the next one

    from .testing import record_events  # when the fixture is used

    _remove_variables(monkeypatch)
    with ExitStack() as stack:

        def begin(command: Any, **options: Any) -> TelemetryEvents:
            return stack.enter_context(record_events(command, **options))

        yield begin


@pytest.fixture
def assert_transparent() -> Callable[..., None]:
    """`click_telemetry.testing.assert_transparent`; the other checks of the kit likewise."""
    from . import testing  # when a fixture is used

    return testing.assert_transparent


@pytest.fixture
def assert_no_leaks() -> Callable[..., None]:
    """`click_telemetry.testing.assert_no_leaks`."""
    from . import testing  # when a fixture is used

    return testing.assert_no_leaks


@pytest.fixture
def assert_fast_offline() -> Callable[..., None]:
    """`click_telemetry.testing.assert_fast_offline`."""
    from . import testing  # when a fixture is used

    return testing.assert_fast_offline


@pytest.fixture
def assert_matches_plan() -> Callable[..., None]:
    """`click_telemetry.testing.assert_matches_plan`."""
    from . import testing  # when a fixture is used

    return testing.assert_matches_plan


def _remove_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    import os  # when a fixture is used, as the next one

    from ._kit.events import is_opt_out  # when a fixture is used

    for name in list(os.environ):
        if is_opt_out(name):
            monkeypatch.delenv(name)
