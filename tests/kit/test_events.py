"""The fixture for the real application: what it records, that it is undone, and what raises."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import click
import pytest
from click.testing import CliRunner, Result

from click_telemetry import (
    DeclarationError,
    Event,
    InstrumentedGroup,
    _instrument,
    exclude,
    flow,
    identify,
    instrument,
    resource,
    set_context,
    telemetry_group,
    track,
)
from click_telemetry._events import scope
from click_telemetry.testing import (
    CheckFailed,
    TelemetryEvents,
    assert_matches_plan,
    record_events,
)

from ..harness.planned import Applications

Begin = Callable[..., TelemetryEvents]


def application(body: Callable[[], Any] = lambda: None, group: Any = lambda: None) -> click.Group:
    """A bare application with the commands `deploy` and `db migrate`."""
    cli = click.Group("cli", callback=group)
    deploy = click.Command("deploy", callback=lambda dry_run: body())
    deploy.params.append(click.Option(["--dry-run"], is_flag=True))
    cli.add_command(deploy)
    cli.add_command(click.Group("db", commands=[click.Command("migrate", callback=lambda: None)]))
    return cli


def run(cli: click.Command, *args: str) -> Result:
    """One command line."""
    return CliRunner().invoke(cli, [*args])


def everything(command: click.Command) -> list[tuple[int, dict[str, Any]]]:
    """The `__dict__` of a command and of those below it, hooks included."""
    held = command.__dict__
    found = [(id(held), {name: held[name] for name in dict.__iter__(held)})]
    for below in getattr(command, "commands", {}).values():
        found += everything(below)
    return found


PAIR: list[dict[str, Any]] = [
    {"event": "Command Invoked", "command": "acme deploy", "flags": ["dry_run"]},
    {
        "event": "Command Completed",
        "command": "acme deploy",
        "flags": ["dry_run"],
        "exit_code": 0,
        "succeeded": True,
        "outcome": "success",
    },
]


# What it records ------------------------------------------------------------------------------


@pytest.mark.parametrize("declared", [True, False], ids=["instrumented", "bare"])
def test_the_real_application_is_recorded(telemetry_events: Begin, declared: bool) -> None:
    """Whether it is instrumented already or not; the snapshot is a literal."""
    cli = application()
    if declared:
        instrument(cli, app="acme", write_key="key", consent="opt-in")
    events = telemetry_events(cli, **({} if declared else {"app": "acme"}))
    assert run(cli, "deploy", "--dry-run").exit_code == 0
    assert events.snapshot() == PAIR
    assert [event["event"] for event in events.events] == ["Command Invoked", "Command Completed"]
    assert [message["type"] for message in events.messages] == ["track", "track"]


def test_several_invocations_are_recorded_in_order(telemetry_events: Begin) -> None:
    """A test may run one command line after another; `clear` begins anew."""
    cli = application()
    events = telemetry_events(cli, app="acme")
    run(cli, "deploy")
    run(cli, "db", "migrate")
    cli.main(["deploy", "--dry-run"], standalone_mode=False)
    commands = [line["command"] for line in events.snapshot()]
    assert commands == [*["acme deploy"] * 2, *["acme db migrate"] * 2, *["acme deploy"] * 2]
    events.clear()
    assert events.snapshot() == []
    run(cli, "deploy", "--dry-run")
    assert events.snapshot() == PAIR


def test_snapshot_of_own_events_users_and_resources(telemetry_events: Begin) -> None:
    """The whole of what a command records, without what differs from run to run."""

    def body() -> None:
        identify("user-42", {"plan": "pro"})
        set_context(cloud="fly")
        machine = resource("Machine", "1")
        machine.created()
        machine.connected()
        with flow("Spawn", steps=("name",)) as f:
            f.step("name")

    events = telemetry_events(cli := application(body), app="acme")
    run(cli, "deploy")
    base: dict[str, Any] = {"command": "acme deploy", "flags": []}
    later: dict[str, Any] = {**base, "cloud": "fly", "userId": "user-42"}
    machine: dict[str, Any] = {**later, "resource_id": "<uuid 1>"}
    assert events.snapshot() == [
        {"event": "Command Invoked", **base},
        {"identify": "user-42", "traits": {"plan": "pro"}},
        {"event": "Machine Created", **machine},
        {"event": "Machine Connected", **machine, "connect_count": 1},
        {"event": "Spawn Started", **later},
        {"event": "Spawn Completed", **later, "step": "name"},
        {
            "event": "Command Completed",
            **later,
            "exit_code": 0,
            "succeeded": True,
            "outcome": "success",
        },
    ]
    assert [message["userId"] for message in events.identifies] == ["user-42"]


def test_snapshot_keeps_what_is_asked_for(telemetry_events: Begin) -> None:
    """A test of the version asks for it."""
    events = telemetry_events(cli := application(), app="acme", version="2.1.0")
    run(cli, "deploy", "--dry-run")
    assert events.snapshot("version", "sequence") == [
        {**line, "version": "2.1.0", "sequence": number + 1} for number, line in enumerate(PAIR)
    ]


def test_an_opt_out_of_the_command_line_records_nothing(telemetry_events: Begin) -> None:
    """A test of the option finds no event, and no error."""
    events = telemetry_events(cli := application(), app="acme")
    run(cli, "deploy", "--no-telemetry")
    assert events.snapshot() == []


def test_variables_of_the_developer_have_no_effect(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Who opted out can still run the tests of their own application."""
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    monkeypatch.setenv("ACME_TELEMETRY", "log")
    begin: Begin = request.getfixturevalue("telemetry_events")
    events = begin(cli := application(), app="acme")
    run(cli, "deploy", "--dry-run")
    assert events.snapshot() == PAIR


