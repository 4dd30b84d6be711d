"""The plan has the names that the source records by calls, wherever they are written."""

from __future__ import annotations

from typing import Any

import pytest

from click_telemetry._plan.expressions import UNKNOWN
from click_telemetry._plan.model import Plan

from ..harness.planned import Applications

OWN = ("declared", "flow", "resource", "error", "named")


def own_names(plan: Plan) -> dict[str, list[str]]:
    """The names of the properties that the application gives each event of its own."""
    return {
        event.name: [one.name for one in event.properties if not one.is_declared]
        for event in plan.events.values()
        if event.kind in OWN
    }


ANY: list[tuple[str, dict[str, list[str]]]] = [
    ("track('Invoice Read')", {"Invoice Read": []}),
    ("track('Invoice Read', {'pages': 1, 'of': x})", {"Invoice Read": ["of", "pages"]}),
    ("track('Invoice Read', dict(pages=1))", {"Invoice Read": ["pages"]}),
    ("track('Invoice Read', properties={'pages': 1})", {"Invoice Read": ["pages"]}),
    ("current().track('Invoice Read', None)", {"Invoice Read": []}),
    ("recorder = current()\nrecorder.track('Invoice Read', {'a': 1})", {"Invoice Read": ["a"]}),
    ("track(NAME)", {"Invoice Read": []}),
    ("import click_telemetry as ct\nct.track('Invoice Read')", {"Invoice Read": []}),
    ("from click_telemetry import track as t\nt('Invoice Read')", {"Invoice Read": []}),
    ("lambda: track('Invoice Read')", {"Invoice Read": []}),
    ("track_warning('old')", {"Warning Occurred": []}),
    ("track_error(x, code='full')", {"Error Occurred": []}),
    (
        "vm = resource('Machine', x)\nvm.created(region=1)\nvm.deleted(**{})",
        {"Machine Created": ["region"], "Machine Connected": [], "Machine Deleted": []},
    ),
    (
        "resource('Machine', x).connected(by=1)",
        {"Machine Created": [], "Machine Connected": ["by"], "Machine Deleted": []},
    ),
]
"""A statement in a function's body, and the own names that it gives."""


@pytest.mark.parametrize(("statement", "names"), ANY)
def test_names_in_a_call_are_in_the_plan(
    statement: str, names: dict[str, list[str]], applications: Applications
) -> None:
    """Of events and of their properties, by any way to call the library."""
    body = statement.replace("\n", "\n    ")
    plan = applications.plan(f"NAME = 'Invoice Read'\n\n@cli.command()\ndef go(x):\n    {body}\n")
    assert own_names(plan) == names
    assert plan.unknown == []


FLOW = """
CREATE = flow("Invoice Create", steps=("a", "b"), reasons=("declined",), kind="x")
PLANS = ("free", "pro")

@cli.command()
def go():
    {body}
"""

FLOWS: list[tuple[str, list[str], dict[str, Any], list[str]]] = [
    ("with CREATE: pass", ["kind"], {}, []),
    ("with CREATE(when=True, size=1) as f: f.set(plan=1)", ["kind", "plan", "size"], {}, []),
    ("f = CREATE.start(); f.complete(pages=1)", ["kind", "pages"], {}, []),
    ("def helper(f: Flow | None = None): f.abort('x', by=1)", ["by", "kind"], {}, []),
    ("with CREATE as f: f.event('Read Terms')", ["kind"], {}, ["Read Terms"]),
    ("with CREATE as f: f.confirm('sure', 'Sure?')", ["kind"], {"sure": True}, []),
    ("with CREATE as f: f.prompt('name', 'Name')", ["kind"], {"name": None}, []),
    (
        "with CREATE as f: f.prompt('plan', 'Plan', type=click.Choice(PLANS))",
        ["kind"],
        {"plan": ["free", "pro"]},
        [],
    ),
    (
        "with CREATE as f: f.prompt('plan', 'Plan', type=click.Choice(['a', 'b']), answer=False)",
        ["kind"],
        {"plan": None},
        [],
    ),
    (
        "with CREATE as f: f.prompt('pin', 'PIN', hide_input=True, type=click.Choice(['a', 'b']))",
        ["kind"],
        {"pin": None},
        [],
    ),
    (
        "with CREATE as f: f.prompt('plan', 'Plan', type=click.Choice(made()))",
        ["kind"],
        {"plan": UNKNOWN},
        [],
    ),
]
"""The body of a function, and the flow's own properties, its prompts and its other events."""


