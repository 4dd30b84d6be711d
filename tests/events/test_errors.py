"""Errors and warnings that the application noticed: classes and codes, never a message."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Callable
from typing import Any

import click
import pytest

from click_telemetry import instrument, track_error, track_warning
from click_telemetry._events.commands import is_code
from click_telemetry._events.scope import take_dropped
from click_telemetry._foreground.options import DeclarationError
from click_telemetry._reader import BASE_PROPERTIES
from click_telemetry.testing import RecordingClient

from ..harness.processes import Cli, Home
from ..harness.production import at_a_prompt
from ..harness.stories import run


def record(client: RecordingClient, body: Callable[[], Any], **options: Any) -> list[Any]:
    """What a command records between its two events."""
    group = click.Group("cli", commands={"go": click.Command("go", callback=body)})
    result = run(instrument(group, app="acme", client=client, **options), "go")
    assert result.exception is None, result.exception
    return [
        (
            event["event"],
            {k: v for k, v in event["properties"].items() if k not in BASE_PROPERTIES},
        )
        for event in client.events[1:-1]
    ]


class Hostile(OSError):
    """An error whose own code fails."""

    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__

    @property
    def errno(self) -> int:  # type: ignore[override]
        raise RuntimeError("no number")


class OtherPackage(FileNotFoundError):
    pass


OtherPackage.__module__ = "other.package"

ERRORS: list[tuple[BaseException, dict[str, Any]]] = [
    (ValueError("secret"), {"error_class": "ValueError"}),
    (
        FileNotFoundError(errno.ENOENT, "secret"),
        {"error_class": "FileNotFoundError", "errno": "ENOENT"},
    ),
    (OSError(errno.ENOSPC, "secret", "/home/zoe"), {"error_class": "OSError", "errno": "ENOSPC"}),
    (OSError("secret"), {"error_class": "OSError"}),
    (OSError(99999, "secret"), {"error_class": "OSError"}),
    (OSError("secret", "words"), {"error_class": "OSError"}),
    (ssl.SSLError(1, "secret"), {"error_class": "ssl.SSLError"}),
    (socket.gaierror(8, "secret"), {"error_class": "socket.gaierror"}),
    (click.FileError("secret"), {"error_class": "click.exceptions.FileError"}),
    (KeyboardInterrupt(), {"error_class": "KeyboardInterrupt"}),
    (
        OtherPackage(errno.ENOENT, "secret"),
        {"error_class": "FileNotFoundError", "error_class_masked": True, "errno": "ENOENT"},
    ),
    (
        Hostile(errno.EACCES, "secret"),
        {"error_class": f"{__name__}.Hostile", "errno": "EACCES"},
    ),
]


@pytest.mark.parametrize(("error", "expected"), ERRORS, ids=[type(e).__name__ for e, _ in ERRORS])
def test_an_error_is_recorded_by_its_class_and_errno(
    error: BaseException, expected: dict[str, Any], recording_client: RecordingClient
) -> None:
    """Named and masked as that of Completed; of its words there is nothing."""
    found = record(recording_client, lambda: track_error(error))
    assert found == [("Error Occurred", {**expected, "handled": True})]
    assert "secret" not in str(recording_client.messages)
    assert "/home/zoe" not in str(recording_client.messages)


def test_the_informative_class_of_a_chain_is_recorded(recording_client: RecordingClient) -> None:
    """A wrapper is less informative than what it wraps; `packages` may be named."""

    def go() -> None:
        try:
            try:
                raise ConnectionError("secret")
            except ConnectionError as error:
                raise click.ClickException("secret") from error
        except click.ClickException as error:
            track_error(error, handled=False, code="API_DOWN")

    assert record(recording_client, go) == [
        (
            "Error Occurred",
            {"error_class": "ConnectionError", "handled": False, "code": "API_DOWN"},
        )
    ]


def test_a_warning_is_its_code(recording_client: RecordingClient) -> None:
    """Declared in the code, so that it can be counted."""

    def go() -> None:
        track_warning("deprecated_config")
        track_warning("W042")

    assert record(recording_client, go) == [
        ("Warning Occurred", {"code": "deprecated_config"}),
        ("Warning Occurred", {"code": "W042"}),
    ]


def test_in_a_group_s_callback_it_is_remembered(recording_client: RecordingClient) -> None:
    """With the class of the exception, which is not kept alive for it."""
    import gc
    import weakref

    class Fault(Exception):
        pass

    alive: list[Any] = []

    @click.group()
    def cli() -> None:
        fault = Fault()
        alive.append(weakref.ref(fault))
        track_error(fault)
        track_warning("early")

    @cli.command()
    def go() -> None:
        gc.collect()
        assert alive[0]() is None

    assert run(instrument(cli, app="acme", client=recording_client), "go").exception is None
    names = [event["event"] for event in recording_client.events]
    assert names == ["Error Occurred", "Warning Occurred", "Command Invoked", "Command Completed"]
    properties = recording_client.events[0]["properties"]
    assert (properties["error_class"], properties["error_class_masked"]) == ("Exception", True)


CODES: list[tuple[Any, bool]] = [
    ("deprecated_config", True),
    ("E1001", True),
    ("DEPRECATED_CONFIG", True),
    ("a", True),
    ("x" * 64, True),
    ("x" * 65, False),
    ("", False),
    ("Mixed_Case", False),
    ("two words", False),
    ("kebab-case", False),
    ("dotted.code", False),
    ("_private", False),
    ("1st", False),
    ("ünïcode", False),
    ("line\n", False),
    ("cannot read /home/zoe/secret", False),
    (404, False),
    (None, False),
    (b"code", False),
    (["code"], False),
]


@pytest.mark.parametrize(("code", "good"), CODES)
def test_a_code_is_an_identifier(code: Any, good: bool, recording_client: RecordingClient) -> None:
    """Anything else raises in a test: a sentence may contain what a person typed."""
    assert is_code(code) is good

    def go() -> None:
        if good:
            track_warning(code)
            return
        with pytest.raises(DeclarationError, match="a code is snake_case"):
            track_warning(code)

    found = record(recording_client, go)
    assert found == [("Warning Occurred", {"code": code} if good else {})]


def test_at_a_prompt_a_mistake_is_counted(home: Home, make_cli: Callable[..., Cli]) -> None:
    """The event is recorded without what cannot be."""
    found = at_a_prompt(
        make_cli,
        """
        track_warning("cannot read /home/zoe")
        track_error("not an exception")
        track_error(ValueError, code="not a code")
        """,
    )
    assert [message["event"] for message in found[1:-1]] == [
        "Warning Occurred",
        *["Error Occurred"] * 2,
    ]
    assert [message["properties"].get("dropped") for message in found] == [None, 1, 1, 1, None]
    assert all("error_class" not in message["properties"] for message in found)
    assert "/home/zoe" not in str(found)


def test_outside_any_command_it_is_counted() -> None:
    """As `track` is."""
    take_dropped()
    track_error(ValueError("secret"))
    track_warning("early")
    assert take_dropped() == 2


def test_where_nothing_is_recorded_it_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Off."""
    client = RecordingClient()
    monkeypatch.setenv("ACME_NO_TELEMETRY", "1")
    group = click.Group(
        "cli", commands={"go": click.Command("go", callback=lambda: track_error(ValueError()))}
    )
    assert run(instrument(group, app="acme", client=client), "go").exception is None
    assert client.messages == []
    take_dropped()
