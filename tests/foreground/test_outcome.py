"""How a leaf ended: the code that the shell saw, the outcome, the class that may be named."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click
import pytest
from hypothesis.errors import HypothesisException

from click_telemetry import instrument
from click_telemetry._foreground.outcome import error_class_of, exit_status
from click_telemetry.testing import RecordingClient

from ..harness.rich import rich_classes
from ..harness.stories import pair, run, story

OWN = f"{__name__}."
POSIX = sys.platform != "win32"


class Wall(click.ClickException):
    """An error of the application's own."""

    exit_code = 3

    class Inner(Exception):
        """One inside another."""


class Chatty(Exception):
    """Its message must not be read."""

    def __str__(self) -> NoReturn:
        raise AssertionError("asked for its words")

    __repr__ = __str__


def throw(error: BaseException) -> Callable[[], None]:
    def callback() -> None:
        raise error

    return callback


def throw_from(error: BaseException, cause: BaseException) -> Callable[[], None]:
    def callback() -> None:
        raise error from cause

    return callback


def at_exit(code: Any) -> Callable[[], None]:
    def callback() -> None:
        sys.exit(code)

    return callback


def by_context(code: int) -> Callable[[], None]:
    def callback() -> None:
        click.get_current_context().exit(code)

    return callback


ENDINGS: dict[str, tuple[Callable[[], Any], list[tuple[Any, ...]]]] = {
    "return": (lambda: None, pair("acme")),
    "return a number": (lambda: 7, pair("acme")),
    "ctx.exit(0)": (by_context(0), pair("acme")),
    "ctx.exit(3)": (by_context(3), pair("acme", code=3)),
    "sys.exit()": (at_exit(None), pair("acme")),
    "sys.exit(0)": (at_exit(0), pair("acme")),
    "sys.exit(4)": (at_exit(4), pair("acme", code=4)),
    "sys.exit(True)": (at_exit(True), pair("acme", code=1)),
    "sys.exit(-1)": (at_exit(-1), pair("acme", code=255)),
    "sys.exit(256)": (at_exit(256), pair("acme")),
    "sys.exit(words)": (at_exit("no"), pair("acme", code=1)),
    "sys.exit(1.5)": (at_exit(1.5), pair("acme", code=1)),
    "sys.exit(2**70)": (at_exit(2**70), pair("acme", code=255)),
    "ClickException": (
        throw(click.ClickException("x")),
        pair("acme", code=1, error="click.exceptions.ClickException"),
    ),
    "UsageError": (
        throw(click.UsageError("x")),
        pair("acme", code=2, error="click.exceptions.UsageError"),
    ),
    "the application's own": (throw(Wall("x")), pair("acme", code=3, error=OWN + "Wall")),
    "Abort": (
        throw(click.Abort()),
        pair("acme", code=1, outcome="cancelled", error="click.exceptions.Abort"),
    ),
    "Ctrl-C": (
        throw(KeyboardInterrupt()),
        pair("acme", code=1, outcome="cancelled", error="KeyboardInterrupt"),
    ),
    "end of input": (
        throw(EOFError()),
        pair("acme", code=1, outcome="cancelled", error="EOFError"),
    ),
    "broken pipe": (
        throw(BrokenPipeError(32, "Broken pipe")),
        pair("acme", code=1, error="BrokenPipeError"),
    ),
    "an OSError by its number": (
        throw(OSError(2, "secret")),
        pair("acme", code=1, error="FileNotFoundError"),
    ),
    "RuntimeError": (throw(RuntimeError("secret")), pair("acme", code=1, error="RuntimeError")),
    "RecursionError": (throw(RecursionError()), pair("acme", code=1, error="RecursionError")),
    "StopIteration": (throw(StopIteration()), pair("acme", code=1, error="StopIteration")),
    "GeneratorExit": (throw(GeneratorExit()), pair("acme", code=1, error="GeneratorExit")),
    "CancelledError": (
        throw(asyncio.CancelledError()),
        pair("acme", code=1, error="asyncio.exceptions.CancelledError"),
    ),
    "hostile words": (throw(Chatty()), pair("acme", code=1, error=OWN + "Chatty")),
    "of the standard library": (
        throw(json.JSONDecodeError("x", "secret", 0)),
        pair("acme", code=1, error="json.decoder.JSONDecodeError"),
    ),
    "wrapped by Click's": (
        throw_from(click.ClickException("x"), TimeoutError()),
        pair("acme", code=1, error="TimeoutError"),
    ),
    "wrapped by the application's": (
        throw_from(Wall("x"), ConnectionError()),
        pair("acme", code=3, error="ConnectionError"),
    ),
    "wrapped by another's": (
        throw_from(ValueError("x"), ConnectionError()),
        pair("acme", code=1, error="ValueError"),
    ),
}


@pytest.mark.parametrize(("callback", "found"), list(ENDINGS.values()), ids=list(ENDINGS))
@pytest.mark.skipif(not POSIX, reason="exit statuses are wider on Windows")
def test_every_way_to_end_is_recorded_as_the_shell_saw_it(
    callback: Callable[[], Any], found: list[tuple[Any, ...]], recording_client: RecordingClient
) -> None:
    """Exit code, outcome and class; never a message (rules 12, 13)."""
    command = instrument(click.Command("x", callback=callback), app="acme", client=recording_client)
    context = command.make_context("x", [])
    with context, contextlib.suppress(BaseException):
        command.invoke(context)
    assert story(recording_client) == found


