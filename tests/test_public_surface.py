"""The public surface: its names are guaranteed, and importing the package is cheap."""

from __future__ import annotations

import importlib
import importlib.resources
import json
import os
import pickle
import re
import subprocess
import sys
import traceback
from typing import Any

import pytest

import click_telemetry
from click_telemetry import Client
from click_telemetry.testing import RecordingClient

from .harness.interpreter import environment, python

NAMES = (
    "Client",
    "CustomCommand",
    "DeclarationError",
    "Event",
    "EventPlan",
    "EventProperty",
    "Flow",
    "FlowDefinition",
    "FlowPlan",
    "InstrumentedGroup",
    "Recorder",
    "Resource",
    "Store",
    "Timed",
    "child_env",
    "current",
    "exclude",
    "flow",
    "identify",
    "instrument",
    "instrumented_group",
    "resource",
    "set_context",
    "telemetry_group",
    "track",
    "track_command",
    "track_error",
    "track_warning",
)
"""What can be imported from `click_telemetry`; removing a name breaks applications."""


def test_the_public_names_are_these() -> None:
    """A name that I import today can be imported after every upgrade."""
    assert sorted(click_telemetry.__all__) == sorted(NAMES)


def test_a_traceback_names_the_error_as_it_can_be_imported() -> None:
    """A private module's name would not help."""
    error = click_telemetry.DeclarationError("write app=")
    (line,) = traceback.format_exception_only(error)
    assert line == "click_telemetry.DeclarationError: write app=\n"
    assert type(pickle.loads(pickle.dumps(error))) is click_telemetry.DeclarationError


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_can_be_imported(name: str) -> None:
    """Each name exists, is the same object at each use, and is documented."""
    found = getattr(click_telemetry, name)
    assert found is getattr(click_telemetry, name)
    assert found.__name__ == name
    assert found.__doc__
    assert found.__module__.partition(".")[0] == "click_telemetry"
    assert getattr(importlib.import_module(found.__module__), name) is found


def test_a_star_imports_the_public_names_and_no_others() -> None:
    """`from click_telemetry import *` imports the public names."""
    space: dict[str, Any] = {}
    exec("from click_telemetry import *", space)
    assert {name for name in space if name != "__builtins__"} == set(NAMES)


def test_dir_lists_the_public_names() -> None:
    """An editor or a prompt completes them before any is loaded."""
    assert dir(click_telemetry) == sorted([*NAMES, "__version__"])


@pytest.mark.parametrize("name", ["tarck", "Settings", "_HOMES", "__path", "_events.scope", ""])
def test_an_unknown_name_is_an_attribute_error(name: str) -> None:
    """A misspelt name raises what every module raises."""
    with pytest.raises(AttributeError, match=f"'click_telemetry' has no attribute {name!r}"):
        getattr(click_telemetry, name)
    assert not hasattr(click_telemetry, name)


def test_the_version_is_valid() -> None:
    """Packaging reads it from here (PEP 440)."""
    assert re.fullmatch(r"\d+\.\d+\.\d+([ab]\d+|rc\d+|\.dev\d+)?", click_telemetry.__version__)


def test_types_are_part_of_the_package() -> None:
    """A type checker trusts the annotations (PEP 561)."""
    assert importlib.resources.files("click_telemetry").joinpath("py.typed").is_file()


def loaded(source: str) -> set[str]:
    """The modules that a source loads in a fresh interpreter."""
    measured = f"""
before = set(sys.modules)
{source}
import json
print(json.dumps(sorted(set(sys.modules) - before - {{"json"}})))
"""
    done = subprocess.run(
        [*python(measured)[:1], *python(measured)[2:]],  # with site: third parties can be found
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stdout))


def test_importing_the_package_loads_none_of_its_modules() -> None:
    """`import click_telemetry` runs `__init__.py` alone."""
    found = {name for name in loaded("import click_telemetry") if name.startswith("click_telem")}
    assert found == {"click_telemetry"}


STDLIB = sys.stdlib_module_names
SLOW = {
    "asyncio", "concurrent", "ctypes", "dataclasses", "http", "importlib.metadata", "inspect",
    "logging", "platform", "selectors", "socket", "ssl", "subprocess", "tempfile", "urllib",
}  # fmt: skip


def test_importing_the_package_loads_nothing_slow() -> None:
    """No third-party module, and none of the standard library that takes milliseconds."""
    found = loaded("import click_telemetry")
    third = {name.partition(".")[0] for name in found} - STDLIB
    assert third == {"click_telemetry"}
    assert not found & SLOW
    assert len(found) < 40


def test_the_public_names_load_no_third_party_module_but_click() -> None:
    """Neither Segment's client nor requests, rich or platformdirs, whatever is imported."""
    found = loaded(f"from click_telemetry import {', '.join(NAMES)}")
    third = {name.partition(".")[0] for name in found} - STDLIB
    assert third <= {"click", "click_telemetry", "colorama", "typing_extensions"}
    assert not any(name.startswith("click_telemetry._sender") for name in found)
    assert not any(name.startswith("click_telemetry._tools") for name in found)


# What an application's own tests use ---------------------------------------------------------


def message(kind: str, name: str) -> dict[str, Any]:
    return {"type": kind, "event": name, "properties": {"plan": "pro"}, "messageId": name}


def test_a_recording_client_keeps_the_messages_in_order() -> None:
    """An application's test compares a whole list with a literal."""
    client: Client = RecordingClient()
    assert isinstance(client, RecordingClient)
    identify: dict[str, Any] = {"type": "identify", "traits": {}, "messageId": "i"}
    for one in (message("track", "One"), identify, message("track", "Two")):
        client.record(one)
    client.close()
    assert client.events == [
        {"event": "One", "properties": {"plan": "pro"}},
        {"event": "Two", "properties": {"plan": "pro"}},
    ]
    assert client.identifies == [identify]
    assert [one["messageId"] for one in client.messages] == ["One", "i", "Two"]
    client.clear()
    assert (client.events, client.identifies, client.messages) == ([], [], [])


def test_the_fixture_starts_in_an_environment_without_opt_outs(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """A developer who has opted out can still run the tests of their own application."""
    opt_outs = {"DO_NOT_TRACK": "1", "NO_ANALYTICS": "1", "ACME_NO_TELEMETRY": "1"}
    others = {"ACME_TELEMETRY_HOST": "http://127.0.0.1", "TELEMETRY_ACME": "1"}
    for name, value in {**opt_outs, "ACME_TELEMETRY": "0", **others}.items():
        monkeypatch.setenv(name, value)
    client = request.getfixturevalue("recording_client")
    assert isinstance(client, RecordingClient)
    assert client.messages == []
    assert not {*opt_outs, "ACME_TELEMETRY"} & set(os.environ)
    assert set(others) <= set(os.environ)
