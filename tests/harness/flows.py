"""Commands with flows: in a test, where mistakes raise, and as in a person's run."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

import click
import pytest

from click_telemetry import instrument
from click_telemetry._reader import BASE_PROPERTIES
from click_telemetry.testing import RecordingClient

from .keyboard import Keyboard
from .stories import run

OwnEvents = list[tuple[str, dict[str, Any]]]

TIMES = ("duration_ms", "elapsed_ms")


class Keeping:
    """Keeps messages as a recording client does, and is no test double, unless a test sets it."""

    test_double = False

    def __init__(self) -> None:
        self.recording = RecordingClient()

    def record(self, message: dict[str, Any], /) -> None:
        self.recording.record(message)

    def close(self) -> None: ...


def command(callback: Callable[..., Any], client: Any, **options: Any) -> click.Group:
    """An application of one command, `acme go`."""
    group = click.Group("cli", commands={"go": click.Command("go", callback=callback)})
    return instrument(group, app="acme", client=client, packages=["tests"], **options)


def own_events(client: RecordingClient) -> OwnEvents:
    """The events between Invoked and Completed, or after it, without base properties and times."""
    found = []
    for event in client.events:
        if event["event"] not in ("Command Invoked", "Command Completed"):
            own = {k: v for k, v in event["properties"].items() if k not in BASE_PROPERTIES}
            assert all(isinstance(own.pop(name), int) for name in TIMES if name in own)
            found.append((event["event"], own))
    return found


def walk(callback: Callable[..., Any], typed: str = "") -> OwnEvents:
    """What a command's body records, in Click's runner; after what is typed comes Ctrl-C."""
    client = RecordingClient()
    result = run(command(callback, client), "go", input=Keyboard(typed))
    # The runner keeps what the body raised; a body's own assertion is the test's.
    if isinstance(result.exception, (AssertionError, TypeError)):
        raise result.exception
    return own_events(client)


def at_a_prompt(callback: Callable[..., Any], **options: Any) -> OwnEvents:
    """What a command's body records where no test can be detected."""
    client = Keeping()
    with in_production():
        command(callback, client, notice=False, **options).main(["go"], standalone_mode=False)
    return own_events(client.recording)


@contextmanager
def in_production() -> Iterator[None]:
    """An empty home without a test suite around it, in this process."""
    # pytest's import hook would load pytest again.
    finders = [one for one in sys.meta_path if not type(one).__module__.startswith("_pytest")]
    with TemporaryDirectory() as home, pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            patch.delenv(name)
        patch.setenv("HOME", home)
        patch.setattr(sys, "meta_path", finders)
        patch.delitem(sys.modules, "_pytest")
        yield


def dropped(client: RecordingClient) -> int:
    """How many losses its events report."""
    return sum(event["properties"].get("dropped", 0) for event in client.events)
