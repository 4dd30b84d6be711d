"""`click-telemetry plan` in real processes: formats, files, checks and the exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from click_telemetry._instrument import OFF_VARIABLE
from click_telemetry._plan.command import format_of, written
from click_telemetry._plan.command import plan as command

from ..harness.planned import Applications
from ..harness.processes import REPOSITORY, Home

BIN = Path(sys.executable).with_name("click-telemetry")
TARGET = "demo_cli.main:cli"
COMMITTED = ["TELEMETRY.md", "telemetry.schema.json", "telemetry.segment.json"]


def run_process(
    home: Home, *args: str, directory: Path = REPOSITORY
) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    return subprocess.run(
        [str(BIN), "plan", *args],
        env=home.environ,
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs the command here, in the repository."""
    monkeypatch.chdir(REPOSITORY)

    def run(*args: str) -> Result:
        return CliRunner().invoke(command, args, env={OFF_VARIABLE: "0"})

    return run


def test_the_demo_s_plan_is_committed_and_checked(home: Home) -> None:
    """In all three formats, as an application's CI would check it; and nothing is recorded."""
    paths = [f"examples/demo_cli/{name}" for name in COMMITTED]
    run = run_process(home, TARGET, *[word for path in paths for word in ("--check", path)])
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    assert home.files() == []


def test_a_stale_file_is_shown_with_the_difference_and_the_fix(
    plan: Callable[..., Result], tmp_path: Path
) -> None:
    """The exit status is 1; the command that is shown makes the file current."""
    stale = tmp_path / "TELEMETRY.md"
    text = (REPOSITORY / "examples/demo_cli/TELEMETRY.md").read_text(encoding="utf-8")
    stale.write_text(text.replace("`replicas`", "`copies`"), encoding="utf-8")
    run = plan(TARGET, "--check", str(stale))
    assert run.exit_code == 1
    removed, added = (line for line in run.output.splitlines() if line[:2] in ("-|", "+|"))
    assert ("copies" in removed, "replicas" in added) == (True, True)
    fix = run.output.strip().partition("is stale: click-telemetry plan ")[2].split()
    assert plan(*fix).exit_code == 0
    assert stale.read_text(encoding="utf-8") == text
    assert plan(TARGET, "--check", str(stale)).exit_code == 0


def test_a_missing_file_is_stale(plan: Callable[..., Result], tmp_path: Path) -> None:
    """A first check names the command that writes it."""
    run = plan(TARGET, "--check", str(tmp_path / "missing.json"))
    assert run.exit_code == 1
    assert f"--output {tmp_path / 'missing.json'}" in run.output


def test_each_format_is_printed_and_written(plan: Callable[..., Result], tmp_path: Path) -> None:
    """The same text on standard output, in a file, and in a file whose name states the format."""
    for form, name in zip(("markdown", "jsonschema", "segment"), COMMITTED, strict=True):
        text = (REPOSITORY / "examples/demo_cli" / name).read_text(encoding="utf-8")
        assert plan(TARGET, "--format", form).output == text
    outputs = [word for name in COMMITTED for word in ("--output", str(tmp_path / name))]
    assert plan(TARGET, *outputs).output == ""
    for name in COMMITTED:
        text = (REPOSITORY / "examples/demo_cli" / name).read_text(encoding="utf-8")
        assert (tmp_path / name).read_text(encoding="utf-8") == text


def test_a_command_that_cannot_be_loaded_is_listed_and_the_exit_status_is_1(
    home: Home, applications: Applications
) -> None:
    """The rest of the plan is printed; what the application prints goes to stderr."""
    name = applications.write(
        """
        print("imported")

        class Lazy(click.Group):
            def list_commands(self, ctx): return ["broken", "works"]

            def get_command(self, ctx, name):
                if name == "broken": raise ImportError("no driver")
                return click.Command(name, callback=lambda: None)

        cli.add_command(Lazy("db"))
        """
    )
    run = run_process(home, f"{name}.main:cli", directory=applications.directory)
    assert run.returncode == 1
    assert run.stdout.startswith("# Telemetry of acme\n")
    assert "| `acme db works` |" in run.stdout
    assert "- `acme db broken` could not be loaded: ImportError: no driver" in run.stdout
    assert run.stderr.splitlines() == [
        "imported",
        "acme db broken could not be loaded, and is missing in the plan: ImportError: no driver",
    ]


def test_an_application_that_runs_when_it_is_imported_runs_no_command(
    home: Home, applications: Applications
) -> None:
    """Whatever its commands are named; the message names the fix."""
    source = "@cli.command('plan')\n@click.argument('it')\ndef go(it): open('ran', 'w')\ncli()\n"
    name = applications.write(source)
    run = run_process(home, f"{name}.main:cli", directory=applications.directory)
    assert run.returncode == 2
    assert 'below if __name__ == "__main__":' in " ".join(run.stderr.replace("│", " ").split())
    assert not (applications.directory / "ran").exists()


def test_a_file_that_is_no_text_is_stale(plan: Callable[..., Result], tmp_path: Path) -> None:
    """Whatever it was."""
    (tmp_path / "telemetry.md").write_bytes(b"\xff\xfe")
    run = plan(TARGET, "--check", str(tmp_path / "telemetry.md"))
    assert run.exit_code == 1
    assert "-\\xff\\xfe\n" in run.output


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (["demo_cli.main"], "is not MODULE:OBJECT, such as acme.main:cli"),
        (["demo_cli.deploy:deploy"], "is not instrumented"),
        ([TARGET, "--output", "a", "--check", "b"], "--output, or compare it with --check"),
        ([TARGET, "--output", "no/a.md"], "no/a.md: No such file or directory"),
    ],
)
def test_a_wrong_command_line_names_the_fix(
    args: list[str], problem: str, plan: Callable[..., Result]
) -> None:
    """The exit status is that of Click's usage errors."""
    run = plan(*args)
    assert run.exit_code == 2
    assert problem in " ".join(run.output.replace("│", " ").split())


def test_the_plan_is_the_same_at_each_run(home: Home) -> None:
    """Whatever the order of sets: a committed file changes only with the application."""
    texts = set()
    for seed in ("1", "2"):
        home.environ["PYTHONHASHSEED"] = seed
        texts.add(run_process(home, "tests.golden.scenario:cli", "--format", "jsonschema").stdout)
    assert len(texts) == 1
    assert json.loads(texts.pop())["x-app"] == "acme"


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("TELEMETRY.md", "markdown"),
        ("docs/telemetry.txt", "markdown"),
        ("telemetry.json", "jsonschema"),
        ("telemetry.schema.json", "jsonschema"),
        (os.path.join("segment", "telemetry.json"), "jsonschema"),
        ("Telemetry.Segment.JSON", "segment"),
    ],
)
def test_a_file_s_name_states_the_format(path: str, form: str) -> None:
    """So that `--check` needs no `--format`."""
    assert format_of(path) == form


@pytest.mark.parametrize(
    "value", [{}, [], {"a": {"b": ["x" * 60, "y" * 60]}, "ü": "ß"}, [{"a": 1}] * 40, "x" * 200]
)
def test_json_is_written_in_lines_that_fit(value: object) -> None:
    """It is the same value, and a long list has one item a line."""
    text = written(value)
    assert json.loads(text) == value
    assert all(len(line) <= 100 or line.count('"') <= 2 for line in text.splitlines())
