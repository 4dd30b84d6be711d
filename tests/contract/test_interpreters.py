"""Sub-interpreters: an instrumented application records there as in the main one."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable

import pytest

from ..harness.processes import Cli, Home
from ..harness.server import Server

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.version_info < (3, 13), reason="sub-interpreters without extensions"),
]

APP = """
import click
from click_telemetry import flow, instrumented_group, track

@instrumented_group(app="acme", write_key="key", notice=False)
@click.group()
def cli(): pass

@cli.command()
def deploy():
    track("Exported", {"format": "pdf"})
    with flow("Create", steps=("plan",)) as f: f.step("plan"); f.complete()
    click.echo("deployed")

cli.main(["deploy"], standalone_mode=False)
"""

RUN = """
import sys
if sys.version_info >= (3, 14):
    from concurrent import interpreters
    for _ in range(2):
        interpreter = interpreters.create()
        interpreter.exec(APP)
        interpreter.close()
else:
    import _interpreters
    for _ in range(2):
        interpreter = _interpreters.create()
        assert _interpreters.exec(interpreter, APP) is None
        _interpreters.destroy(interpreter)
"""


def test_application_in_a_sub_interpreter_is_recorded(
    make_cli: Callable[..., Cli], home: Home, server: Server
) -> None:
    """Each interpreter is an invocation of its own, and events of the application's are in it."""
    cli = make_cli(f"APP = {textwrap.dedent(APP)!r}\n{RUN}")
    run = cli.run(env={"ACME_TELEMETRY_HOST": server.url})
    assert (run.stdout, run.stderr, run.returncode) == ("deployed\n" * 2, "", 0)
    server.wait_for(10)
    names = ["Command Invoked", "Exported", "Create Started", "Create Completed"]
    assert [name for name, _ in server.events] == [*names, "Command Completed"] * 2
    invocations = {event["properties"]["invocation_id"] for event in server.messages[1:]}
    assert len(invocations) == 2
