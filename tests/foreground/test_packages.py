"""Which packages are the application's own, tried in real processes and files."""

from __future__ import annotations

import subprocess
import sys
import types
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest

from click_telemetry import instrument
from click_telemetry._foreground import names
from click_telemetry._instrument import CommandState
from click_telemetry._recorder import Settings, package_of, package_of_callback

from ..harness.stories import pair, run, story

if TYPE_CHECKING:
    from click_telemetry.testing import RecordingClient


def function_of(module: str) -> Any:
    """A function that a module defines."""

    def function() -> None:
        """It does nothing."""

    function.__module__ = module
    return function


class Callable:
    """Instances can be called."""

    def __call__(self) -> None:
        """It does nothing."""

    def method(self) -> None:
        """Likewise."""


def wrapped(module: str, inner: Any) -> Any:
    """A function of another module that names what it wraps."""
    outer = wraps(inner, assigned=())(function_of(module))
    outer.__module__ = module
    return outer


@pytest.mark.parametrize(
    ("callback", "package"),
    [
        (function_of("acme.cli.deploy"), "acme"),
        (function_of("acme"), "acme"),
        (partial(function_of("acme.cli"), 1), "acme"),
        (partial(partial(function_of("acme.cli"))), "acme"),
        (Callable(), "tests"),
        (Callable().method, "tests"),
        (wrapped("decorators.timing", function_of("acme.cli")), "acme"),
        (wrapped("a", wrapped("b", partial(function_of("acme.cli")))), "acme"),
        (function_of("decorators.timing"), "decorators"),
        (Callable, "tests"),
        (print, "builtins"),
        (None, ""),
    ],
)
def test_package_of_a_callback_is_that_of_the_innermost_function(
    callback: Any, package: str
) -> None:
    """Partials, methods, `__wrapped__`, callable instances."""
    assert package_of_callback(callback) == package
    assert names.package_of_callback(callback) == package


def test_innermost_module_decides_whether_a_wrapped_callback_is_declared() -> None:
    """An own decorator names no plugin, and a partial of a declared package is declared."""
    settings = Settings(CommandState("acme"), {"packages": ("acme_db",)})
    settings.package = "acme"
    plugin = wrapped("acme.decorators", function_of("someones_plugin.cli"))
    assert not names.is_declared(package_of_callback(plugin), plugin, settings)
    declared = partial(function_of("acme_db.cli"))
    assert names.is_declared(package_of_callback(declared), declared, settings)


def test_callback_that_wraps_itself_ends() -> None:
    """An attribute can be anything."""
    circle = function_of("acme.cli")
    circle.__wrapped__ = circle
    assert names.package_of_callback(circle) == "acme"


class Raises:
    """Its look-ups raise."""

    __module__ = 7  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __call__(self) -> None:
        """It does nothing."""


def test_hostile_callback_has_no_package() -> None:
    """A class's `__module__` may be a number, and an attribute may raise."""
    assert names.package_of_callback(Raises()) == ""


def test_package_in_a_namespace_has_two_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """`google.cloud_cli` and `google.other` are of two authors."""
    monkeypatch.setitem(sys.modules, "corp", types.ModuleType("corp"))
    assert package_of("corp.cli.deploy") == "corp.cli"
    assert package_of("corp") == "corp"
    assert package_of("json.decoder") == "json"
    assert package_of("not_loaded.deploy") == "not_loaded"


@pytest.mark.parametrize(
    ("module", "own", "declared", "expected"),
    [
        ("acme.cli", "acme", (), True),
        ("acme_db.cli", "acme", (), False),
        ("acme_db.cli", "acme", ("acme_db",), True),
        ("acme_db", "acme", ("acme_db",), True),
        ("acme_db.cli", "acme", ("acme_db.cli",), True),
        ("acme_db.other", "acme", ("acme_db.cli",), False),
        ("acme_dbx", "acme", ("acme_db",), False),
        ("click.exceptions", "acme", (), False),
    ],
)
def test_declared_packages_are_the_applications_own(
    module: str, own: str, declared: tuple[str, ...], expected: bool
) -> None:
    """Each with all that is below it."""
    assert names.is_own(module, own, declared) == expected


# Commands of other packages -----------------------------------------------------------------------


def application(client: RecordingClient, **options: Any) -> click.Group:
    """A group with a command of its own, one of a plugin, and groups of both."""
    cli = click.Group("cli", callback=function_of("acme.cli"))
    own = click.Group("own", callback=None)
    for group, module in ((cli, "acme.cli"), (own, "acme_db.cli")):
        for name in ("deploy", "secret-name"):
            of = module if name == "deploy" else "someones_plugin"
            flag = click.Option(["--secret-flag"], is_flag=True, expose_value=False)
            group.add_command(click.Command(name, params=[flag], callback=function_of(of)))
    plugin = click.Group("plugin-group", callback=function_of("someones_plugin"))
    plugin.add_command(click.Command("inner", callback=None))
    cli.add_command(own)
    cli.add_command(plugin)
    return instrument(cli, app="acme", client=client, **options)


