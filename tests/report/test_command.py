"""The command `report`: its usage, its errors, and what it shows on a terminal."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.cells import cell_len
from rich.console import Console

from click_telemetry._report.terminal import format_milliseconds, show
from click_telemetry._tools.cli import cli

from ..harness.messages import pair, track
from ..harness.processes import REPOSITORY
from ..harness.simulation import simulate
from .conftest import Report, Write


def run(*args: object, **options: object) -> Result:
    return CliRunner().invoke(cli, ["report", *map(str, args)], **options)  # type: ignore[arg-type]


def sentences(result: Result) -> str:
    """What was printed, without the frame that rich-click draws around an error."""
    return " ".join(result.output.replace("│", " ").split())


@pytest.mark.parametrize(
    ("args", "status", "fix"),
    [
        ([], 2, "click-telemetry report events.jsonl"),
        (["nowhere.jsonl"], 1, "There is no file at nowhere.jsonl: name files, folders or globs"),
        (["*.nothing"], 1, "There is no file at *.nothing"),
        (["--since", "yesterday", "x"], 2, "write 2026-03-01, 2026-03-01T12:00 or 7d"),
        (["--since", "0001-01-01T00:00+14:00", "x"], 2, "is no date"),
        (["--sql", "oracle"], 2, "bigquery"),
        (["--sql", "duckdb", "--json"], 2, "leave out --json and --html"),
        (["--plan", "pyproject.toml", "x"], 1, "click-telemetry plan MODULE:OBJECT"),
        (["--html", "no/such/folder/page.html", "tests/golden/keys.txt"], 1, "cannot be written"),
    ],
)
def test_an_error_names_the_fix(
    args: list[str], status: int, fix: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What I did wrong is a sentence, never a traceback."""
    monkeypatch.chdir(Path(__file__).parents[2])
    result = run(*args)
    assert (result.exit_code, fix in sentences(result)) == (status, True), result.output


@pytest.mark.parametrize(("module", "args"), [("duckdb", ["x"]), ("sqlglot", ["--sql", "duckdb"])])
def test_without_the_extra_it_names_the_fix(module: str, args: list[str]) -> None:
    """`watch` needs less than `report`; the error states what to install."""
    program = (
        "import sys\n"
        f"sys.modules['{module}'] = None\n"
        "from click_telemetry._tools import main\n"
        f"sys.argv[1:] = {['report', __file__ if args == ['x'] else '--sql', *args[1:]]!r}\n"
        "main()\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == 1
    words = " ".join(ran.stderr.replace("│", " ").split())
    assert f"report needs {module}: pip install 'click-telemetry[report]'" in words


def test_standard_input_is_read(write: Write) -> None:
    """`click-telemetry watch --json -- acme deploy | click-telemetry report -` works."""
    content = write("events.jsonl.gz", pair()).read_bytes()
    result = run("--json", "-", input=content)
    assert json.loads(result.stdout)["runs"] == 1


def test_a_full_disk_is_a_sentence(write: Write) -> None:
    """I learn where space lacks, and how to use another disk. A service has no standard input."""
    path = write("events.jsonl", simulate(1, range(40)))
    command = 'ulimit -f 200; exec "$@" <&-'
    program = "from click_telemetry._tools import main; main()"
    args = [sys.executable, "-c", program, "report", str(path)]
    ran = subprocess.run(
        ["sh", "-c", command, "sh", *args], capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == 1
    words = " ".join(ran.stderr.replace("│", " ").split())
    assert "There is no space left in " in words, ran.stderr
    assert "Set TMPDIR to a directory with more." in words


def shown(report: object, width: int, **options: object) -> str:
    console = Console(width=width, file=io.StringIO(), **options)  # type: ignore[arg-type]
    show(console, report)  # type: ignore[arg-type]
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.sample(1)
@pytest.mark.parametrize("width", [80, 60, 120])
def test_the_terminal_shows_every_answer_in_its_width(
    width: int, report: Report, write: Write
) -> None:
    """I read it at 80 columns, have longer bars at 120, and shorter ones in half a window."""
    plan = REPOSITORY / "examples" / "demo_cli" / "telemetry.schema.json"
    path = write("events.jsonl", [*simulate(1, range(40)), b"torn"])
    answers = report(path, "--plan", plan)
    text = shown(answers, width)
    assert max(map(cell_len, text.splitlines())) <= width
    for part in (
        *("Commands", "Failures", "Flags", "Flow: Application Create", "Flow: Plan Change"),
        *("Versions", "Systems", "Python", "Run by", "Delivery", "Never used: demo apps delete"),
        *("billing_required", "1 line could not be read", "ConnectionError", "no_wait", "█"),
        f"{answers['runs']:,} runs of {answers['users']:,} users",
    ):
        assert part in text


def test_control_characters_of_an_event_reach_no_terminal(report: Report, write: Write) -> None:
    """A forged event moves no cursor and sets no colour."""
    hostile = "\x1b[2J\x07\u202e\r\n"
    end = track(f"{hostile}X Aborted", duration_ms=1, step=hostile, reason=hostile)
    events = [*pair(hostile, hostile, outcome="failure", exit_code=1, error_class=hostile), end]
    events[0]["properties"] |= dict.fromkeys(("version", "os", "arch", "cli_context"), hostile)
    text = shown(report(write("events.jsonl", events)), 120)
    assert {character for character in text if not character.isprintable()} == {"\n"}
    assert "\\x1b[2J" in text


def test_a_terminal_without_blocks_has_bars_of_ascii(report: Report, write: Write) -> None:
    """A log or an old console shows no broken characters."""

    class Ascii(io.StringIO):
        encoding = "ascii"

    console = Console(width=80, file=Ascii())
    show(console, report(write("events.jsonl", pair())))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "##" in text
    assert text.isascii()


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(None, ""), (0, "0 ms"), (999, "999 ms"), (1000, "1.0 s"), (90_000, "1.5 min")],
)
def test_a_duration_is_readable(milliseconds: float | None, text: str) -> None:
    """I need not count zeros."""
    assert format_milliseconds(milliseconds) == text
