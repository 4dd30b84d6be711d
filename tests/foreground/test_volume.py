"""Fewer events: a sample of the installations, and one event a command."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from click_telemetry._foreground.identity import is_in_sample, random_id

from ..harness.processes import APP, Cli
from ..harness.senders import sender_processes, wait_until
from ..harness.server import Server

SAMPLED = APP.replace("notice=False", "notice=False, sample=0.5")
COMPLETED = APP.replace("notice=False", 'notice=False, events="completed"')
INSIDE = "0b5c1a3e-8255-4e5a-84e5-000000000001"
OUTSIDE = "0b5c1a3e-8255-4e5a-84e5-ffffffffffff"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="looks at file locks")


def test_sample_is_a_share_of_installations_and_stable() -> None:
    """A tenth of many; a larger sample contains the smaller one."""
    ids = [random_id() for _ in range(20_000)]
    tenth = {one for one in ids if is_in_sample(one, 0.1)}
    assert 1_700 < len(tenth) < 2_300
    assert tenth == {one for one in ids if is_in_sample(one, 0.1)}
    assert tenth < {one for one in ids if is_in_sample(one, 0.2)}
    assert all(is_in_sample(one, None) for one in ids[:10])


def stored(cli: Cli, anonymous_id: str) -> None:
    """Store an ID as a first run does."""
    cli.home.state().mkdir(parents=True, mode=0o700)
    path = cli.home.state() / "id"
    path.write_text(anonymous_id + "\n")
    path.chmod(0o600)


def test_installation_outside_the_sample_records_nothing(
    make_cli: Callable[..., Cli], server: Server
) -> None:
    """No file, no process, no request, whatever it runs."""
    cli = make_cli(SAMPLED)
    stored(cli, OUTSIDE)
    before = cli.home.files()
    for args in (("deploy",), ("fail",)):
        cli.run(*args, env={"ACME_TELEMETRY_HOST": server.url})
    assert cli.home.files() == before
    assert sender_processes(cli.home) == []
    assert server.connections == 0


def test_installation_in_the_sample_sends_its_rate(
    make_cli: Callable[..., Cli], server: Server
) -> None:
    """On each event, also of one that a maintainer watches in log mode."""
    cli = make_cli(SAMPLED)
    stored(cli, INSIDE)
    cli.run("deploy", env={"ACME_TELEMETRY_HOST": server.url})
    tracks = server.wait_for(2)
    assert {message["properties"]["sample_rate"] for message in tracks} == {0.5}
    stored_outside = make_cli(SAMPLED, "other.py")
    (cli.home.state() / "id").write_text(OUTSIDE + "\n")
    logged = stored_outside.run("deploy", env={"ACME_TELEMETRY": "log"})
    assert logged.stderr.count('"sample_rate":0.5') == 2


def test_first_run_decides_by_the_id_that_it_makes(make_cli: Callable[..., Cli]) -> None:
    """Of a tiny sample: the ID is all that is stored, so that every later run decides the same."""
    cli = make_cli(APP.replace("notice=False", "notice=False, sample=1e-12"))
    cli.run("deploy", env={"ACME_TELEMETRY_HOST": "http://127.0.0.1:9"})
    assert [path for path in cli.home.files() if path.endswith("/id")] != []
    assert cli.home.spooled() == []
    assert not (cli.home.state() / "spool").exists()


def test_status_explains_the_sample(make_cli: Callable[..., Cli]) -> None:
    """A maintainer who sees no event finds the reason."""
    source = SAMPLED.replace("instrumented_group, track", "instrumented_group, telemetry_group")
    cli = make_cli(
        source.replace("if __name__", "cli.add_command(telemetry_group())\n\nif __name__")
    )
    stored(cli, OUTSIDE)
    shown = cli.run("telemetry", "status", "--why").stdout
    assert "the application samples, and this installation is outside the sample" in shown
    assert "0.5 of all, and not this one" in shown
    (cli.home.state() / "id").write_text(INSIDE + "\n")
    shown = cli.run("telemetry", "status", "--why").stdout
    assert "0.5 of all, and this one" in shown
    assert "Telemetry for acme is on" in shown


def test_one_event_a_command_arrives(make_cli: Callable[..., Cli], server: Server) -> None:
    """Its end, with all that the begin has; in log mode too."""
    cli = make_cli(COMPLETED)
    cli.run("deploy", "--dry-run", env={"ACME_TELEMETRY_HOST": server.url})
    (completed,) = server.wait_for(1)
    wait_until(lambda: sender_processes(cli.home) == [])
    assert server.events == [("Command Completed", "acme deploy")]
    assert completed["properties"]["flags"] == ["dry_run"]
    logged = cli.run("fail", env={"ACME_TELEMETRY": "log"}).stderr
    assert "Command Invoked" not in logged
    assert logged.count('"event":"Command Completed"') == 1
