"""The kit finds what an instrument does wrong, and names it; a sound one passes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from click_telemetry import testing
from click_telemetry._kit import child
from click_telemetry._kit.checks import Canaries, all_checks
from click_telemetry._kit.process import NotRunnable, application_of
from click_telemetry.testing import (
    CheckFailed,
    assert_fast_offline,
    assert_no_leaks,
    assert_transparent,
)

from ..harness.processes import Home

pytestmark = pytest.mark.contract

APP = """
import os, sys, time, urllib.request
import click
from click_telemetry import _instrument, _recorder, instrumented_group
{broken}

@instrumented_group(app="acme", version="2.1.0", write_key="key")
@click.group()
def cli(): pass

@cli.command()
@click.option("--name")
@click.option("--password", prompt=True, hide_input=True)
@click.argument("words", nargs=-1)
@click.pass_context
def go(ctx, name, password, words):
    click.echo("out")
    click.echo("err", err=True)
    with open("made.txt", "w") as file:
        file.write("made")
    ctx.exit(3)

@cli.command()
def crash():
    raise RuntimeError(os.environ.get("KIT_SECRET", ""))

@cli.command("time")
def time_():
    click.echo(str(time.time_ns()))

if __name__ == "__main__":
    cli()
"""
"""An application; `broken` is code that damages the instrument before it is used."""

SWALLOWS = """
whole = _instrument.Hook.__call__
def swallowing(hook, *args, **kwargs):
    try:
        return whole(hook, *args, **kwargs)
    except click.exceptions.Exit:
        return None
_instrument.Hook.__call__ = swallowing
"""

LEAKS = """
begin = _recorder.Invocation.begin_run
def leaking(invocation, command, flags, *args, **kwargs):
    return begin(invocation, f"{command} {sys.argv[-1]}", flags, *args, **kwargs)
_recorder.Invocation.begin_run = leaking
"""

LEAKS_A_VARIABLE = """
begin = _recorder.Invocation.begin_run
def leaking(invocation, command, flags, *args, **kwargs):
    known = [os.environ["KIT_SECRET"].encode().hex()]
    return begin(invocation, command, known, *args, **kwargs)
_recorder.Invocation.begin_run = leaking
"""

ENDING = """
leave = _instrument.Scope.leave
def ending(scope, error, result):
    leave(scope, error, result)
    if scope.is_leaf:
        {does}
_instrument.Scope.leave = ending
"""

WAITS = ENDING.format(
    does="""
        try:
            urllib.request.urlopen(os.environ["ACME_TELEMETRY_HOST"], timeout=4)
        except OSError:
            pass"""
)

PRINTS = ENDING.format(does='print("recorded")')

LEAVES = ENDING.format(
    does="""
        import tempfile
        open(os.path.expanduser("~/log"), "w").close()
        open(os.path.join(tempfile.gettempdir(), "acme"), "w").close()
        os.mkdir(os.path.expanduser("~/.acme"))
        os.write(1, b" ")"""
)

BLOCKS = ENDING.format(does="time.sleep(3)")

MakeApp = Callable[..., str]


@pytest.fixture
def make_app(tmp_path: Path) -> MakeApp:
    """Writes an application, and gives its name."""

    def make(broken: str = "") -> str:
        script = tmp_path / "acme_app.py"
        script.write_text(APP.format(broken=broken))
        return f"{script}:cli"

    return make


GO = ("go", "--name", "a-private-name", "word-of-mine")


def test_sound_instrument_is_transparent(make_app: MakeApp) -> None:
    """Output, files and an exit code that is not 0, with a question answered."""
    assert_transparent(make_app(), *GO, input="pw\n")


@pytest.mark.extended
def test_instrument_that_swallows_an_exit_code_is_found(make_app: MakeApp) -> None:
    """CI would go on after a failure."""
    with pytest.raises(CheckFailed) as caught:
        assert_transparent(make_app(SWALLOWS), *GO, input="pw\n")
    assert str(caught.value) == "exit status 0 with telemetry, exit status 3 without"


@pytest.mark.extended
@pytest.mark.parametrize(
    ("broken", "faults"),
    [
        (PRINTS, ["stdout differs: line 2 is 'recorded' with telemetry, missing without"]),
        (
            LEAVES,
            [
                "stdout differs: line 2 is ' ' with telemetry, missing without",
                "the directory {}/home/.acme/ is left only with telemetry",
                "the file {}/home/log is left only with telemetry",
                "the file {}/tmp/acme is left only with telemetry",
            ],
        ),
    ],
    ids=["prints", "leaves a blank, a directory and two files"],
)
def test_instrument_that_prints_or_writes_is_found(
    make_app: MakeApp, broken: str, faults: list[str]
) -> None:
    """Each fault is a line of the message."""
    with pytest.raises(CheckFailed) as caught:
        assert_transparent(make_app(broken), *GO, input="pw\n")
    root = re.search(r"/\S+/click-telemetry-kit-\w+", str(caught.value))
    place = "" if root is None else root.group()
    assert str(caught.value).splitlines() == [fault.format(place) for fault in faults]


@pytest.mark.extended
@pytest.mark.parametrize(
    "args", [("--help",), ("go", "--help"), ("go", "--unknown"), ("crash",), ()], ids=" ".join
)
def test_help_pages_errors_and_tracebacks_are_transparent(
    make_app: MakeApp, args: tuple[str, ...]
) -> None:
    """Of a help page, the row of our option may differ."""
    assert_transparent(make_app(), *args)


@pytest.mark.extended
def test_files_of_a_directory_are_compared(make_app: MakeApp, tmp_path: Path) -> None:
    """The command runs in a copy, and the directory itself stays as it is."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "made.txt").write_text("before")
    assert_transparent(make_app(), *GO, cwd=project, input="pw\n")
    assert (project / "made.txt").read_text() == "before"


