"""Typer applications: however their commands are made, they are recorded as Click's are."""

# Typer may be missing, and is of any type here.
# mypy: disable-error-code="untyped-decorator, no-untyped-call"

from __future__ import annotations

import copy
import functools
import os
import re
import subprocess
import sys
import traceback
import types
from collections.abc import Callable
from typing import Any, Protocol

import click
import pytest

from click_telemetry import (
    DeclarationError,
    exclude,
    instrument,
    instrumented_group,
    telemetry_group,
)
from click_telemetry._foreground.typer import command_of
from click_telemetry.testing import RecordingClient

from ..harness.processes import Cli
from ..harness.server import Server
from ..harness.stories import pair, story

typer = pytest.importorskip("typer")
pytest.importorskip("rich")  # Typer's help and errors need it

core = pytest.importorskip("typer.core")
main = pytest.importorskip("typer.main")
CliRunner = pytest.importorskip("typer.testing").CliRunner


def start(app: Any, *args: str) -> Any:
    """Run a command line as Typer's own test runner does."""
    return CliRunner().invoke(app, args)


def with_hello(app: Any) -> Any:
    """An application with a command."""

    @app.command()
    def hello(name: str = "x", all_of_it: bool = typer.Option(False)) -> None: ...

    return app


def with_commands(app: Any) -> Any:
    """An application with two commands."""

    @app.command()
    def leave() -> None:
        raise typer.Exit(4)

    return with_hello(app)


class OwnGroup(core.TyperGroup):  # type: ignore[misc, name-defined]
    """A group class of the application's, which keeps a list of those that inherit it."""

    def __init_subclass__(cls) -> None:
        raise AssertionError(f"{cls.__name__} is not of the application")


def nothing() -> Any:
    return with_commands(typer.Typer())


def callback() -> Any:
    app = typer.Typer()

    @app.callback()
    def root(verbose: bool = False) -> None: ...

    return with_hello(app)


def callback_with_class() -> Any:
    app = typer.Typer()

    @app.callback(cls=OwnGroup)
    def root() -> None: ...

    return with_hello(app)


def own_class() -> Any:
    return with_commands(typer.Typer(cls=OwnGroup))


def class_that_is_overridden() -> Any:
    app = typer.Typer(cls=OwnGroup)

    @app.callback(cls=None)
    def root() -> None: ...

    return with_hello(app)


def callback_of_constructor() -> Any:
    def root() -> None: ...

    return with_hello(typer.Typer(callback=root))


def only_sub_application() -> Any:
    app = typer.Typer()
    app.add_typer(with_hello(typer.Typer()))
    return app


class OwnTyper(typer.Typer):  # type: ignore[misc, name-defined]
    """A class of applications of the application's own."""


def own_typer() -> Any:
    return with_commands(OwnTyper())


SHAPES = [
    *(nothing, callback, callback_with_class, own_class, class_that_is_overridden),
    *(callback_of_constructor, only_sub_application, own_typer),
]


@pytest.mark.parametrize("make", SHAPES)
def test_application_of_several_commands_is_recorded(
    make: Callable[[], Any], recording_client: RecordingClient
) -> None:
    """`instrument` takes the application as it is, whatever its groups are made of."""
    app = make()
    assert instrument(app, app="acme", client=recording_client) is app
    assert start(app, "hello", "--all-of-it").exit_code == 0
    assert story(recording_client) == pair("acme hello", "all_of_it")


@pytest.mark.parametrize("make", SHAPES)
def test_application_keeps_its_classes(make: Callable[[], Any]) -> None:
    """My groups and commands are of the very classes that they would be of without us."""

    def classes(app: Any) -> list[type]:
        group = main.get_command(app)
        return [type(group), *(type(command) for command in group.commands.values())]

    bare, app = make(), make()
    instrument(app, app="acme")
    assert classes(app) == classes(bare)
    assert isinstance(app, typer.Typer)
    assert repr(type(app)) == repr(type(bare))


