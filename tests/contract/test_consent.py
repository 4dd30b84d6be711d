"""Settings out of reach, another user's directories, a key without a host: real processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ..harness.processes import APP, WITH_COMMANDS, Cli, Home, as_root
from ..harness.senders import due_now, wait_for_end

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


@pytest.mark.sample(2)
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


@pytest.mark.sample(2)
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