@pytest.mark.parametrize(("body", "properties", "prompts", "moments"), FLOWS)
def test_names_in_a_flow_are_in_the_plan(
    body: str,
    properties: list[str],
    prompts: dict[str, Any],
    moments: list[str],
    applications: Applications,
) -> None:
    """Its own properties, its prompts with their choices, and its other events."""
    plan = applications.plan(FLOW.format(body=body))
    (flow,) = plan.flows.values()
    assert own_names(plan)["Invoice Create Completed"] == properties
    assert flow.prompts == prompts
    others = [name.removeprefix("Invoice Create ") for name in flow.events]
    ends = ["Started", "Completed", "Aborted", "Failed"]
    assert [name for name in others if name not in ends and "Prompt" not in name] == moments
    assert flow.steps == ("a", "b")
    assert flow.reasons == ("declined", "cancelled", "abandoned")


def test_a_helper_that_asks_has_the_names_that_its_callers_pass(
    applications: Applications,
) -> None:
    """For each flow those of its own calls, from any module."""
    plan = applications.plan(
        """
        from .helper import ask

        CREATE = flow("Invoice Create")
        DELETE = flow("Invoice Delete")

        @cli.command()
        def go():
            with CREATE as f:
                ask("plan", ["free", "pro"], f)
                ask("kind", choices=("a",), f=f)
            with DELETE as f:
                ask("sure", ["never"], f)
            ask("alone", ["x"])
        """,
        helper="""
        import click
        from click_telemetry import Flow

        def ask(name, choices, f=None):
            return Flow.of(f).prompt(name, "Which?", type=click.Choice(choices))
        """,
    )
    assert plan.flows["Invoice Create"].prompts["plan"] == ["free", "pro"]
    assert plan.flows["Invoice Create"].prompts["kind"] == ["a"]
    assert plan.flows["Invoice Delete"].prompts["sure"] == ["never"]


def test_a_helper_whose_parameters_have_no_annotation_is_followed(
    applications: Applications,
) -> None:
    """A flow that is passed to it, and a function around `track`."""
    plan = applications.plan(
        """
        from .helper import ask, note

        CREATE = flow("Invoice Create")

        @cli.command()
        def go():
            with CREATE as f:
                ask("plan", ["free", "pro"], f)
            note("Invoice Read", pages=1)
            note("Invoice Sent")
        """,
        helper="""
        import click
        from click_telemetry import track

        def ask(name, choices, running):
            running.set(asked=True)
            return running.prompt(name, "Which?", type=click.Choice(choices))

        def note(name, **properties):
            track(name, properties)

        def other(running):
            running.set(other=True)
        """,
    )
    assert plan.flows["Invoice Create"].prompts == {"plan": ["free", "pro"]}
    assert own_names(plan)["Invoice Create Completed"] == ["asked"]
    assert {"Invoice Read", "Invoice Sent"} <= {*plan.events}
    assert plan.unknown == []


def test_flows_in_decorators_functions_and_options_are_found(applications: Applications) -> None:
    """Wherever they are defined."""
    plan = applications.plan(
        """
        @cli.command()
        @flow("Invoice Pay", steps=("pay",))
        def pay(): pass

        @cli.command()
        def go():
            from . import late
            with flow("Invoice Read", steps=("open",), reasons=("bored",), step_events=True): pass
        """,
        late="from click_telemetry import flow\nSEND = flow('Invoice Send')\n",
    )
    assert list(plan.flows) == ["Invoice Pay", "Invoice Read", "Invoice Send"]
    assert plan.flows["Invoice Pay"].steps == ("pay",)
    assert plan.flows["Invoice Read"].reasons == ("bored", "cancelled", "abandoned")
    assert "Invoice Read Step Reached" in plan.events


