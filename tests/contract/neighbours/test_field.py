"""Eight applications from the package index, instrumented as docs/frameworks.md shows.

Each is installed in an environment of its own, its source gets the lines that the documentation
asks for, and a command is run bare and instrumented. Run with `pytest -m slow`.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from ...harness.pages import page
from ...harness.processes import Home

PAGE = page("docs/frameworks.md")
TELEMETRY = "from click_telemetry import instrument, instrumented_group\n"


class Application(NamedTuple):
    """An application, and where its root is.

    Attributes:
        requirement: the distribution and its version.
        file: the module that makes the root, below site-packages.
        anchor: the text before which the declaration goes; the file's end if it is empty.
        declaration: the line that instruments the root.
        command: the program, and what is typed.
        recorded: the command, its flags and its exit code.
    """

    requirement: str
    file: str
    anchor: str
    declaration: str
    command: str
    recorded: str


def decorated(name: str) -> str:
    """The line above a group."""
    return f'@instrumented_group(app="{name}")\n'


APPLICATIONS = [
    Application(
        *("fastapi-cli==0.0.34", "fastapi_cli/cli.py", "logger = "),
        'instrument(app, app="fastapi")\n',
        *("python -m fastapi_cli run nothing.py", "fastapi run, exit code 1"),
    ),
    Application(
        *("usethis==0.22.0", "usethis/_ui/app.py", "rich_help_panel = "),
        'instrument(app, app="usethis")\n',
        *("usethis tool ruff --how", "usethis tool ruff, flags: how, exit code 0"),
    ),
    Application(
        *("kedro==1.7.0", "kedro/framework/cli/cli.py", "    cli_collection()\n"),
        '    instrument(cli_collection, app="kedro")\n',
        *("kedro starter list", "kedro starter list, exit code 0"),
    ),
    Application(
        *("sqlite-utils==4.2.1", "sqlite_utils/cli.py", "@click.group(\n    cls=DefaultGroup"),
        decorated("sqlite-utils"),
        *("sqlite-utils :memory: .", "sqlite-utils query, exit code 1"),
    ),
    Application(
        *("bump-my-version==1.8.1", "bumpversion/cli.py", "@click.group("),
        decorated("bump-my-version"),
        "bump-my-version sample-config --no-prompt",
        "bump-my-version sample-config, flags: no_prompt, exit code 0",
    ),
    Application(
        *("doccmd==2026.9.16.1", "doccmd/__init__.py", ""),
        'instrument(main, app="doccmd")\n',
        "doccmd --language python --command cat .",
        "doccmd, flags: command, languages, exit code 0",
    ),
    Application(
        *("celery==5.7.0", "celery/bin/celery.py", "@with_plugins("),
        decorated("celery"),
        *("celery multi show 1", "celery multi, exit code 0"),
    ),
    Application(
        *("meta-package-manager==8.2.0", "meta_package_manager/cli.py", "@group(\n"),
        decorated("mpm"),
        *("mpm --pip installed", "mpm installed, flags: pip, exit code 2"),
    ),
]


def test_each_application_is_in_the_table() -> None:
    """The page's table is what the slow test runs."""
    rows = re.findall(r"^\| `(\S+==\S+)` \|.* \| `([^`]+)` \| ([^|]+) \|$", PAGE.text, re.MULTILINE)
    assert rows == [(one.requirement, one.command, one.recorded) for one in APPLICATIONS]


@pytest.mark.contract
@pytest.mark.slow
@pytest.mark.parametrize("application", APPLICATIONS, ids=lambda one: one.requirement)
def test_application_of_the_package_index_is_recorded(
    application: Application, environment: Callable[..., Path], tmp_path: Path, home: Home
) -> None:
    """Two lines give the first event, and the same output and exit code as before."""
    python = environment(application.requirement, "click")
    (file,) = python.parent.parent.glob(f"lib/*/site-packages/{application.file}")
    words = application.command.split()
    command = [str(python.parent / words[0]), *words[1:]]

    def run() -> tuple[int, str, list[str]]:
        name = re.sub(r"\W", "_", words[0] if words[0] != "python" else "fastapi").upper()
        ended = subprocess.run(
            command,
            env={**home.environ, f"{name}_TELEMETRY": "log", "DO_NOT_TRACK": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            cwd=tmp_path,
            check=False,
        )
        events = [line for line in ended.stderr.splitlines() if line.startswith('{"type":"track"')]
        # The lines of kedro's log have their time.
        return ended.returncode, re.sub(r"\[.{17}\]", "", ended.stdout), events

    bare = run()
    source = file.read_text(encoding="utf-8")
    before, anchor, after = (
        source.partition(application.anchor) if application.anchor else ("",) * 3
    )
    changed = (before or source) + application.declaration + anchor + after
    first_import = re.search(r"^(?:import|from (?!__future__)) ?\w.*$", changed, re.MULTILINE)
    assert first_import is not None
    changed = changed[: first_import.start()] + TELEMETRY + changed[first_import.start() :]
    file.unlink()  # it may be a link to the package index's cache
    file.write_text(changed, encoding="utf-8")
    code, output, events = run()
    assert (code, output) == bare[:2]
    found = [json.loads(event)["properties"] for event in events]
    assert [one["command"] for one in found] == [found[0]["command"]] * 2
    flags = ", ".join(found[0]["flags"])
    flags = f", flags: {flags}" if flags else ""
    assert found[0]["command"] + flags + f", exit code {code}" == application.recorded
    assert (found[1]["exit_code"], found[1]["version"]) == (
        code,
        application.requirement.partition("==")[2],
    )
