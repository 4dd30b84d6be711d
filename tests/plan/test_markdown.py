"""TELEMETRY.md states what the application declares, in words that its users understand."""

from __future__ import annotations

import json
import re

import pytest

from click_telemetry._plan.markdown import page
from click_telemetry._plan.message_schema import base_of, message_schema, problems_of
from click_telemetry._plan.model import Plan
from click_telemetry._reader import COMPLETED_PROPERTIES

from ..harness.planned import Applications

GO = "@cli.command()\n@click.option('--dry-run', is_flag=True)\ndef go(dry_run): {body}\n"


def text_of(plan: Plan) -> str:
    """The page as one line, so that a sentence is found wherever its lines end."""
    return " ".join(page(plan).split())


def test_the_example_is_a_message_of_the_plan(applications: Applications) -> None:
    """It is composed as the sender does, and validates."""
    plan = applications.plan(GO.format(body="..."), options="properties={'team': 'factory'}")
    (example,) = map(json.loads, re.findall(r"```json\n(.*?)```", page(plan), re.DOTALL))
    assert problems_of([example], plan) == []
    assert example["properties"]["command"] == "acme go"
    assert example["properties"]["flags"] == ["dry_run"]
    assert example["properties"]["team"] == "factory"


def test_every_property_of_a_command_is_listed(applications: Applications) -> None:
    """Whatever leaves with a command."""
    plan = applications.plan(GO.format(body="..."))
    shown = set(re.findall(r"`(\w+)`", page(plan)))
    assert shown >= {one.name for one in base_of(plan)} | COMPLETED_PROPERTIES
    assert "sample_rate" not in shown


EVERYTHING = """
import os
from typing import Literal

PAY = flow("Invoice Pay", steps=("card",), reasons=("declined",), step_events=True, tier="free",
    size=Literal["small", "large"])

class InvoiceRead(Event):
    pages: int
    kind: Literal["pdf", "csv"]

@cli.command()
def go():
    identify("1", {"plan": "pro"})
    set_context(cloud="fly", **{"a" + "b": 1})
    machine = resource("Machine", 1)
    machine.created(region="eu"), machine.deleted()
    track_error(OSError(), code="config")
    track_warning("old_config")
    with track_command("review", source="skill"), InvoiceRead(pages=1, kind="pdf").timed(): pass
    track("Log Written", {"lines": 1, **os.environ})
    for name in ("a", "b"):
        with track_command(name), flow("Setup") as f:
            f.prompt(name, "?")
            f.event("Looked Around", **{name: 1})
    with PAY(amount=1) as f:
        f.prompt("kind", "Kind?")
        f.set(team=2)
        f.event("Accepted Terms", edition=3)
        f.complete(total=4)
"""
"""An application that uses everything."""


def test_every_event_and_every_property_is_listed(applications: Applications) -> None:
    """Whatever the schema allows; and each place where the program makes names."""
    plan = applications.plan(EVERYTHING, options="properties={'own_team': 'factory'}, sample=0.5")
    text = page(plan)
    shown = set(re.findall(r"`(\w+)`", text))
    names = {one.name for event in plan.events.values() for one in event.properties}
    assert sorted({*names, *plan.common, "plan", "userId", "identify"} - shown) == []
    for event in plan.events:
        flow = next((name for name in plan.flows if event.startswith(name)), "")
        assert f"### {flow or event}\n" in text or f"({event})" in text
        assert event.removeprefix(flow).strip() in text
    assert "  - `size`: `small` or `large`.\n" in text
    assert text.count("whose names the program makes as it runs") == 5


def test_rate_of_a_sample_is_listed_and_in_the_schema(applications: Applications) -> None:
    """Only where the application declares one; each event has it."""
    plan = applications.plan(GO.format(body="..."), options="sample=0.25")
    assert "`sample_rate`" in page(plan)
    assert '"sample_rate": 0.25' in page(plan)
    base = message_schema(plan)["$defs"]["base"]
    assert base["properties"]["sample_rate"]["const"] == 0.25
    assert "sample_rate" in base["required"]


DECLARED: list[tuple[str, list[str], list[str]]] = [
    ("", ["The first run on a terminal informs you", "To Segment (https://api.segment.io)"], []),
    ("events='all'", ["begins (Command Invoked) and when it ends (Command Completed):"], []),
    (
        "consent='opt-in'",
        [
            'unless you enable it: `{"enabled": true}` in `~/.config/acme/telemetry.json`.',
            "in CI, in test runs, or before you enable it.",
        ],
        ["The first run", "could not be informed"],
    ),
    (
        "notice=False",
        ["acme informs you of it", "Nothing is recorded in CI, or in test runs."],
        ["The first run", "could not be informed"],
    ),
    ("properties={'beta': True}", ["| `beta` | always `true` | always the same |"], []),
    ("ci='label'", ["Runs in CI are recorded too"], ["Nothing is recorded in CI"]),
    ("host='https://e.example.com'", ["To https://e.example.com, over"], ["Segment ("]),
    ("host=lambda: None", ["a server that the application chooses"], ["Segment ("]),
    ("auth=lambda: None", ["it goes to the server of your account, with your token"], []),
    (
        "delivery='inline', flush_timeout=2",
        ["waits for the delivery at its end, 2 s at most"],
        ["No command"],
    ),
    ("no_telemetry_option=False", ["`ACME_NO_TELEMETRY=1`"], ["--no-telemetry"]),
    ("events='completed'", ["When a command ends (Command Completed):"], ["Invoked"]),
]
"""An option, texts that the page has, and texts that it does not have."""