def test_saved_opt_out_of_the_developer_is_an_error(
    telemetry_events: Begin, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """An empty list would look like a defect of the application."""
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / "telemetry.json").write_text('{"enabled": false}\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    events = telemetry_events(cli := application(), app="acme")
    run(cli, "deploy")
    with pytest.raises(DeclarationError, match="XDG_CONFIG_HOME to an empty directory"):
        events.snapshot()


# That it is undone ----------------------------------------------------------------------------


class Lazy(click.Group):
    """Makes a command when it is asked for it, and keeps it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return ["later", *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == "later" and cmd_name not in self.commands:
            self.add_command(click.Command("later", callback=lambda: track("Loaded Later")))
        return super().get_command(ctx, cmd_name)


def lazy() -> click.Group:
    return Lazy("cli", callback=lambda: None, commands=[click.Command("x")])


def with_own_attributes() -> click.Group:
    """An application that has replaced methods of its objects."""
    cli = application()
    vars(cli)["invoke"] = lambda ctx: click.Group.invoke(cli, ctx)
    vars(cli.commands["deploy"])["get_params"] = lambda ctx: cli.commands["deploy"].params
    return cli


def excluding() -> click.Group:
    """An application with commands that we marked before."""
    cli = application()
    exclude(cli.commands["db"])
    cli.add_command(telemetry_group())
    return cli


def of_our_class() -> click.Group:
    cli = InstrumentedGroup("cli", telemetry={"app": "acme"})
    cli.add_command(application().commands["deploy"])
    return cli


APPLICATIONS = [application, lazy, with_own_attributes, excluding, of_our_class]


@pytest.mark.parametrize("declared", [True, False], ids=["instrumented", "bare"])
@pytest.mark.parametrize("make", APPLICATIONS)
def test_every_object_is_as_before(make: Callable[[], click.Group], declared: bool) -> None:
    """Its `__dict__` and those of its commands have the same names, objects and class."""
    cli = make()
    lines = (["deploy", "--dry-run"], ["db", "migrate"], ["later"], ["telemetry", "status"])
    for line in lines:
        run(cli, *line)  # what Click and the application keep of themselves
    if declared:
        instrument(cli, app="acme")
    observers = dict(_instrument._OBSERVERS)
    before = everything(cli)
    with record_events(cli, app="acme") as events:
        for line in lines:
            run(cli, *line)
        assert events.events != []
        with record_events(cli) as inner:  # in a helper of the test, once more
            run(cli, "later" if make is lazy else "deploy")
        assert inner.events != []
    after = everything(cli)
    assert [held for held, _ in after] == [held for held, _ in before]
    for (_, held), (_, expected) in zip(after, before, strict=True):
        assert held.keys() == expected.keys()
        assert [name for name in held if held[name] is not expected[name]] == []
    assert (_instrument._OBSERVERS, scope.audit) == (observers, None)


@pytest.mark.parametrize("declared", [True, False], ids=["instrumented", "bare"])
@pytest.mark.parametrize("single", [True, False], ids=["one command", "a group"])
def test_typer_application_is_recorded_and_undone(declared: bool, single: bool) -> None:
    """It makes its commands anew at each call; afterwards it makes them as before."""
    typer = pytest.importorskip("typer")
    app = typer.Typer()

    def deploy(dry_run: bool = False) -> None: ...

    app.command()(deploy)
    if not single:
        app.callback()(lambda: None)
    if declared:
        instrument(app, app="acme")
    line = ["--dry-run"] if single else ["deploy", "--dry-run"]
    app(line, standalone_mode=False)
    held = app.__dict__
    infos = [vars(info).copy() for info in (app.info, *app.registered_commands)]
    before = type(app), dict(held)
    with record_events(app, app="acme") as events:
        app(line, standalone_mode=False)
        commands = [line["command"] for line in events.snapshot()]
    assert commands == ["acme" if single else "acme deploy"] * 2
    app(line, standalone_mode=False)
    assert len(events.events) == 2
    assert (type(app), dict(held)) == before
    assert app.__dict__ is held
    assert [vars(info) for info in (app.info, *app.registered_commands)] == infos


WITHOUT_CALLBACK = {
    "click": "import click\ncli = click.Group('cli')\n",
    "typer": "import typer\ncli = typer.Typer()\ncli.command('build')(lambda: None)\n",
}


@pytest.mark.parametrize("kind", WITHOUT_CALLBACK)
@pytest.mark.parametrize("where", ["in the application", "in the test"])
def test_a_root_without_a_callback_keeps_its_names(
    telemetry_events: Begin, kind: str, where: str
) -> None:
    """A test masks no command that production reports by name."""
    pytest.importorskip(kind)
    source = WITHOUT_CALLBACK[kind] + "cli.command('deploy')(lambda: None)\n"
    if where == "in the application":
        source += "import click_telemetry\nclick_telemetry.instrument(cli, app='acme')\n"
    module: dict[str, Any] = {
        "__name__": "acme_app.cli" if where == "in the application" else __name__
    }
    exec(source, module)
    for _ in range(2):
        events = telemetry_events(module["cli"], app="acme")
        module["cli"](["deploy"], standalone_mode=False)
        assert [line["command"] for line in events.snapshot()] == ["acme deploy"] * 2


def test_a_later_test_records_nothing_more(telemetry_events: Begin) -> None:
    """The recorder of one test gets no event of the next."""
    cli = application()
    with record_events(cli, app="acme") as events:
        run(cli, "deploy")
    recorded = copy.deepcopy(events.messages)
    run(cli, "deploy")
    assert events.messages == recorded
    later = telemetry_events(cli, app="acme")
    run(cli, "deploy", "--dry-run")
    assert later.snapshot() == PAIR
    assert events.messages == recorded


def test_a_command_that_is_loaded_lazily_is_recorded_and_undone() -> None:
    """It did not exist when the test began; without us it would be a plain command."""
    cli = lazy()
    with record_events(cli, app="acme") as events:
        run(cli, "later")
        names = [line["event"] for line in events.snapshot()]
    assert names == ["Command Invoked", "Loaded Later", "Command Completed"]
    plain = click.Command("later")
    assert vars(cli.commands["later"]).keys() == vars(plain).keys()
    assert type(cli.commands["later"].__dict__) is dict


def test_what_the_application_changes_of_itself_stays() -> None:
    """Only our own changes are undone."""
    cli = application()
    with record_events(cli, app="acme"):
        vars(cli)["loaded"] = True
        cli.add_command(click.Command("new"))
    assert vars(cli)["loaded"] is True
    assert "new" in cli.commands


def test_a_declaration_that_fails_changes_nothing() -> None:
    """The error is that of `instrument`."""
    cli = application()
    before = everything(cli)
    with pytest.raises(DeclarationError, match="did you mean 'app'"), record_events(cli, ap="x"):
        raise AssertionError
    assert everything(cli) == before
    assert scope.audit is None


# What raises ----------------------------------------------------------------------------------


class Chosen(Event):
    """A typed event."""

    plan: Literal["free", "pro"]


def deep(levels: int) -> Any:
    return {"x": deep(levels - 1)} if levels else 1


ODD_KEY: dict[Any, Any] = {("a",): 1}


def too_many() -> None:
    for number in range(201):
        track("Invoice Exported", {"number": number})


def large_context() -> None:
    set_context(note="x" * 3_000, more="y" * 3_000)


DROPPED: list[tuple[str, Callable[[], Any], str]] = [
    ("a base property", lambda: track("X", {"command": "y"}), "for example to 'app_command'"),
    ("a long text", lambda: track("X", {"plan": "x" * 5_000}), "5,000 of at most 4,096 characters"),
    ("a deep value", lambda: track("X", {"plan": deep(6)}), "at most 4 levels"),
    ("a large number", lambda: track("X", {"plan": 2**64}), "numbers of 64 bits"),
    ("an odd key", lambda: track("X", ODD_KEY), "write a text of at most 128"),
    ("much", lambda: track("X", {str(n): "x" * 4_000 for n in range(8)}), "24,000 bytes"),
    ("no mapping", lambda: track("X", 3), "an instance of int"),  # type: ignore[call-overload]
    ("an empty name", lambda: track(""), "the name '' is dropped: write a constant"),
    ("a long name", lambda: track("X" * 200), "write a constant of at most 128"),
    ("a value of another kind", lambda: track(Chosen(plan="gold")), "Chosen does not match"),  # type: ignore[arg-type]
    ("a common base property", lambda: set_context(command="y"), "for example to 'app_command'"),
    ("no ID", lambda: identify(""), "the ID of a user in your own database"),
    ("an undeclared step", lambda: flow("Spawn", steps=("a",)).start().step("b"), "'b'"),
    ("a long trait", lambda: identify("user", {"bio": "x" * 5_000}), "the property 'bio'"),
    ("a flow's property", lambda: flow("Spawn", note="x" * 5_000).start(), "the property 'note'"),
    ("too many events", too_many, "at most 200 at a time"),
    ("a large context", large_context, "4,000 bytes that all events may have"),
]


@pytest.mark.parametrize(
    ("body", "reason"),
    [(body, reason) for _, body, reason in DROPPED],
    ids=[name for name, _, _ in DROPPED],
)
def test_what_would_be_dropped_raises_with_the_reason(
    body: Callable[[], Any], reason: str, telemetry_events: Begin
) -> None:
    """Where it is recorded, and again where the test looks at the events."""
    events = telemetry_events(cli := application(body), app="acme")
    with pytest.raises(DeclarationError) as caught:
        cli.main(["deploy"], standalone_mode=False)
    assert reason in str(caught.value)
    assert type(run(cli, "deploy").exception) is DeclarationError
    with pytest.raises(DeclarationError) as again:
        events.snapshot()
    assert reason in str(again.value)
    events.clear()
    assert events.events == []


def test_a_mistake_that_the_application_catches_still_fails_the_test(
    telemetry_events: Begin,
) -> None:
    """It is raised once where it is made, and once where the test looks at the events."""

    def body() -> None:
        with suppress(DeclarationError):
            track("X", {"command": "y"})
        track("Invoice Exported")

    events = telemetry_events(cli := application(body), app="acme")
    assert run(cli, "deploy").exit_code == 0
    with pytest.raises(DeclarationError, match="every event has the property 'command' already"):
        events.snapshot()


OUTSIDE: list[tuple[Callable[[], Any], str]] = [
    (lambda: track("Invoice Exported"), "track('Invoice Exported') outside a running command"),
    (lambda: track(Chosen(plan="pro")), "outside a running command"),
    (lambda: identify("user-42"), "outside a running command"),
    (lambda: set_context(cloud="fly"), "outside a running command"),
    (lambda: flow("Spawn").start(), "a flow outside a running command"),
]


@pytest.mark.parametrize(("record", "reason"), OUTSIDE)
def test_recording_outside_a_command_raises(
    record: Callable[[], Any], reason: str, telemetry_events: Begin
) -> None:
    """It would reach nothing in production either."""
    events = telemetry_events(application(), app="acme")
    with pytest.raises(DeclarationError, match="call it while a command") as caught:
        record()
    assert reason in str(caught.value)
    events.clear()


def test_without_the_fixture_code_that_records_can_be_tested_alone() -> None:
    """A unit test of a function that tracks needs no command."""
    for record, _ in OUTSIDE:
        record()
    scope.take_dropped()


def test_what_raises_in_no_call_raises_at_the_end_of_the_test() -> None:
    """A mistake in a thread, or that Click's runner caught, does not get lost."""
    cli = application(lambda: track("X", {"plan": "x" * 5_000}))
    with pytest.raises(DeclarationError, match="'plan'"), record_events(cli, app="acme"):
        assert run(cli, "deploy").exit_code == 1

    def in_a_thread() -> None:
        thread = threading.Thread(target=contained)
        thread.start()
        thread.join()

    def contained() -> None:
        with pytest.raises(DeclarationError):
            track("X" * 200)

    with pytest.raises(DeclarationError, match="constant"):  # noqa: SIM117
        with record_events(cli := application(in_a_thread), app="acme"):
            assert run(cli, "deploy").exit_code == 0


def test_what_a_groups_callback_records_too_much_raises(telemetry_events: Begin) -> None:
    """It is kept until the command begins, and its mistake is found at once."""
    cli = application(group=lambda: track("X", {"plan": "x" * 5_000}))
    events = telemetry_events(cli, app="acme")
    with pytest.raises(DeclarationError, match="4,096"):
        cli.main(["deploy"], standalone_mode=False)
    events.clear()


def test_declared_property_whose_function_fails_raises(telemetry_events: Begin) -> None:
    """In production it is counted."""

    def fail() -> str:
        raise OSError

    events = telemetry_events(cli := application(), app="acme", properties={"org": fail})
    run(cli, "deploy")
    with pytest.raises(DeclarationError, match=r"1 of the declared properties= are dropped"):
        events.snapshot()


# The plan -------------------------------------------------------------------------------------


PLANNED = """
from typing import Literal

class InvoiceExported(Event):
    "An invoice was written to a file."

    format: Literal["pdf", "csv"]

@cli.command()
@click.option("--dry-run", is_flag=True)
def deploy(dry_run):
    track(InvoiceExported("pdf"))
"""


@pytest.fixture
def planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[click.Group]:
    """An application in a package of its own."""
    applications = Applications(tmp_path, monkeypatch)
    yield applications.root(PLANNED, options="events=()")
    applications.close()


def test_what_is_recorded_matches_the_plan(telemetry_events: Begin, planned: click.Group) -> None:
    """The commands, their flags and the declared events."""
    pytest.importorskip("jsonschema")
    events = telemetry_events(planned)
    run(planned, "deploy", "--dry-run")
    assert len(events.events) == 3
    assert_matches_plan(events)
    assert_matches_plan(events.messages, planned)
    assert_matches_plan(events.events, planned)


@pytest.mark.parametrize(
    ("event", "property_", "value", "problem"),
    [
        (1, "format", "docx", "'docx'"),
        (1, "path", "/home/jane", "'path'"),
        (0, "command", "acme destroy", "'acme destroy'"),
    ],
)
def test_what_the_plan_does_not_have_is_found(
    telemetry_events: Begin,
    planned: click.Group,
    event: int,
    property_: str,
    value: str,
    problem: str,
) -> None:
    """A value outside its list, a property and a command that are not declared."""
    pytest.importorskip("jsonschema")
    events = telemetry_events(planned)
    run(planned, "deploy")
    events.messages[event]["properties"][property_] = value
    with pytest.raises(CheckFailed) as caught:
        assert_matches_plan(events)
    assert problem in str(caught.value)


def test_messages_alone_need_the_application() -> None:
    """The message names both ways."""
    with pytest.raises(DeclarationError, match=r"assert_matches_plan\(messages, cli\)"):
        assert_matches_plan([])
