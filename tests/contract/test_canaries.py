"""No private text in real processes: on disk, in requests, in the log, in the sender's process."""

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
    """A person whose every word is a canary."""

    def __init__(self, directory: Path, server: Server, seed: str) -> None:
        self.canaries = Canaries(seed)
        new = self.canaries.new
        self.home = Home(directory / new("the home"))
        self.home.environ |= {
            "ACME_REGION": new("a variable of the application"),
            "API_TOKEN": new("a variable"),
            "PYTHONPATH": f"/srv/{new('the import path')}",
            "USER": new("the user"),
        }
        self.cli = Cli(directory / f"{new('the script')}.py", self.home, SOURCE)
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
        """Run one of the lines, and return its stderr."""
        return self.cli.run(*self.lines[line], env=environ, input=f"{self.answer}\n").stderr

    def leaks(self, server: Server) -> list[Leak]:
        """The canaries in the library's files, in their names, and in requests."""
        state = self.home.state()
        files = [path for path in (*state.rglob("*"), self.home.choice()) if path.is_file()]
        stored = [str(path.relative_to(self.home.path)).encode() for path in files]
        stored += [path.read_bytes() for path in files]
        wire = [json.dumps([r.path, r.headers, r.body]) for r in server.requests]
        found = self.canaries.found_in
        return [*found("files", *stored), *found("wire", *wire)]


@pytest.fixture
def person(tmp_path: Path, server: Server, request: pytest.FixtureRequest) -> Person:
    """A person in an empty home."""
    return Person(tmp_path, server, request.node.name)


@pytest.mark.parametrize("line", ["deploy", "fail"])
def test_nothing_private_is_stored_or_sent(person: Person, server: Server, line: str) -> None:
    """In queued files and in requests, names of files and headers included."""
    person.run(line, ACME_TELEMETRY_HOST="http://127.0.0.1:9")
    assert len(person.home.spooled()) == 1
    assert person.leaks(server) == []
    person.run(line)
    assert len(server.wait_for(2)) >= 2
    wait_for_ends(person.home)
    assert person.leaks(server) == []


def wait_for_ends(home: Home) -> None:
    """Wait until no sender of a home is alive, for any destination."""
    wait_until(lambda: sender_processes(home) == [])


@pytest.mark.sample(1)
@pytest.mark.parametrize("line", ["deploy", "fail"])
def test_nothing_private_is_in_the_sender_s_command_line_or_environment(
    person: Person, server: Server, line: str
) -> None:
    """Other users can read them: of the sleeping shell, and of Python."""
    server.reply = Reply(delay=1.0)
    del person.home.environ["ACME_TELEMETRY_DELAY"]
    person.run(line)
    lock = lock_of(person.home)
    seen: dict[str, tuple[bytes, ...]] = {}

    def is_delivering() -> bool:
        for pid in sender_processes(person.home):
            try:
                content = tuple(
                    Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ")
                )
            except OSError:
                continue  # it has ended between the two
            seen[Path(content[0].partition(b"\0")[0].decode()).name[:6]] = content
        return len(server.requests) > 0 and "python" in seen

    wait_until(is_delivering)
    assert {"python"} <= set(seen) <= {"python", "sh", "sleep"}
    assert (
        person.canaries.found_in("/proc", *(text for content in seen.values() for text in content))
        == []
    )
    assert lock.exists()
    wait_for_end(person.home)


@pytest.mark.parametrize("line", ["deploy", "fail"])
def test_nothing_private_is_logged(person: Person, line: str) -> None:
    """The lines of log mode, each a message; the command's own output is not ours."""
    logged = [text for text in person.run(line, **LOG).splitlines() if text.startswith("{")]
    assert [json.loads(text)["event"] for text in logged] == [
        "Command Invoked",
        "Command Completed",
    ]
    assert person.canaries.found_in("log", *logged) == []


@pytest.mark.extended
def test_a_deliberate_leak_is_found_on_disk_in_requests_and_in_the_log(
    person: Person, server: Server
) -> None:
    """The positive control: an application that records what the person typed."""
    person.run("leak", ACME_TELEMETRY_HOST="http://127.0.0.1:9")
    assert {leak.where for leak in person.leaks(server)} == {"files"}
    person.run("leak")
    server.wait_for(3)
    leaks = person.leaks(server)
    assert {leak.place for leak in leaks} == {"what is leaked"}
    assert {leak.where for leak in leaks} == {"files", "wire"}
    assert person.canaries.found_in("log", person.run("leak", **LOG)) != []
    wait_for_ends(person.home)
