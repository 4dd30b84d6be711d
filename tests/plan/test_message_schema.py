"""Every message validates against the plan's schema, and what the plan does not have is refused."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft7Validator, Draft202012Validator

from click_telemetry import instrument
from click_telemetry._plan.collect import collect, load
from click_telemetry._plan.message_schema import (
    BASE,
    message_schema,
    problems_of,
    reference,
    segment_rules,
)
from click_telemetry._plan.model import Calls, Names, Plan
from click_telemetry._reader import BASE_PROPERTIES, COMPLETED_PROPERTIES
from click_telemetry.testing import RecordingClient

from ..golden import recorded
from ..harness.demo import CTRL_C, SESSIONS
from ..harness.flows import Keeping, in_production
from ..harness.generated_program import Plan as Drawn
from ..harness.generated_program import Program
from ..harness.keyboard import Keyboard
from ..harness.planned import Applications
from ..harness.processes import Home
from ..harness.program_plans import programs
from ..harness.programs import WITHOUT_SHRINKING, run_here

Message = dict[str, Any]


@cache
def demo_plan() -> Plan:
    """The plan of the demo."""
    return load("demo_cli.main:cli")


@pytest.fixture(scope="module")
def client() -> Iterator[RecordingClient]:
    """The messages of all sessions of the demo."""
    from demo_cli.main import cli

    demo_plan()  # of the declaration as it is, without a client
    found = RecordingClient()
    instrument(cli, client=found)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DO_NOT_TRACK", "NO_ANALYTICS", "CLICK_TELEMETRY_OFF", "DEMO_TELEMETRY"):
            patch.delenv(name, raising=False)
        for session in SESSIONS:
            typed = "".join(keys for _, keys in session.answers if keys != CTRL_C)
            CliRunner().invoke(cli, session.args, input=Keyboard(typed))
    yield found
    instrument(cli, client=None)


def test_every_message_of_the_demo_s_sessions_validates(client: RecordingClient) -> None:
    """Prompts, flows, failures, Ctrl-C."""
    assert len(client.messages) > 200
    assert problems_of(client.messages, demo_plan()) == []


def test_events_validate_without_what_is_around_them(client: RecordingClient) -> None:
    """As `RecordingClient.events` has them."""
    events = copy.deepcopy(client.events[:5])
    assert problems_of(events, demo_plan()) == []
    events[1]["properties"]["coupon"] = "x"
    events[2]["event"] = "Typo"
    assert [problem.partition(":")[0] for problem in problems_of(events, demo_plan())] == [
        f"message 2 ({events[1]['event']})",
        "message 3 (Typo)",
    ]


SAMPLES: dict[str, Any] = {
    "<timestamp>": "2026-01-02T03:04:05.678Z",
    "<milliseconds>": 12,
    "<in container>": False,
    "<python version>": "3.13.0",
}
"""A value for each placeholder of a recording; others are texts or IDs."""


def restored(value: Any, under: str = "") -> Any:
    """A recorded message with values in place of placeholders."""
    if isinstance(value, dict):
        return {key: restored(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [restored(item, under) for item in value]
    if not isinstance(value, str) or not value.startswith("<") or under in ("command", "step"):
        return value
    is_id = under in recorded.ID_KINDS or under == "resource_id"
    return SAMPLES.get(value, "ed43c1f4-7f1b-4bf4-b50a-53e6d79b1dc5" if is_id else "x")


SCENARIO = (recorded.DIRECTORY.parent / "scenario.py").read_text(encoding="utf-8")
"""It gets a package of its own: in `tests`, modules of other tests would belong to it."""


@pytest.mark.parametrize("name", sorted(path.stem for path in recorded.DIRECTORY.glob("*.json")))
def test_every_recorded_message_validates(name: str, applications: Applications) -> None:
    """What arrived of real processes: users, resources, errors, processes that vanished."""
    is_demo = name.startswith("demo-")
    plan = demo_plan() if is_demo else applications.plan(SCENARIO, head="")
    messages = [restored(message) for message in recorded.read(name)]
    assert problems_of(messages, plan) == []


def test_an_address_as_the_id_of_a_user_is_refused(applications: Applications) -> None:
    """No application of ours may send one."""
    plan = applications.plan(SCENARIO, head="")
    messages = [restored(message) for message in recorded.read("scenario-login")]
    user = next(one for one in messages if one["type"] == "identify")
    assert problems_of([user], plan) == []
    user["userId"] = "ada@example.com"
    (problem,) = problems_of([user], plan)
    assert "userId: 'ada@example.com' does not match" in problem


@pytest.mark.sample(1)
@pytest.mark.parametrize("target", ["demo_cli.main:cli", "tests.golden.scenario:cli"])
def test_the_schemas_are_valid(target: str) -> None:
    """Of the drafts that they name; each reference leads to a definition."""
    plan = load(target)
    schema = message_schema(plan)
    Draft202012Validator.check_schema(schema)
    for rule in segment_rules(plan)["rules"]:
        Draft7Validator.check_schema(rule["jsonSchema"])
    assert {reference(name) for name in schema["$defs"]} >= set(references(schema))


def references(value: Any) -> Iterator[str]:
    """Every `$ref` in a schema."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_every_message_validates_as_segment_would_validate_it(client: RecordingClient) -> None:
    """The common rule, and the rule of the event's name."""
    rules = {rule.get("key"): rule for rule in segment_rules(demo_plan())["rules"]}
    for message in client.messages:
        for name in (None, message["event"]):
            Draft7Validator(rules[name]["jsonSchema"]).validate(message)
    changed = {**message, "properties": {**message["properties"], "undeclared_name": 1}}
    assert not Draft7Validator(rules[message["event"]]["jsonSchema"]).is_valid(changed)


