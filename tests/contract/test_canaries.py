"""The same in whole processes: disk, wire, log, and what the system tells of the sender."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from ..harness.canaries import Canaries, Leak
from ..harness.processes import Cli, Home
from ..harness.senders import lock_of, sender_processes, wait_for_end, wait_until
from ..harness.server import Reply, Server

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

SOURCE = """
import os, types
import click
from click_telemetry import instrumented_group, track

class Plugins(click.Group):
    def get_command(self, ctx, name):
        return super().get_command(ctx, name) or fail

@instrumented_group(app="acme", version="2.1.0", write_key="key", notice=False)
@click.group(cls=Plugins)
@click.option("--profile")
def cli(profile): pass

@cli.command()
@click.option("--name", "-n", multiple=True)
@click.option("--password", prompt=True, hide_input=True)
@click.option("--region", envvar="ACME_REGION")
@click.argument("file", type=click.Path())
def deploy(name, password, region, file):
    assert os.getcwd() and password and region
    click.echo("deployed")

@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def fail(words):
    module = types.ModuleType("plugin_" + words[0])
    exec(f"class {words[1]}(Exception): pass", module.__dict__)
    try:
        open(words[2])
    except OSError as error:
        raise getattr(module, words[1])(words[3]) from error

@cli.command()
@click.argument("word")
def leak(word):
    track("Region Chosen", {"region": word})

if __name__ == "__main__":
    cli()
"""

LOG = {"ACME_TELEMETRY": "log"}


class Person:
    """Somebody whose every word is a canary."""

    def __init__(self, room: Path, server: Server, seed: str) -> None:
        self.canaries = Canaries(seed)
        new = self.canaries.new
        self.home = Home(room / new("the home"))
        self.home.environ |= {
            "ACME_REGION": new("a variable of the application"),
            "API_TOKEN": new("a variable"),
            "PYTHONPATH": f"/srv/{new('the import path')}",
            "USER": new("the user"),
        }
        self.cli = Cli(room / f"{new('the script')}.py", self.home, SOURCE)
        self.cli.environ["ACME_TELEMETRY_HOST"] = server.url
        self.answer = new("an answer")
        deploy = ("--profile", new("a group's value"), "deploy", f"-n{new('a value')}", "--name")
        words = [new(f"word {number} of a plugin") for number in range(4)]
        self.lines: dict[str, tuple[str, ...]] = {
            "deploy": (*deploy, new("another value"), new("a file")),
            "fail": (new("a dynamic command"), *words),
            "leak": ("leak", new("what is leaked")),
        }

    def run(self, line: str, **environ: str) -> str:
        """Run one of the lines; what it wrote on stderr."""
        return self.cli.run(*self.lines[line], env=environ, input=f"{self.answer}\n").stderr

    def leaks(self, server: Server) -> list[Leak]:
        """What is in the files of the library, with their names, and on the wire."""
        state = self.home.state()
        files = [path for path in (*state.rglob("*"), self.home.choice()) if path.is_file()]
        stored = [str(path.relative_to(self.home.path)).encode() for path in files]
        stored += [path.read_bytes() for path in files]
        wire = [json.dumps([r.path, r.headers, r.body]) for r in server.requests]
        found = self.canaries.found_in
        return [*found("files", *stored), *found("wire", *wire)]


@pytest.fixture
def person(tmp_path: Path, server: Server, request: pytest.FixtureRequest) -> Person:
    """Her, in a home of her own."""
    return Person(tmp_path, server, request.node.name)


@pytest.mark.parametrize("line", ["deploy", "fail"])
def test_nothing_private_is_stored_or_sent(person: Person, server: Server, line: str) -> None:
    """What waits on the disk, what goes over the wire, names of files and headers included."""
    person.run(line, ACME_TELEMETRY_HOST="http://127.0.0.1:9")
    assert len(person.home.spooled()) == 1
    assert person.leaks(server) == []
    person.run(line)
    assert len(server.wait_for(2)) >= 2
    wait_for_ends(person.home)
    assert person.leaks(server) == []


def wait_for_ends(home: Home) -> None:
    """Wait until no sender of a home is alive, of whichever destination."""
    wait_until(lambda: sender_processes(home) == [])


@pytest.mark.parametrize("line", ["deploy", "fail"])
def test_nothing_private_is_in_the_sender_s_command_line_or_environment(
    person: Person, server: Server, line: str
) -> None:
    """Everybody on the machine may read them: asleep in the shell, and at work in Python."""
    server.reply = Reply(delay=1.0)
    person.run(line)
    lock = lock_of(person.home)
    seen: dict[str, tuple[bytes, ...]] = {}

    def at_work() -> bool:
        for pid in sender_processes(person.home):
            try:
                told = tuple(
                    Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ")
                )
            except OSError:
                continue  # it has ended between the two
            seen[Path(told[0].partition(b"\0")[0].decode()).name[:6]] = told
        return len(server.requests) > 0 and "python" in seen

    wait_until(at_work)
    assert {"python"} <= set(seen) <= {"python", "sh", "sleep"}
    assert (
        person.canaries.found_in("/proc", *(text for told in seen.values() for text in told)) == []
    )
    assert lock.exists()
    wait_for_end(person.home)


@pytest.mark.parametrize("line", ["deploy", "fail"])
def test_nothing_private_is_logged(person: Person, line: str) -> None:
    """Log mode's lines, each a message; what the command itself says is its own."""
    told = [text for text in person.run(line, **LOG).splitlines() if text.startswith("{")]
    assert [json.loads(text)["event"] for text in told] == ["Command Invoked", "Command Completed"]
    assert person.canaries.found_in("log", *told) == []


def test_a_leak_on_purpose_is_caught_on_disk_wire_and_in_the_log(
    person: Person, server: Server
) -> None:
    """An application that says what it was given is found out everywhere."""
    person.run("leak", ACME_TELEMETRY_HOST="http://127.0.0.1:9")
    assert {leak.where for leak in person.leaks(server)} == {"files"}
    person.run("leak")
    server.wait_for(3)
    leaks = person.leaks(server)
    assert {leak.place for leak in leaks} == {"what is leaked"}
    assert {leak.where for leak in leaks} == {"files", "wire"}
    assert person.canaries.found_in("log", person.run("leak", **LOG)) != []
    wait_for_ends(person.home)