def test_declared_events_are_those_of_the_application(applications: Applications) -> None:
    """Of its packages, also of a module that a function imports, and those of `events=`."""
    event = "from click_telemetry import Event\nclass {}(Event): pass\n"
    other = applications.write(event.format("TheirsListed") + "class TheirsUnused(Event): pass")
    plan = applications.plan(
        """
        @cli.command()
        def go():
            from . import late
        """,
        late=event.format("OurLate"),
        head=f"from {other}.main import TheirsListed\n"
        + "import click\nfrom click_telemetry import *\n"
        "@instrumented_group(app='acme', events=(TheirsListed, 'Invoice Read'))\n"
        "@click.group()\ndef cli(): pass\n",
    )
    assert sorted(own_names(plan)) == ["Invoice Read", "Our Late", "Theirs Listed"]
    assert plan.events["Invoice Read"].is_open


def test_what_cannot_be_known_is_listed(applications: Applications) -> None:
    """Names that are made as the program runs, and a module that cannot be imported.

    A module that has nothing to do with telemetry is not imported for the plan.
    """
    plan = applications.plan(
        """
        @cli.command()
        def go(name, more):
            from . import broken
            track(f"Invoice {name}")
            track("Invoice Read", more)
            set_context(**more)
            with flow("Invoice Pay") as f:
                f.event(name)
                f.prompt(name, "Which?")
            with flow(name):
                resource(name, 1).created()
            with track_command(name): pass
        """,
        broken="from click_telemetry import track\n1 / 0",
        unrelated="1 / 0",
    )
    module = plan.settings.package
    made = "whose names are made as it runs"
    assert plan.unknown == [
        f"{module}.main has custom commands {made}",
        f"{module}.main has flows {made}",
        f"{module}.main has resources {made}",
        f"{module}.main tracks events {made}",
        f"the flow Invoice Pay has events {made}",
    ]
    assert plan.custom_is_open
    assert plan.problems == {f"{module}.broken": "ZeroDivisionError: division by zero"}
    assert plan.events["Invoice Read"].is_open
    assert plan.common_is_open


def test_users_context_and_custom_commands_are_in_the_plan(applications: Applications) -> None:
    """With the names of traits and of common properties, and what they mean."""
    plan = applications.plan(
        """
        @cli.command()
        def go():
            identify("42", {"plan": "pro"})
            set_context(cloud="fly")
            with track_command("review", source="skill"): pass
        """,
        options="properties={'team': 'factory', 'org': org}",
        head="import click\nfrom click_telemetry import *\n"
        "def org():\n    '''The organisation of the signed-in user.\n\n    More.'''\n"
        "@instrumented_group(app='acme'{options})\n@click.group()\ndef cli(): pass\n",
    )
    assert plan.traits is not None
    assert plan.traits.names == {"plan"}
    assert list(plan.commands) == ["acme go", "acme review"]
    assert {name: (one.schema, one.meaning) for name, one in plan.common.items()} == {
        "cloud": ({}, ""),
        "org": ({}, "The organisation of the signed-in user"),
        "team": ({"const": "factory"}, "always the same"),
    }


def test_a_plan_runs_no_command_and_changes_no_module_that_it_reads(
    applications: Applications,
) -> None:
    """Bodies and functions of properties are not called."""
    plan = applications.plan(
        """
        @cli.result_callback()
        def fail(*_): raise AssertionError

        @cli.command()
        def go(): raise AssertionError
        """,
        options="properties={'a': lambda: 1 / 0}, auth=lambda: 1 / 0",
    )
    assert list(plan.commands) == ["acme go"]
