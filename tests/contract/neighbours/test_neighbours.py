"""Typer, cloup, click-extra, Flask and other libraries, each as it is commonly used, with ours.

Run with `pytest -m slow tests/contract/neighbours`; a package index is needed.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ...harness.processes import REPOSITORY
from .conftest import RunScript

pytestmark = [pytest.mark.contract, pytest.mark.slow]


def recorded(command: str, *flags: str, code: int = 0, error: str | None = None) -> list[Any]:
    """An exit status, and the pair of events of one command."""
    return [
        code,
        [["Invoked", command, [*flags]], ["Completed", command, [*flags], code, error]],
    ]


NOTHING: list[Any] = [0, []]

TYPER = """
import typer
from typer.core import TyperGroup
from click_telemetry import instrument

class Instrumented(TyperGroup):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        instrument(self, app="acme", client=client)

app = typer.Typer(cls=Instrumented)
sub = typer.Typer()
app.add_typer(sub, name="sub")

@app.callback()
def root(verbose: bool = False): pass

@app.command()
def hello(name: str = "x", loud: bool = typer.Option(False)): print("hello", name)

@sub.command()
def stop(): raise KeyboardInterrupt

@sub.command()
def leave(): raise typer.Exit(4)

@sub.command()
def give_up(): raise typer.Abort()

go(app, "--verbose", "hello", "--loud")
go(app, "sub", "stop")
go(app, "sub", "leave")
go(app, "sub", "give-up")
go(app, "hello", "--no-telemetry")
go(app, "--no-telemetry", "hello")
go(app, "--help")
go(app, "hello", "--unknown")
"""


@pytest.mark.parametrize("version", ["typer==0.25.1", "typer"], ids=["on Click", "with its own"])
def test_typer_is_observed_on_both_sides_of_its_own_copy_of_click(
    version: str, run_script: RunScript
) -> None:
    """From 0.26 on Typer contains a copy of Click; its Ctrl-C is 130 (rules 7, 12)."""
    abort = "typer.exceptions.Abort" if version == "typer" else "click.exceptions.Abort"
    shown = run_script((version,), TYPER)
    assert shown.runs == [
        recorded("acme hello", "loud", "verbose"),
        recorded("acme sub stop", code=130, error="KeyboardInterrupt"),
        recorded("acme sub leave", code=4),
        recorded("acme sub give-up", code=1, error=abort),
        NOTHING,
        NOTHING,
        NOTHING,
        [2, []],
    ]
    assert "--no-telemetry" in shown.output


BELOW_CLICK = """
import click, typer
from click_telemetry import instrument

app = typer.Typer()

@app.command()
def hello(name: str = "x", loud: bool = typer.Option(False)): print("hello", name)

@app.command()
def leave(): raise typer.Exit(4)

root = click.Group("root", params=[click.Option(["--profile"])])
root.add_command(typer.main.get_command(app), "sub")
instrument(root, app="acme", client=client)

go(root, "--profile", "p", "sub", "hello", "--name", "y")
go(root, "sub", "hello", "--no-telemetry")
"""


@pytest.mark.parametrize("version", ["typer==0.25.1", "typer"], ids=["on Click", "with its own"])
def test_typer_application_below_a_click_group_is_recorded(
    version: str, run_script: RunScript
) -> None:
    """Each command's option is made of its own Click, whose parser takes no other (rule 44)."""
    shown = run_script((version, "click"), BELOW_CLICK)
    assert shown.runs == [recorded("acme sub hello", "name", "profile"), NOTHING]


QUESTION = """
import typer
from typer.core import TyperGroup
from click_telemetry import flow, instrument

class Instrumented(TyperGroup):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        instrument(self, app="acme", client=client)

app = typer.Typer(cls=Instrumented)

@app.callback()
def root(): pass

@app.command()
def ask():
    with flow("Spawn") as f:
        f.prompt("agent", "Agent")

go(app, "ask")
"""


@pytest.mark.parametrize("version", ["typer==0.25.1", "typer"], ids=["on Click", "with its own"])
def test_a_question_in_typer_is_asked_by_its_own_copy_of_click(
    version: str, run_script: RunScript
) -> None:
    """The end of the input is that copy's Abort, which Typer understands."""
    abort = "typer.exceptions.Abort" if version == "typer" else "click.exceptions.Abort"
    shown = run_script((version,), QUESTION)
    ((status, events),) = shown.runs
    assert (status, [event[0] for event in events], events[-1][-1]) == (
        1,
        [
            "Invoked",
            "Spawn Started",
            "Spawn Prompt Shown",
            "Spawn Prompt Cancelled",
            "Spawn Aborted",
            "Completed",
        ],
        abort,
    )


