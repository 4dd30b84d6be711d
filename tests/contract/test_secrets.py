"""What is mine stays mine: none of it in a process that others see, on disk or on the wire."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from ..harness.processes import Cli, Home
from ..harness.senders import lock_of, sender_processes, wait_for_end, wait_until
from ..harness.server import Reply, Server

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc"),
]

PLACES = (
    *("variable", "netrc", "argument", "option", "directory", "home", "prompt", "exception"),
    *("dynamic class", "file", "standard input"),
)
SECRETS = {
    place: f"{place.replace(' ', '')}Quokka{7919 * (n + 3)}x" for n, place in enumerate(PLACES)
}
"""Each is found nowhere else, and looks like nothing that a scrubber knows."""
TOKEN = "tokenQuokka4711x"

SOURCE = """
import click, os, sys
from click_telemetry import instrumented_group, track

def auth():
    with open("token") as file:
        return file.read()

@instrumented_group(app="acme", version="2.1.0", notice=False, auth=auth, host=os.environ["HOST_"])
@click.group()
def cli(): pass

@cli.command()
@click.option("--password", prompt=True, hide_input=False)
@click.option("--key")
@click.argument("target")
def login(password, key, target):
    assert password and key and target and sys.stdin.read()
    kind = type(os.environ["CLASS"], (Exception,), {})
    {extra}
    try:
        open(os.environ["FILE"])
    except OSError as error:
        raise kind(os.environ["MESSAGE"]) from error

