"""What a developer declares of a flow: a mistake names the fix, where the developer sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Literal

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from click_telemetry import flow
from click_telemetry._events.flow_plan import FlowPlan
from click_telemetry._events.text import (
    MAX_DECLARED,
    MAX_WORD,
    name_problem,
    split_words,
    word_or_none,
    word_problem,
)
from click_telemetry._foreground.options import DeclarationError
from click_telemetry._reader import BASE_PROPERTIES

from ..harness.values import ANY_TEXT, BrokenText, Level, liar

MISTAKES: list[Any] = [
    ({"name": "application create"}, "is not in Title Case: write 'Application Create'"),
    ({"name": "Application_create"}, "is not in Title Case: write 'Application Create'"),
    ({"name": ""}, "is empty"),
    ({"name": "A" * (MAX_DECLARED + 1)}, "is longer than 100 characters"),
    ({"name": "Create\n"}, "unprintable character or an unneeded space"),
    ({"name": "Create  It"}, "unprintable character or an unneeded space"),
    ({"name": None}, "must be a name such as"),
    ({"name": 3}, 'must be a name such as "Application Create", not int'),
    ({"steps": "terms"}, "steps is a string: write steps=('terms',)"),
    ({"steps": 3}, "steps must be a tuple of words, not int"),
    ({"steps": ("terms", "terms")}, "step 'terms' is declared twice: remove one"),
    ({"steps": ("API call",)}, "Write 'api_call'"),
    ({"steps": (None,)}, "step must be a snake_case word, not NoneType"),
    ({"steps": ("a" * (MAX_WORD + 1),)}, "no snake_case word of at most 64"),
    ({"reasons": "cancelled"}, "reasons is a string: write reasons=('cancelled',)"),
    ({"reasons": ("declinedTerms",)}, "Write 'declined_terms'"),
    ({"reasons": ("a", "a")}, "reason 'a' is declared twice"),
    ({"aborts": [ValueError]}, "aborts must be a mapping, not list"),
    ({"aborts": {"ValueError": "a"}}, "'ValueError', which is no exception class"),
    ({"aborts": {int: "a"}}, "which is no exception class"),
    ({"aborts": {ValueError: "A wall"}}, "Write 'a_wall'"),
    ({"step": "mine"}, "have 'step' already: rename the property, for example to 'flow_step'"),
    ({"sequence": 1}, "have 'sequence' already"),
    ({"error_class": "x"}, "have 'error_class' already"),
    ({"plan": str}, "plan is a text without a bound: write Literal[…] or Annotated[str, 64]"),
    ({"plan": bytes}, "plan is bytes: a property may be Literal, an Enum, bool"),
    ({"step": bool}, "have 'step' already"),
]


@pytest.mark.parametrize(("wrong", "message"), MISTAKES, ids=lambda value: str(value)[:50])
def test_a_mistake_around_a_function_raises_at_import(wrong: dict[str, Any], message: str) -> None:
    """The message names the flow, what is wrong, and what to write instead."""
    options = dict(wrong)
    declared = flow(options.pop("name", "Application Create"), **options)
    with pytest.raises(DeclarationError) as raised:
        declared(lambda: None)
    assert message in str(raised.value)


@pytest.mark.parametrize(("wrong", "message"), MISTAKES, ids=lambda value: str(value)[:50])
def test_a_mistake_in_a_block_raises_in_a_test(wrong: dict[str, Any], message: str) -> None:
    """Before anything is recorded."""
    options = dict(wrong)
    declared = flow(options.pop("name", "Application Create"), **options)
    with pytest.raises(DeclarationError) as raised:
        declared.__enter__()
    assert message in str(raised.value)


def test_a_mistake_at_a_module_s_top_level_raises_at_import() -> None:
    """A flow need not run for its declaration to be checked."""
    source = "from click_telemetry import flow\nF = flow('Spawn', steps=('Two Words',))"
    with pytest.raises(DeclarationError, match="Write 'two_words'"):
        exec(compile(source, "module.py", "exec"), {})


def test_a_property_that_a_call_adds_is_checked_too() -> None:
    """`CREATE(step="mine")` is reported as a declared one is."""
    with pytest.raises(DeclarationError, match="have 'step' already"):
        flow("Spawn")(step="mine").__enter__()


def asynchronous() -> Callable[..., Any]:
    async def work() -> AsyncIterator[int]:
        yield 1

    return work


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (click.Command("go"), "below the decorator that makes the command"),
        (click.Group("go"), "below the decorator that makes the command"),
        (3, "it takes a function"),
        (int, "it takes a function"),
        (asynchronous(), "write `with flow(…) as f:` inside work"),
    ],
)
def test_what_a_flow_cannot_decorate_raises(thing: Any, message: str) -> None:
    """The decorators' order, above all."""
    declared: Any = flow("Spawn")
    with pytest.raises(DeclarationError) as raised:
        declared(thing)
    assert message in str(raised.value)


