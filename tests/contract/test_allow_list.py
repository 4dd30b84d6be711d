"""The golden allow-list: every key that leaves a machine is in one file, and in docs/data.md."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from click_telemetry._plan.message_schema import problems_of
from click_telemetry._reader import TELEMETRY_HEALTH

from ..golden.scenario import LINES, paths
from ..harness.planned import Applications
from ..harness.processes import REPOSITORY, Home
from ..harness.senders import due_now, sender_processes, wait_until
from ..harness.server import Server

pytestmark = pytest.mark.contract

DATA = (REPOSITORY / "docs" / "data.md").read_text(encoding="utf-8")
SCENARIO = (REPOSITORY / "tests/golden/scenario.py").read_text(encoding="utf-8")
LISTED = [
    line.split("#")[0].strip()
    for line in (REPOSITORY / "tests/golden/keys.txt").read_text(encoding="utf-8").splitlines()
    if line.split("#")[0].strip()
]


def run(home: Home, server: Server, line: str, answers: str, **more: str) -> int:
    """Run one line of the scenario as a process, and return its exit status."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.golden.scenario", *line.split()],
        env={
            **home.environ,
            "ACME_TELEMETRY_HOST": server.url,
            "PYTHONPATH": str(REPOSITORY),
            **more,
        },
        input=answers,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=home.path,
        check=False,
    )
    return ran.returncode


def arrived_a_day_later(home: Home, server: Server) -> set[str | None]:
    """The names and the outcomes of the events that have arrived after a run on the next day.

    Its sender delivers what the killed one recorded. A sender that is still at work may save its
    state after this one was changed, so that the caller repeats it.
    """
    due_now(home)
    for state in home.state().glob("spool/*/state.json"):
        stored = json.loads(state.read_text())
        state.write_text(json.dumps({**stored, "health": {**stored["health"], "at": 1.0}}))
    run(home, server, "machine", "", SAMPLE="0.999999999")  # every ID is in such a sample
    wait_until(lambda: sender_processes(home) == [])
    names = {message.get("event") for message in server.messages}
    return names | {message.get("properties", {}).get("outcome") for message in server.messages}


def is_of_a_sample(message: dict[str, Any]) -> bool:
    """Whether a message was recorded where a share of the installations records."""
    return "sample_rate" in message.get("properties", {})


@pytest.mark.skipif(sys.platform == "win32", reason="is killed")
def test_keys_that_are_sent_are_the_listed_ones(
    home: Home, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All features in real processes: every key is listed, and every listed key is sent.

    Every message validates against the tracking plan, what the sender itself composes too.
    """
    assert [run(home, server, line, answers) for line, answers, _ in LINES] == [
        status for _, _, status in LINES
    ]
    wait_until(lambda: {"unfinished", TELEMETRY_HEALTH} <= arrived_a_day_later(home, server))
    sent = {f"request.{key}" for request in server.requests for key in request.body}
    for message in server.messages:
        sent |= paths(message)
    assert sorted(sent - set(LISTED)) == []  # list a new key, and document it in docs/data.md
    assert sorted(set(LISTED) - sent) == []  # it is sent no longer
    applications = Applications(tmp_path, monkeypatch)
    for sample in ("1", "0.999999999"):
        monkeypatch.setenv("SAMPLE", sample)
        own = [one for one in server.messages if is_of_a_sample(one) == (sample != "1")]
        assert own
        assert problems_of(own, applications.plan(SCENARIO, head="")) == []
    assert [one["traits"] for one in server.messages if "timestamp" not in one] == [{}]
    applications.close()


def test_list_is_sorted_and_names_each_key_once() -> None:
    """A change to it is one line."""
    assert sorted(set(LISTED)) == LISTED


def documented() -> set[str]:
    """The names in the first columns of the page's tables of properties."""
    found: set[str] = set()
    for table in DATA.split("\n| property | meaning |\n")[1:]:
        for row in table.splitlines()[1:]:
            if not row.startswith("|"):
                break
            found |= set(re.findall(r"`(\w+)`", row.split("|")[1]))
    return found


def test_every_property_that_is_listed_is_documented() -> None:
    """And the page lists no other property."""
    listed = {key.partition(".")[2] for key in LISTED if key.startswith("properties.")}
    assert listed - {"<own>"} == documented()


def test_every_other_key_that_is_listed_is_documented() -> None:
    """The keys of a message are in its example, or named in the text."""
    rest = [key for key in LISTED if not key.startswith("properties.") and "<own>" not in key]
    words = {word for key in rest for word in key.split(".")} - {"request"}
    in_page = set(re.findall(r"[\"`](\w+)[\"`]", DATA))
    assert sorted(words - in_page) == []