cli()
"""


def forms(secret: str) -> list[bytes]:
    """A secret as it is, and in the ways it is likely to be written down."""
    plain = secret.encode()
    turned = [plain, plain.lower(), plain[::-1], plain.hex().encode(), quote(secret).encode()]
    # Base64 of it somewhere in the middle of something: three positions, without the edges.
    turned += [base64.b64encode(b" " * n + plain)[4:-4] for n in range(3)]
    return turned


def found_in(content: bytes, secrets: dict[str, str]) -> set[str]:
    """Which secrets can be read in something."""
    return {place for place, secret in secrets.items() if any(f in content for f in forms(secret))}


class Witness:
    """Reads what anybody could read of a run: processes, files, requests.

    Args:
        home: whose state is read.
        secrets: what is looked for.
    """

    def __init__(self, home: Home, secrets: dict[str, str]) -> None:
        self._home = home
        self._secrets = secrets
        self.seen: dict[str, set[str]] = {"processes": set(), "files": set(), "wire": set()}
        self.looked_at: set[str] = set()

    def look(self) -> None:
        """Look at the processes of a sender, and at every file of ours."""
        for pid in sender_processes(self._home):
            for name in ("cmdline", "environ", "comm", "stat"):
                try:
                    content = Path(f"/proc/{pid}/{name}").read_bytes()
                except OSError:
                    continue
                self.seen["processes"] |= found_in(content, self._secrets)
                if name == "comm":
                    self.looked_at.add(content.decode().strip())
        for path in self._home.state().rglob("*"):
            try:
                content = path.name.encode() + path.read_bytes() if path.is_file() else b""
            except OSError:
                continue
            self.seen["files"] |= found_in(content, self._secrets)
            self.looked_at |= {path.suffix for _ in content[:1]}

    def receive(self, server: Server) -> None:
        """Look at all that a server got."""
        for request in server.requests:
            content = repr((request.path, request.headers, request.body)).encode()
            self.seen["wire"] |= found_in(content, self._secrets)


class Story:
    """A person who has secrets everywhere, and runs a command that fails."""

    def __init__(self, make_cli: Callable[..., Cli], home: Home, server: Server) -> None:
        self._make_cli = make_cli
        self._server = server
        self.home = Home(home.path.parent / SECRETS["home"])
        self.directory = home.path.parent / SECRETS["directory"]
        self.directory.mkdir()
        (self.directory / "token").write_text(TOKEN)
        netrc = self.home.path / ".netrc"
        netrc.write_text(f"default login jane password {SECRETS['netrc']}\n")
        netrc.chmod(0o600)

    def run(self, extra: str, witness: Witness) -> subprocess.CompletedProcess[str]:
        """Run the command, and look until everything has been delivered."""
        cli = self._make_cli(SOURCE.replace("{extra}", extra))
        self._server.reply = Reply(delay=1.5)
        run = subprocess.run(
            cli.command("login", "--key", SECRETS["option"], SECRETS["argument"]),
            env={
                **self.home.environ,
                "HOST_": self._server.url,
                "AWS_SECRET_ACCESS_KEY": SECRETS["variable"],
                "CLASS": SECRETS["dynamic class"],
                "FILE": "/" + SECRETS["file"],
                "MESSAGE": SECRETS["exception"],
            },
            input=f"{SECRETS['prompt']}\n{SECRETS['standard input']}\n",
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

        def looked() -> bool:
            witness.look()
            return len(self._server.accepted) == 1

        wait_until(looked)
        wait_for_end(self.home)
        witness.look()
        witness.receive(self._server)
        return run


@pytest.fixture
def story(make_cli: Callable[..., Cli], home: Home, server: Server) -> Story:
    """Somebody with secrets."""
    return Story(make_cli, home, server)


def test_no_secret_is_seen_in_processes_files_or_requests(story: Story, server: Server) -> None:
    """Of environment, netrc, arguments, directories, answers, messages, classes: nothing."""
    witness = Witness(story.home, {**SECRETS, "token": TOKEN})
    run = story.run("pass", witness)
    assert SECRETS["exception"] in run.stderr
    assert {"sh", "sleep", ".jsonl"} & witness.looked_at >= {"sleep", ".jsonl"}
    assert any(name.startswith("python") for name in witness.looked_at), witness.looked_at
    assert witness.seen == {"processes": set(), "files": set(), "wire": {"token"}}
    (request,) = server.requests
    assert request.headers.pop("Authorization") == f"Bearer {TOKEN}"
    rest = repr((request.path, request.headers, request.body)).encode()
    assert found_in(rest, {"token": TOKEN}) == set()
    assert [m["event"] for m in server.messages if m["type"] == "track"] == [
        "Command Invoked",
        "Command Completed",
    ]


def test_witness_sees_what_an_application_tells_of_itself(story: Story) -> None:
    """The positive control, on disk and on the wire: an application that says a secret."""
    witness = Witness(story.home, {"prompt": SECRETS["prompt"]})
    story.run('track("Told", {"note": password})', witness)
    assert witness.seen == {"processes": set(), "files": {"prompt"}, "wire": {"prompt"}}


@pytest.mark.parametrize("where", ["environment", "command line"])
def test_witness_sees_what_a_careless_sender_would_show(
    where: str, cli: Cli, home: Home, server: Server
) -> None:
    """The positive control, in processes: one that holds the lock and was told a secret."""
    cli.run("deploy")
    server.wait_for(2)
    wait_for_end(home)
    secret = SECRETS["variable"]
    careless = subprocess.Popen(
        ["sh", "-c", 'exec 9<"$0"; echo; read _', str(lock_of(home)), *[secret][where[0] == "e" :]],
        env={"SECRET": secret} if where == "environment" else {},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert careless.stdout is not None
        careless.stdout.readline()
        witness = Witness(home, {"variable": secret})
        witness.look()
        assert witness.seen["processes"] == {"variable"}
    finally:
        careless.communicate()


@pytest.mark.parametrize("form", ["plain", "reversed", "hex", "base64"])
def test_a_secret_is_found_however_it_is_written(form: str) -> None:
    """Inside something longer, too."""
    secret = SECRETS["netrc"]
    plain = secret.encode()
    written = {
        "plain": plain,
        "reversed": plain[::-1],
        "hex": plain.hex().encode(),
        "base64": base64.b64encode(b"jane:" + plain + b"\n"),
    }[form]
    assert found_in(b"<" + written + b">", {"netrc": secret}) == {"netrc"}
