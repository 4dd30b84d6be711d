"""The README and the pages of docs/ are accurate: snippets run, messages and tables are real."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from click_telemetry._events.flow_plan import FLOW_PROPERTIES
from click_telemetry._foreground.options import OPTIONS
from click_telemetry._reader import BASE_PROPERTIES

from .harness.pages import page
from .harness.processes import REPOSITORY, Cli, Home

README = page("README.md")
DECLARING = page("docs/declaring.md")
EVENTS = page("docs/events.md")
DATA = page("docs/data.md")
TESTING = page("docs/testing.md")
COMPARISON = page("docs/comparison.md")


def shape(value: Any) -> Any:
    """A value's types at every depth."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    return type(value).__name__


def test_first_snippet_is_a_working_application(tmp_path: Path, home: Home) -> None:
    """It runs as it is, and log mode prints messages of the documented shape."""
    cli = Cli(tmp_path / "acme.py", home, README.blocks("python")[0])
    run = cli.run("deploy", "--region", "eu", "--dry-run", env={"ACME_TELEMETRY": "log"})
    assert (run.stdout, run.returncode) == ("Deploying to eu\n", 0)
    invoked, completed = map(json.loads, run.stderr.splitlines())
    (shown,) = map(json.loads, DATA.blocks("json"))
    assert shape(completed) == shape(shown)
    assert completed["properties"]["flags"] == shown["properties"]["flags"]
    assert completed["properties"]["command"] == shown["properties"]["command"]
    assert invoked["event"] == "Command Invoked"
    assert home.files() == []


