"""The same application outside any test: a real process that keeps its messages in a file."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from typing import Any

from .processes import Cli

SOURCE = """
import json, os, click
from click_telemetry import child_env, current, flow, identify, instrument, resource
from click_telemetry import set_context, track, track_command, track_error, track_warning

class FileClient:
    def record(self, message):
        with open("events", "a") as file:
            file.write(json.dumps(message) + "\\n")
    def close(self): pass

@click.group()
def cli(): pass

@cli.command()
def go():
{body}

instrument(cli, app="acme", client=FileClient(), {options})
cli()
"""


def client_cli(make_cli: Callable[..., Cli], body: str, options: str) -> Cli:
    """An application with a client that is no test double.

    Args:
        make_cli: the fixture.
        body: the lines of its command `go`.
        options: what it declares besides its name and its client.
    """
    source = SOURCE.replace("{body}", textwrap.indent(textwrap.dedent(body), "    "))
    made: Cli = make_cli(source.replace("{options}", options))
    return made


def at_a_prompt(
    make_cli: Callable[..., Cli],
    body: str,
    env: dict[str, str] | None = None,
    options: str = "notice=False",
) -> list[dict[str, Any]]:
    """What a command records outside a test.

    Args:
        make_cli: the fixture.
        body: the command's lines.
        env: in addition to an empty home's.
        options: as in `client_cli`.
    """
    cli = client_cli(make_cli, body, options)
    events = cli.home.path / "events"
    events.unlink(missing_ok=True)
    ran = cli.run("go", env=env)
    assert (ran.stderr, ran.returncode) == ("", 0)
    return [json.loads(line) for line in events.read_text().splitlines()] if events.exists() else []