def test_the_plan_has_every_property_of_ours() -> None:
    """A property that every event has from us is described."""
    assert {one.name for one in BASE} == BASE_PROPERTIES
    completed = demo_plan().events["Command Completed"]
    assert {one.name for one in completed.properties} == COMPLETED_PROPERTIES


# What is refused ----------------------------------------------------------------------------------


def message_of(messages: list[Message], event: str) -> Message:
    """The first message of an event."""
    return copy.deepcopy(next(one for one in messages if one["event"] == event))


CHANGED: list[tuple[str, str, dict[str, Any], str]] = [
    ("an undeclared event", "Plan Changed", {"event": "Typo"}, "declare it in events=(…)"),
    (
        "an undeclared property",
        "Plan Changed",
        {"properties.coupon": "x"},
        "the plan has no property 'coupon' of Plan Changed: declare it in the event's class",
    ),
    (
        "an undeclared property of a command",
        "Command Completed",
        {"properties.argv": ["x"]},
        "the plan has no property 'argv' of Command Completed",
    ),
    (
        "an undeclared command",
        "Command Invoked",
        {"properties.command": "demo secret-project"},
        "demo has no command 'demo secret-project' that is recorded",
    ),
    (
        "a flag of another command",
        "Command Invoked",
        {"properties.flags": ["replicas"]},
        "the command has no such flag: 'replicas'",
    ),
    (
        "an undeclared flag",
        "Command Invoked",
        {"properties.flags": ["region=eu"]},
        "the command has no such flag",
    ),
    (
        "a value outside its enum",
        "Plan Changed",
        {"properties.direction": "sideways"},
        "properties.direction: 'sideways' is not one of ['upgrade', 'downgrade']",
    ),
    (
        "a free text where a choice was declared",
        "Application Create Prompt Answered",
        {"properties.prompt": "plan", "properties.answer": "my own plan"},
        "properties.answer: 'my own plan' is not one of ['free', 'pro', 'scale']",
    ),
    (
        "a free text where a flow declares a choice",
        "Application Create Completed",
        {"properties.plan": "my own plan"},
        "properties.plan: 'my own plan' is not one of ['free', 'pro', 'scale']",
    ),
    (
        "an answer that is never recorded",
        "Application Create Prompt Answered",
        {"properties.prompt": "name", "properties.answer": "Secret Project"},
        "'Secret Project' is never recorded",
    ),
    (
        "an undeclared prompt",
        "Application Create Prompt Shown",
        {"properties.prompt": "credit_card"},
        "'credit_card' is not one of",
    ),
    (
        "an undeclared step",
        "Application Create Completed",
        {"properties.step": "elsewhere"},
        "properties.step: 'elsewhere' is not one of",
    ),
    (
        "an undeclared reason",
        "Application Create Aborted",
        {"properties.reason": "bored"},
        "properties.reason: 'bored' is not one of",
    ),
    (
        "a missing property",
        "Plan Changed",
        {"properties.to_plan": None},
        "properties: 'to_plan' is a required property",
    ),
    (
        "a message of an error",
        "Command Completed",
        {"properties.error_class": "Cannot open /home/ada"},
        "does not match",
    ),
    (
        "an ID that is no random one",
        "Command Completed",
        {"anonymousId": "ada@example.com"},
        "anonymousId: 'ada@example.com' does not match",
    ),
    ("an IP address", "Command Completed", {"context.ip": "192.0.2.1"}, "'ip' was unexpected"),
    ("a user", "Command Completed", {"userId": "ada"}, "'userId' was unexpected"),
    ("another application", "Command Completed", {"context.app.name": "acme"}, "'demo' was exp"),
    ("another kind of message", "Command Completed", {"type": "page"}, "the plan has no page"),
    (
        "an identify",
        "Command Completed",
        {"type": "identify", "userId": "ada"},
        "the plan has no identify: no module of the application calls it",
    ),
    (
        "what a person typed, as the system",
        "Command Completed",
        {"properties.os": "Ada's laptop"},
        'properties.os: "Ada\'s laptop" does not match',
    ),
    (
        "what a person typed, as the processor",
        "Command Completed",
        {"properties.arch": "of Ada"},
        "properties.arch: 'of Ada' does not match",
    ),
]
"""What is changed in a message of the demo, and what the problem states."""


