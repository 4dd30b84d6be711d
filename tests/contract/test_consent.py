"""Settings out of reach, other users, a key without a host, a client: real processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ..harness.pages import page
from ..harness.processes import APP, WITH_COMMANDS, Cli, Home, as_root
from ..harness.production import at_a_prompt, client_cli
from ..harness.senders import due_now, wait_for_end
from ..harness.terminal import run_in_terminal

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(sys.platform != "linux", reason="links and XDG directories"),
]

MakeCli = Callable[..., Cli]
OTHER_USER = 65534


def make_unreachable(home: Home, how: str) -> None:
    """Let the saved setting be behind a dangling link, or below a plain file."""
    setting = home.choice()
    paths = {"file": setting, "folder": setting.parent, "configuration": setting.parent.parent}
    if how == "plain file":
        setting.parent.parent.mkdir(parents=True)
        setting.parent.write_text("not a folder")
        return
    paths[how].parent.mkdir(parents=True, exist_ok=True)
    paths[how].symlink_to(home.path / "dotfiles that are not mounted")


@pytest.mark.sample(1)
@pytest.mark.parametrize("how", ["file", "folder", "configuration", "plain file"])
def test_setting_that_cannot_be_reached_is_an_opt_out(
    how: str, make_cli: MakeCli, home: Home
) -> None:
    """Nothing is written or sent, and `disable` deletes the queue even if it cannot save."""
    cli = make_cli(WITH_COMMANDS)
    cli.environ["ACME_TELEMETRY_HOST"] = "http://127.0.0.1:9"
    assert cli.run("deploy").returncode == 0
    wait_for_end(home)
    due_now(home)
    assert len(home.spooled()) == 1
    make_unreachable(home, how)
    before = home.digest()
    ran = cli.run("deploy")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "deployed\n", "")
    assert home.digest() == before
    disabled = cli.run("telemetry", "disable")
    assert "Traceback" not in disabled.stderr
    assert home.spooled() == []
    assert cli.run("deploy").returncode == 0
    assert home.spooled() == []


@as_root
@pytest.mark.parametrize("below", ["", "missing/state"])
def test_state_directory_of_another_user_is_left_alone(
    below: str, make_cli: MakeCli, home: Home, tmp_path: Path
) -> None:
    """Through `su` root has my XDG_STATE_HOME: no directory of root's is left in it."""
    theirs = tmp_path / "their state"
    theirs.mkdir()
    os.chown(theirs, OTHER_USER, OTHER_USER)
    cli = make_cli()
    cli.environ["ACME_TELEMETRY_HOST"] = "http://127.0.0.1:9"
    cli.environ["XDG_STATE_HOME"] = str(theirs / below)
    assert cli.run("deploy").returncode == 0
    assert list(theirs.iterdir()) == []
    assert home.files() == []


def test_write_key_of_the_environment_alone_is_not_used(make_cli: MakeCli, home: Home) -> None:
    """A variable in an unrelated `.env` sends nothing for an application that has no key."""
    cli = make_cli(APP.replace('write_key="key", ', ""))
    cli.environ["ACME_TELEMETRY_WRITE_KEY"] = "a third party's"
    assert cli.run("deploy").returncode == 0
    assert home.files() == []
    cli.environ["ACME_TELEMETRY_HOST"] = "http://127.0.0.1:9"
    assert cli.run("deploy").returncode == 0
    assert len(home.spooled()) == 1


@pytest.mark.sample(1)
@pytest.mark.parametrize("kind", ["link", "writable by others"])
@pytest.mark.parametrize("level", ["telemetry", "spool", "destination"])
def test_directory_that_is_not_private_is_not_used_and_purge_reports_it(
    level: str, kind: str, make_cli: MakeCli, home: Home
) -> None:
    """Each level from `telemetry` downwards: nothing is recorded, and what is left is reported."""
    cli = make_cli(WITH_COMMANDS)
    cli.environ["ACME_TELEMETRY_HOST"] = "http://127.0.0.1:9"
    assert cli.run("deploy").returncode == 0
    wait_for_end(home)
    due_now(home)
    (destination,) = home.state().glob("spool/*")
    path = {"telemetry": home.state(), "spool": home.state() / "spool"}.get(level, destination)
    if kind == "link":
        elsewhere = home.path / "elsewhere"
        path.rename(elsewhere)
        path.symlink_to(elsewhere)
    else:
        path.chmod(0o777)
    before = home.digest()
    assert cli.run("deploy").returncode == 0
    assert home.digest() == before
    purged = cli.run("telemetry", "purge")
    left = [path for path in home.path.rglob("*.facts") if path.is_file()]
    assert (purged.returncode == 0) is (left == []), (purged.stdout, purged.stderr)
    if left:
        assert "Delete" in purged.stderr


