"""Signed in or not: which server gets which events, with a token or without one."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..harness.canaries import forms
from ..harness.processes import Cli, Home
from ..harness.senders import due_now, is_alive, sender_processes, wait_until
from ..harness.server import Reply, Request, Server

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform == "win32", reason="looks at file locks"),
]

SIGNED_IN = """
import click, os
from click_telemetry import instrumented_group

def auth():
    with open(os.environ["CALLS"], "a") as calls:
        calls.write("called\\n")
    return os.environ.get("TOKEN")

def host():
    signed_in = os.environ.get("TOKEN") is not None
    return os.environ.get("ACCOUNT_URL" if signed_in else "ANONYMOUS_URL")

@instrumented_group(app="acme", notice=False, auth=auth, host=host, write_key=os.environ.get("KEY"))
@click.group()
def cli(): pass

@cli.command()
def deploy(): click.echo("deployed")

cli()
"""
"""Like the application of row D1: the account's server, or an address from its environment."""

PAIR = [("Command Invoked", "acme deploy"), ("Command Completed", "acme deploy")]
KEY = {"KEY": "key"}


class World:
    """The application, and the two servers that its code may name."""

    def __init__(self, cli: Cli, account: Server, anonymous: Server) -> None:
        self.cli = cli
        self.account = account
        self.anonymous = anonymous
        self.calls = cli.home.path / "calls"
        cli.environ |= {
            "ACCOUNT_URL": account.url,
            "ANONYMOUS_URL": anonymous.url,
            "CALLS": str(self.calls),
        }

    def deploy(self, token: str | None = None, **env: str) -> None:
        """Run the command, signed in with a token or not, until its senders have ended."""
        self.start(token, **env)
        self.wait_for_end()

    def start(self, token: str | None = None, **env: str) -> None:
        """Run the command."""
        given = env if token is None else {**env, "TOKEN": token}
        run = self.cli.run("deploy", env=given)
        assert (run.stdout, run.stderr, run.returncode) == ("deployed\n", "", 0)

    def wait_for_end(self) -> None:
        """Wait until no sender is alive."""
        for lock in self.cli.home.state().glob("spool/*/lock"):
            wait_until(lambda lock=lock: not is_alive(lock))  # type: ignore[misc]
        wait_until(lambda: sender_processes(self.cli.home) == [])

    @property
    def seconds_left(self) -> float:
        """Seconds until a sender for the account's server may be started."""
        (mark,) = self.cli.home.state().glob("spool/*/not-before")
        return mark.stat().st_mtime - time.time()

    @property
    def requests(self) -> tuple[int, int]:
        """How many requests the account's server received, and the anonymous one."""
        return len(self.account.requests), len(self.anonymous.requests)


@pytest.fixture
def world(make_cli: Callable[..., Cli], server: Server) -> Iterator[World]:
    """The application and its servers; `server` is the anonymous one."""
    account = Server()
    account.start()
    yield World(make_cli(SIGNED_IN), account, server)
    account.stop()


def authorization(server: Server) -> list[str]:
    return [request.headers["Authorization"] for request in server.requests]


def test_signed_in_events_go_to_the_account_s_server_with_the_token(world: World) -> None:
    """A token is enough: no write key is needed, and none is sent (row D1)."""
    world.deploy("tok-1")
    assert world.account.events == PAIR
    assert authorization(world.account) == ["Bearer tok-1"]
    assert [request.body["writeKey"] for request in world.account.requests] == [""]
    assert world.requests == (1, 0)


def test_signed_out_events_go_anonymously_to_the_application_s_host(world: World) -> None:
    """With the write key, to the address that its function reads from the environment (row D1)."""
    world.deploy(**KEY)
    assert world.anonymous.events == PAIR
    assert authorization(world.anonymous) == ["Basic a2V5Og=="]
    assert world.requests == (0, 1)


def test_with_neither_token_nor_write_key_nothing_happens(world: World) -> None:
    """Off: no file, no process, no request (row D1)."""
    world.start()
    assert sender_processes(world.cli.home) == []
    assert world.requests == (0, 0)
    assert world.cli.home.files() == ["calls"]