def test_the_plan_is_on_the_declaration() -> None:
    """What a tracking plan is made of can be read without walking anything."""
    plan = flow(
        "Plan Change",
        steps=["plan", Level.HIGH],
        reasons=["declined_terms"],
        aborts={ValueError: "broken", OSError: "declined_terms"},
        step_events=True,
        level=Level,
        kind=Literal["a", "b"] | None,
        source="cli",
    ).plan
    assert plan.name == "Plan Change"
    assert {name: one.choices for name, one in plan.types.items()} == {
        "level": ("high",),
        "kind": ("a", "b"),
    }
    assert plan.steps == ("plan", "high")
    assert plan.reasons == ("declined_terms", "broken")
    assert plan.aborts == ((ValueError, "broken"), (OSError, "declined_terms"))
    assert (plan.step_events, plan.problem) == (True, None)


def test_what_can_be_used_of_a_wrong_declaration_is_used() -> None:
    """At a prompt nothing raises, and as little as possible is dropped."""
    wrong: Any = {"steps": ("one", 3, "one", "two"), "aborts": {int: "x", ValueError: "broken"}}
    plan = FlowPlan("Spawn", reasons=("a",), **wrong)
    assert (plan.name, plan.steps, plan.reasons) == ("Spawn", ("one", "two"), ("a", "broken"))
    assert plan.aborts == ((ValueError, "broken"),)


@given(ANY_TEXT | st.none() | st.integers())
def test_any_object_as_a_name_or_word_gives_a_problem(text: Any) -> None:
    """Whatever is given, it is a word or there is a sentence about it."""
    word = word_or_none(text)
    assert (word is None) == (word_problem("step", text) is not None)
    assert word is None or (word.isascii() and word == word.lower() and 0 < len(word) <= MAX_WORD)
    problem = name_problem("the name", text)
    assert problem is None or problem.isprintable() or isinstance(text, str)
    FlowPlan(text, steps=text, reasons=[text])


def test_objects_that_lie_are_judged_without_their_own_code() -> None:
    """Nothing that is declared can raise what is not ours."""
    stranges: list[Any] = [BrokenText("a"), BrokenText("A B"), liar(str)]
    found = []
    for strange in stranges:
        plan = FlowPlan("Spawn", steps=(strange,))
        found.append(plan.steps)
        FlowPlan(strange, steps=strange, reasons=strange)
    assert found == [("a",), (), ()]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("PlanChanged", "Plan Changed"),
        ("APIUsed", "API Used"),
        ("UsedAPI", "Used API"),
        ("Plan2Changed", "Plan2 Changed"),
        ("Plan_Changed", "Plan Changed"),
        ("Spawned", "Spawned"),
        ("GitHubAppInstalled", "Git Hub App Installed"),
    ],
)
def test_a_class_s_name_is_read_as_words(name: str, words: str) -> None:
    """`PlanChanged` is `Plan Changed`."""
    assert split_words(name) == words


def test_every_base_property_is_refused() -> None:
    """None of them can be declared for a flow."""
    for name in BASE_PROPERTIES:
        plan = FlowPlan("Spawn")
        plan.check_properties([name])
        assert plan.problem is not None


@pytest.mark.parametrize("method", ["step", "set", "event", "complete", "abort", "prompt"])
def test_definition_that_is_used_as_a_running_flow_names_the_fix(method: str) -> None:
    """I forgot `with`, and the message shows me where it belongs."""
    definition = flow("Spawn", steps=("name",))
    assert not hasattr(definition, method)  # as for any name that is missing
    with pytest.raises(DeclarationError) as caught:
        getattr(definition, method)("name")
    assert f"write `with … as f:`, and in it f.{method}(…)" in str(caught.value)


@pytest.mark.parametrize("name", ["stpe", "_reached", "__wrapped__"])
def test_other_names_that_a_definition_does_not_have_are_as_on_any_object(name: str) -> None:
    """An AttributeError of Python's own."""
    with pytest.raises(AttributeError, match=f"has no attribute '{name}'") as caught:
        getattr(flow("Spawn"), name)
    assert type(caught.value) is AttributeError