# A client of the application's own ----------------------------------------------------------------

GO = "resource('Box', 'my box').created()"


def test_client_gets_the_stored_id_and_the_stored_resources(make_cli: MakeCli, home: Home) -> None:
    """One ID for all runs, which `status` shows; a resource is the same in each of them."""
    first = at_a_prompt(make_cli, GO)
    second = at_a_prompt(make_cli, "resource('Box', 'my box').connected()")
    stored = (home.state() / "id").read_text().strip()
    assert {message["anonymousId"] for message in (*first, *second)} == {stored}
    own = [message["properties"]["resource_id"] for message in (first[1], second[1])]
    assert own[0] == own[1]
    assert second[1]["properties"]["connect_count"] == 1


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    ("environ", "options"),
    [
        ({"CI": "true"}, "notice=False"),
        ({"PYTEST_VERSION": "8"}, "notice=False"),
        ({}, 'notice=False, consent="opt-in"'),
        ({}, "notice=True"),
        ({"XDG_STATE_HOME": "/dev/null/state"}, "notice=False"),
        ({}, "notice=False, sample=1e-9"),
    ],
    ids=["CI", "test run", "opt-in", "notice", "not storable", "not in the sample"],
)
def test_client_receives_nothing_where_nothing_may_be_recorded(
    environ: dict[str, str], options: str, make_cli: MakeCli, home: Home
) -> None:
    """Nothing is stored either; the application works as before."""
    for _ in range(2):
        assert at_a_prompt(make_cli, GO, env=environ, options=options) == []
    if "sample" not in options:  # the sample depends on the ID
        assert home.files() == []


def test_client_receives_events_after_the_notice_was_shown(make_cli: MakeCli, home: Home) -> None:
    """The first run on a terminal shows it, the second one records."""
    assert at_a_prompt(make_cli, GO, options="notice=True") == []
    shown = run_in_terminal(client_cli(make_cli, GO, "notice=True"), "go")
    assert "All of it goes where acme itself sends it." in " ".join(shown.split())
    recorded = at_a_prompt(make_cli, GO, options="notice=True")
    assert [message["event"] for message in recorded] == [
        *("Command Invoked", "Box Created", "Command Completed")
    ]


def test_labelled_ci_job_records_at_once(make_cli: MakeCli, home: Home) -> None:
    """Each job of CI has a new home and no terminal; `ci="label"` records it, with its label."""
    options = 'ci="label", notice=True'
    recorded = at_a_prompt(make_cli, GO, env={"CI": "true"}, options=options)
    assert {message["properties"]["is_ci"] for message in recorded} == {True}
    assert len(recorded) == 3
    assert at_a_prompt(make_cli, GO, env={"CI": "true"}, options="notice=True") == []
    assert at_a_prompt(make_cli, GO, options=options) == []


# The page on consent ------------------------------------------------------------------------------


def test_notice_of_the_page_is_the_real_one(make_cli: MakeCli) -> None:
    """The snippet and the notice below it belong together."""
    document = page("docs/consent.md")
    shown = run_in_terminal(make_cli(document.snippet("notice_url=")), "deploy")
    (notice,) = document.blocks("text")
    assert shown.replace("\r\n", "\n") == f"{notice}\ndeployed\n"


def test_client_of_the_page_receives_messages(make_cli: MakeCli, home: Home) -> None:
    """In a person's run, and in no test run."""
    cli = make_cli(page("docs/consent.md").snippet("class QueueClient"))
    assert cli.run().stdout.splitlines() == [
        *("queued: track Command Invoked", "saved", "queued: track Command Completed")
    ]
    assert (home.state() / "id").exists()
    assert cli.run(env={"PYTEST_VERSION": "8"}).stdout == "saved\n"