@pytest.mark.parametrize(
    ("event", "changes", "problem"),
    [case[1:] for case in CHANGED],
    ids=[case[0] for case in CHANGED],
)
def test_the_schema_refuses(
    event: str, changes: dict[str, Any], problem: str, client: RecordingClient
) -> None:
    """A message that the plan does not have; the unchanged one is allowed."""
    message = message_of(client.messages, event)
    assert problems_of([message], demo_plan()) == []
    for path, value in changes.items():
        *parents, key = path.split(".")
        place = message
        for parent in parents:
            place = place[parent]
        place[key] = value
        if value is None:
            del place[key]
    assert not Draft202012Validator(message_schema(demo_plan())).is_valid(message)
    problems = problems_of([message], demo_plan())
    assert len([one for one in problems if problem in one]) == 1, problems
    assert len(problems) == 1


TYPED = """
import datetime, enum
from typing import Annotated, Literal

class Size(enum.Enum):
    SMALL = 1
    LARGE = 2

class Invoice(Event, name="Invoice Read"):
    '''An invoice was read.'''

    pages: int
    share: float
    kind: Literal["pdf", "ada@example.com"]
    size: Size
    note: Annotated[str, 15]
    on: datetime.date
    at: datetime.datetime
    tags: tuple[Literal["a", "b"], ...] = ()
    api_key: Annotated[str, 16] | None = None

@cli.command()
def go(): track(Invoice(**GIVEN))

GIVEN = {}
DAY = datetime.date(2026, 1, 2)
TIME = datetime.datetime(2026, 1, 2, 3, 4)
"""

VALUES: list[dict[str, Any]] = [
    {},
    {"share": float("nan")},
    {"kind": "ada@example.com"},
    {"note": "ada@example.com"},
    {"api_key": "sk-live-1234"},
    {"tags": ("a", "b")},
    {"pages": "seven"},
    {"pages": 2**70},
]
"""Values of the event."""


@pytest.mark.parametrize("values", VALUES)
def test_a_typed_event_validates_as_it_leaves(
    values: dict[str, Any], applications: Applications
) -> None:
    """Scrubbed texts, numbers that JSON does not have, and values that do not match."""
    root = applications.root(TYPED)
    plan = collect(root)
    module = root.commands["go"].callback.__globals__
    given = {"pages": 7, "share": 0.5, "kind": "pdf", "size": module["Size"].LARGE, "note": "x"}
    given |= {"on": module["DAY"], "at": module["TIME"], **values}
    kept = Keeping()
    instrument(root, client=kept, notice=False)
    module["GIVEN"].update(given)
    with in_production():
        root.main(["go"], standalone_mode=False)
    client = kept.recording
    assert [one["event"] for one in client.events][1:-1] == ["Invoice Read"]
    assert problems_of(client.messages, plan) == []
    changed = copy.deepcopy(client.messages[1])
    for name, value in {"pages": "7", "size": 3, "note": "x" * 17, "tags": ["c"]}.items():
        changed["properties"][name] = value
        assert problems_of([changed], plan) != [], name


SCRIPT = """
import click
from click_telemetry import *
from helper_of_script import Broken, boom

@instrumented_group(app="acme", version="1")
@click.group()
@click.option("--color/--no-color")
def cli(color):
    set_context(cloud="fly")
    identify("user-42", {"plan": "pro"})

cli.add_command(boom)

@cli.command()
@click.option("--name")
def tools(name):
    for tool in ("search", "edit files"):
        with track_command(tool, source="mcp"):
            track("Tool Called", {"kind": tool})
    vm = resource("Machine", name)
    vm.created(region="eu")
    vm.deleted()
    try:
        open("/nowhere/at/all")
    except OSError as error:
        track_error(error, code="config")

if __name__ == "__main__":
    cli()
"""
HELPER = """
import click

class Broken(Exception): pass

@click.command()
def boom(): raise Broken("secret")
"""


UNKNOWN_NAMES = """
class Dynamic(click.Group):
    def get_command(self, ctx, name):
        if not name.startswith("x-"):
            return super().get_command(ctx, name)
        return click.Command(name, callback=lambda: None)

@instrumented_group(app="acme", version="2.1.0", write_key="key")
@click.group(cls=Dynamic)
@click.option("--verbose", is_flag=True)
def cli(verbose): pass

@cli.group(cls=Dynamic)
@click.option("--deep", is_flag=True)
def sub(deep): pass

@cli.command()
@click.option("--port")
def review(port):
    for name in ("search", "edit files", "five words are a sentence"):
        with track_command(name, source="mcp"): pass
    with track_command("review"): pass
"""