@pytest.mark.extended
def test_command_that_differs_from_run_to_run_is_named_as_that(make_app: MakeApp) -> None:
    """The instrument is not blamed."""
    with pytest.raises(CheckFailed, match="stdout differs: line 1") as caught:
        assert_transparent(make_app(), "time")
    assert "it also differs between two runs without telemetry" in str(caught.value)


@pytest.mark.extended
def test_sound_instrument_leaks_nothing(make_app: MakeApp) -> None:
    """Of arguments, values, a hidden answer and an exception's message."""
    assert_no_leaks(make_app(), *GO, secrets=["a-private-name", "word-of-mine"])
    assert_no_leaks(make_app(), "crash")


@pytest.mark.extended
@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        (LEAKS, "the secret 'word-of-mine' came out {where}, as it is"),
        (LEAKS_A_VARIABLE, "a variable of the environment came out {where}, in hexadecimal"),
    ],
    ids=["an argument", "a variable"],
)
def test_instrument_that_leaks_is_found(make_app: MakeApp, broken: str, fault: str) -> None:
    """In the spool, and in what is sent."""
    with pytest.raises(CheckFailed) as caught:
        assert_no_leaks(make_app(broken), *GO, secrets=["word-of-mine"])
    assert str(caught.value).splitlines() == [
        fault.format(where=where) for where in ("in what is stored", "in what is sent")
    ]


@pytest.mark.extended
def test_nothing_to_search_is_a_fault(make_app: MakeApp) -> None:
    """A check of a command that records nothing would always pass."""
    with pytest.raises(CheckFailed, match="nothing to search: 0 facts were stored"):
        assert_no_leaks(make_app(), "--help")
    with pytest.raises(CheckFailed, match="nothing was recorded"):
        assert_fast_offline(make_app(), "--help")


ELSEWHERE = {
    "a file": 'destination=File("{path}"), sample=0.000001',
    "a user's server": 'host="https://acme.invalid", auth=lambda: "token"',
    "a client": 'client=Client(), events="completed"',
}
"""Where the events of an application may go, other than to a host that a variable can replace."""


