"""Questions inside a flow: shown, answered or cancelled; the answer only where it was declared."""

from __future__ import annotations

import enum
import json
import sys
from typing import Any

import click
import pytest
from click.testing import CliRunner

from click_telemetry import Flow, flow
from click_telemetry._foreground.options import DeclarationError
from click_telemetry.testing import RecordingClient

from ..harness.flows import at_a_prompt, command, own_events, walk
from ..harness.keyboard import Keyboard
from ..harness.stories import run

pytestmark = pytest.mark.usefixtures("recording_client")

SPAWN = flow("Spawn", steps=("agent",))


def asking(*args: Any, **options: Any) -> tuple[list[Any], Any]:
    """A body that asks one question, and what came back."""
    answers: list[Any] = []

    def go() -> None:
        with SPAWN as f:
            f.step("agent")
            answers.append(f.prompt("agent", "Which agent", *args, **options))

    return answers, go


def question(moment: str, **own: Any) -> tuple[str, dict[str, Any]]:
    return f"Spawn Prompt {moment}", {"prompt": "agent", **own, "step": "agent"}


STARTED: tuple[str, dict[str, Any]] = ("Spawn Started", {})
ENDED = ("Spawn Completed", {"step": "agent"})


def test_a_free_answer_is_not_recorded() -> None:
    """That it was asked and answered is recorded; text and answer are not."""
    answers, go = asking()
    client = RecordingClient()
    run(command(go, client), "go", input="secret agent\n")
    assert answers == ["secret agent"]
    assert own_events(client) == [STARTED, question("Shown"), question("Answered"), ENDED]
    assert "secret" not in json.dumps(client.messages)
    assert "Which" not in json.dumps(client.messages)


def test_a_declared_choice_is_recorded() -> None:
    """The declared choice that was picked is recorded."""
    answers, go = asking(type=click.Choice(["claude", "codex"]))
    assert walk(go, "nonsense\ncodex\n") == [
        STARTED,
        question("Shown"),
        question("Answered", answer="codex"),
        ENDED,
    ]
    assert answers == ["codex"]


def test_a_choice_without_case_is_recorded_as_declared() -> None:
    """As the code writes it, and not as it was typed."""
    _, go = asking(None, False, False, click.Choice(["Claude"], case_sensitive=False))
    assert question("Answered", answer="Claude") in walk(go, "cLAUDE\n")


@pytest.mark.skipif(
    not hasattr(click.Choice(["a"]), "normalize_choice"), reason="Click 8.2 takes enumerations"
)
def test_a_choice_of_an_enumeration_is_recorded_by_value() -> None:
    """From Click 8.2 a Choice gives its own objects."""

    class Agent(enum.Enum):
        CLAUDE = "claude-code"

    choices: Any = Agent
    answers, go = asking(type=click.Choice(choices))
    assert question("Answered", answer="claude-code") in walk(go, "CLAUDE\n")
    assert answers == [Agent.CLAUDE]


@pytest.mark.parametrize(
    "options",
    [
        {"type": click.Choice(["secret"]), "answer": False},
        {"type": click.Choice(["secret"]), "hide_input": True},
        {"type": str},
        {"value_proc": str.upper, "type": click.Choice(["secret"])},
        {"type": click.Path()},
    ],
    ids=["own choices", "hidden", "text", "made of it", "path"],
)
def test_other_answers_are_not_recorded(options: dict[str, Any]) -> None:
    """Choices of the person's own, hidden input, what was made of the answer."""
    answers, go = asking(**options)
    assert question("Answered") in walk(go, "secret\n")
    assert str(answers[0]).lower() == "secret"


