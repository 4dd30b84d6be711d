"""The list of claims is accurate: each is in the words of its page, and its test exists."""

from __future__ import annotations

import re

import pytest

from .claims import Claim, claims
from .harness.pages import page
from .harness.processes import REPOSITORY


def plain(text: str) -> str:
    """A text on one line, without the marks of Markdown."""
    return re.sub(r"\s+", " ", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text))


def test_there_are_enough_to_choose_from() -> None:
    """A reader who picks ten at random sees others each time."""
    assert len(claims()) >= 40
    assert len({claim.path for claim in claims()}) >= 8


@pytest.mark.parametrize("claim", claims(), ids=lambda claim: claim.text[:40])
def test_a_claim_is_in_the_words_of_its_page_and_has_a_test(claim: Claim) -> None:
    """A claim that is reworded, and a test that is renamed, is noticed."""
    assert plain(claim.text) in plain(page(claim.path).text)
    for path, name in re.findall(r"(tests/\S+\.py)::(\w+)", claim.command):
        assert f"def {name}(" in (REPOSITORY / path).read_text(encoding="utf-8")
    for module in re.findall(r"python -m ([\w.]+)", claim.command):
        assert module == "pytest" or (REPOSITORY / f"{module.replace('.', '/')}.py").is_file()