@pytest.mark.extended
@pytest.mark.parametrize("where", ELSEWHERE)
def test_events_stay_on_this_machine_whatever_their_destination(
    where: str, make_app: MakeApp, tmp_path: Path
) -> None:
    """They are searched, and neither a file of the person's nor a server gets any."""
    head = """
from click_telemetry.destinations import File
class Client:
    def record(self, message): pass
    def close(self): pass
"""
    app = Path(make_app(head).removesuffix(":cli"))
    options = ELSEWHERE[where].format(path=tmp_path / "events.jsonl")
    app.write_text(app.read_text().replace('write_key="key"', options))
    with pytest.raises(CheckFailed) as caught:
        assert_no_leaks(f"{app}:cli", *GO, secrets=["acme go", "a-private-name", "word-of-mine"])
    assert "the secret 'acme go' came out in what is sent, as it is" in str(caught.value)
    assert "a-private-name" not in str(caught.value)
    assert not (tmp_path / "events.jsonl").exists()


@pytest.mark.extended
def test_sound_instrument_is_fast_offline(make_app: MakeApp) -> None:
    """It refuses, is silent, or has no name: the command does not notice."""
    assert_fast_offline(make_app(), *GO, input="pw\n")


@pytest.mark.extended
def test_instrument_waiting_for_the_server_is_found(make_app: MakeApp) -> None:
    """By its network call, and by its time where the server is silent."""
    with pytest.raises(CheckFailed) as caught:
        assert_fast_offline(make_app(WAITS), *GO, input="pw\n")
    faults = str(caught.value).splitlines()
    assert any(
        fault.startswith("the command itself calls the network")
        and "with an endpoint that never answers" in fault
        for fault in faults
    )
    (wait,) = [fault for fault in faults if fault.startswith("the command waits for ")]
    assert wait.startswith("the command waits for an endpoint that never answers: it takes ")


@pytest.mark.extended
def test_instrument_that_blocks_without_a_call_is_found_by_its_time(make_app: MakeApp) -> None:
    """It takes longer than the same command without it."""
    with pytest.raises(CheckFailed, match=r"waits for an endpoint .* it takes \d+\.\d s, and"):
        assert_fast_offline(make_app(BLOCKS), *GO, input="pw\n")


TYPER = """
import typer
from click_telemetry import instrument
app = typer.Typer()

@app.command()
def go(name: str = "x"):
    print("out", name)
    raise typer.Exit(3)

@app.command()
def stop():
    raise typer.Abort()

{broken}
instrument(app, app="acme", version="2.1.0", write_key="key")
"""


@pytest.mark.extended
def test_typer_application_is_checked(tmp_path: Path) -> None:
    """Its declaration installs nothing in the run without telemetry either."""
    pytest.importorskip("typer")
    script = tmp_path / "typer_app.py"
    script.write_text(TYPER.format(broken=""))
    for line in (("go", "--name", "private-name"), ("stop",), ("go", "--help"), ("--help",)):
        assert_transparent(f"{script}:app", *line)
    assert_no_leaks(f"{script}:app", "go", "--name", "private-name", secrets=["private-name"])
    script.write_text(TYPER.format(broken=TYPER_SWALLOWS))
    with pytest.raises(CheckFailed, match=r"^exit status 0 with telemetry, exit status 3 without"):
        assert_transparent(f"{script}:app", "go")


TYPER_SWALLOWS = """
from click_telemetry import _instrument
whole = _instrument.Hook.__call__
def swallowing(hook, *args, **kwargs):
    try:
        return whole(hook, *args, **kwargs)
    except typer.Exit:
        return None
_instrument.Hook.__call__ = swallowing
"""


# What can be run ------------------------------------------------------------------------------

OBJECT = click.Group("object")


def test_object_is_found_in_its_module() -> None:
    """Another process imports it."""
    found = application_of(OBJECT, ["deploy"])
    assert (found.kind, found.target) == (child.OBJECT, f"{__name__}:OBJECT")
    assert found.args == ("deploy",)
    assert application_of("acme.cli:cli", []).target == "acme.cli:cli"


@pytest.mark.parametrize(
    ("words", "kind", "target", "args"),
    [
        ([sys.executable, "-m", "acme", "-m", "x"], child.MODULE, "acme", ("-m", "x")),
        ([sys.executable, "-X", "dev", "-I", "/app.py", "x"], child.SCRIPT, "/app.py", ("x",)),
    ],
)
def test_command_line_of_an_interpreter_is_understood(
    words: list[str], kind: str, target: str, args: tuple[str, ...]
) -> None:
    """Its options stay."""
    found = application_of(words, [])
    assert (found.kind, found.target, found.args) == (kind, target, args)
    assert [*found.python] == words[: words.index(target)] or found.kind == child.MODULE


