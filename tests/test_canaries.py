"""Nothing that a person gave comes out: not in a message, a file, a log line, in any form."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from click_telemetry import instrument, track
from click_telemetry.delivery.plain import LogClient
from click_telemetry.delivery.spool import SpoolClient
from click_telemetry.testing import RecordingClient

from .harness.canaries import Canaries, Leak
from .harness.trees import BODIES, OPTIONS, TREES, Tree

if TYPE_CHECKING:
    from click_telemetry.events.text import Json


class Everywhere:
    """A client that records, spools and logs each message, as three of the library's own do."""

    def __init__(self, spool: Path) -> None:
        self.recorded = RecordingClient()
        self.logged = io.StringIO()
        self._spool = spool
        self._clients = (self.recorded, SpoolClient(str(spool), lambda: None), LogClient())

    def record(self, message: dict[str, Json], /) -> None:
        """To all of them."""
        with contextlib.redirect_stderr(self.logged):
            for client in self._clients:
                client.record(message)

    def close(self) -> None:
        """All of them."""
        for client in self._clients:
            client.close()

    def spooled(self) -> bytes:
        """The spool's files, with their names."""
        files = [path for path in self._spool.rglob("*") if path.is_file()]
        return b"\n".join(path.name.encode() + path.read_bytes() for path in files)

    def leaks(self, canaries: Canaries) -> list[Leak]:
        """What came out of it."""
        return [
            *canaries.found_in("messages", repr(self.recorded.messages)),
            *canaries.found_in("spool", self.spooled()),
            *canaries.found_in("log", self.logged.getvalue()),
        ]


def run(tree: Tree, **options: Any) -> tuple[list[str], list[Leak]]:
    """Run a tree's command line, with canaries in everything that surrounds it.

    Returns:
        The names of the events that were recorded, and what leaked.
    """
    canaries = tree.canaries
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as directory:
        spool = Path(directory, "spool")
        spool.mkdir(mode=0o700)
        client = Everywhere(spool)
        instrument(tree.root, app="acme", client=client, **options)
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
        said = [str(message["event"]) for message in client.recorded.messages]
        assert client.spooled().count(b'"messageId"') == len(said)
        assert client.logged.getvalue().count('"messageId"') == len(said)
        return said, client.leaks(canaries)


# In messages, the spool, the log --------------------------------------------------------------


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
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
    said, leaks = run(Tree({**plan(body), "typed": typed}, Canaries(f"{body} {typed}")))
    assert said == ["Command Invoked", "Command Completed"]
    assert leaks == []


# What the proof is worth ----------------------------------------------------------------------


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(TREES.filter(lambda plan: plan["typed"] == "declared"), st.integers(min_value=0))
def test_a_leak_on_purpose_is_caught(plan: dict[str, Any], seed: int) -> None:
    """An application that says a person's value itself, under an innocent name, is found out."""
    tree = Tree(plan, Canaries(seed), lambda canary: track("Region Chosen", {"region": canary}))
    said, leaks = run(tree)
    if "Region Chosen" in said:  # a broken option may end the run before its body
        assert {leak.where for leak in leaks} == {"messages", "spool", "log"}
        assert {leak.place for leak in leaks} == {f"what {plan['leaf']['body']} says"}


@pytest.mark.parametrize(
    "what",
    [
        "the value of --text-4",
        "an argument",
        "the working directory",
        "the home",
        "a variable of the environment",
        "the program's name",
        "what runtime says",
    ],
)
def test_every_place_of_a_canary_is_watched(what: str) -> None:
    """A build that took it from there would be seen: here an application does."""
    canaries = Canaries(what)
    tree = Tree(plan("runtime"), canaries)

    def leak() -> str:
        (canary,) = (canary for canary in canaries.all() if canaries.place(canary) == what)
        return canary

    said, leaks = run(tree, properties={"team": leak})
    assert said == ["Command Invoked", "Command Completed"]
    assert {leak.place for leak in leaks} == {what}


def test_real_tree_has_canaries_in_use() -> None:
    """The person's data really reaches the command: what is not said could have been."""
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
def test_a_canary_is_known_in_every_disguise(disguise: Any) -> None:
    """Plain, in pieces, encoded, reversed, hashed."""
    canaries = Canaries("disguise")
    canary = canaries.new("a value")
    other = canaries.new("another value")
    leaks = canaries.found_in("message", f'{{"region": "eu-{disguise(canary)}"}}')
    assert {leak.place for leak in leaks} == {"a value"}
    assert canaries.found_in("message", "abcdefghijklmnopqrstuvwxyz" * 50, other[:7]) == []