def test_cloup_shows_the_flag_among_its_ungrouped_options(run_script: RunScript) -> None:
    """Its help is built from `get_ungrouped_options` (rule 27)."""
    source = """
import cloup
from click_telemetry import instrumented_group

@instrumented_group(app="acme", client=client)
@cloup.group()
def cli(): pass

@cli.command()
@cloup.option_group("Grouped", cloup.option("--one"), cloup.option("--two"))
@cloup.option("--three")
def run(one, two, three): pass

go(cli, "run", "--one", "1", "--three", "3")
go(cli, "run", "--no-telemetry")
go(cli, "run", "--help")
"""
    shown = run_script(("cloup",), source)
    assert shown.runs == [recorded("acme run", "one", "three"), NOTHING, NOTHING]
    assert "--no-telemetry" in shown.output


def test_click_extra_is_observed(run_script: RunScript) -> None:
    """With its own option classes and help."""
    source = """
import click_extra
from click_telemetry import instrumented_group

@instrumented_group(app="acme", client=client)
@click_extra.group()
def cli(): pass

@cli.command()
@click_extra.option("--one")
def run(one): pass

go(cli, "run", "--one", "1")
go(cli, "--no-telemetry", "run")
go(cli, "run", "--no-telemetry")
go(cli, "run", "--help")
"""
    shown = run_script(("click-extra",), source)
    assert shown.runs == [recorded("acme run", "one"), NOTHING, NOTHING, NOTHING]
    assert "--no-telemetry" in shown.output


def test_default_command_groups_keep_their_default(run_script: RunScript) -> None:
    """The flag before the default command's arguments is not one of them (rule 30)."""
    source = """
import click
from click_default_group import DefaultGroup
from click_telemetry import instrumented_group

@instrumented_group(app="acme", client=client)
@click.group(cls=DefaultGroup, default="show", default_if_no_args=True)
def cli(): pass

@cli.command()
@click.option("--x")
@click.argument("names", nargs=-1)
def show(x, names): print("showing", x, names)

go(cli)
go(cli, "a")
go(cli, "--x", "1")
go(cli, "--no-telemetry")
go(cli, "--no-telemetry", "a")
go(cli, "--no-telemetry", "--x", "1")
"""
    shown = run_script(("click-default-group",), source)
    assert shown.runs == [
        recorded("acme show"),
        recorded("acme show"),
        recorded("acme show", "x"),
        NOTHING,
        NOTHING,
        NOTHING,
    ]
    assert [line for line in shown.output.splitlines() if "showing" in line] == [
        "showing None ()",
        "showing None ('a',)",
        "showing 1 ()",
        "showing None ()",
        "showing None ('a',)",
        "showing 1 ()",
    ]


def test_every_line_of_click_repl_is_a_run(run_script: RunScript) -> None:
    """It invokes one context again and again; an opt-out applies to its line alone (rule 24)."""
    source = """
import io
import click
from click_repl import register_repl
from click_telemetry import instrumented_group

@instrumented_group(app="acme", client=client)
@click.group(invoke_without_command=True)
def cli(): pass

@cli.command()
@click.option("--x")
def run(x): pass

register_repl(cli)
sys.stdin = io.StringIO("run\\nrun --x 1\\nrun --no-telemetry\\nunknown\\nrun\\n")
go(cli, "repl")
"""
    (repl,) = run_script(("click-repl",), source).runs
    assert repl == [
        0,
        [
            ["Invoked", "acme repl", []],
            *recorded("acme run")[1],
            *recorded("acme run", "x")[1],
            *recorded("acme run")[1],
            ["Completed", "acme repl", [], 0, None],
        ],
    ]


def test_what_a_line_of_click_repl_sets_stays_for_the_next(run_script: RunScript) -> None:
    """Its lines are one invocation, with one context and one user (row D4)."""
    source = """
import io
import click
from click_repl import register_repl
from click_telemetry import child_env, identify, instrumented_group, set_context, track_command

@instrumented_group(app="acme", client=client)
@click.group(invoke_without_command=True)
def cli(): pass

@cli.command()
def login():
    set_context(agent="claude")
    identify("user-42")

@cli.command()
def ask():
    with track_command("review", source="skill", message_id="msg_1"):
        pass
    children.append(child_env({}))

children = []
register_repl(cli)
sys.stdin = io.StringIO("ask\\nlogin\\nask\\nask --no-telemetry\\nask\\n")
go(cli, "repl")
tracks = [m for m in client.messages if m["type"] == "track"]
agents = [m["properties"].get("agent") for m in tracks]
named = [m.get("userId") for m in tracks]
print("before", agents.index("claude"), named.index("user-42"), len(set(agents)), len(set(named)))
print("sources", [m["properties"].get("source") for m in tracks].count("skill"))
print("children", [sorted(child) for child in children])
"""
    shown = run_script(("click-repl",), source)
    (repl,) = shown.runs
    line = [*recorded("acme review")[1]]
    asked = [["Invoked", "acme ask", []], *line, ["Completed", "acme ask", [], 0, None]]
    assert repl == [
        0,
        [
            ["Invoked", "acme repl", []],
            *asked,
            *recorded("acme login")[1],
            *asked,
            *asked,
            ["Completed", "acme repl", [], 0, None],
        ],
    ]
    assert "before 6 6 2 2\n" in shown.output
    assert "sources 6\n" in shown.output
    session, off = ["CLICK_TELEMETRY_SESSION_ID"], ["CLICK_TELEMETRY_OFF"]
    assert f"children {[session, session, off, session]}\n" in shown.output


