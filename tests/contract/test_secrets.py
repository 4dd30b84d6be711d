"""Secrets of the user are in no process of ours, in none of our files, and in no request."""

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
"""Each is unique, and no pattern of the scrubber matches it."""
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
    """A secret as it is, and as it is likely to be encoded."""
    plain = secret.encode()
    encoded = [plain, plain.lower(), plain[::-1], plain.hex().encode(), quote(secret).encode()]
    # Base64 of it inside a longer text: three positions, without the edges.
    encoded += [base64.b64encode(b" " * n + plain)[4:-4] for n in range(3)]
    return encoded


def found_in(content: bytes, secrets: dict[str, str]) -> set[str]:
    """The secrets that some content contains."""
    return {place for place, secret in secrets.items() if any(f in content for f in forms(secret))}


class Witness:
    """Reads what can be read of a run: processes, files, requests.

    Args:
        home: its processes and files are read.
        secrets: they are searched for these.
    """

    def __init__(self, home: Home, secrets: dict[str, str]) -> None:
        self._home = home
        self._secrets = secrets
        self.seen: dict[str, set[str]] = {"processes": set(), "files": set(), "wire": set()}
        self.read: set[str] = set()

    def read_all(self) -> None:
        """Read a sender's processes, and every file of ours."""
        for pid in sender_processes(self._home):
            for name in ("cmdline", "environ", "comm", "stat"):
                try:
                    content = Path(f"/proc/{pid}/{name}").read_bytes()
                except OSError:
                    continue
                self.seen["processes"] |= found_in(content, self._secrets)
                if name == "comm":
                    self.read.add(content.decode().strip())
        for path in self._home.state().rglob("*"):
            try:
                content = path.name.encode() + path.read_bytes() if path.is_file() else b""
            except OSError:
                continue
            self.seen["files"] |= found_in(content, self._secrets)
            self.read |= {path.suffix for _ in content[:1]}

    def receive(self, server: Server) -> None:
        """Read all that a server received."""
        for request in server.requests:
            content = repr((request.path, request.headers, request.body)).encode()
            self.seen["wire"] |= found_in(content, self._secrets)


class Story:
    """A person who has secrets everywhere, and runs a command that fails."""

    def __init__(self, make_cli: Callable[..., Cli], home: Home, server: Server) -> None:
        self._make_cli = make_cli
        self._server = server
        self.home = Home(home.path.parent / SECRETS["home"])
        del self.home.environ["ACME_TELEMETRY_DELAY"]  # its shell and its sleep are read, too
        self.directory = home.path.parent / SECRETS["directory"]
        self.directory.mkdir()
        (self.directory / "token").write_text(TOKEN)
        netrc = self.home.path / ".netrc"
        netrc.write_text(f"default login jane password {SECRETS['netrc']}\n")
        netrc.chmod(0o600)

    def run(self, extra: str, witness: Witness) -> subprocess.CompletedProcess[str]:
        """Run the command, and read everything until it has been delivered."""
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

        def delivered() -> bool:
            witness.read_all()
            return len(self._server.accepted) == 1

        wait_until(delivered)
        wait_for_end(self.home)
        witness.read_all()
        witness.receive(self._server)
        return run


@pytest.fixture
def story(make_cli: Callable[..., Cli], home: Home, server: Server) -> Story:
    """A person with secrets."""
    return Story(make_cli, home, server)


def test_no_secret_is_seen_in_processes_files_or_requests(story: Story, server: Server) -> None:
    """Nothing of environment, netrc, arguments, directories, answers, messages or classes."""
    witness = Witness(story.home, {**SECRETS, "token": TOKEN})
    run = story.run("pass", witness)
    assert SECRETS["exception"] in run.stderr
    assert witness.read >= {"sleep", ".facts", ".json"}
    assert any(name.startswith("python") for name in witness.read), witness.read
    assert witness.seen == {"processes": set(), "files": set(), "wire": {"token"}}
    (request,) = server.requests
    assert request.headers.pop("Authorization") == f"Bearer {TOKEN}"
    rest = repr((request.path, request.headers, request.body)).encode()
    assert found_in(rest, {"token": TOKEN}) == set()
    assert [m["event"] for m in server.messages if m["type"] == "track"] == [
        "Command Invoked",
        "Command Completed",
    ]


@pytest.mark.extended
def test_witness_finds_a_secret_that_an_application_records_itself(story: Story) -> None:
    """The positive control for files and requests."""
    witness = Witness(story.home, {"prompt": SECRETS["prompt"]})
    story.run('track("Noted", {"note": password})', witness)
    assert witness.seen == {"processes": set(), "files": {"prompt"}, "wire": {"prompt"}}


@pytest.mark.sample(1)
@pytest.mark.parametrize("where", ["environment", "command line"])
def test_witness_finds_a_secret_of_a_process_that_holds_the_lock(
    where: str, cli: Cli, home: Home, server: Server
) -> None:
    """The positive control for processes."""
    cli.run("deploy")
    server.wait_for(2)
    wait_for_end(home)
    secret = SECRETS["variable"]
    leaking = subprocess.Popen(
        ["sh", "-c", 'exec 9<"$0"; echo; read _', str(lock_of(home)), *[secret][where[0] == "e" :]],
        env={"SECRET": secret} if where == "environment" else {},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert leaking.stdout is not None
        leaking.stdout.readline()
        witness = Witness(home, {"variable": secret})
        witness.read_all()
        assert witness.seen["processes"] == {"variable"}
    finally:
        leaking.communicate()


@pytest.mark.parametrize("form", ["plain", "reversed", "hex", "base64"])
def test_a_secret_is_found_in_each_encoding(form: str) -> None:
    """Inside a longer text, too."""
    secret = SECRETS["netrc"]
    plain = secret.encode()
    written = {
        "plain": plain,
        "reversed": plain[::-1],
        "hex": plain.hex().encode(),
        "base64": base64.b64encode(b"jane:" + plain + b"\n"),
    }[form]
    assert found_in(b"<" + written + b">", {"netrc": secret}) == {"netrc"}