@pytest.mark.parametrize(
    "first",
    [
        f"#!{sys.executable}\n",
        f"#!/bin/sh\n'''exec' \"{sys.executable}\" \"$0\" \"$@\"\n' '''\n",
        f"#!/bin/sh\n'''exec' {sys.executable} \"$0\" \"$@\"\n' '''\n",
        "#!/usr/bin/env python3\n",
    ],
    ids=["a path", "a long path", "a long path of pip", "env"],
)
def test_console_script_is_run_by_its_own_interpreter(first: str, tmp_path: Path) -> None:
    """As installers write them."""
    script = tmp_path / "acme"
    script.write_text(first + "import sys\n")
    script.chmod(0o700)
    found = application_of([str(script), "deploy"], ["--dry-run"])
    assert (found.kind, found.target) == (child.SCRIPT, str(script))
    assert found.args == ("deploy", "--dry-run")
    assert Path(found.python[0]).name.startswith("python")
    assert Path(found.python[0]).exists()


def test_relative_path_of_an_interpreter_or_a_script_is_understood(tmp_path: Path) -> None:
    """The command line is typed in the project's directory, and runs in another one."""
    script = tmp_path / "acme"
    script.write_text(f"#!{sys.executable}\n")
    script.chmod(0o700)
    assert application_of([os.path.relpath(script)], []).target == str(script)
    (python,) = application_of([os.path.relpath(sys.executable), "app.py"], []).python
    assert python == os.path.abspath(sys.executable)


@pytest.mark.parametrize(
    ("cli", "fix"),
    [
        (click.Group("local"), "declare the application in a module of its own"),
        ("acme", "write it as 'acme.cli:cli'"),
        (["no-such-command"], "check the spelling"),
        (["ls"], "name the interpreter, as in: python -m acme deploy"),
        ([sys.executable], "name a script or a module"),
        ([sys.executable, "-c", "pass"], "name a script or a module"),
    ],
)
def test_what_cannot_be_run_names_the_fix(cli: Any, fix: str) -> None:
    """An object of a function, a program that is not Python's."""
    with pytest.raises(NotRunnable) as caught:
        application_of(cli, [])
    assert fix in str(caught.value)


# Canaries -------------------------------------------------------------------------------------

SECRET = "Jane & Joe's plän"


@pytest.mark.parametrize(
    ("content", "form"),
    [
        (SECRET.encode(), "as it is"),
        (SECRET.upper().encode(), "as it is"),
        (json.dumps(SECRET).encode(), "escaped"),
        (b"?q=Jane%20%26%20Joe%27s%20pl%C3%A4n", "percent-encoded"),
        (SECRET.encode().hex().encode(), "in hexadecimal"),
        (hashlib.sha256(SECRET.encode()).hexdigest().encode(), "as a digest (sha256)"),
        (b"eHhKYW5lICYgSm9lJ3MgcGzDpG4=", "in base64"),
        (SECRET[::-1].encode(), "reversed"),
    ],
)
def test_secret_is_found_in_every_form(content: bytes, form: str) -> None:
    """A digest of a private text is one."""
    canaries = Canaries([SECRET])
    (found,) = canaries.found_in("in a file", b"before " + content + b" after")
    assert found.startswith(f'the secret "{SECRET}" came out in a file, ')
    assert form in found
    assert canaries.found_in("in a file", b"nothing of the kind") == []


def test_secret_that_may_occur_by_chance_is_refused() -> None:
    """Two letters are in every file."""
    with pytest.raises(NotRunnable, match="'eu' has fewer than six characters"):
        Canaries(["eu"])


# The command ----------------------------------------------------------------------------------