@pytest.mark.parametrize(("options", "present", "absent"), DECLARED)
def test_the_page_states_what_is_declared(
    options: str, present: list[str], absent: list[str], applications: Applications
) -> None:
    """Consent, destination, delivery, the opt-outs."""
    text = text_of(applications.plan(GO.format(body="..."), options=options))
    assert [one for one in present if one not in text] == []
    assert [one for one in absent if one in text] == []


STORED = "another process delivers it. No command waits for it."
ADDRESS = "The server sees the IP address"
INTRODUCED = "The first message of an installation has that ID alone"
OTHERS: list[tuple[str, list[str], list[str]]] = [
    (
        "destination=Segment('key')",
        ["To Segment (https://api.segment.io), over HTTPS.", STORED, ADDRESS, INTRODUCED],
        ["in the form of"],
    ),
    (
        "destination=Segment('key', 'https://e.example.com')",
        ["To https://e.example.com, over HTTPS."],
        [],
    ),
    (
        "destination=Webhook('https://e.example.com/t')",
        ["To https://e.example.com (Webhook), over HTTPS.", ADDRESS, INTRODUCED],
        [],
    ),
    ("destination=Webhook('http://127.0.0.1:8000/t')", ["(Webhook). What"], ["over HTTPS"]),
    (
        "destination=PostHog('phc_key')",
        ["(PostHog), over HTTPS. It gets the same data in the form of PostHog.", ADDRESS],
        [INTRODUCED],
    ),
    (
        "destination=OpenTelemetry('https://e.example.com')",
        ["It gets the same data in the form of OpenTelemetry.", ADDRESS],
        [INTRODUCED],
    ),
    (
        "destination=File('~/events.jsonl')",
        [
            "To a file on this machine, `~/events.jsonl`.",
            STORED,
            "What is in the file that events go to stays there until you delete it.",
        ],
        [ADDRESS],
    ),
    (
        "destination=Custom('acme.telemetry:Transport')",
        ["To code of acme itself (`acme.telemetry:Transport`), in a process of its own.", STORED],
        [ADDRESS],
    ),
    (
        "client=Client()",
        ["To code of acme itself, in the command's own process. ## How to opt out"],
        [STORED, ADDRESS, INTRODUCED, "Telemetry Health", "is queued"],
    ),
]
"""A declaration, texts that the page has, and texts that it does not have."""


@pytest.mark.parametrize(("declared", "present", "absent"), OTHERS)
def test_the_page_states_what_is_true_of_the_destination(
    declared: str, present: list[str], absent: list[str], applications: Applications
) -> None:
    """Each kind of destination."""
    head = (
        "import click\nfrom click_telemetry import *\nfrom click_telemetry.destinations import *\n"
        "class Client:\n  def record(self, message): pass\n  def close(self): pass\n"
        f"@instrumented_group(app='acme', {declared})\n"
        "@click.group()\ndef cli(): pass\ncli.add_command(telemetry_group())\n"
    )
    text = text_of(applications.plan(GO.format(body="..."), head=head))
    assert [one for one in present if one not in text] == []
    assert [one for one in absent if one in text] == []


def test_without_a_destination_the_page_states_that_nothing_is_sent(
    applications: Applications,
) -> None:
    """As long as the application names none."""
    head = (
        "import click\nfrom click_telemetry import *\n"
        "@instrumented_group(app='acme')\n@click.group()\ndef cli(): pass\n"
    )
    text = text_of(applications.plan(GO.format(body="..."), head=head))
    assert "Nowhere: acme names no destination, and nothing is stored or sent." in text


BODIES: list[tuple[str, list[str]]] = [
    ("track('Invoice Read', {'pages': 1})", ["### Invoice Read", "| `pages` | what the program"]),
    ("identify('1', {'plan': 'pro'})", ["## Who is signed in", "facts about it: `plan`."]),
    ("resource('Machine', 1).created()", ["### Machine Deleted", "`lifetime_hours` | a number"]),
    ("track_command('review')", ["| `acme review` |"]),
    ("track_warning('old')", ["### Warning Occurred", "| `code` | `old` |"]),
    (
        "flow('Invoice Pay', steps=('card',)).start().prompt('kind', 'Kind?')",
        ["### Invoice Pay", "is recorded (`step`): `card`.", "`kind`: whether it was answered"],
    ),
]


@pytest.mark.parametrize(("body", "present"), BODIES)
def test_the_page_lists_what_the_source_records(
    body: str, present: list[str], applications: Applications
) -> None:
    """Events, users, resources, custom commands and flows."""
    text = text_of(applications.plan(GO.format(body=body)))
    assert [one for one in present if one not in text] == []


def test_what_is_never_recorded_is_named(applications: Applications) -> None:
    """Excluded commands, and those whose names stay unknown."""
    source = "exclude(cli.command('receiver')(lambda: None))\ncli.command('go')(lambda: None)\n"
    text = text_of(applications.plan(source))
    assert "Never recorded, with all below them: `acme receiver`." in text


def test_texts_of_the_application_cannot_break_a_table(applications: Applications) -> None:
    """A column's end and a tag of HTML within a help text are escaped; a row has all its cells."""
    plan = applications.plan(
        "@cli.command(help='Read <A> | B\\n\\nand more')\n@click.option('--a')\ndef go(a): pass\n"
    )
    rows = [line for line in page(plan).splitlines() if line.startswith("| `acme go`")]
    assert rows == ["| `acme go` | Read &lt;A> \\| B | `a` |"]