@pytest.mark.parametrize("kind", [click.Command, *rich_classes("RichCommand")])
def test_ctrl_c_completes_the_command_as_cancelled(
    kind: type[click.Command], recording_client: RecordingClient
) -> None:
    """Ctrl-C is an answer of the person's, not an error of the program's."""
    command = kind("x", callback=throw(KeyboardInterrupt()))
    instrument(command, app="acme", client=recording_client)
    assert run(command).exit_code == 1
    assert story(recording_client)[1][3]["user_cancelled"] is True


@pytest.mark.parametrize(
    ("code", "status"),
    [(None, 0), (0, 0), (1, 1), (255, 255), (256, 0), (-1, 255), (True, 1), ("x", 1), ([], 1)],
)
@pytest.mark.skipif(not POSIX, reason="exit statuses are wider on Windows")
def test_exit_status_is_the_one_that_python_and_the_kernel_give(code: Any, status: int) -> None:
    """The table is checked against a real process each time."""
    assert exit_status(code) == status
    real = subprocess.run(
        [sys.executable, "-c", f"raise SystemExit({code!r})"],
        stderr=subprocess.DEVNULL,
        check=False,
    )
    assert real.returncode == status


def of(error: BaseException, *packages: str) -> tuple[str, bool]:
    return error_class_of(error, __name__.partition(".")[0], packages)


def test_foreign_class_is_masked_by_its_nearest_known_ancestor() -> None:
    """A library's classes are named only if the application declares it."""
    assert of(HypothesisException("x")) == ("Exception", True)
    named = "hypothesis.errors.HypothesisException"
    assert of(HypothesisException("x"), "hypothesis") == (named, False)


def test_class_made_at_run_time_is_masked() -> None:
    """A dynamic class can carry anything in its name."""
    made = type("Secret4711", (ValueError,), {})
    assert of(made()) == ("ValueError", True)


def test_class_that_claims_another_name_is_masked() -> None:
    """Only what is found under its name in its module is genuine."""

    class Spoof(ValueError):
        pass

    Spoof.__module__, Spoof.__qualname__ = "json.decoder", "JSONDecodeError"
    assert of(Spoof()) == ("ValueError", True)


def test_local_class_is_masked() -> None:
    """A class inside a function cannot be found by its name."""

    class Local(LookupError):
        pass

    assert of(Local()) == ("LookupError", True)


def test_class_of_a_script_is_named_bare(recording_client: RecordingClient) -> None:
    """`__main__` is a script's own module, and no package's."""
    main = sys.modules["__main__"]
    own = type("ScriptError", (Exception,), {"__module__": "__main__"})
    main.ScriptError = own  # type: ignore[attr-defined]
    try:
        assert error_class_of(own(), "__main__") == ("ScriptError", False)
        assert of(own()) == ("Exception", True)  # of a script that uses a package's group
    finally:
        del main.ScriptError


def test_causes_that_run_in_a_circle_end() -> None:
    """Two wrappers that name each other as their cause."""
    one, two = Wall("1"), Wall("2")
    one.__cause__, two.__cause__ = two, one
    assert of(one) == (OWN + "Wall", False)


def test_class_with_a_hostile_metaclass_is_named_without_its_code() -> None:
    """No code of the exception's runs."""

    class Meta(type):
        def __getattribute__(cls, name: str) -> Any:
            raise AssertionError(name)

    class Hostile(OSError, metaclass=Meta):
        pass

    assert of(Hostile()) == ("OSError", True)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="3.10 has no exception groups")
def test_group_of_exceptions_is_recorded_as_a_group() -> None:
    """What is inside stays inside."""
    group = vars(builtins)["ExceptionGroup"]
    assert of(group("x", [ValueError()])) == ("ExceptionGroup", False)


def test_class_that_is_re_exported_is_named_by_its_own_module() -> None:
    """A package may give its classes their public home, as long as they are found there."""
    made = type("Public", (ValueError,), {"__module__": __name__, "__qualname__": "Public"})
    globals()["Public"] = made
    try:
        assert of(made()) == (OWN + "Public", False)
    finally:
        del globals()["Public"]
    assert of(made()) == ("ValueError", True)


def test_nested_class_is_named_in_full() -> None:
    """What is found inside a class is genuine too."""
    assert of(Wall.Inner("x")) == (OWN + "Wall.Inner", False)


def test_application_that_runs_as_a_module_names_its_own_classes(tmp_path: Path) -> None:
    """`python -m package`: `__main__` and the package are both its own."""
    package = tmp_path / "acme"
    package.mkdir()
    (package / "errors.py").write_text("class Wall(Exception): pass\n")
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(
        "import click\n"
        "from click_telemetry import instrument\n"
        "from acme.errors import Wall\n"
        "class Here(Exception): pass\n"
        "def fail(): raise Wall('secret')\n"
        "def here(): raise Here('secret')\n"
        "commands = {f.__name__: click.Command(f.__name__, callback=f) for f in (fail, here)}\n"
        "instrument(click.Group('cli', callback=lambda: None, commands=commands), app='acme')()\n"
    )
    for command, named in (("fail", "acme.errors.Wall"), ("here", "Here")):
        ended = subprocess.run(
            [sys.executable, "-m", "acme", command],
            cwd=tmp_path,
            env={"PATH": "", "HOME": str(tmp_path), "ACME_TELEMETRY": "log"},
            capture_output=True,
            text=True,
            check=False,
        )
        messages = [json.loads(line) for line in ended.stderr.splitlines() if line[0] == "{"]
        assert messages[1]["properties"]["error_class"] == named
        assert "secret" not in json.dumps(messages)