def test_names_that_cannot_be_known_have_the_flags_that_they_may_have(
    applications: Applications,
) -> None:
    """Commands that exist once they are typed, and commands that are made as the program runs."""
    head = "import click\nfrom click_telemetry import *\n"
    root = applications.root(UNKNOWN_NAMES, head=head)
    plan = collect(root)
    client = Keeping()
    with in_production():
        instrument(root, client=client, notice=False)
        for words in (
            ["--verbose", "x-secret"],
            ["sub", "--deep", "x-secret"],
            ["review", "--port", "1"],
        ):
            root.main(words, standalone_mode=False)
    messages = client.recording.messages
    sent = {(m["properties"]["command"], *m["properties"]["flags"]) for m in messages}
    assert sent == {
        *(("acme <dynamic>", "verbose"), ("acme <dynamic>",), ("acme review", "port")),
        *(("acme review",), ("acme search",), ("acme edit files",)),
        ("acme sub <dynamic>", "deep"),
    }
    common = segment_rules(plan)["rules"][0]["jsonSchema"]["properties"]["properties"]
    assert common["properties"]["flags"]["items"]["enum"] == ["deep", "port", "verbose"]
    assert problems_of(messages, plan) == []
    for message in messages:
        message["properties"]["flags"] = ["--port=1"]
    assert len(problems_of(messages, plan)) == len(messages)


def test_what_a_script_sends_validates_against_the_plan_of_its_module(
    tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real process runs it as a script; the names of its tools are made as it runs."""
    (tmp_path / "helper_of_script.py").write_text(HELPER)
    (tmp_path / "acme_script.py").write_text(SCRIPT)
    monkeypatch.chdir(tmp_path)
    plan = load("acme_script:cli")
    assert list(plan.commands) == ["acme <dynamic>", "acme <plugin>", "acme boom", "acme tools"]
    messages: list[Message] = []
    for words in (["--no-color", "tools", "--name", "my-secret"], ["boom"], ["tools", "--name="]):
        run = subprocess.run(
            [sys.executable, "acme_script.py", *words],
            env={**home.environ, "ACME_TELEMETRY": "log"},
            capture_output=True,
            text=True,
            check=False,
        )
        lines = [line for line in run.stderr.splitlines() if line.startswith('{"type"')]
        messages += map(json.loads, lines)
    assert len(messages) > 20
    assert problems_of(messages, plan) == []
    assert {message["properties"]["command"] for message in messages if "event" in message} == {
        *("acme tools", "acme boom", "acme search", "acme edit files")
    }
    messages[1]["properties"]["command"] = "acme what a person typed, at length, here"
    assert problems_of(messages[1:2], plan) != []


# Generated programs -------------------------------------------------------------------------------


def check(drawn: Drawn) -> None:
    """Run a program, and validate every message against the plan of its application."""
    _, messages = run_here(drawn)
    program = Program(drawn, lambda _: None)
    program.instrument({}, tracks=False)
    calls = Calls(tracked={"Ticked": Names({"node"})})  # the tests' own source is not read
    for app, root in (("acme", program.acme), ("other", program.other)):
        own = [one for one in messages if one["context"]["app"]["name"] == app]
        assert problems_of(own, collect(root, calls)) == []


@settings(
    deadline=None,
    max_examples=3,
    phases=WITHOUT_SHRINKING,
    suppress_health_check=list(HealthCheck),
)
@given(programs())
def test_every_message_of_a_generated_program_validates(drawn: Drawn) -> None:
    """Any tree, with lazy and dynamic groups, aliases, plugins, chains and nested lines."""
    check(drawn)


@pytest.mark.extended
@settings(
    deadline=None,
    max_examples=300,
    phases=WITHOUT_SHRINKING,
    suppress_health_check=list(HealthCheck),
)
@given(programs())
def test_every_message_of_more_programs_validates(drawn: Drawn) -> None:
    """The same, with more programs."""
    check(drawn)


def test_the_inventory_is_readable_from_the_schema() -> None:
    """A report finds the commands and their flags at documented places."""
    schema = json.loads(json.dumps(message_schema(demo_plan())))
    assert schema["x-app"] == "demo"
    assert schema["x-commands"]["demo apps list"] == {
        "description": "List the applications.",
        "flags": ["as_json", "color", "no_color", "profile", "verbose"],
    }
    listed = schema["$defs"]["command"]["enum"]
    assert [path for path in listed if "<" not in path] == [*schema["x-commands"]]
    assert schema["x-flows"]["Plan Change"]["steps"] == ["plan", "terms", "api_call"]