def test_signed_in_no_variable_moves_events(world: World, server: Server) -> None:
    """A host in a `.env` file receives neither my token nor my events (row 90)."""
    world.deploy("tok-1", ACME_TELEMETRY_HOST=server.url, **KEY)
    assert world.account.events == PAIR
    assert authorization(world.account) == ["Bearer tok-1"]
    assert server.requests == []


def test_token_is_never_sent_to_a_host_that_the_code_does_not_name(
    make_cli: Callable[..., Cli], server: Server, home: Home
) -> None:
    """Segment, the default, gets no token; nor are identified events sent anonymously."""
    source = SIGNED_IN.replace(", host=host", "").replace('os.environ.get("KEY")', '"key"')
    cli = make_cli(source)
    env = {"TOKEN": "tok", "CALLS": os.devnull, "ACME_TELEMETRY_HOST": server.url}
    run = cli.run("deploy", env=env)
    assert (run.stdout, run.stderr, run.returncode) == ("deployed\n", "", 0)
    assert home.files() == []
    assert server.requests == []


@pytest.mark.sample(0)
@pytest.mark.parametrize("status", [401, 403, 404])
def test_rejected_token_is_tried_again_after_an_hour_and_its_events_are_kept(
    status: int, world: World
) -> None:
    """Each time the wait is an hour: the person may sign in again at any moment (row 48)."""
    world.account.reply = Reply(status)
    for attempt in range(1, 4):
        world.deploy("tok-1")
        world.deploy("tok-1")
        assert world.requests == (attempt, 0)
        assert 3590 < world.seconds_left <= 3600
        assert len(world.cli.home.spooled()) == 2 * attempt
        due_now(world.cli.home)


@pytest.mark.sample(0)
@pytest.mark.parametrize("status", [401, 403, 404])
def test_rotated_token_delivers_once_what_the_old_one_could_not(status: int, world: World) -> None:
    """After an hour the sender has the token of the run that starts it (rows 49, D2)."""

    def reply(request: Request) -> Reply:
        fresh = request.headers["Authorization"] == "Bearer tok-2"
        return Reply() if fresh else Reply(status)

    world.account.reply = reply
    world.deploy("tok-1")
    world.deploy("tok-2")
    assert authorization(world.account) == ["Bearer tok-1"]
    due_now(world.cli.home)
    world.deploy("tok-2")
    assert authorization(world.account) == ["Bearer tok-1", "Bearer tok-2"]
    assert world.account.events == PAIR * 3
    assert world.cli.home.spooled() == []
    accepted = [m["messageId"] for r in world.account.accepted for m in r.batch]
    assert len(accepted) == len(set(accepted))
    assert world.anonymous.requests == []


def test_rejected_token_is_not_on_disk(world: World) -> None:
    """Neither the token nor anything that is derived from it."""
    token = "tok-1-with-a-secret"
    world.account.reply = Reply(403)
    world.deploy(token)
    kept = {path: path.read_bytes() for path in world.cli.home.path.rglob("*") if path.is_file()}
    disguises = {form: text.lower().encode() for form, text in forms(token)}
    assert [
        (path, form)
        for path, content in kept.items()
        for form, text in disguises.items()
        if text in content.lower()
    ] == []
    (spool,) = world.cli.home.state().glob("spool/*")
    (file,) = world.cli.home.spooled()
    assert {path.name for path in spool.iterdir()} == {
        "lock",
        "not-before",
        "state.json",
        file.name,
    }


def test_token_is_used_again_after_the_server_was_down(world: World) -> None:
    """After the wait the same token is used again."""
    world.account.reply = Reply(503)
    world.deploy("tok-1")
    world.deploy("tok-2")
    assert world.requests == (1, 0), "a failing server gets no request of the next command"
    world.account.reply = Reply()
    due_now(world.cli.home)
    world.deploy("tok-1")
    assert world.account.events == PAIR * 3


@pytest.mark.extended
def test_identified_events_wait_for_the_next_sign_in(world: World) -> None:
    """Signed out with events queued: they are never sent anonymously (row 48)."""
    world.account.reply = Reply(401)
    world.deploy("tok-1")
    world.deploy(**KEY)
    assert authorization(world.anonymous) == ["Basic a2V5Og=="]
    assert world.anonymous.events == PAIR
    assert len(world.cli.home.spooled()) == 1
    world.account.reply = Reply()
    due_now(world.cli.home)
    world.deploy("tok-2")
    assert world.account.events == PAIR * 2
    assert world.anonymous.events == PAIR
    assert world.cli.home.spooled() == []


