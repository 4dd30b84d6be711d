"""No value of the user is in a message, a file or a log line, in any form."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from click_telemetry import instrument, track
from click_telemetry._foreground.sinks import LogClient
from click_telemetry._sender.queue import compose

from .harness.canaries import Canaries, Leak
from .harness.trees import BODIES, OPTIONS, TREES, Tree


class Recorded:
    """What a run recorded, in each form in which it can leave the process.

    Args:
        state: the receiver's state directory of the run.
    """

    def __init__(self, state: Path) -> None:
        files = sorted(path for path in state.rglob("*") if path.is_file())
        spooled = [path for path in files if path.suffix == ".facts"]
        composed = [compose(p.name, p.read_bytes(), writer_gone=True) for p in spooled]
        assert [part.lost for part in composed] == [0] * len(spooled)
        self.messages = [message for part in composed for message in part.messages]
        names = [str(path.relative_to(state)).encode() for path in files]
        self.stored = b"\n".join([*names, *(path.read_bytes() for path in files)])
        log = io.StringIO()
        with contextlib.redirect_stderr(log):
            for message in self.messages:
                LogClient().record(message)
        self.logged = log.getvalue()
        assert self.logged.count('"messageId"') == len(self.messages)

    @property
    def names(self) -> list[str]:
        """The names of the events."""
        return [str(message["event"]) for message in self.messages]

    def leaks(self, canaries: Canaries) -> list[Leak]:
        """The canaries in it."""
        return [
            *canaries.found_in("messages", repr(self.messages)),
            *canaries.found_in("spool", self.stored),
            *canaries.found_in("log", self.logged),
        ]


def run(tree: Tree, **options: Any) -> tuple[list[str], list[Leak]]:
    """Run a tree's command line as `click-telemetry watch` does, surrounded by canaries.

    Returns:
        The names of the recorded events, and the leaks.
    """
    canaries = tree.canaries
    before = os.getcwd()
    instrument(tree.root, app="acme", **options)
    with tempfile.TemporaryDirectory() as directory:
        state = Path(directory, "state")
        state.mkdir(mode=0o700)
        cwd = Path(directory, canaries.new("the working directory"))
        cwd.mkdir()
        os.chdir(cwd)
        try:
            CliRunner().invoke(
                tree.root,
                tree.line,
                input="".join(f"{answer}\n" for answer in tree.answers),
                prog_name=canaries.new("the program's name"),
                env={
                    **tree.environ,
                    "CLICK_TELEMETRY_WATCH": "http://127.0.0.1:9",
                    "CLICK_TELEMETRY_WATCH_STATE": str(state),
                    "HOME": f"/home/{canaries.new('the home')}",
                    "USER": canaries.new("the user"),
                    "HOSTNAME": canaries.new("the host"),
                    "API_TOKEN": canaries.new("a variable of the environment"),
                    "ACME_REGION": canaries.new("a variable of the application"),
                    "PWD": str(cwd),
                },
            )
        finally:
            os.chdir(before)
        recorded = Recorded(state)
        return recorded.names, recorded.leaks(canaries)


# In messages, the spool, the log --------------------------------------------------------------


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(TREES, st.integers(min_value=0))
def test_nothing_private_comes_out_of_any_command_tree(plan: dict[str, Any], seed: int) -> None:
    """Values, arguments, variables, answers, messages, paths, names: whatever the tree, none."""
    _, leaks = run(Tree(plan, Canaries(seed)))
    assert leaks == []


def plan(body: str = "done", **leaf: Any) -> dict[str, Any]:
    """A group with plugins, and a leaf."""
    return {
        "groups": [{"kind": "plugins", "options": ["text", "variable", "prompted"]}],
        "leaf": {"options": [*OPTIONS], "argument": "many", "body": body, **leaf},
        "typed": "declared",
    }


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("typed", ["declared", "dynamic"])
def test_nothing_private_comes_out_however_a_command_ends(body: str, typed: str) -> None:
    """With every kind of option, and each way to fail."""
    names, leaks = run(Tree({**plan(body), "typed": typed}, Canaries(f"{body} {typed}")))
    assert names == ["Command Invoked", "Command Completed"]
    assert leaks == []


# Positive controls ----------------------------------------------------------------------


@pytest.mark.extended
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(TREES.filter(lambda plan: plan["typed"] == "declared"), st.integers(min_value=0))
def test_a_deliberate_leak_is_found(plan: dict[str, Any], seed: int) -> None:
    """An application that records a user's value itself, under a harmless name."""
    tree = Tree(plan, Canaries(seed), lambda canary: track("Region Chosen", {"region": canary}))
    names, leaks = run(tree)
    if "Region Chosen" in names:  # a broken option may end the run before its body
        assert {leak.where for leak in leaks} == {"messages", "spool", "log"}
        assert {leak.place for leak in leaks} == {f"the text of {plan['leaf']['body']}"}


@pytest.mark.parametrize(
    "what",
    [
        "the value of --text-4",
        "an argument",
        "the working directory",
        "the home",
        "a variable of the environment",
        "the program's name",
        "the text of runtime",
    ],
)
def test_a_leak_of_each_kind_of_value_is_found(what: str) -> None:
    """Each canary would be found if it were recorded; here an application records it."""
    canaries = Canaries(what)
    tree = Tree(plan("runtime"), canaries)

    def leak() -> str:
        (canary,) = (canary for canary in canaries.all() if canaries.place(canary) == what)
        return canary

    names, leaks = run(tree, properties={"team": leak})
    assert names == ["Command Invoked", "Command Completed"]
    assert {leak.place for leak in leaks} == {what}


def test_canaries_reach_the_command() -> None:
    """The command has the user's values, so that it could have leaked them."""
    got: list[str] = []
    tree = Tree(plan("done"), Canaries("reaches"), got.append)
    run(tree)
    assert len(got) == 1
    assert len(tree.answers) == 3
    assert len(tree.environ) == 2


@pytest.mark.parametrize(
    "disguise",
    [
        str,
        str.lower,
        str.upper,
        lambda c: c[::-1],
        lambda c: c[3:14],
        lambda c: base64.b64encode(f"{c}".encode()).decode(),
        lambda c: base64.b64encode(f"x{c}".encode()).decode(),
        lambda c: base64.urlsafe_b64encode(f"xy{c}zz".encode()).decode(),
        lambda c: base64.b64encode(c[::-1].encode()).decode(),
        lambda c: "".join(f"%{ord(letter):02X}" for letter in c),
        lambda c: c.encode().hex(),
        lambda c: hashlib.sha256(c.encode()).hexdigest(),
        lambda c: hashlib.md5(c.encode(), usedforsecurity=False).hexdigest()[:12],
    ],
)
def test_a_canary_is_found_in_every_disguise(disguise: Any) -> None:
    """Plain, in pieces, encoded, reversed, hashed."""
    canaries = Canaries("disguise")
    canary = canaries.new("a value")
    other = canaries.new("another value")
    leaks = canaries.found_in("message", f'{{"region": "eu-{disguise(canary)}"}}')
    assert {leak.place for leak in leaks} == {"a value"}
    assert canaries.found_in("message", "abcdefghijklmnopqrstuvwxyz" * 50, other[:7]) == []