def check(home: Home, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `click-telemetry check`."""
    return subprocess.run(
        [str(Path(sys.executable).with_name("click-telemetry")), "check", *words],
        env=home.environ,
        cwd=home.path,
        capture_output=True,
        text=True,
        check=False,
    )


def test_check_names_the_fix_for_what_it_cannot_run(home: Home) -> None:
    """The exit status is that of wrong usage."""
    pytest.importorskip("rich_click")
    run = check(home, "--", "ls")
    assert (run.returncode, run.stdout) == (2, "")
    assert "python -m acme deploy" in run.stderr


@pytest.mark.extended
def test_check_compares_what_is_recorded_with_the_plan(home: Home) -> None:
    """A name that is made as the program runs is in no plan; all else of the command is."""
    pytest.importorskip("rich_click")
    name = "import click_telemetry, sys; click_telemetry.track('Event ' + sys.argv[-1])"
    source = APP.format(broken="").replace(
        "    click.echo(str(time", f"    {name}\n    0 and (str(time"
    )
    (home.path / "acme_app.py").write_text(source)
    command = ("--plan", "acme_app:cli", "--json", "--", sys.executable, "acme_app.py", "time")
    run = check(home, *command)
    assert run.returncode == 1
    found = {one["check"]: one["faults"] for one in json.loads(run.stdout)["checks"]}
    fault = (
        "message 2 (Event time): the plan has no event 'Event time': declare it in events=(…), or "
        "as a class of Event"
    )
    assert found == {"transparent": [], "no leaks": [], "as planned": [fault], "fast offline": []}


def test_check_refuses_a_plan_that_cannot_be_made(home: Home) -> None:
    """Before anything runs."""
    pytest.importorskip("rich_click")
    run = check(home, "--plan", "acme_app:cli", "--", sys.executable, "acme_app.py")
    assert (run.returncode, run.stdout) == (2, "")
    assert "acme_app:cli: " in run.stderr


@pytest.mark.extended
def test_check_passes_a_sound_application(make_app: MakeApp, home: Home) -> None:
    """In CI it exits with 0, and prints what was compared."""
    pytest.importorskip("rich_click")
    script = make_app().partition(":")[0]
    run = check(home, "--copy", "--input", "pw\n", "--", sys.executable, script, *GO)
    assert (run.returncode, run.stderr) == (0, "")
    assert [line.split(":")[0] for line in run.stdout.splitlines()] == [
        *("passed  transparent", "passed  no leaks", "passed  fast offline"),
    ]
    assert home.files() == []


@pytest.mark.extended
def test_check_reports_each_fault_as_json(make_app: MakeApp, home: Home) -> None:
    """For a script of CI: an exit code of 1, and one object."""
    pytest.importorskip("rich_click")
    script = make_app(SWALLOWS + LEAKS).partition(":")[0]
    options = ("--json", "--secret", "word-of-mine", "--input", "pw\n", "--")
    run = check(home, *options, sys.executable, script, *GO)
    assert run.returncode == 1
    found = json.loads(run.stdout)
    assert found["passed"] is False
    assert [(one["check"], one["passed"]) for one in found["checks"]] == [
        *(("transparent", False), ("no leaks", False), ("fast offline", True)),
    ]
    assert found["checks"][0]["faults"] == ["exit status 0 with telemetry, exit status 3 without"]
    assert "the secret 'word-of-mine' came out" in found["checks"][1]["faults"][0]


def test_the_plugin_loads_nothing_of_the_kit() -> None:
    """Every pytest run on the machine loads the plugin."""
    source = "import sys, click_telemetry.pytest_plugin; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True
    ).stdout.split()
    assert [name for name in loaded if name.startswith("click_telemetry._")] == []


@pytest.mark.parametrize("name", [name for name in testing.__all__ if name.startswith("assert_")])
def test_every_check_is_a_fixture(name: str, request: pytest.FixtureRequest) -> None:
    """A test names it as an argument, or imports it."""
    assert request.getfixturevalue(name) is getattr(testing, name)


@pytest.mark.parametrize("name", testing.__all__)
def test_every_name_of_testing_can_be_imported(name: str) -> None:
    """Each is documented; those of the kit are loaded at their first use."""
    assert getattr(testing, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'assert_nothing'"):
        getattr(testing, "assert_nothing")  # noqa: B009


def test_words_that_cannot_be_run_raise_before_anything_runs() -> None:
    """Nothing is left behind."""
    with pytest.raises(NotRunnable):
        next(all_checks(["ls"]))