def test_flask_loads_its_application_as_without_us(run_script: RunScript) -> None:
    """Its group loads the application to list commands, and offers the application's own."""
    source = """
import click, flask
from flask.cli import FlaskGroup
from click_telemetry import instrument

loads = []

def create_app():
    loads.append(1)
    app = flask.Flask("x")

    @app.cli.command("own")
    @click.option("--y")
    def own(y): print("own", y)

    return app

cli = FlaskGroup(create_app=create_app)
instrument(cli, app="acme", client=client, packages=("flask",))
go(cli, "own", "--y", "1")
print("loads", len(loads))
go(cli, "own", "--no-telemetry")
go(cli, "--debug", "routes", "--sort", "rule")
"""
    shown = run_script(("flask",), source)
    assert shown.runs == [
        recorded("acme own", "y"),
        NOTHING,
        recorded("acme routes", "debug", "sort"),
    ]
    assert "loads 1\n" in shown.output


@pytest.mark.parametrize("first", [True, False])
def test_opentelemetry_sees_what_it_would_see_without_us(
    first: bool, run_script: RunScript
) -> None:
    """It patches `Command.invoke`, before us or after; both record the command (rule 2)."""
    instrumentor = """
from opentelemetry.instrumentation.click import ClickInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

spans = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
ClickInstrumentor().instrument(tracer_provider=provider)
"""
    source = """
import click
from click_telemetry import instrument

cli = click.Group("cli", commands={"go": click.Command("go", callback=lambda: None)})
instrument(cli, app="acme", client=client)
"""
    end = """
go(cli, "go")
print("spans", [span.name for span in spans.get_finished_spans()])
"""
    parts = (instrumentor, source) if first else (source, instrumentor)
    requirements = ("opentelemetry-sdk", "opentelemetry-instrumentation-click")
    shown = run_script(requirements, "".join(parts) + end)
    assert shown.runs == [recorded("acme go")]
    assert "spans ['go']" in shown.output


def test_sentry_gets_the_very_exception(run_script: RunScript) -> None:
    """Its report of a crash holds the application's frames and none of ours."""
    source = """
import click, sentry_sdk
from sentry_sdk.transport import Transport
from click_telemetry import instrument

reports = []

class Keep(Transport):
    def capture_envelope(self, envelope):
        event = envelope.get_event()
        if event:
            reports.append(event)

sentry_sdk.init(dsn="http://k@127.0.0.1:9/1", transport=Keep)

def fail(): raise ValueError("x")

cli = click.Group("cli", commands={"go": click.Command("go", callback=fail)})
instrument(cli, app="acme", client=client)
try:
    go(cli, "go", standalone_mode=False)
except ValueError as error:
    sentry_sdk.capture_exception(error)
frames = reports[0]["exception"]["values"][-1]["stacktrace"]["frames"]
print("frames", [frame["function"] for frame in frames if "telemetry" in frame["module"]])
print("last", frames[-1]["function"], [m["event"] for m in client.messages])
"""
    shown = run_script(("sentry-sdk",), source)
    assert "frames []\n" in shown.output
    assert "last fail ['Command Invoked', 'Command Completed']" in shown.output


EXCLUDED = """
import typer
from typer.core import TyperGroup
from click_telemetry import exclude, instrument

class Instrumented(TyperGroup):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        instrument(self, app="acme", client=client)

app = typer.Typer(cls=Instrumented)
sub = typer.Typer()
app.add_typer(sub, name="sub")

@app.callback()
def root(): pass

@app.command()
def hello(): pass

@exclude
@app.command()
def above(): pass

@app.command()
@exclude
def below(): pass

@sub.callback()
@exclude
def hidden(): pass

@sub.command()
def inside(): pass

go(app, "hello")
go(app, "above")
go(app, "below")
go(app, "sub", "inside")
"""


@pytest.mark.parametrize("version", ["typer==0.25.1", "typer"], ids=["on Click", "with its own"])
def test_command_of_typer_can_be_excluded(version: str, run_script: RunScript) -> None:
    """Above the decorator or below it; a group with its callback."""
    shown = run_script((version,), EXCLUDED)
    assert shown.runs == [recorded("acme hello"), NOTHING, NOTHING, NOTHING]


@pytest.mark.parametrize("version", ["typer==0.25.1", "typer"], ids=["on Click", "with its own"])
def test_typer_application_is_instrumented_as_it_is(
    version: str, environment: Callable[..., Path]
) -> None:
    """What the default suite tests with one version of Typer holds with the other too."""
    python = environment(version, "click", "freezegun", "hypothesis", "pytest", "trustme")
    ended = subprocess.run(
        [
            *(python, "-m", "pytest", "-o", "addopts=", "-p", "no:cacheprovider", "-q"),
            "tests/observe/test_typer.py",
        ],
        capture_output=True,
        text=True,
        timeout=600,
        cwd=REPOSITORY,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    assert re.search(r"\d+ passed(?!.* skipped)", ended.stdout), ended.stdout