def test_events_are_dropped_after_seven_days_if_the_person_never_signs_in_again(
    world: World,
) -> None:
    """The next sender drops what is too old, also in a spool that it may not deliver."""
    world.account.reply = Reply(401)
    world.deploy("tok-1")
    world.deploy("tok-1")
    old, fresh = world.cli.home.spooled()
    eight_days_ago = time.time() - 8 * 24 * 3600
    os.utime(old, (eight_days_ago, eight_days_ago))
    world.deploy(**KEY)
    assert world.cli.home.spooled() == [fresh]
    assert world.requests == (1, 1)
    state = json.loads((fresh.parent / "state.json").read_text())
    assert state["dropped"] == 2


@pytest.mark.extended
def test_anonymous_events_are_not_identified_by_a_later_sign_in(world: World) -> None:
    """Events from before I signed in are not attributed to my account."""
    world.anonymous.reply = Reply(503)
    world.deploy(**KEY)
    due_now(world.cli.home)
    world.deploy("tok-1", **KEY)
    assert world.account.events == PAIR
    assert len(world.cli.home.spooled()) == 1


@pytest.mark.extended
def test_auth_is_called_once_in_an_invocation(world: World) -> None:
    """Not for help, not for a run that is opted out, and once for a command."""
    world.cli.run("deploy", "--help", env={"TOKEN": "tok"})
    world.cli.run("deploy", env={"TOKEN": "tok", "DO_NOT_TRACK": "1"})
    world.cli.run("deploy", env={"TOKEN": "tok", "CI": "true"})
    assert not world.calls.exists()
    world.deploy("tok-1")
    assert world.calls.read_text() == "called\n"


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    "body",
    [
        'raise RuntimeError("the keyring is locked")',
        'raise SystemExit("not signed in")',
        "import click; raise click.Abort",
        'return ""',
        "return None",
        "return 42",
        'return b"tok"',
        'return "tok\\r\\nX-Evil: 1"',
        'return "tok\\n"',
        'return "t ok"',
        'return "tök"',
        'return "\\x7f"',
        'return "t" * 20_000',
    ],
)
def test_value_that_is_no_token_leaves_the_run_anonymous(
    body: str, make_cli: Callable[..., Cli], server: Server
) -> None:
    """An `auth` that fails, or returns what no header can hold, does not affect the command."""
    source = SIGNED_IN.replace('return os.environ.get("TOKEN")', body)
    cli = make_cli(source.replace('os.environ.get("KEY")', '"key"'))
    run = cli.run("deploy", env={"CALLS": os.devnull, "ANONYMOUS_URL": server.url})
    assert (run.stdout, run.stderr, run.returncode) == ("deployed\n", "", 0)
    server.wait_for(2)
    assert authorization(server) == ["Basic a2V5Og=="]


@pytest.mark.extended
def test_slow_auth_costs_its_own_time_once(world: World, tmp_path: Path) -> None:
    """It is called once, and the sender does not call it."""
    source = SIGNED_IN.replace("    return os", "    import time; time.sleep(0.5)\n    return os")
    world.cli.script.write_text(source)
    world.deploy("tok-1")
    assert world.calls.read_text() == "called\n"
    assert world.account.events == PAIR


@pytest.mark.extended
def test_redirect_is_not_followed_with_a_token(world: World) -> None:
    """Another server never receives it (row 46)."""
    for status in (301, 302, 307, 308):
        world.account.reply = Reply(status, headers={"Location": world.anonymous.url + "/v1/batch"})
        due_now(world.cli.home)
        world.deploy("tok-1")
    assert world.requests == (4, 0)
    assert len(world.cli.home.spooled()) == 4


@pytest.mark.parametrize("token", ["tok-1", None], ids=["bearer", "basic"])
def test_netrc_is_not_read(token: str | None, world: World) -> None:
    """A `default` entry of mine reaches no server of the application's (row 55)."""
    netrc = world.cli.home.path / ".netrc"
    netrc.write_text("default login jane password hunter2\n")
    netrc.chmod(0o600)
    world.deploy(token, **KEY)
    server = world.anonymous if token is None else world.account
    assert server.events == PAIR
    assert authorization(server) == ["Basic a2V5Og==" if token is None else "Bearer tok-1"]