def test_command_of_another_package_is_masked_with_its_options(
    recording_client: RecordingClient,
) -> None:
    """Neither a plugin's name nor its options' leave the machine."""
    cli = application(recording_client)
    run(cli, "deploy", "--secret-flag")
    run(cli, "secret-name", "--secret-flag")
    run(cli, "own", "deploy", "--secret-flag")
    run(cli, "plugin-group", "inner")
    assert story(recording_client) == [
        *pair("acme deploy", "secret_flag"),
        *pair("acme <plugin>"),
        *pair("acme own <plugin>"),
        *pair("acme <plugin> <plugin>"),
    ]


def test_declared_package_is_reported_by_name(recording_client: RecordingClient) -> None:
    """An application whose commands live in three packages."""
    cli = application(recording_client, packages=("acme_db", "acme_web"))
    run(cli, "own", "deploy", "--secret-flag")
    run(cli, "secret-name")
    assert story(recording_client) == [
        *pair("acme own deploy", "secret_flag"),
        *pair("acme <plugin>"),
    ]


def test_command_of_a_relative_of_click_is_reported_by_name(
    recording_client: RecordingClient,
) -> None:
    """click-repl's `repl` is the application's own choice."""
    cli = application(recording_client)
    cli.add_command(click.Command("repl", callback=function_of("click_repl._repl")))
    run(cli, "repl")
    assert story(recording_client) == pair("acme repl")


def test_group_without_a_callback_belongs_to_the_code_that_declares_it(
    recording_client: RecordingClient,
) -> None:
    """Flask's `cli` has no callback."""
    cli = instrument(click.Group("cli"), client=recording_client)
    cli.add_command(click.Command("mine", callback=lambda: None))
    cli.add_command(click.Command("theirs", callback=function_of("someones_plugin")))
    run(cli, "mine")
    run(cli, "theirs")
    assert story(recording_client) == [*pair("tests mine"), *pair("tests <plugin>")]


# Scripts and `python -m` --------------------------------------------------------------------------

MAIN = """\
import click, json, os, sys
import click_telemetry
from click_telemetry.testing import RecordingClient

client = RecordingClient()

@click_telemetry.instrumented_group({options}, client=client)
@click.group()
def cli(): pass

@cli.command()
def local(): pass

{imports}

for word in {words!r}:
    cli.main([word], standalone_mode=False)
print(json.dumps([e["properties"]["command"] for e in client.events][::2]))
"""
COMMAND = """\
import click

@click.command()
def {name}(): pass
"""


def reported(directory: Path, *arguments: str) -> str:
    """What an application prints."""
    ran = subprocess.run(
        [sys.executable, *arguments], cwd=directory, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def write(path: Path, text: str) -> None:
    """Write a file with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_modules_next_to_a_script_are_its_own_but_not_what_is_installed_there(
    tmp_path: Path,
) -> None:
    """A script with a virtual environment next to it."""
    write(tmp_path / "commands" / "near.py", COMMAND.format(name="near"))
    site = tmp_path / "venv" / "lib" / "site-packages"
    write(site / "installed.py", COMMAND.format(name="installed"))
    imports = (
        f"sys.path.append({str(site)!r})\n"
        "from commands.near import near\nfrom installed import installed\n"
        "cli.add_command(near); cli.add_command(installed)"
    )
    source = MAIN.format(
        options='app="acme"', imports=imports, words=["local", "near", "installed"]
    )
    write(tmp_path / "acme.py", source)
    assert reported(tmp_path, "acme.py") == '["acme local", "acme near", "acme <plugin>"]'


def test_application_that_is_run_as_a_module_is_its_package(tmp_path: Path) -> None:
    """`python -m acme`, without a declared name."""
    write(tmp_path / "acme" / "__init__.py", "__version__ = '1.2'\n")
    write(tmp_path / "acme" / "near.py", COMMAND.format(name="near"))
    write(tmp_path / "other.py", COMMAND.format(name="other"))
    imports = (
        "from acme.near import near\nfrom other import other\n"
        "cli.add_command(near); cli.add_command(other)"
    )
    source = MAIN.format(options="", imports=imports, words=["local", "near", "other"])
    write(tmp_path / "acme" / "__main__.py", source.replace("(, ", "("))
    assert reported(tmp_path, "-m", "acme") == '["acme local", "acme near", "acme <plugin>"]'


STANDARD = """\
import click_telemetry._recorder
from click_telemetry._foreground import names
import asyncio, json.decoder, os, sys
print([names.is_standard(name) for name in ("builtins", "sys", "os", "json.decoder")])
import profile
print(names.is_standard("profile"), names.is_standard("click"))
"""


def test_file_with_the_name_of_a_standard_module_is_not_standard(tmp_path: Path) -> None:
    """A user's `profile.py` may hold anything."""
    write(tmp_path / "profile.py", "class Secret(Exception): pass\n")
    write(tmp_path / "main.py", STANDARD)
    assert reported(tmp_path, "main.py") == "[True, True, True, True]\nFalse False"
