"""The page: complete, self-contained, and no event can write into it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from click_telemetry._tools.cli import cli

from ..harness.messages import pair, track
from ..harness.simulation import simulate
from .conftest import Write


def page_of(path: Path) -> str:
    html = path.with_suffix(".html")
    result = CliRunner().invoke(cli, ["report", "--html", str(html), str(path)])
    assert result.exit_code == 0, result.output
    return html.read_text(encoding="utf-8")


class Elements(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_loads_nothing_and_runs_nothing(write: Write) -> None:
    """I can open it offline, and send it to a colleague."""
    text = page_of(write("events.jsonl", simulate(1, range(20))))
    page = Elements(text)
    assert {tag for tag, _ in page.elements} & {"script", "link", "img", "iframe", "a"} == set()
    names = {name for _, attributes in page.elements for name in attributes}
    assert not names & {"src", "href", "style"}
    assert not any(name.startswith("on") for name in names)
    assert "default-src 'none'" in text
    assert "url(" not in text
    assert "prefers-color-scheme: dark" in text


def test_each_chart_is_valid_and_has_a_name(write: Write) -> None:
    """A screen reader reads what a chart shows, and the numbers are in tables."""
    text = page_of(write("events.jsonl", simulate(1, range(20))))
    charts = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(charts) >= 8
    for chart in charts:
        found = ElementTree.fromstring(chart)
        assert found.get("role") == "img"
        assert found.get("aria-label")
        bars = [(percent(bar, "x"), percent(bar, "width")) for bar in found.iter("rect")]
        assert bars
        assert all(0 <= x < x + width <= 100 for x, width in bars if width)
    assert text.count("<table>") == text.count("<caption>") >= 5
    for part in ("Runs by day", "Flow: Plan Change", "where people stop, and why", "Delivery"):
        assert part in text


def percent(bar: ElementTree.Element, name: str) -> float:
    """An attribute by per cent: a chart that is scaled has no legible text on a telephone."""
    value = bar.get(name, "0%")
    assert value.endswith("%")
    return float(value[:-1])


@pytest.mark.parametrize(("days", "note"), [((1, 2, 3), False), ((1, 2, 5), True)])
def test_days_without_a_run_are_no_secret(days: tuple[int, ...], note: bool, write: Write) -> None:
    """A chart of weekdays does not look as if there were no weekends."""
    runs = [pair(invocation=f"{day}", at=f"2026-03-0{day}T12:00:00Z")[1] for day in days]
    assert ("Days without a run are left out." in page_of(write("e.jsonl", runs))) is note


def test_an_event_cannot_write_into_the_page(write: Write) -> None:
    """Whoever can send an event sends text, not a page."""
    hostile = '</text></svg><script>alert(1)</script><img src=x onerror="a" \'>\x00\u202e'
    end = track(f"{hostile} Aborted", duration_ms=1, step=hostile, reason=hostile)
    events = [*pair(hostile, hostile, outcome="failure", exit_code=1, error_class=hostile), end]
    for event in events:
        event["properties"] |= dict.fromkeys(
            ("version", "os", "arch", "cli_context", "python_version"), hostile
        )
    text = page_of(write("events.jsonl", events))
    page = Elements(text)
    assert {tag for tag, _ in page.elements} & {"script", "img"} == set()
    assert "<script>alert(1)" in page.text
    assert {character for character in text if not character.isprintable()} == {"\n"}


def test_a_page_of_nothing_is_a_page(write: Write) -> None:
    """An empty folder gives an answer too, without empty charts."""
    text = page_of(write("events.jsonl", []))
    assert "0 runs of 0 users" in text
    assert "<svg" not in text