def test_application_of_one_command_is_recorded_under_its_own_name(
    recording_client: RecordingClient,
) -> None:
    """It has no sub-command, so its command is the application's name."""
    app = instrument(with_hello(typer.Typer()), app="acme", client=recording_client)
    assert start(app, "--name", "y").exit_code == 0
    assert start(app, "--no-telemetry").exit_code == 0
    assert story(recording_client) == pair("acme", "name")
    assert "--no-telemetry" in start(app, "--help").output


def test_commands_may_be_added_later(recording_client: RecordingClient) -> None:
    """I may declare telemetry where I make the application, above its commands."""
    app = typer.Typer()
    assert instrument(app, app="acme", client=recording_client) is app
    with_hello(app)
    assert start(app, "--all-of-it").exit_code == 0

    @app.command()
    def more() -> None: ...

    assert start(app, "more").exit_code == 0

    @app.callback(cls=OwnGroup)
    def root() -> None: ...

    sub = typer.Typer()
    app.add_typer(with_commands(sub), name="sub")
    assert start(app, "sub", "leave").exit_code == 4
    app.registered_commands = [*app.registered_commands[:1]]
    assert start(app, "hello").exit_code == 0
    assert story(recording_client) == [
        *pair("acme", "all_of_it"),
        *pair("acme more"),
        *pair("acme sub leave", code=4),
        *pair("acme hello"),
    ]


@pytest.mark.parametrize(
    "call",
    [
        lambda app, *args: app(args, standalone_mode=False),
        lambda app, *args: main.get_command(app).main(args, standalone_mode=False),
        lambda app, *args: main.get_group(app).main(args, standalone_mode=False),
        lambda app, *args: command_of(app).main(args, standalone_mode=False),
    ],
    ids=["app()", "get_command", "get_group", "command_of"],
)
def test_each_way_to_call_an_application_is_recorded(
    call: Callable[..., Any], recording_client: RecordingClient
) -> None:
    """Typer makes the commands anew each time, and they are recorded each time."""
    app = instrument(with_commands(typer.Typer()), app="acme", client=recording_client)
    for _ in range(2):
        call(app, "hello", "--name", "y")
        call(app, "hello", "--no-telemetry")
    assert story(recording_client) == 2 * pair("acme hello", "name")


def test_group_that_runs_without_a_command_is_recorded(recording_client: RecordingClient) -> None:
    """`invoke_without_command` makes the group a command of its own."""
    app = typer.Typer(invoke_without_command=True)

    @app.callback()
    def root(verbose: bool = False) -> None: ...

    instrument(with_hello(app), app="acme", client=recording_client)
    start(app, "--verbose")
    start(app, "--verbose", "hello")
    assert story(recording_client) == [
        *pair("acme", "verbose"),
        *pair("acme hello", "verbose"),
    ]


def test_decorator_for_groups_takes_an_application_too(recording_client: RecordingClient) -> None:
    """`instrumented_group` does the same, since a Typer application is a group."""
    app = with_commands(typer.Typer())
    assert instrumented_group(app="acme", client=recording_client)(app) is app
    start(app, "hello")
    assert story(recording_client) == pair("acme hello")


def test_second_declaration_keeps_what_it_does_not_declare(
    recording_client: RecordingClient,
) -> None:
    """As for a Click group, also if the class of my groups declares something itself."""

    class Declared(core.TyperGroup):  # type: ignore[misc, name-defined]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            instrument(self, client=recording_client, no_telemetry_option=False)

    app = with_commands(typer.Typer(cls=Declared))
    instrument(app, app="acme")
    instrument(app, version="2.1.0")
    start(app, "hello")
    start(app, "hello", "--no-telemetry")
    assert story(recording_client) == pair("acme hello")
    assert {event["properties"]["version"] for event in recording_client.events} == {"2.1.0"}