@pytest.mark.parametrize(("typed", "answer"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_a_confirmation_is_recorded(typed: str, answer: bool) -> None:
    """Yes and no are declared enough."""
    answers = []

    def go() -> None:
        with SPAWN as f:
            answers.append(f.confirm("sure", "Delete secret?"))

    assert walk(go, typed) == [
        STARTED,
        ("Spawn Prompt Shown", {"prompt": "sure"}),
        ("Spawn Prompt Answered", {"prompt": "sure", "answer": answer}),
        ("Spawn Completed", {}),
    ]
    assert answers == [answer]


@pytest.mark.parametrize("positional", [True, False])
def test_a_no_that_aborts_is_an_answer_first(positional: bool) -> None:
    """`abort=True` looks like Ctrl-C from outside; here the two are distinguished."""

    def go() -> None:
        with SPAWN as f:
            if positional:
                f.confirm("sure", "Sure?", False, True)
            else:
                f.confirm("sure", "Sure?", abort=True)

    end = ("Spawn Aborted", {"reason": "cancelled"})
    no = ("Spawn Prompt Answered", {"prompt": "sure", "answer": False})
    shown = ("Spawn Prompt Shown", {"prompt": "sure"})
    assert walk(go, "n\n") == [STARTED, shown, no, end]
    assert walk(go, "") == [STARTED, shown, ("Spawn Prompt Cancelled", {"prompt": "sure"}), end]
    bare = CliRunner().invoke(click.Command("go", callback=go), input=Keyboard("n\n"))
    assert (bare.exit_code, bare.output) == (1, "Sure? [y/N]: n\nAborted!\n")


def test_ctrl_c_is_cancelled() -> None:
    """The question, the flow and the command, each with its own event."""
    _, go = asking(type=click.Choice(["claude"]))
    assert walk(go, "") == [
        STARTED,
        question("Shown"),
        question("Cancelled"),
        ("Spawn Aborted", {"reason": "cancelled", "step": "agent"}),
    ]


def test_a_fault_in_a_question_is_no_cancelled_one() -> None:
    """Shown, and neither answered nor cancelled; the flow records what happened."""

    def broken(_: str) -> str:
        raise RuntimeError("secret")

    _, go = asking(value_proc=broken)
    assert walk(go, "x\n") == [
        STARTED,
        question("Shown"),
        ("Spawn Failed", {"error_class": "RuntimeError", "step": "agent"}),
    ]


def test_a_question_of_no_flow_is_click_s_own() -> None:
    """A helper asks for whoever calls it, an automatic re-login too."""
    asked = []

    def go() -> None:
        asked.append(Flow.of(None).prompt("agent", "Agent", default="x"))
        asked.append(Flow.of(None).confirm("sure", "Sure?", default=True))

    assert walk(go, "\n\n") == []
    assert asked == ["x", True]


def test_a_prompt_s_name_is_a_word() -> None:
    """It raises in a test; at a prompt the question is asked all the same."""

    def go(name: str) -> None:
        with SPAWN as f:
            f.prompt(name, "Agent", default="x")

    result = run(command(lambda: go("Which agent?"), RecordingClient()), "go", input="\n")
    assert isinstance(result.exception, DeclarationError)
    assert "Write 'which_agent'" in str(result.exception)


def test_a_prompt_s_text_never_takes_the_place_of_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where the text is passed twice, nothing of it is recorded."""
    monkeypatch.setattr("sys.stdin", None)
    monkeypatch.setattr("click.termui.prompt", lambda text, **_: text)

    def go() -> None:
        with SPAWN as f:
            f.prompt("Delete /home/ada?", "Delete /home/ada?")

    assert at_a_prompt(go)[1:3] == [
        ("Spawn Prompt Shown", {"prompt": "<undeclared>"}),
        ("Spawn Prompt Answered", {"prompt": "<undeclared>"}),
    ]


def test_the_running_command_s_own_click_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Typer carries a copy of Click since 0.26; its commands' questions are the copy's."""

    class Copy:
        @staticmethod
        def get_current_context(silent: bool) -> object:
            return object()

        Abort = KeyError

        @staticmethod
        def confirm(text: str) -> bool:
            return False

        @staticmethod
        def prompt(text: str) -> str:
            return f"copy: {text}"

    monkeypatch.setitem(sys.modules, "typer._click.globals", Copy)
    monkeypatch.setitem(sys.modules, "typer._click.termui", Copy)
    assert Flow.of(None).prompt("agent", "Agent") == "copy: Agent"
    with pytest.raises(KeyError):
        Flow.of(None).confirm("sure", "Sure?", abort=True)
