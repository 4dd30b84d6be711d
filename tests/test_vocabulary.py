"""The words of names, docstrings, comments, messages and documents are those of the glossary."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from .harness.processes import REPOSITORY

PACKAGE = REPOSITORY / "click_telemetry"
TESTS = REPOSITORY / "tests"
DOCUMENTS = [
    *sorted((REPOSITORY / "docs").glob("*.md")),
    REPOSITORY / "README.md",
    REPOSITORY / "CONTRIBUTING.md",
    REPOSITORY / "SECURITY.md",
    *sorted((REPOSITORY / "examples").rglob("*.md")),
]

GLOSSARY = (REPOSITORY / "docs" / "glossary.md").read_text(encoding="utf-8")
TERMS = re.findall(r"^\| \*\*(.+?)\*\* \|", GLOSSARY, re.MULTILINE)

WORDS = {
    "told": "reported, shown, recorded",
    "tell": "report, show, inform",
    "tells": "reports, shows",
    "telling": "reporting",
    "said": "recorded, stated, reported",
    "say": "record, state, report",
    "says": "states, shows",
    "saying": "stating",
    "nobody": "no process, no person; or write the sentence in the active voice",
    "somebody": "a person, a process",
    "anybody": "a person",
    "everybody": "each user",
    "stray": "dropped",
    "strays": "dropped events",
    "silence": "suppress",
    "silenced": "suppressed, opted out",
    "silences": "suppresses, opts out",
    "speaker": "recorder",
    "standing": "state",
    "patience": "timeout",
    "loud": "strict",
    "loudly": "strictly",
    "ambient": "common properties",
    "refusal": "opt-out, or rejected",
    "keeper": "store",
    "beside": "next to, with; or retention, where the queue's bounds are meant",
}
"""Words of the old vocabulary, and what to write instead."""

NAMES = {
    "Letter": "SenderJob",
    "Visit": "InvokeScope",
    "RefusedLine": "OptedOutScope",
    "Elsewhere": "WrongOrigin",
    "Attended": "SenderProcess",
    "SILENT": "NOOP",
    "REFUSED": "OPTED_OUT",
    "LATER": "RETRY",
    "MUCH_LATER": "MISCONFIGURED",
    "UNASKED": "NOT_SENT",
    "put_off": "set_not_before",
    "_owed": "_unwritten",
    "_go_on": "_rotate",
    "_forget": "_mark_purged",
}
"""Names of the old vocabulary, where the word itself has other meanings."""

PHRASES = {
    "for good": "permanently; or finally, of a rejected message",
    "say no": "opt out",
    "see more": "details",
    "that waits": "that is queued",
    "what waits": "what is queued",
    "no one": "no process, no person",
}
"""Phrases of the old vocabulary."""

BOUND = re.compile(r"_*(MOST|LONGEST|LARGEST|DEEPEST)_[A-Z]")
"""A bound is named `MAX_…`."""


class Found(NamedTuple):
    """A word of the old vocabulary."""

    path: str
    line: int
    word: str
    text: str
    instead: str


TEXTS = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
"""From Python 3.12 on an f-string is several tokens."""

TEST_ID = re.compile(r"`(tests/)?[\w/]*test_\w+(\.py)?(::\w+)?`")
"""A test that a document names: its words are checked where it is defined."""


def words_of(text: str) -> list[str]:
    """The words of a text or a name, those of compound names one by one."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    return re.findall(r"[a-z]+", spaced.lower())


def in_text(path: str, text: str, first: int) -> Iterator[Found]:
    """The old words and phrases of a text whose first line has that number."""
    for number, line in enumerate(text.splitlines(), first):
        words = words_of(line)
        old = {word: WORDS[word] for word in words if word in WORDS}
        joined = f" {' '.join(words)} "
        old |= {phrase: new for phrase, new in PHRASES.items() if f" {phrase} " in joined}
        for word, instead in old.items():
            yield Found(path, number, word, line.strip(), instead)