def test_package_is_that_of_my_functions(recording_client: RecordingClient) -> None:
    """Its version and its exception classes are mine, not Typer's."""
    app = with_commands(typer.Typer())

    @app.command()
    def fail() -> None:
        raise OwnError

    instrument(app, client=recording_client)
    start(app, "fail")
    (_, completed) = recording_client.events
    assert completed["properties"]["error_class"] == f"{__name__}.OwnError"
    assert completed["properties"]["command"] == f"{__name__.partition('.')[0]} fail"


def test_package_is_that_of_the_root_function(
    recording_client: RecordingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where another package declares it: the version is that of the root's package."""
    package = types.ModuleType("acme")
    package.__dict__.update(__version__="3.2.1", __file__="acme/__init__.py")
    monkeypatch.setitem(sys.modules, "acme", package)

    def hello() -> None: ...

    hello.__module__ = "acme.cli"
    for register in (lambda app: app.command(), lambda app: app.callback()):
        for declare in (True, False):
            app = typer.Typer(invoke_without_command=True)
            if declare:
                instrument(app, app="acme", client=recording_client)
            register(app)(hello)
            if not declare:
                instrument(app, client=recording_client)
            start(app)
    found = [event["properties"] for event in recording_client.events]
    assert [(one["command"], one["version"]) for one in found] == [("acme", "3.2.1")] * 8


class Lazy(typer.Typer):  # type: ignore[misc, name-defined]
    """A class of applications that loads its commands when they are asked for."""

    @property
    def registered_commands(self) -> list[Any]:
        if "loaded" not in self.__dict__:
            self.loaded: list[Any] = []
            with_commands(self)
        return self.loaded

    @registered_commands.setter
    def registered_commands(self, value: list[Any]) -> None:
        if value:  # Typer's own constructor sets an empty list
            self.loaded = value

    @functools.cached_property
    def registered_groups(self) -> list[Any]:
        return []


def test_application_with_properties_of_its_own_is_recorded(
    recording_client: RecordingClient,
) -> None:
    """A class may load its commands itself."""
    app = instrument(Lazy(), app="acme", client=recording_client)
    assert start(app, "hello").exit_code == 0
    app.registered_commands = [one for one in app.registered_commands if one.name is None][-1:]
    assert start(app).exit_code == 0
    assert len(app.loaded) == 1
    assert story(recording_client) == [*pair("acme hello"), *pair("acme")]


def test_classes_that_replace_those_of_typer_are_used(
    recording_client: RecordingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """rich-click replaces them, which it may do after an application was declared."""
    app = instrument(with_commands(typer.Typer()), app="acme", client=recording_client)
    start(app, "hello")

    class Rich(core.TyperGroup):  # type: ignore[misc, name-defined]
        pass

    monkeypatch.setattr(main, "TyperGroup", Rich)
    assert type(main.get_command(app)) is Rich
    start(app, "hello")
    assert story(recording_client) == 2 * pair("acme hello")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="3.10 keeps the frame that raises again")
def test_error_of_a_class_has_the_traceback_that_it_had() -> None:
    """A group class that fails to make its group is mine to debug, without a frame of ours."""

    class Broken(core.TyperGroup):  # type: ignore[misc, name-defined]
        def __init__(self, **kwargs: Any) -> None:
            raise ValueError("x")

    shown = []
    for declare in (lambda app: app, lambda app: instrument(app, app="acme")):
        try:
            main.get_command(declare(with_commands(typer.Typer(cls=Broken))))
        except ValueError as error:
            shown.append("".join(traceback.format_tb(error.__traceback__)[1:]))
    assert shown[0] == shown[1]


class OwnError(Exception):
    pass


# What is left out ---------------------------------------------------------------------------------


def test_excluded_functions_are_not_recorded(recording_client: RecordingClient) -> None:
    """`@exclude` stands above the decorator or below it; a callback leaves out its group."""
    app, sub = with_hello(typer.Typer()), typer.Typer()
    app.add_typer(sub, name="sub")
    instrument(app, app="acme", client=recording_client)

    @exclude
    @app.command()
    def above() -> None: ...

    @app.command()
    @exclude
    def below() -> None: ...

    @sub.callback()
    @exclude
    def hidden() -> None: ...

    with_hello(sub)
    for line in (["above"], ["below"], ["sub", "hello"]):
        assert start(app, *line).exit_code == 0
    assert recording_client.events == []


@pytest.mark.parametrize("name", ["sub", None])
@pytest.mark.parametrize("options", [{}, {"cls": OwnGroup}], ids=["", "with a class"])
@pytest.mark.parametrize("depth", [0, 1])
def test_excluded_sub_application_is_not_recorded(
    name: str | None, options: dict[str, Any], depth: int, recording_client: RecordingClient
) -> None:
    """With a name of its own or as a part of its parent's commands, also below another one."""
    app, sub = with_hello(typer.Typer()), typer.Typer()

    @sub.command()
    def inside() -> None: ...

    @sub.command()
    def other() -> None: ...

    assert exclude(sub) is sub
    instrument(app, app="acme", client=recording_client)
    middle = app
    for _ in range(depth):
        upper, middle = middle, typer.Typer()
        upper.add_typer(middle, name="middle")
    middle.add_typer(sub, name=name, **options)
    line = [*["middle"] * depth, *([name] if name else []), "inside"]
    assert start(app, *line).exit_code == 0
    assert start(app, "hello").exit_code == 0
    assert story(recording_client) == pair("acme hello")


def test_sub_application_of_another_tree_stays_as_it_is(recording_client: RecordingClient) -> None:
    """Where the application is only a part of one that is not instrumented, it is its own root."""
    sub = instrument(with_commands(typer.Typer()), app="acme", client=recording_client)
    other = with_hello(typer.Typer())
    other.add_typer(sub, name="sub")
    start(other, "hello")
    assert story(recording_client) == []
    start(other, "sub", "hello")
    assert story(recording_client) == pair("acme hello")
    part = typer.Typer()
    part.add_typer(sub)
    assert start(part, "leave").exit_code == 4
    single = with_hello(typer.Typer())
    single.add_typer(typer.Typer(), name="more")
    part = typer.Typer()
    part.add_typer(instrument(single, app="acme", client=recording_client))
    assert start(part, "hello").exit_code == 0
    assert story(recording_client) == pair("acme hello")


def test_copy_of_an_application_is_recorded_too(recording_client: RecordingClient) -> None:
    """A shallow copy has the same commands."""
    app = copy.copy(instrument(with_commands(typer.Typer()), app="acme", client=recording_client))
    start(app, "hello")
    assert story(recording_client) == pair("acme hello")


# With Click's groups ------------------------------------------------------------------------------


def test_sub_application_below_a_click_group_is_recorded(recording_client: RecordingClient) -> None:
    """Whether it is instrumented itself or not, the root's declaration counts."""
    for declare in (lambda app: app, lambda app: instrument(app, app="inner")):
        root = click.Group("root", params=[click.Option(["--profile"])])
        root.add_command(main.get_command(declare(with_commands(typer.Typer()))), "sub")
        instrument(root, app="acme", client=recording_client)
        root.main(["--profile", "p", "sub", "hello", "--all-of-it"], standalone_mode=False)
        root.main(["sub", "hello", "--no-telemetry"], standalone_mode=False)
        assert story(recording_client) == pair("acme sub hello", "all_of_it", "profile")
        recording_client.clear()


def test_click_group_below_an_application_is_recorded(recording_client: RecordingClient) -> None:
    """It is added to the group that Typer makes, and may be of another copy of Click."""
    below = click.Group("below", params=[click.Option(["--deep"], is_flag=True)])
    below.add_command(click.Command("leaf", params=[click.Option(["--x"])], callback=print_nothing))
    root = command_of(instrument(with_commands(typer.Typer()), app="acme", client=recording_client))
    root.add_command(below)
    root.main(["below", "--deep", "leaf", "--x", "1"], standalone_mode=False)
    root.main(["below", "leaf", "--no-telemetry"], standalone_mode=False)
    assert story(recording_client) == pair("acme below leaf", "deep", "x")


def print_nothing(**values: Any) -> None: ...


ENDINGS = [
    *(lambda: click.exceptions.Exit(4), lambda: typer.Exit(4), lambda: click.UsageError("x")),
    *(lambda: typer.BadParameter("x"), click.Abort, typer.Abort, KeyboardInterrupt, EOFError),
    *(lambda: SystemExit(7), lambda: RuntimeError("x")),
]


@pytest.mark.parametrize("number", range(len(ENDINGS)))
@pytest.mark.parametrize("below", [False, True], ids=["Typer's root", "Click's root"])
@pytest.mark.parametrize("own", [False, True], ids=["Click's command", "Typer's command"])
def test_exit_code_is_the_one_of_the_root(
    number: int, below: bool, own: bool, recording_client: RecordingClient
) -> None:
    """It is what the shell sees, also where the exception is of another copy of Click."""

    def fail() -> None:
        raise ENDINGS[number]()

    app = with_commands(typer.Typer())
    leaf: Any = click.Command("leaf", callback=fail)
    if own:
        app.command("leaf")(fail)
        leaf = main.get_command(app).commands["leaf"]
    root = click.Group("root") if below else main.get_command(app)
    root.add_command(leaf)
    instrument(root, app="acme", client=recording_client)
    try:
        root.main(["leaf"])
    except SystemExit as end:
        code = end.code
    except BaseException:
        code = 1  # as Python ends after a traceback
    completed = recording_client.events[-1]["properties"]
    assert (completed["command"], completed["exit_code"]) == ("acme leaf", code)


# Mistakes -----------------------------------------------------------------------------------------


def decorated_above() -> None:
    app = typer.Typer()

    @instrumented_group(app="acme")
    @app.callback()
    def root() -> None: ...


def decorated_command() -> None:
    app = typer.Typer()

    @instrument
    @app.command()
    def hello() -> None: ...


class Unusual(typer.Typer):  # type: ignore[misc, name-defined]
    __slots__ = ("more",)

    def __init_subclass__(cls, *, needed: int) -> None: ...


@pytest.mark.parametrize(
    ("mistake", "fix"),
    [
        (decorated_above, r"application app, .* write instrument\(app, app=…\)"),
        (decorated_command, r"hello is a function of .* application app, .* instrument\(app,"),
        (
            lambda: instrument(print_nothing),
            r"app = typer.Typer\(\); app.command\(\)\(print_nothing\); instrument\(app,",
        ),
        (lambda: instrument(typer.Typer(), app="../x"), "app='x'"),
        (
            lambda: instrument(instrument(typer.Typer(), version="1"), version="2"),
            "version is declared twice for the Typer application, .* declare it once",
        ),
        (lambda: instrumented_group(typer.Typer(), chain=True), "unknown telemetry option 'chain'"),
        (lambda: instrument(typer.Typer, app="x"), "the class Typer: pass an instance"),
        (lambda: instrument(Unusual(), app="x"), r"a typer.Typer\(\) that it is added to"),
    ],
)
def test_mistake_names_its_fix(mistake: Callable[[], object], fix: str) -> None:
    """What cannot work is an error when it is declared, rather than a run without events."""
    with pytest.raises(DeclarationError, match=fix):
        mistake()


@pytest.mark.parametrize("declare", [lambda app: app, lambda app: instrument(app, app="acme")])
def test_telemetry_commands_as_a_sub_application_name_the_fix(
    declare: Callable[[Any], Any],
) -> None:
    """They are a Click group, which `add_typer` takes and Typer can make nothing of."""
    app = declare(with_hello(typer.Typer()))
    app.add_typer(telemetry_group(), name="telemetry")
    with pytest.raises(DeclarationError, match=r"add_typer.* typer.Typer\(cls=…\).*frameworks"):
        main.get_command(app)


# Real processes -----------------------------------------------------------------------------------

APP = """
import typer
from click_telemetry import instrument

app = typer.Typer()
DECLARATION

@app.callback()
def root(verbose: bool = False): pass

@app.command()
def deploy(region: str = "eu"): print("deployed", region)

@app.command()
def fail():
    secret = "s3cret"
    raise RuntimeError("boom")

@app.command()
def give_up(): raise KeyboardInterrupt

if __name__ == "__main__":
    app()
"""
DECLARATION = 'instrument(app, app="acme", version="2.1.0", write_key="key", notice=False)'


class MakeCli(Protocol):
    def __call__(self, source: str = ..., name: str = ...) -> Cli: ...


@pytest.mark.extended
@pytest.mark.contract
def test_process_delivers_two_events(make_cli: MakeCli, server: Server) -> None:
    """A command of a Typer application arrives as a command of a Click application does."""
    cli = make_cli(APP.replace("DECLARATION", DECLARATION))
    cli.environ["ACME_TELEMETRY_HOST"] = server.url
    assert cli.run("--verbose", "deploy", "--region", "us").stdout == "deployed us\n"
    server.wait_for(2)
    assert server.events == [
        ("Command Invoked", "acme deploy"),
        ("Command Completed", "acme deploy"),
    ]


@pytest.mark.contract
def test_application_loads_no_click_that_typer_does_not_load(make_cli: MakeCli) -> None:
    """Typer has a copy of Click, from 0.26 on; Click itself would cost more than all of ours."""
    loaded = []
    for declaration in ("", DECLARATION):
        note = "import atexit, sys\natexit.register(lambda: print(*sys.modules))\n"
        shown = make_cli(note + APP.replace("DECLARATION", declaration)).run("deploy").stdout
        deployed, modules = shown.splitlines()
        assert deployed == "deployed eu"
        loaded.append({name for name in modules.split() if name[:15] != "click_telemetry"})
    bare, ours = loaded
    assert ours - bare <= {"__future__", "fcntl"}


@pytest.mark.extended
@pytest.mark.contract
@pytest.mark.parametrize(
    "args",
    [
        ["fail"],
        *(
            pytest.param(args.split(), marks=pytest.mark.extended)
            for args in ("deploy", "give-up", "deploy --unknown", "unknown", "", "--help")
        ),
    ],
    ids=" ".join,
)
def test_person_sees_the_same(args: list[str], make_cli: MakeCli) -> None:
    """Output, exit code and Typer's pretty traceback are the same bytes as without us."""
    shown = []
    for declaration in ("", DECLARATION):
        cli = make_cli(APP.replace("DECLARATION", declaration))
        run = cli.run(*args, env={"COLUMNS": "120"})
        shown.append((run.stdout, run.stderr, run.returncode))
    bare, ours = shown
    assert "telemetry" not in bare[1]
    assert tuple(re.sub(r"(?m)^.*--no-telemetry.*\n", "", str(x)) for x in ours) == tuple(
        str(x) for x in bare
    )


@pytest.mark.extended
@pytest.mark.contract
def test_completion_lists_the_same_commands(make_cli: MakeCli) -> None:
    """My users complete commands as before, and the option too."""
    cli = make_cli(APP.replace("DECLARATION", DECLARATION))
    complete = {
        "_ACME.PY_COMPLETE": "complete_bash",
        "COMP_WORDS": "acme.py ",
        "COMP_CWORD": "1",
    }
    run = subprocess.run(
        [sys.executable, str(cli.script)],
        env={**cli.env(complete), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.stdout.split() == ["deploy", "fail", "give-up"]
    assert os.listdir(cli.home.path) == []