@pytest.mark.extended
def test_table_on_the_first_screen_is_the_real_one(tmp_path: Path, home: Home) -> None:
    """It is what `watch` shows of the first snippet, but for times."""
    pytest.importorskip("rich_click")
    cli = Cli(tmp_path / "acme.py", home, README.blocks("python")[0])
    watch = [str(Path(sys.executable).with_name("click-telemetry")), "watch", "--"]
    run = subprocess.run(
        [*watch, *cli.command("deploy", "--region", "eu", "--dry-run")],
        env=cli.env(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    (shown,) = README.blocks("text")
    real = run.stdout[run.stdout.index("time ") : run.stdout.index("\nOutside watch:")]
    assert timeless(real) == timeless(shown)


def timeless(table: str) -> list[str]:
    """A table's words, with placeholders for times and durations."""
    table = re.sub(r"\d\d:\d\d:\d\d\.\d{3}", "TIME", table)
    return re.sub(r"\d+ ms", "DURATION", table).replace("─", "").split()


def test_snippet_of_declarations_runs(tmp_path: Path, home: Home) -> None:
    """The declarations for other cases."""
    source = DECLARING.blocks("python")[0] + "\ncli()\n"
    run = Cli(tmp_path / "acme.py", home, source).run("export", env={"ACME_TELEMETRY": "log"})
    assert run.returncode == 0
    events = [json.loads(line)["event"] for line in run.stderr.splitlines()]
    assert events == ["Command Invoked", "Invoice Exported", "Command Completed"]


def test_snippet_of_context_users_and_resources_records_them(tmp_path: Path, home: Home) -> None:
    """Context, a user, a resource, an error and a custom command, as its table states."""
    source = EVENTS.snippet("set_context(") + "\ncli()\n"
    log = {"ACME_TELEMETRY": "log", "ACME_ORG": "5f2b"}
    run = Cli(tmp_path / "acme.py", home, source).run("up", env=log)
    assert run.returncode == 0
    assert "secret" not in run.stderr
    messages = [json.loads(line) for line in run.stderr.splitlines()]
    assert [message.get("event", message["type"]) for message in messages] == [
        *("identify", "Command Invoked", "Machine Created", "Machine Connected"),
        *("Error Occurred", "Warning Occurred", "Command Invoked", "Command Completed"),
        "Command Completed",
    ]
    assert {message["userId"] for message in messages} == {"user-42"}
    assert {message["properties"]["org"] for message in messages[1:]} == {"5f2b"}
    assert [message["properties"].get("cloud") for message in messages[1:]] == [None, *["fly"] * 7]
    properties = DATA.text.split("\n| property | meaning |\n", 1)[1]
    names = {name for message in messages[1:] for name in message["properties"]}
    assert names - set(re.findall(r"`(\w+)`", properties)) == {"org", "cloud", "region"}


APPLICATION = """
import click, os
from click_telemetry import instrumented_group

class BillingRequired(Exception):
    pass

class api:
    @staticmethod
    def create(plan):
        if "WALL" in os.environ:
            raise BillingRequired
        if "DOWN" in os.environ:
            raise ConnectionError("refused")

    @staticmethod
    def search():
        pass

@instrumented_group(app="acme")
@click.group()
def cli(): pass

{snippet}
cli()
"""
"""The rest of the application that a snippet is part of."""


def logged(directory: Path, home: Home, source: str, *args: str, **given: Any) -> list[Any]:
    """The names and properties that a run of a snippet records."""
    cli = Cli(directory / "acme.py", home, APPLICATION.format(snippet=source))
    env = {"ACME_TELEMETRY": "log", **given.pop("env", {})}
    lines = cli.run(*args, env=env, **given).stderr.splitlines()
    found = [json.loads(line[line.index("{") :]) for line in lines if '{"type":"track"' in line]
    return [(message["event"], message["properties"]) for message in found]


def test_flow_ends_as_in_its_table(tmp_path: Path, home: Home) -> None:
    """Each row is a run of the snippet above it."""
    header = "| what happened | how the flow ended | `step` | `reason` or `error_class` | `plan` |"
    rows = EVENTS.text.split(f"{header}\n", 1)[1].splitlines()[1:]
    table = [[cell.strip(" `") for cell in row.split("|")[2:-1]] for row in rows[: rows.index("")]]
    runs: list[dict[str, Any]] = [
        {"input": "pro\ny\n"},
        {"input": "pro\nn\n"},
        {"input": ""},
        {"input": "pro\ny\n", "env": {"WALL": "1"}},
        {"input": "pro\ny\n", "env": {"DOWN": "1"}},
    ]
    ended = []
    for given in runs:
        events = logged(tmp_path, home, EVENTS.snippet("CREATE = flow("), "create", **given)
        (end,) = [
            (name, properties)
            for name, properties in events
            if name.startswith("Application Create") and "duration_ms" in properties
        ]
        own = end[1]
        why = own.get("reason", own.get("error_class", ""))
        ended.append([end[0], own["step"], why, own.get("plan", "")])
    assert ended == table


def test_typed_events_are_recorded_by_the_names_in_the_comments(tmp_path: Path, home: Home) -> None:
    """The snippet's comments name the events."""
    events = logged(tmp_path, home, EVENTS.snippet("(Event):"), "upgrade")
    assert [name for name, _ in events[1:-1]] == ["Plan Changed", "Tool Call"]
    assert events[1][1]["direction"] == "upgrade"
    assert {"tool", "duration_ms", "succeeded"} <= set(events[2][1])


ACME = """
import click
from click_telemetry import instrumented_group, track

@instrumented_group(app="acme", version="2.1.0", write_key="key")
@click.group()
def cli(): pass

@cli.command()
@click.option("--region")
def deploy(region):
    track("Invoice Exported", {"format": "pdf"})
"""
"""The application that the page about testing tests."""


def run_snippets(directory: Path, home: Home, snippets: list[str]) -> str:
    """What pytest prints for snippets that are tests of an application."""
    for number, block in enumerate(snippets):
        (directory / f"test_snippet_{number}.py").write_text(block)
    (directory / "acme").mkdir()
    (directory / "acme" / "__init__.py").touch()
    (directory / "acme" / "cli.py").write_text(ACME)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(directory)]
    run = subprocess.run(
        command, cwd=directory, env=home.environ, capture_output=True, text=True, check=False
    )
    return run.stdout


def test_snippets_for_tests_pass_as_tests(tmp_path: Path, home: Home) -> None:
    """They need only the fixtures of the package, and an application."""
    tests = [block for block in TESTING.blocks("python") if "def test_" in block]
    snippets = [block for block in tests if "assert_transparent" not in block]
    assert len(snippets) == len(tests) - 1 == 3
    printed = run_snippets(tmp_path, home, snippets)
    assert f"{len(snippets)} passed" in printed, printed


@pytest.mark.extended
def test_snippet_of_the_kit_passes_and_check_prints_what_is_shown(
    tmp_path: Path, home: Home
) -> None:
    """The same application, from pytest and from a shell."""
    printed = run_snippets(tmp_path, home, [TESTING.snippet("assert_transparent")])
    assert "1 passed" in printed, printed
    (tmp_path / "acme" / "__main__.py").write_text("from acme.cli import cli\ncli()\n")
    (line,) = TESTING.section("In a shell and in CI").split("$ click-telemetry check -- acme ")[1:]
    words = line.splitlines()[0].split()
    check = [str(Path(sys.executable).with_name("click-telemetry")), "check", "--"]
    run = subprocess.run(
        [*check, sys.executable, "-m", "acme", *words],
        cwd=tmp_path,
        env=home.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.stdout, run.returncode) == (TESTING.blocks("text")[0], 0)


def test_every_option_is_in_the_table() -> None:
    """No option is undocumented, and none is documented that does not exist."""
    documented = DECLARING.table_names("| option | default | meaning |")
    assert [name for name in documented if name in OPTIONS] == [*OPTIONS]


def test_every_property_is_in_the_table() -> None:
    """What can leave the machine is listed."""
    documented = set(DATA.table_names("| property | meaning |"))
    own = {"exit_code", "succeeded", "outcome", "duration_ms", "user_cancelled"}
    assert documented >= BASE_PROPERTIES | own | FLOW_PROPERTIES | {"invalid"}


def test_the_flow_of_the_readme_is_that_of_its_page() -> None:
    """The README's shorter snippet is the same flow, without the comments."""
    full = EVENTS.snippet("CREATE = flow(")
    assert README.snippet("CREATE = flow(") == re.sub(r"  # .*", "", full)


def test_the_readme_is_short() -> None:
    """A reader sees what the library is on one screen, and the rest by links."""
    assert len(README.text.splitlines()) <= 180


PAGES = sorted(
    str(path.relative_to(REPOSITORY))
    for path in (*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md"))
)


@pytest.mark.parametrize("path", PAGES)
def test_no_link_within_the_repository_leads_nowhere(path: str) -> None:
    """Each file that a page links exists, and each heading."""
    broken = []
    for link in page(path).links():
        target, _, heading = link.partition("#")
        if target.startswith(("http:", "https:", "mailto:")):
            continue
        file = (REPOSITORY / path).parent / target if target else REPOSITORY / path
        if not file.exists() or (heading and heading not in anchors(file)):
            broken.append(link)
    assert broken == []
    assert re.findall(r"!\[\s*\]", page(path).text) == []  # a picture has a text in place of it


def anchors(file: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and mkdocs make them."""
    headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_contents_list_every_page() -> None:
    """No page of docs/ is hidden."""
    pages = {path.removeprefix("docs/") for path in PAGES if path.startswith("docs/")}
    assert pages - {"index.md"} - {*page("docs/index.md").links()} == set()


@pytest.mark.parametrize("name", ["LICENSE", ".ci/run"])
def test_the_usual_small_files_exist(name: str) -> None:
    """A contributor finds them."""
    assert (REPOSITORY / name).is_file()


def test_every_page_is_in_the_menu_of_the_site() -> None:
    """The site shows what the repository contains."""
    menu = set(re.findall(r": (\S+\.md)$", page("mkdocs.yml").text, re.MULTILINE))
    pages = {path.removeprefix("docs/") for path in PAGES if path.startswith("docs/")}
    assert menu == pages


def test_the_project_has_one_address() -> None:
    """The metadata, the links of a package index and the site lead to the same repository."""
    text = page("pyproject.toml").text + page("mkdocs.yml").text
    hosts = re.findall(r"(?:github|githubusercontent)\.com/([\w-]+/[\w-]+)", text)
    assert len(hosts) >= 6
    assert len(set(hosts)) == 1


@pytest.mark.skipif(sys.version_info[:2] != (3, 13), reason="the figures are of Python 3.13")
def test_the_weight_is_that_of_the_distributions_that_are_required() -> None:
    """I know how many distributions my users install, with each extra."""
    rows = dict(
        re.findall(r"^\| click_telemetry(?:, with `\[(\w+)\]`)? \| (\d+) ", COMPARISON.text, re.M)
    )
    assert {extra: len(required(extra)) for extra in rows} == {
        extra: int(count) for extra, count in rows.items()
    }
    assert rows.keys() >= {"", "tools"}
    assert f"An application installs {rows['']} distributions" in README.text


def required(extra: str) -> set[str]:
    """The distributions that an installation of ours has, itself included."""
    found: set[tuple[str, str]] = set()
    left = [("click-telemetry", ""), ("click-telemetry", extra)]
    while left:
        name, wanted = left.pop()
        if (name, wanted) in found:
            continue
        found.add((name, wanted))
        for requirement in map(Requirement, requires(name) or ()):
            if requirement.marker is None or requirement.marker.evaluate({"extra": wanted}):
                canonical = requirement.name.lower().replace("_", "-")
                left += [(canonical, more) for more in ("", *requirement.extras)]
    return {name for name, _ in found}