def in_name(path: str, name: str, line: int) -> Iterator[Found]:
    """The old words of a name, or the name itself."""
    yield from in_text(path, name, line)
    if name in NAMES:
        yield Found(path, line, name, name, NAMES[name])
    if BOUND.match(name):
        yield Found(path, line, name, name, "MAX_…")


def in_package(path: Path) -> Iterator[Found]:
    """The old words of a module: its names, comments, docstrings and other texts."""
    relative = path.relative_to(REPOSITORY).as_posix()
    source = path.read_text(encoding="utf-8")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME:
            yield from in_name(relative, token.string, token.start[0])
        elif token.type in TEXTS:
            yield from in_text(relative, token.string, token.start[0])


def in_tests(path: Path) -> Iterator[Found]:
    """The old words of a test module: the names that it defines, and its docstrings."""
    relative = path.relative_to(REPOSITORY).as_posix()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    yield from in_text(relative, path.stem, 1)
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield from in_name(relative, node.name, node.lineno)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield from in_name(relative, node.id, node.lineno)
        elif isinstance(node, ast.arg):
            yield from in_name(relative, node.arg, node.lineno)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Module)):
            for statement in node.body:
                if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                    text = statement.value.value
                    if isinstance(text, str):
                        yield from in_text(relative, text, statement.lineno)


def in_documents() -> Iterator[Found]:
    """The old words of the documents, without the names of tests."""
    for path in DOCUMENTS:
        text = TEST_ID.sub("", path.read_text(encoding="utf-8"))
        yield from in_text(path.relative_to(REPOSITORY).as_posix(), text, 1)


def all_found() -> Iterator[Found]:
    """Every old word in the repository."""
    for path in sorted([*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.pyi")]):
        yield from in_package(path)
    for path in sorted(TESTS.rglob("*.py")):
        if path.name != "test_vocabulary.py":
            yield from in_tests(path)
    yield from in_documents()


def test_no_word_of_the_old_vocabulary_is_used() -> None:
    """I need not learn a dialect to read the code."""
    assert [
        f"{found.path}:{found.line}: {found.word!r}, write: {found.instead}"
        for found in all_found()
    ] == []


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("It tells what is stored.", "tells"),
        ("def was_told(): ...", "told"),
        ("class NobodyListens: ...", "nobody"),
        ("Telemetry is off, for good.", "for good"),
        ("the Letter", ""),
        ("Nothing is recorded.", ""),
    ],
)
def test_a_word_is_found_in_texts_and_in_compound_names(text: str, word: str) -> None:
    """The control: the check finds what it is meant to find."""
    assert [found.word for found in in_text("x.py", text, 1)] == ([word] if word else [])


@pytest.mark.parametrize("name", ["Letter", "_MOST_FILES", "LONGEST_NAME", "put_off", "said"])
def test_an_old_name_is_found(name: str) -> None:
    """The control for names, whose words may have other meanings in a text."""
    assert [found.word for found in in_name("x.py", name, 1)] == [name]


@cache
def text_of_the_package() -> str:
    """Every word of the package, in order."""
    texts = (path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py")))
    return " ".join(word for text in texts for word in words_of(text))


@pytest.mark.parametrize("term", TERMS)
def test_a_term_of_the_glossary_occurs_in_the_package(term: str) -> None:
    """In a name, a docstring or a message; in the singular or the plural."""
    words = " ".join(words_of(term))
    assert re.search(rf"\b{words}(s|es)?\b", text_of_the_package())


def test_a_term_is_defined_once() -> None:
    """And names the module that implements it."""
    assert len(set(TERMS)) == len(TERMS) >= 60
    rows = [line for line in GLOSSARY.splitlines() if line.startswith("| **")]
    assert [row for row in rows if "](../click_telemetry/" not in row] == []
    modules = re.findall(r"\]\(\.\./([^)]+)\)", GLOSSARY)
    assert [path for path in modules if not (REPOSITORY / path).is_file()] == []
